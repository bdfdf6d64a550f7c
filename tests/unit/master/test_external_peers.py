"""Where the external peers of a mesh file stand."""

from pathlib import Path

import pytest

from factories import mesh_text, public_key
from saltext.wireguard.errors import ConfigError
from saltext.wireguard.master.external_peers import find_peer, peer_statuses, view_with_key
from saltext.wireguard.master.intake import membership

BY_HAND = f"router: {{public_key: {public_key('router')}, addresses: [10.42.0.200]}}"


@pytest.fixture
def master(master):
    Path(master.mesh_path).write_text(mesh_text("a: {}, b: {}", peers=f"phone: {{}}, {BY_HAND}"))
    return master


def prepare(master):
    return master.registry.exports.prepare(membership(master, "net", master.accepted()), "phone")


def export(master, key="phone"):
    before = prepare(master)
    digest = view_with_key(master.moment(), "net", "phone", public_key(key)).digest
    master.registry.exports.store(before, public_key(key), digest, "alice", "")


def statuses(master):
    return {each.peer.name: (each.export is not None, each.is_current) for each in peer_statuses(master.moment())}


def test_a_peer_that_was_not_exported_has_no_export(master):
    prepare(master)
    assert statuses(master) == {"phone": (False, False), "router": (False, False)}


def test_an_exported_peer_is_current_until_something_that_it_has_changes(master):
    export(master)
    assert statuses(master)["phone"] == (True, True)
    text = Path(master.mesh_path).read_text()
    Path(master.mesh_path).write_text(text.replace(public_key("router"), public_key("another")))
    assert statuses(master)["phone"] == (True, False)


def test_an_exported_peer_has_the_key_and_the_addresses_of_the_registry(master):
    export(master)
    (peer,) = [each.peer for each in peer_statuses(master.moment()) if each.peer.name == "phone"]
    assert peer.public_key == public_key("phone")
    assert [str(address) for address in peer.addresses] == ["10.42.0.1"]


def test_the_view_of_a_peer_can_be_had_before_the_key_is_stored(master):
    prepare(master)
    assert view_with_key(master.moment(), "net", "phone", public_key("new")).public_key == public_key("new")
    assert master.moment().snapshot.exports["net", "phone"].public_key is None


def test_a_peer_is_found_by_its_name(master):
    network, peer = find_peer(master.moment(), "phone")
    assert (network.name, peer.name) == ("net", "phone")


@pytest.mark.parametrize(
    ("name", "network", "reason"),
    [
        ("tablet", None, "the mesh file has no peer tablet: write `peers: {tablet: }` into its network first"),
        ("phone", "other", "network other of the mesh file has no peer phone"),
    ],
)
def test_a_peer_that_is_not_there_is_an_error_that_says_what_to_write(master, name, network, reason):
    with pytest.raises(ConfigError, match=reason):
        find_peer(master.moment(), name, network)


def test_a_peer_of_two_networks_is_an_error_that_names_them_unless_one_is_meant(master):
    first = Path(master.mesh_path).read_text()
    second = mesh_text("a: {}", peers="phone: {}", extra="interface: wg1\n    port: 1").replace("10.42.", "10.43.")
    Path(master.mesh_path).write_text(first + second.partition("networks:\n")[2].replace("net:", "other:"))
    with pytest.raises(ConfigError, match="phone is a peer in the networks net, other: say which by `network=`"):
        find_peer(master.moment(), "phone")
    assert find_peer(master.moment(), "phone", "other")[0].name == "other"
