import base64
from dataclasses import replace
from ipaddress import ip_network
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltext.wireguard.errors import KeyFormatError, ViewError
from saltext.wireguard.formats import wg_quick
from saltext.wireguard.formats.wg_quick import is_managed, managed_network, parse
from saltext.wireguard.model.keys import PrivateKey
from saltext.wireguard.model.offers import Offers
from saltext.wireguard.model.view import Peer, View

KEY = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="

ALLOWED = ("10.42.0.2/32", "192.168.4.0/24")
NODE2 = Peer("node2", "c+E8VYwP2EJggAQKzmuGoLzg/L9+8LkhIL/r0oodlno=", ALLOWED, "db1:51820", 25)
NODE3 = Peer("node3", "XGL4Lka3bDrgXnCi7cXcxXZO9n77VHuGo6XlLzsgVgc=", ("10.42.0.3/32", "fd99::/64"))
NAME = attrgetter("name")
ADDRESSES = {"db1:51820": "192.0.2.7:51820"}
VIEW = View("wg0", ("10.42.0.1/16", "fd42::1/64"), (NODE2, NODE3), network="backbone", port=51820, mtu=1380)


def render(view):
    return wg_quick.render(view, PrivateKey(KEY), ADDRESSES)


def test_a_node_that_forwards_does_so_from_boot_on():
    text = render(replace(VIEW, forwarding=True))
    (line,) = [line for line in text.splitlines() if line.startswith("PostUp = ")]
    assert "/proc/sys/net/ipv4/ip_forward" in line
    assert "/proc/sys/net/ipv6/conf/all/forwarding" in line
    assert parse(text, "wg0").forwarding is True


def test_only_ip_versions_that_the_node_has_are_forwarded():
    assert "ipv6" not in render(replace(VIEW, forwarding=True, addresses=("10.42.0.1/16",)))


def test_a_file_with_a_command_that_is_not_ours_is_not_read():
    text = render(VIEW).replace("PostUp = ", "PostUp = true; ")
    assert parse(text, "wg0") is None


def route(family, network):
    return f'[ -n "$(ip {family} route show exact {network})" ] || ip {family} route add {network} dev wg0 || :'


def test_a_view_is_rendered_as_a_wg_quick_file():
    assert render(VIEW) == (
        "# Managed by Salt (saltext-wireguard), network backbone. Changes made here are lost.\n"
        "[Interface]\n"
        f"PrivateKey = {KEY}\n"
        "ListenPort = 51820\n"
        "Address = 10.42.0.1/16\n"
        "# Addresses = 10.42.0.1/16, fd42::1/64\n"
        "MTU = 1380\n"
        "Table = off\n"
        "PostUp = ip -6 address add fd42::1/64 dev wg0 || :; "
        f"{route('-4', '192.168.4.0/24')}; {route('-6', 'fd99::/64')}\n"
        "\n"
        "# node2\n"
        "[Peer]\n"
        "PublicKey = c+E8VYwP2EJggAQKzmuGoLzg/L9+8LkhIL/r0oodlno=\n"
        "AllowedIPs = 10.42.0.2/32, 192.168.4.0/24\n"
        "# Endpoint by name = db1:51820\n"
        "Endpoint = 192.0.2.7:51820\n"
        "PersistentKeepalive = 25\n"
        "\n"
        "# node3\n"
        "[Peer]\n"
        "PublicKey = XGL4Lka3bDrgXnCi7cXcxXZO9n77VHuGo6XlLzsgVgc=\n"
        "AllowedIPs = 10.42.0.3/32, fd99::/64\n"
    )


def test_a_name_that_is_not_known_to_resolve_leaves_its_peer_without_an_endpoint():
    """wg-quick took the whole interface down for it at boot, or waited for ever."""
    text = wg_quick.render(VIEW, PrivateKey(KEY), {})
    assert "# Endpoint by name = db1:51820\nPersistentKeepalive = 25\n" in text
    assert "\nEndpoint" not in text
    assert parse(text, "wg0") == VIEW


def test_the_configuration_of_a_peer_elsewhere_keeps_the_name_and_leaves_the_routes_to_its_app():
    """Apps on phones take no file with commands in it."""
    text = "\n".join(wg_quick.lines(VIEW, PrivateKey(KEY)))
    assert "\nEndpoint = db1:51820\n" in text
    assert "\nAddress = 10.42.0.1/16, fd42::1/64\n" in text
    assert "PostUp" not in text
    assert "Table" not in text


def test_nothing_that_needs_ipv6_is_left_to_wg_quick():
    """On a machine whose IPv6 is off, it gave up the whole device for an address or a route."""
    text = render(replace(VIEW, peers=(replace(NODE3, allowed_ips=("fd42::3/128",)),)))
    assert "\nAddress = 10.42.0.1/16\n" in text
    assert "\nTable = off\nPostUp = ip -6 address add fd42::1/64 dev wg0 || :\n" in text
    assert wg_quick.parse(text, "wg0").addresses == VIEW.addresses


