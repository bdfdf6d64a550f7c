"""Configurations of external peers, in every form."""

import configparser
import re
from dataclasses import replace
from ipaddress import ip_address

import pytest

from factories import accepted, mesh, public_key, row, snapshot
from saltext.wireguard.errors import MeshError, ViewError
from saltext.wireguard.fleet.fleet import Fleet
from saltext.wireguard.formats import external_peer, wg_quick
from saltext.wireguard.model.keys import PrivateKey
from saltext.wireguard.registry.exports import Export

KEY = "cGhvbmUgcHJpdmF0ZSBrZXkgb2YgMzIgYnl0ZXMhISE="
PRIVATE = PrivateKey(KEY)


def view(nodes="'*': {}", peers="phone: {}", extra="", rows=(), **names):
    """What the phone must have; it has the last addresses of the subnets."""
    whole = mesh(nodes, "10.42.0.0/24, 'fd42::/64'", peers, extra)
    mine = Export("net", "phone", public_key("phone"), "", 1.0, (ip_address("10.42.0.9"), ip_address("fd42::9")))
    rows = rows or [row("web1", ip_address("10.42.0.1"), ip_address("fd42::1"), endpoints=("192.0.2.1",))]
    known = replace(snapshot(*rows), exports={("net", "phone"): mine})
    fleet = Fleet(whole, known, accepted(*(each.node for each in rows)), 0)
    return fleet.networks["net"].view_of_peer("phone")


HUB = {
    "nodes": "hub1: {endpoint: 'hub.example:4500', hub: true, routes: [192.168.40.0/24]}, '*': {endpoint: false}",
    "extra": "links: [[hub1, '*']]",
    "rows": [row("hub1", ip_address("10.42.0.1")), row("web1", ip_address("10.42.0.2"))],
}


def as_our_file(text, view):
    """A wg-quick file that is handed out, with the lines that make it one of a node."""
    lines = wg_quick.render(view, PRIVATE, {}).splitlines()
    routing = "".join(f"{line}\n" for line in lines if line.startswith(("# Addresses", "Table", "PostUp")))
    interface, *peers = text.split("\n\n")[1:]
    return "\n\n".join([f"{lines[0]}\n{interface}\n{routing}".rstrip("\n"), *peers])


# -- what is in it


def test_a_wg_quick_file_says_what_the_view_says():
    wanted = view(**HUB)
    text = external_peer.text(wanted, "phone", PRIVATE, "wg-quick")
    assert wg_quick.parse(as_our_file(text, wanted), "wg0") == replace(wanted, public_key=None)


def test_a_client_calls_the_nodes_that_can_be_called_and_holds_its_way_to_them_open():
    (peer,) = view().peers
    assert (peer.name, peer.endpoint, peer.keepalive) == ("web1", "192.0.2.1:51820", 25)
    assert peer.allowed_ips == ("10.42.0.1/32", "fd42::1/128")


def test_a_client_reaches_what_is_behind_a_hub_and_is_told_of_no_spoke():
    (peer,) = view(**HUB).peers
    assert peer.name == "hub1"
    assert set(peer.allowed_ips) == {"10.42.0.0/24", "fd42::/64", "10.42.0.1/32", "192.168.40.0/24"}


def test_a_client_has_nothing_of_nodes_that_no_link_joins_it_with():
    nodes = "web1: {groups: [web]}, db1: {groups: [db]}"
    rows = [row("web1", ip_address("10.42.0.1")), row("db1", ip_address("10.42.0.2"))]
    wanted = view(nodes, extra="links: [[phone, web], [web, db]]", rows=rows)
    assert [peer.name for peer in wanted.peers] == ["web1"]


def test_a_client_listens_only_where_the_mesh_file_says_that_it_is_called():
    assert view().port is None
    assert view(peers="phone: {endpoint: 'phone.example:4600'}").port == 4600


def test_the_addresses_of_the_mesh_file_come_before_those_that_were_allocated():
    assert view().addresses == ("10.42.0.9/24", "fd42::9/64")
    assert view(peers="phone: {addresses: [10.42.0.77]}").addresses == ("10.42.0.77/24", "fd42::9/64")


def test_a_node_that_rotates_is_given_with_the_key_that_counts_now_so_that_a_rotation_makes_stale_only_once():
    before = row("web1", ip_address("10.42.0.1"))
    announced = replace(before, next_key=public_key("next"))
    rotated = replace(before, public_key=public_key("next"))
    digests = [view(rows=[each]).digest for each in (before, announced, rotated)]
    assert digests[0] == digests[1] != digests[2]


def test_who_can_never_be_met_is_named():
    assert external_peer.unreachable(view("'*': {endpoint: false}")) == ["web1"]
    assert external_peer.unreachable(view()) == []


