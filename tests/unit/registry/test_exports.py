"""External peers, in the registry and in the views of nodes."""

from dataclasses import replace

import pytest

from databases import BACKENDS
from factories import accepted, membership, mesh, network, public_key, registration
from saltext.wireguard.errors import MeshError, PoolExhaustedError, RefusedError
from saltext.wireguard.fleet.fleet import Fleet
from saltext.wireguard.review.plan import projected

PHONE = "phone: {}"


@pytest.fixture(params=BACKENDS)
def registry(request, tmp_path):
    return request.param(tmp_path)


def register(registry, node="a", net=None):
    registry.register(registration(node), f"salt key of {node}", membership(net or network(), "ab"))


def export(registry, peer="phone", key=None, net=None, digest="digest"):
    before = registry.exports.prepare(membership(net or network(peers=PHONE), "ab"), peer)
    registry.exports.store(before, key or public_key(peer), digest, "root", "")
    return registry.snapshot().exports["net", peer]


def addresses(registry, peer="phone"):
    return [str(address) for address in registry.snapshot().exports["net", peer].addresses]


def peers_of(registry, node="a", peers=PHONE, **more):
    fleet = Fleet(mesh(peers=peers, **more), registry.snapshot(), accepted("a", "b"), 0)
    return {peer.name: peer for peer in fleet.views(node)["net"].peers}


# -- until it has a key


def test_a_peer_without_a_key_is_in_nobodys_view(registry):
    register(registry)
    registry.exports.prepare(membership(network(peers=PHONE), "a"), "phone")
    assert peers_of(registry) == {}


def test_preparing_a_peer_changes_no_digest(registry):
    register(registry)
    digests = [Fleet(mesh(peers=PHONE), registry.snapshot(), accepted("a"), 0).digests()]
    registry.exports.prepare(membership(network(peers=PHONE), "a"), "phone")
    digests.append(Fleet(mesh(peers=PHONE), registry.snapshot(), accepted("a"), 0).digests())
    assert digests[0] == digests[1]


# -- once it has one


def test_an_exported_peer_is_in_the_views_of_those_that_it_is_linked_with(registry):
    register(registry)
    export(registry)
    assert peers_of(registry)["phone"].public_key == public_key("phone")
    assert peers_of(registry)["phone"].allowed_ips == ("10.42.0.2/32",)


def test_a_peer_gets_the_lowest_free_addresses_and_keeps_them(registry):
    net = network(peers=PHONE, subnets="10.42.0.0/24, 'fd42::/64'")
    register(registry, net=net)
    for key in ("first", "second"):
        export(registry, key=public_key(key), net=net)
        assert addresses(registry) == ["10.42.0.2", "fd42::2"]
    register(registry, "b", net)
    assert [str(each) for each in registry.snapshot().rows["net", "b"].addresses] == ["10.42.0.3", "fd42::3"]


def test_addresses_of_the_mesh_file_are_taken_before_others(registry):
    net = network(peers="phone: {addresses: [10.42.0.77]}", subnets="10.42.0.0/24, 'fd42::/64'")
    export(registry, net=net)
    assert addresses(registry) == ["10.42.0.77", "fd42::1"]


def test_a_peer_that_has_its_key_from_the_mesh_file_gets_no_more_addresses_than_it_says(registry):
    """Else looking at its configuration would have changed it."""
    peers = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.77]}}"
    export(registry, net=network(peers=peers, subnets="10.42.0.0/24, 'fd42::/64'"))
    assert addresses(registry) == ["10.42.0.77"]


def test_a_full_network_has_no_room_for_a_peer(registry):
    net = network(peers=PHONE, subnets="10.42.0.0/31")
    for node in ("a", "b"):
        register(registry, node, net)
    with pytest.raises(PoolExhaustedError, match="no free IPv4 address for phone"):
        export(registry, net=net)
    assert registry.snapshot().exports == {}


def test_an_export_is_written_into_the_history_with_both_keys_and_no_private_one(registry):
    export(registry, key=public_key("old"))
    export(registry, key=public_key("new"))
    entry = registry.audit.history("phone")[-1]
    assert (entry.what, entry.who) == ("exported", "root")
    assert entry.details == {"public_key": public_key("new"), "old_public_key": public_key("old")}


# -- keys


def test_the_key_of_a_node_is_refused_for_a_peer(registry):
    register(registry)
    with pytest.raises(RefusedError, match=r"is the public key of a in network net"):
        export(registry, key=public_key("a"))


