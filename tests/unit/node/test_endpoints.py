"""What the node makes of the answers of a resolver, which are somebody else's words."""

import pytest

from factories import public_key
from saltext.wireguard.device import mtu
from saltext.wireguard.model.device import Device, DevicePeer
from saltext.wireguard.model.view import Peer, View
from saltext.wireguard.node import endpoints, hosts_file

ODD = ["0.0.0.0", "::", "ff02::1", "224.0.0.1", "fe80::1%eth0", "::ffff:192.0.2.1", "\n", "web1"]


@pytest.fixture
def resolver(monkeypatch):
    """Host name -> addresses, as a resolver gives them."""
    answers = {"db1": ("192.0.2.1",)}
    monkeypatch.setattr(endpoints, "resolve_names", lambda hosts, _: {h: answers[h] for h in hosts if h in answers})
    monkeypatch.setattr(hosts_file, "managed", set)
    return answers


def view(*hosts):
    peers = (Peer(host, public_key(host), (), f"{host}:51820") for host in hosts)
    return View("wg0", ("10.42.0.1/24",), tuple(peers))


@pytest.mark.parametrize("odd", ODD)
def test_a_name_that_resolves_to_nonsense_is_one_that_does_not_resolve(resolver, caplog, odd):
    """It was a ValueError for all networks of the node, which then applied nothing: no revocation of others either."""
    resolver["web1"] = (odd,)
    found = endpoints.resolve(view("web1", "db1"), None)[0]
    assert found == {"db1:51820": "192.0.2.1:51820"}
    assert "web1 resolves to" in caplog.text
    assert "where no machine can be reached" in caplog.text
    assert "\n" not in caplog.records[0].getMessage()
    assert mtu.route_queries(view("web1", "db1"), found)


@pytest.mark.parametrize("odd", ODD)
def test_of_several_addresses_the_usable_ones_count(resolver, odd):
    resolver["web1"] = (odd, "192.0.2.7")
    assert endpoints.resolve(view("web1"), None)[0] == {"web1:51820": "192.0.2.7:51820"}


def test_the_address_in_use_is_kept(resolver):
    resolver["web1"] = ("192.0.2.7", "192.0.2.8")
    in_use = {"192.0.2.8:51820"}
    assert endpoints.choose(view("web1"), resolver, in_use) == {"web1:51820": "192.0.2.8:51820"}


@pytest.mark.parametrize(
    ("last", "at_boot"),
    [
        ({}, "192.0.2.8:51820"),
        ({"web1:51820": "192.0.2.7:51820"}, "192.0.2.7:51820"),
        ({"web1:51820": "192.0.2.99:51820"}, "192.0.2.8:51820"),
    ],
)
def test_a_peer_that_moved_to_another_address_of_its_name_is_no_reason_to_write_the_files(
    resolver, monkeypatch, last, at_boot
):
    """A peer with IPv4 and IPv6 that called from the other one was drift, and every apply wrote the file."""
    resolver["web1"] = ("192.0.2.7", "192.0.2.8")
    monkeypatch.setattr(endpoints.config_files, "last_addresses", lambda _: last)
    peer = DevicePeer(public_key("web1"), "192.0.2.8:51820", frozenset(), 0, 0, 0, 0, None)
    device = Device("wg0", True, "own", 1, 1420, frozenset(), frozenset(), {peer.public_key: peer})
    now, known = endpoints.resolve(view("web1"), device)
    assert now == {"web1:51820": "192.0.2.8:51820"}
    assert known == {"web1:51820": at_boot}


def test_a_name_that_does_not_resolve_keeps_what_it_stood_for_last_in_the_files(resolver, monkeypatch):
    monkeypatch.setattr(endpoints.config_files, "last_addresses", lambda _: {"web1:51820": "192.0.2.7:51820"})
    assert endpoints.resolve(view("web1"), None) == ({}, {"web1:51820": "192.0.2.7:51820"})


INSIDE = ["10.42.0.7", "10.42.0.1", "fd42::7", "192.168.40.5"]