EXIT = {"nodes": "gw1: {exit: true}, '*': {}", "rows": [row("gw1", ip_address("10.42.0.1"))]}


def test_with_an_exit_everything_goes_through_it_by_what_wg_quick_makes_of_that_itself():
    wanted = view(**EXIT, peers="phone: {via: gw1}")
    assert {"0.0.0.0/0", "::/0"} <= set(wanted.peers[0].allowed_ips)
    text = external_peer.text(wanted, "phone", PRIVATE, "wg-quick")
    assert not re.search(r"Table|FwMark|Post", text)


@pytest.mark.parametrize("form", ["mikrotik", "networkd"])
def test_where_the_default_route_is_not_in_a_form_it_says_so(form):
    assert "# This peer may send all its traffic into the tunnel" in external_peer.text(
        view(**EXIT, peers="phone: {via: gw1}"), "phone", PRIVATE, form
    )
    assert "# This peer may send all its traffic into the tunnel" not in external_peer.text(
        view(**EXIT), "phone", PRIVATE, form
    )


def test_the_exit_of_a_phone_must_be_one_that_it_is_linked_with():
    for nodes, peers, extra, message in [
        ("gw1: {exit: true}", "phone: {via: gw2}", "", "the network has no node 'gw2'; did you mean 'gw1'"),
        ("gw1: {}", "phone: {via: gw1}", "", "'gw1' is no exit node"),
        ("gw1: {exit: true}, a: {}", "phone: {via: gw1}", "links: [[a, gw1]]", "no link joins 'phone' with 'gw1'"),
    ]:
        with pytest.raises(MeshError, match=message):
            mesh(nodes, peers=peers, extra=extra)


LINK = {"nodes": "web1: {}", "extra": "dynamic_routing: true"}


@pytest.mark.parametrize(
    ("form", "lines"),
    [
        ("wg-quick", ["Address = 10.42.0.9/24, fd42::9/64, fe80::a2a:9/64", "Table = off"]),
        ("networkd", ["Address=fe80::a2a:9/64"]),
        ("openwrt", ["\tlist addresses 'fe80::a2a:9/64'", "\toption route_allowed_ips '0'"]),
        ("mikrotik", ['/ipv6/address/add address=fe80::a2a:9/64 interface="wg0" advertise=no']),
    ],
)
def test_a_client_with_a_routing_daemon_has_everything_allowed_and_no_routes(form, lines):
    text = external_peer.text(view(**LINK), "phone", PRIVATE, form)
    assert [line for line in text.splitlines() if line in lines] == lines
    assert "0.0.0.0/0" in text
    assert not re.search(r"/route/add|\[Route\]|FwMark|Add the default route", text)


DNS = "dns: [10.42.0.1, 'FD42::0:1', mesh.example.com]"
OF_NETWORK = ("10.42.0.1", "fd42::1", "mesh.example.com")


@pytest.mark.parametrize(
    ("peers", "dns"),
    [
        ("phone: {}", OF_NETWORK),
        ("phone: {dns: false}", ()),
        ("phone: {dns: [192.0.2.53]}", ("192.0.2.53",)),
        ("phone: {dns: [192.0.2.53]}, other: {}", ("192.0.2.53",)),
    ],
)
def test_a_client_has_the_name_servers_of_its_network_unless_it_has_others(peers, dns):
    assert view(peers=peers, extra=DNS).dns == dns


def test_a_configuration_without_name_servers_is_the_same_as_before_there_were_any():
    assert view().digest == view(extra=DNS, peers="phone: {dns: false}").digest != view(extra=DNS).digest


@pytest.mark.parametrize(
    ("form", "lines"),
    [
        ("wg-quick", ["DNS = 10.42.0.1, fd42::1, mesh.example.com"]),
        ("networkd", ["DNS=10.42.0.1", "DNS=fd42::1", "Domains=mesh.example.com"]),
        ("openwrt", ["\tlist dns '10.42.0.1'", "\tlist dns 'fd42::1'", "\tlist dns_search 'mesh.example.com'"]),
        (
            "mikrotik",
            [
                "# RouterOS has name servers for the whole router. To use these, add them:"
                " 10.42.0.1, fd42::1, mesh.example.com"
            ],
        ),
    ],
)
def test_every_form_has_the_name_servers_in_its_own_way(form, lines):
    with_dns, without = (
        external_peer.text(view(extra=extra), "phone", PRIVATE, form).splitlines() for extra in (DNS, "")
    )
    assert [line for line in with_dns if line not in without] == lines


# -- the forms


