"""IP forwarding is turned on where it is needed, and never off."""

import pytest

from factories import in_words
from unit.device.views_and_devices import device, operations, view


@pytest.mark.parametrize(("forwarded", "turned_on"), [((), [4, 6]), ([6], [4]), ([4, 6], [])])
def test_a_node_that_passes_packets_on_forwards_what_it_does_not_forward_yet(forwarded, turned_on):
    addresses = ["10.42.0.1/16", "fd42::1/64"]
    wanted = view(addresses=addresses, forwarding=True)
    found = operations(wanted, device(addresses=addresses), forwarded=forwarded)
    assert in_words(found) == {f"IPv{version} forwarding": {"old": "off", "new": "on"} for version in turned_on}


def test_forwarding_that_somebody_else_turned_on_stays():
    assert operations(view(), device(), forwarded=[4, 6]) == ()