def test_the_key_of_an_exported_peer_is_refused_for_a_node_and_for_another_peer(registry):
    net = network(peers="phone: {}, tablet: {}")
    export(registry, key=public_key("a"), net=net)
    with pytest.raises(RefusedError, match="is that of the peer phone in network net"):
        register(registry)
    with pytest.raises(RefusedError, match="is that of the peer phone in network net"):
        export(registry, "tablet", public_key("a"), net)


def test_a_peer_may_have_its_key_in_two_networks_and_no_node_of_its_name_may_take_it(registry):
    """A phone needed a second key, and with it a second interface, for a second network."""
    export(registry)
    two = replace(network(peers=PHONE), name="two")
    before = registry.exports.prepare(membership(two, "ab"), "phone")
    registry.exports.store(before, public_key("phone"), "digest", "root", "")
    assert registry.snapshot().exports["two", "phone"].public_key == public_key("phone")
    impostor = registration("phone", network="three")
    with pytest.raises(RefusedError, match="is that of the peer phone in network net"):
        registry.register(impostor, "salt key", membership(replace(network("'*': {}"), name="three"), ["phone"]))


def test_a_key_of_the_mesh_file_that_an_exported_peer_has_is_a_mistake(registry):
    peers = f"phone: {{}}, tablet: {{public_key: {public_key('phone')}, addresses: [10.42.0.9]}}"
    export(registry)
    with pytest.raises(MeshError, match="the public key of peer 'tablet' is that of the peer 'phone'"):
        peers_of(registry, peers=peers)


def test_of_two_who_export_a_peer_at_the_same_time_one_is_refused(registry):
    """Both had shown a private key; the first one's would not have worked."""
    before = [registry.exports.prepare(membership(network(peers=PHONE), ""), "phone") for _ in range(2)]
    registry.exports.store(before[0], public_key("one"), "", "root", "")
    with pytest.raises(RefusedError, match="at the same time"):
        registry.exports.store(before[1], public_key("other"), "", "root", "")
    assert registry.snapshot().exports["net", "phone"].public_key == public_key("one")


# -- the mesh file changes


def test_a_peer_that_is_taken_out_of_the_mesh_file_leaves_its_key_and_its_addresses(registry):
    register(registry)
    export(registry)
    assert registry.settle(membership(network(), "a"))
    assert registry.snapshot().exports == {}
    assert [entry.what for entry in registry.audit.history("phone")] == ["exported", "removed"]
    assert peers_of(registry) == {}


def test_a_peer_that_was_never_exported_leaves_no_trace_in_the_history(registry):
    registry.exports.prepare(membership(network(peers=PHONE), ""), "phone")
    assert registry.settle(membership(network(), ""))
    assert (registry.snapshot().exports, registry.audit.history("phone")) == ({}, [])


def test_an_address_that_an_exported_peer_has_is_not_given_away_by_the_mesh_file(registry):
    register(registry)
    export(registry)
    with pytest.raises(MeshError, match=r"10.42.0.2 was already given to phone; choose another address"):
        peers_of(registry, nodes="'*': {}, b: {addresses: [10.42.0.2]}")
    with pytest.raises(RefusedError, match=r"gives 10.42.0.2 to b, but phone has it"):
        register(registry, "b", network("'*': {}, b: {addresses: [10.42.0.2]}", peers=PHONE))


def test_a_peer_gets_another_address_when_its_subnet_goes_and_that_is_meant(registry):
    register(registry)
    export(registry)
    moved = {"subnets": "10.43.0.0/24", "peers": PHONE}
    assert peers_of(registry, **moved)["phone"].allowed_ips == ()
    registry.settle(membership(network(**moved), "a"), move=True)
    assert peers_of(registry, **moved)["phone"].allowed_ips == ("10.43.0.2/32",)


def test_a_plan_foretells_the_addresses_that_a_peer_will_get(registry):
    register(registry)
    export(registry)
    edited = mesh(subnets="10.43.0.0/24", peers=PHONE)
    (peer,) = projected(edited, registry.snapshot(), accepted("a"), 0).views("a")["net"].peers
    assert peer.allowed_ips == ("10.43.0.2/32",)


# -- what is stale


def test_a_configuration_is_stale_once_a_node_has_another_key(registry):
    def digest():
        joined = Fleet(mesh(peers=PHONE), registry.snapshot(), accepted("a", "b"), 0).networks["net"]
        return joined.view_of_peer("phone").digest

    register(registry)
    export(registry)
    exported = digest()
    registry.register(registration("a", 2), "salt key of a", membership(network(), "a"))
    assert digest() == exported
    registry.register(registration("a", 3, public_key=public_key("new")), "salt key of a", membership(network(), "a"))
    assert digest() != exported