@pytest.mark.parametrize("form", external_peer.FORMS)
def test_every_form_has_the_private_key_once_and_all_that_peers_need(form):
    text = external_peer.text(view(**HUB), "phone", PRIVATE, form)
    assert text.count(KEY) == 1
    for part in ("10.42.0.9/24", "fd42::9/64", public_key("hub1"), "hub.example", "4500", "192.168.40.0/24", "25"):
        assert part in text, part


@pytest.mark.parametrize("form", external_peer.FORMS)
@pytest.mark.parametrize("odd", ["x@PRIVATE_KEY@", external_peer.PLACEHOLDER])
def test_no_name_in_an_export_becomes_the_private_key(form, odd):
    """A minion id with the placeholder of the key in it put the key into a comment of what was handed out."""
    wanted = view()
    named = replace(wanted, peers=tuple(replace(peer, name=odd) for peer in wanted.peers))
    assert external_peer.text(named, "phone", PRIVATE, form).count(KEY) == 1


@pytest.mark.parametrize("form", external_peer.FORMS)
def test_every_form_has_a_placeholder_where_the_private_key_is_not_known(form):
    assert external_peer.text(view(), "phone", None, form).count(external_peer.PLACEHOLDER) == 1


@pytest.mark.parametrize("form", external_peer.FORMS)
def test_no_form_has_lines_for_what_is_not_set(form):
    text = external_peer.text(view("'*': {endpoint: false}"), "phone", PRIVATE, form)
    assert not re.search(r"None|mtu|endpoint|listen.?port|keepalive", text, re.IGNORECASE)


@pytest.mark.parametrize("form", external_peer.FORMS)
def test_every_form_has_the_mtu_of_the_network(form):
    assert "1380" in external_peer.text(view(extra="mtu: 1380"), "phone", PRIVATE, form)


@pytest.mark.parametrize("form", external_peer.FORMS)
def test_a_minion_id_cannot_add_a_line_or_end_its_quotes(form):
    odd = "w'\"`$(reboot)"
    wanted = view()
    wanted = replace(wanted, peers=tuple(replace(peer, name=odd) for peer in wanted.peers))
    text = external_peer.text(wanted, "phone", PRIVATE, form)
    assert form in ("wg-quick", "networkd") or odd not in text  # there, it is a comment
    with pytest.raises(ViewError, match="control character"):
        external_peer.text(view(), "phone\nPostUp = reboot", PRIVATE, form)


def test_an_openwrt_section_is_what_uci_reads():
    sections = external_peer.text(view(**HUB), "phone", PRIVATE, "openwrt").split("\n\n")[1:]
    assert [section.splitlines()[0] for section in sections] == [
        "config interface 'wg0'",
        "config wireguard_wg0",
    ]
    lines = [line for section in sections for line in section.splitlines()[1:]]
    assert all(re.fullmatch(r"\t(option|list) [a-z_]+ '[^']+'", line) for line in lines)


def test_mikrotik_commands_route_what_is_behind_a_hub():
    lines = external_peer.text(view(**HUB), "phone", PRIVATE, "mikrotik").splitlines()
    assert [line.split()[0] for line in lines] == [
        "#",
        "/interface/wireguard/add",
        "/ip/address/add",
        "/ipv6/address/add",
        "/interface/wireguard/peers/add",
        "/ip/route/add",
    ]
    assert lines[-1] == '/ip/route/add dst-address=192.168.40.0/24 gateway="wg0"'


def test_networkd_files_are_sections_of_settings():
    text = external_peer.text(view(**HUB), "phone", PRIVATE, "networkd")
    netdev, network = text.split("# /etc/systemd/network/50-wg0.network\n")
    parsed = [configparser.ConfigParser(strict=False, interpolation=None) for _ in range(2)]
    parsed[0].read_string(netdev)
    parsed[1].read_string(network)
    assert parsed[0]["WireGuard"]["PrivateKey"] == KEY
    assert parsed[0]["WireGuardPeer"]["Endpoint"] == "hub.example:4500"
    assert parsed[1]["Route"]["Destination"] == "192.168.40.0/24"


def test_a_qr_code_gets_the_settings_without_comments():
    text = external_peer.without_comments(external_peer.text(view(), "phone", PRIVATE, "wg-quick"))
    assert "#" not in text
    assert text.startswith(f"[Interface]\nPrivateKey = {KEY}\n")
    assert f"[Peer]\nPublicKey = {public_key('web1')}\n" in text


def test_a_client_has_the_first_address_of_a_node_with_two_uplinks():
    (peer,) = view("web1: {endpoint: [192.0.2.7, 192.0.2.8]}").peers
    assert (peer.endpoint, peer.others) == ("192.0.2.7:51820", ())
