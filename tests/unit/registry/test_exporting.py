"""Exporting the configuration of an external peer: one transaction a step."""

import pytest

from databases import BACKENDS
from factories import membership, network, public_key, registration
from saltext.wireguard.errors import PoolExhaustedError, RefusedError

PHONE = "phone: {}, tablet: {}"


@pytest.fixture(params=BACKENDS)
def registry(request, tmp_path):
    return request.param(tmp_path)


def prepare(registry, peer="phone", **settings):
    return registry.exports.prepare(membership(network(peers=PHONE, **settings), "a"), peer)


def peers(registry):
    return {peer: export.public_key for (_, peer), export in registry.snapshot().exports.items()}


def test_a_peer_that_is_prepared_has_addresses_and_no_key(registry):
    export = prepare(registry)
    assert ([str(address) for address in export.addresses], export.public_key) == (["10.42.0.1"], None)
    assert peers(registry) == {"phone": None}


def test_to_prepare_a_peer_again_changes_nothing_of_it(registry):
    registry.exports.store(prepare(registry), public_key("phone"), "digest", "alice", "")
    assert prepare(registry) == prepare(registry)
    assert peers(registry) == {"phone": public_key("phone")}


def test_nothing_is_left_of_a_peer_for_which_there_is_no_room(registry):
    prepare(registry, subnets="10.42.0.0/30")
    prepare(registry, "tablet", subnets="10.42.0.0/30")
    net = network(peers="phone: {}, tablet: {}, laptop: {}", subnets="10.42.0.0/30")
    with pytest.raises(PoolExhaustedError):
        registry.exports.prepare(membership(net, "a"), "laptop")
    assert sorted(peers(registry)) == ["phone", "tablet"]


def test_a_refused_key_leaves_the_peer_and_the_history_as_they_were(registry):
    net = network(peers=PHONE)
    registry.register(registration("a"), "salt key of a", membership(net, "a"))
    before = prepare(registry)
    generation, history = registry.snapshot().generation, registry.audit.history()
    with pytest.raises(RefusedError, match="is the public key of a in network net"):
        registry.exports.store(before, public_key("a"), "digest", "alice", "")
    assert (peers(registry), registry.snapshot().generation) == ({"phone": None}, generation)
    assert registry.audit.history() == history


def test_the_peers_of_a_network_that_is_gone_are_dropped_and_each_change_gives_later_views(registry):
    generations = [registry.snapshot().generation]
    export = prepare(registry)
    generations.append(registry.snapshot().generation)
    registry.exports.store(export, public_key("phone"), "digest", "alice", "")
    generations.append(registry.snapshot().generation)
    registry.exports.forget("net")
    generations.append(registry.snapshot().generation)
    assert peers(registry) == {}
    assert generations == sorted(set(generations))