@pytest.fixture
def gateway():
    """A view with networks behind its peer web1, one of which is everything."""
    behind = ("0.0.0.0/0", "10.42.0.7/32", "192.168.40.0/24")
    peers = (Peer("web1", public_key("web1"), behind, "web1:51820"), Peer("db1", public_key("db1"), (), "db1:51820"))
    return View("wg0", ("10.42.0.1/24", "fd42::1/64"), peers)


@pytest.mark.parametrize("inside", INSIDE)
def test_a_name_that_resolves_to_an_address_inside_the_tunnel_is_not_followed_there(resolver, gateway, caplog, inside):
    """The packets that were to open the tunnel went into it."""
    resolver["web1"] = (inside,)
    assert endpoints.resolve(gateway, None)[0] == {"db1:51820": "192.0.2.1:51820"}
    said = f"wg0: web1 resolves to {inside!r}, inside the tunnel that it is to open; give web1 another endpoint"
    assert [record.getMessage() for record in caplog.records] == [f"wireguard: {said}"]


@pytest.mark.parametrize("inside", INSIDE)
def test_its_other_addresses_are_used(resolver, gateway, inside):
    resolver["web1"] = (inside, "192.0.2.7")
    assert endpoints.resolve(gateway, None)[0]["web1:51820"] == "192.0.2.7:51820"


def test_an_address_inside_is_not_kept_because_it_is_in_use(resolver, gateway):
    resolver["web1"] = ("192.0.2.7", "10.42.0.7")
    found = endpoints.choose(gateway, resolver, {"10.42.0.7:51820"})
    assert found["web1:51820"] == "192.0.2.7:51820"


def test_a_tunnel_may_lead_through_another_peer_or_another_interface(resolver, gateway):
    resolver.update(web1=("10.43.0.9",), db1=("192.168.40.6",))
    assert endpoints.resolve(gateway, None)[0] == {"web1:51820": "10.43.0.9:51820", "db1:51820": "192.168.40.6:51820"}


@pytest.mark.parametrize(
    ("routed", "used", "turn"),
    [
        ("78", "7", "8"),
        ("78", "8", "7"),
        ("789", "8", "9"),
        ("78", "", "8"),
        ("79", "8", "9"),
        ("8", "8", "8"),
        ("", "8", "8"),
    ],
)
def test_of_several_addresses_those_with_a_route_are_tried_in_turn(resolver, monkeypatch, routed, used, turn):
    """A peer with two uplinks was looked for at the first for ever."""
    monkeypatch.setattr(endpoints, "has_route", lambda endpoint: endpoint.removesuffix(":51820")[-1] in routed)
    resolver["web1"] = ("192.0.2.8", "192.0.2.7", "192.0.2.9") if "9" in routed else ("192.0.2.8", "192.0.2.7")
    in_use = [f"192.0.2.{each}:51820" for each in used]
    found = endpoints.choose(view("web1"), resolver, in_use, [public_key("web1")])
    assert found == {"web1:51820": f"192.0.2.{turn}:51820"}


def test_addresses_of_the_mesh_file_are_tried_in_turn_like_those_of_a_name(resolver, monkeypatch):
    monkeypatch.setattr(endpoints, "has_route", lambda _: True)
    peer = Peer("web1", public_key("web1"), (), "192.0.2.7:1", others=("192.0.2.8:1", "192.0.2.9:1"))
    wanted = View("wg0", ("10.42.0.1/24",), (peer,))
    lost = [peer.public_key]
    turns = ["192.0.2.7:1"]
    while len(turns) < 4:
        turns += endpoints.choose(wanted, {}, turns[-1:], lost).values()
    assert turns == ["192.0.2.7:1", "192.0.2.8:1", "192.0.2.9:1", "192.0.2.7:1"]
    assert endpoints.choose(wanted, {}, ["192.0.2.8:1"]) == {"192.0.2.7:1": "192.0.2.8:1"}
    assert endpoints.choose(wanted, {}, []) == {"192.0.2.7:1": "192.0.2.7:1"}