def test_addresses_stay_in_their_order():
    turned = replace(VIEW, addresses=VIEW.addresses[::-1])
    assert wg_quick.parse(render(turned), "wg0") == turned


def test_an_endpoint_that_is_an_address_stands_there_alone():
    text = render(replace(VIEW, peers=(replace(NODE2, endpoint="192.0.2.9:1"),)))
    assert "/24\nEndpoint = 192.0.2.9:1\n" in text


def test_what_a_name_stood_for_last_is_read_back_and_stays_through_other_changes():
    assert wg_quick.addresses_of(render(VIEW)) == ADDRESSES
    assert wg_quick.addresses_of(wg_quick.without_peers(render(VIEW), "wg0", [NODE3.public_key])) == ADDRESSES
    assert wg_quick.addresses_of(render(VIEW).partition("\n")[2]) == {}


def test_a_name_gets_another_address_and_nothing_else_changes():
    text = wg_quick.with_addresses(render(VIEW), "wg0", {"db1:51820": "[2001:db8::7]:51820"})
    assert text == render(VIEW).replace("192.0.2.7:51820", "[2001:db8::7]:51820")
    assert wg_quick.with_addresses(text, "wg0", {"db2:51820": "192.0.2.1:1"}) == text
    foreign = text.partition("\n")[2]
    assert wg_quick.with_addresses(foreign, "wg0", ADDRESSES) == foreign


def test_what_the_view_leaves_open_has_no_line():
    assert render(View("wg0", ())) == (
        f"# Managed by Salt (saltext-wireguard). Changes made here are lost.\n[Interface]\nPrivateKey = {KEY}\n"
    )


def test_the_order_of_peers_in_the_view_makes_no_difference():
    assert render(replace(VIEW, peers=(NODE3, NODE2))) == render(VIEW)


@pytest.mark.parametrize(
    "view",
    [
        replace(VIEW, peers=(replace(NODE2, name="node2\nPostUp = reboot"),)),
        replace(VIEW, peers=(replace(NODE2, name="node2\rPostUp = reboot"),)),
        replace(VIEW, peers=(replace(NODE2, name="node2\u2028PostUp = reboot"),)),
        replace(VIEW, peers=(replace(NODE2, name="\x1b[2J"),)),
        replace(VIEW, peers=(replace(NODE2, endpoint="db1:51820\n[Interface]\nPostUp = reboot"),)),
        replace(VIEW, addresses=("10.42.0.1/16\nPostUp = reboot",)),
        replace(VIEW, network="backbone\n[Interface]\nPostUp = reboot"),
    ],
)
def test_no_value_can_start_a_line_of_its_own(view):
    with pytest.raises(ViewError, match="wg0: a control character"):
        wg_quick.managed_text(view, wg_quick.lines(view, PrivateKey(KEY)))


def test_a_rendered_file_is_managed():
    assert is_managed(render(VIEW))


@pytest.mark.parametrize(
    "text", ["", "[Interface]\n", "[Interface]\n" + render(VIEW), "# Managed by hand. Changes made here are lost.\n"]
)
def test_a_file_without_our_first_line_is_not_managed(text):
    assert not is_managed(text)


@pytest.mark.parametrize("network", ["backbone", "a.b, network c", None])
def test_the_network_of_a_file_is_read_back(network):
    assert managed_network(render(replace(VIEW, network=network))) == network


def test_a_file_that_is_not_ours_has_no_network():
    assert managed_network("[Interface]\n") is None


def test_a_preshared_key_is_a_line_of_its_peer_and_of_no_other():
    text = render(replace(VIEW, peers=(replace(NODE2, preshared=True, preshared_key=NODE3.public_key), NODE3)))
    assert f"PublicKey = {NODE2.public_key}\nPresharedKey = {NODE3.public_key}\nAllowedIPs" in text
    assert text.count("PresharedKey") == 1


def test_the_view_is_read_back():
    assert parse(render(VIEW), "wg0") == VIEW


