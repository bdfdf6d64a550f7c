"""What the pillar wants of a node, network by network."""

import pytest

from factories import public_key
from saltext.wireguard.errors import NodeError
from saltext.wireguard.model.view import View
from saltext.wireguard.node.pillar import valid_views


def pillar(**networks):
    return {"wireguard": {"networks": networks}}


GOOD = View("wg0", ("10.42.0.1/24",), network="net", public_key=public_key("a")).to_dict()


@pytest.mark.parametrize("bad", [None, 1, {}, {"interface": "wg1", "peers": 1}, {**GOOD, "interface": "wg1"}])
def test_a_network_whose_view_is_malformed_leaves_the_others_as_they_are(bad):
    """All networks failed together, and the node could not even take down those that it had left."""
    found, broken = valid_views(pillar(net=GOOD, other=bad))
    assert found.keys() == {"net"}
    assert broken.keys() == {"other"}


def test_a_pillar_with_errors_is_one_of_no_network_at_all():
    with pytest.raises(NodeError, match="the pillar has errors"):
        valid_views({"_errors": ["no"], **pillar(net=GOOD)})
