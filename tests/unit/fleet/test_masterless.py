"""Views that every node compiles for itself, from the mesh file alone."""

import pytest

from factories import mesh, mesh_text, public_key
from saltext.wireguard.errors import MeshError
from saltext.wireguard.fleet.masterless import masterless_views
from unit.node.host import load

KEYS = {name: f"public_key: {public_key(name)}" for name in "abc"}
NODES = (
    f"a: {{{KEYS['a']}, addresses: [10.42.0.1], endpoint: a.example.com}},"
    f" b: {{{KEYS['b']}, addresses: [10.42.0.2], endpoint: false}},"
    f" c: {{addresses: [10.42.0.3]}}"
)


def view(node, nodes=NODES, now=0.0, **kwargs):
    return masterless_views(mesh(nodes, **kwargs), node, now)["net"]


def test_a_node_has_its_addresses_and_all_others_whose_public_key_the_mesh_file_has():
    found = view("b")
    assert (found.public_key, found.addresses) == (public_key("b"), ("10.42.0.2/24",))
    assert [(peer.name, peer.public_key, peer.endpoint) for peer in found.peers] == [
        ("a", public_key("a"), "a.example.com:51820")
    ]


def test_two_nodes_agree_on_the_addresses_of_each_other():
    one, other = view("a"), view("b")
    assert [peer.allowed_ips for peer in one.peers] == [("10.42.0.2/32",)]
    assert [peer.allowed_ips for peer in other.peers] == [("10.42.0.1/32",)]


def test_a_node_whose_public_key_is_not_there_yet_belongs_to_its_networks_and_has_no_peers():
    found = view("c")
    assert (found.public_key, found.addresses, found.peers) == (None, (), ())


def test_so_does_one_that_only_a_glob_names():
    assert view("d", f"{NODES}, '*': {{port: 1234}}").port == 1234


def test_a_node_that_the_mesh_file_does_not_name_is_in_no_network():
    assert masterless_views(mesh(NODES), "z", 0.0) == {}


def test_nobody_is_given_an_address_that_the_mesh_file_does_not_give():
    dual = view("a", subnets='10.42.0.0/24, "fd42::/64"')
    assert dual.addresses == ("10.42.0.1/24",)


def test_peers_that_are_no_minions_links_and_ports_of_nodes_count_as_ever():
    phone = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.9]}}"
    assert [peer.name for peer in view("a", peers=phone, extra="links: [[a, phone]]").peers] == ["phone"]
    nodes = NODES.replace("endpoint: a.example.com", "endpoint: a.example.com, port: 51900")
    assert (view("a", nodes).port, view("b", nodes).peers[0].endpoint) == (51900, "a.example.com:51900")


def test_who_has_expired_is_nobodys_peer_and_in_no_network():
    nodes = NODES.replace("endpoint: false", "endpoint: false, expires: 2026-01-01")
    later = 2e9
    assert view("a", nodes, later).peers == ()
    assert masterless_views(mesh(nodes), "b", later) == {}


def test_preshared_keys_which_need_a_secret_of_a_master_are_an_error_with_its_place():
    with pytest.raises(MeshError, match=r"mesh\.yml:5: preshared_keys needs a master"):
        view("a", extra="preshared_keys: true")


def test_without_a_master_nodegroups_are_those_of_the_minions_own_configuration(tmp_path, monkeypatch):
    pillar = load("_pillar")
    monkeypatch.setattr(pillar, "__opts__", {"__role": "minion", "nodegroups": {"office": "a b"}}, raising=False)
    path = tmp_path / "mesh.yml"
    path.write_text(mesh_text("N@office: {}"))
    assert list(pillar.ext_pillar("a", {}, str(path))["wireguard"]["networks"]) == ["net"]
    assert pillar.ext_pillar("c", {}, str(path))["wireguard"]["networks"] == {}