KEYS = st.binary(min_size=31, max_size=31).filter(any).map(lambda raw: base64.b64encode(raw + b"\1").decode())
PEERS = st.builds(
    Peer,
    name=st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1),
    public_key=KEYS,
    allowed_ips=st.lists(st.ip_addresses().map(lambda ip: str(ip_network(ip))), unique=True).map(sorted).map(tuple),
    endpoint=st.none() | st.sampled_from(["192.0.2.1:51820", "[2001:db8::1]:1", "db1.example.com:65535", "db1:51820"]),
    keepalive=st.integers(0, 65535),
)
SECRETS = st.binary(min_size=32, max_size=32).filter(any).map(lambda raw: base64.b64encode(raw).decode())
PEERS |= st.builds(lambda peer: replace(peer, keepalive=0, kept_keepalive=25), PEERS)
PEERS |= st.builds(
    lambda peer, key, given: replace(peer, preshared=given, preshared_key=key), PEERS, SECRETS, st.booleans()
)
VIEWS = st.builds(
    View,
    interface=st.just("wg0"),
    addresses=st.lists(st.ip_addresses().map(lambda ip: f"{ip}/{ip.max_prefixlen}")).map(tuple),
    peers=st.lists(PEERS, unique_by=lambda peer: peer.name).map(lambda peers: tuple(sorted(peers, key=NAME))),
    network=st.none() | st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1),
    port=st.none() | st.integers(1, 65535),
    mtu=st.none() | st.integers(576, 65535),
    forwarding=st.booleans(),
    dynamic_routing=st.booleans(),
    preshared=st.none() | st.sampled_from(["0123456789abcdef"]),
    kept=st.lists(st.sampled_from(["PostUp = a; b", "PostUp = # Kept", "PreDown = c", "DNS = 10.0.0.1"])).map(tuple),
)


@given(VIEWS)
def test_every_view_is_read_back_as_it_was(view):
    assert parse(render(view), "wg0") == view


@pytest.mark.parametrize("name", ["[Peer]", "PublicKey = x", "#1", "  indented", "a = b"])
def test_a_name_that_looks_like_something_else_is_read_back(name):
    named = replace(VIEW, peers=(replace(NODE2, name=name),))
    assert parse(render(named), "wg0") == named


def test_the_private_key_is_not_read_back():
    assert KEY not in repr(parse(render(VIEW), "wg0"))


@pytest.mark.parametrize("odd", ["x@PRIVATE_KEY@", "{private_key}", "%s", "PrivateKey = x", "\\1"])
def test_no_name_becomes_a_secret(odd):
    """An id with the placeholder of the private key in it had the key put into its comment, and returned it later."""
    text = render(replace(VIEW, network=odd, peers=(replace(NODE2, name=odd),)))
    assert text.count(KEY) == 1
    assert f"PrivateKey = {KEY}" in text.splitlines()
    assert parse(text, "wg0").peers[0].name == odd


def test_a_private_key_is_shown_by_nothing_but_its_own_text():
    key = PrivateKey(KEY)
    assert KEY not in f"{key} {key!r} {[key]}"


def test_a_damaged_private_key_is_refused_without_being_shown():
    with pytest.raises(KeyFormatError) as caught:
        PrivateKey(f"{KEY}\n{KEY}")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        render(VIEW).partition("\n")[2],
        render(VIEW).replace("192.168.4.0/24", "somewhere"),
        render(VIEW).replace("192.0.2.7:51820", "db1:51820"),
        render(VIEW).replace("ListenPort = 51820", "ListenPort = 0x50"),
        render(VIEW).replace("ListenPort = 51820", "PostUp = reboot"),
        render(VIEW).replace(f"PrivateKey = {KEY}\n", ""),
        render(VIEW).replace("# node3", "# node2"),
        render(VIEW).replace("# node3\n", ""),
        render(VIEW).replace("[Peer]", "[peer]"),
        render(VIEW) + "AllowedIPs = 10.42.0.4/32\n",
        render(VIEW).removesuffix("\n"),
        render(VIEW).replace("\n", "\r\n"),
    ],
)
def test_nothing_is_read_from_a_file_that_is_not_ours_or_that_was_edited_into_something_else(text):
    assert parse(text, "wg0") is None


def test_what_a_node_may_offer_is_read_back():
    """A node that drops a peer reports the digest of what its file says."""
    wanted = View("wg0", ("10.42.0.1/16",), network="n", port=1, offers=Offers(("eth1", "10.0.0.0/8"), ("eth2",)))
    found = parse(render(wanted), "wg0")
    assert found.offers == wanted.offers
    assert found.digest == wanted.digest


def test_with_dynamic_routing_there_are_no_routes_and_a_link_local_address():
    view = replace(VIEW, dynamic_routing=True)
    text = render(view)
    assert "Table = off # routes by a routing daemon\n" in text
    assert "PostUp = ip -6 address add fd42::1/64 dev wg0 || :; ip -6 address add fe80::a2a:1/64 dev wg0 || :\n" in text
    assert parse(text, "wg0") == view


def test_more_endpoints_of_a_peer_are_a_comment_and_read_back():
    peer = replace(NODE3, endpoint="192.0.2.7:1", others=("192.0.2.8:1", "192.0.2.9:1"))
    view = replace(VIEW, peers=(peer,))
    text = render(view)
    assert "\nEndpoint = 192.0.2.7:1\n# Other endpoints = 192.0.2.8:1, 192.0.2.9:1\n" in text
    assert parse(text, "wg0") == view
    assert "Other" not in "\n".join(wg_quick.lines(view, PrivateKey(KEY)))
