import json
from dataclasses import replace

import pytest

from factories import public_key
from saltext.wireguard.errors import ViewError
from saltext.wireguard.model.names import is_interface
from saltext.wireguard.model.peer_set import PeerSet
from saltext.wireguard.model.view import Peer, View

B = Peer("b", public_key("b"), ("10.42.0.2/32", "fd42::2/128"), "b.example.com:51820", 25)
C = Peer("c", public_key("c"), ("10.42.0.3/32",))
VIEW = View(
    "wg0",
    ("10.42.0.1/16", "fd42::1/64"),
    (B, C),
    network="net",
    port=51820,
    mtu=1420,
    public_key=public_key("a"),
    serial=7,
)


def changed(**changes):
    """As a person may write it: without a digest."""
    data = {**VIEW.to_dict(), **changes}
    del data["digest"]
    return data


def changed_peer(**changes):
    return changed(peers={"b": {**B.to_dict(), **changes}})


# --- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "view",
    [
        VIEW,
        View("wg0", (), network="net"),
        View("wg0", ("10.42.0.1/32",)),
        replace(VIEW, peers=(), port=None, mtu=None, public_key=None, serial=0),
        replace(VIEW, boot="one", clones=("two", "three")),
        replace(VIEW, via="b", other_ports=(51830,)),
        replace(VIEW, dynamic_routing=True),
        replace(VIEW, peers=(replace(B, endpoint="192.0.2.7:1", others=("192.0.2.8:1",)),)),
    ],
)
def test_a_view_comes_back_from_its_dictionary(view):
    back = View.from_dict(view.to_dict(), view.network)
    assert (back, back.digest) == (view, view.digest)


def test_a_view_without_an_exit_says_and_is_what_it_was_before_there_were_any():
    """Otherwise an upgrade of the master would bring every node out of sync, and older modules would refuse theirs."""
    peer = Peer("b", "B" * 43 + "=", ("10.42.0.2/32",), "192.0.2.2:51820", 25)
    view = View("wg0", ("10.42.0.1/16",), (peer,), "net", 51820, 1420, public_key="A" * 43 + "=")
    assert view.digest == "572c69d20e505fc6fb754f705ed55a7a1430e20a4d39e597346a44e03c59d325"
    assert not {"via", "other_ports", "dynamic_routing", "dns"} & view.to_dict().keys()


def test_a_dictionary_holds_only_what_pillar_and_json_can_carry():
    assert json.loads(json.dumps(VIEW.to_dict())) == VIEW.to_dict()


def test_the_smallest_description_is_an_interface():
    assert View.from_dict({"interface": "wg0"}) == View("wg0", ())


def test_none_is_as_good_as_leaving_a_field_out():
    optional = {"addresses", "peers", "port", "mtu", "public_key", "serial", "digest"}
    assert View.from_dict({"interface": "wg0", **dict.fromkeys(optional)}) == View("wg0", ())


def test_any_view_comes_back_from_its_dictionary():
    hypothesis = pytest.importorskip("hypothesis")
    strategies = hypothesis.strategies
    names = strategies.text(min_size=1, max_size=20).filter(str.isprintable)
    hosts = strategies.ip_addresses().filter(lambda address: "%" not in str(address))
    ports = strategies.integers(1, 65535)
    networks = strategies.lists(hosts.map(lambda host: f"{host}/{host.max_prefixlen}"), max_size=3)
    peers = strategies.builds(
        Peer,
        name=names,
        public_key=strategies.integers().map(public_key),
        allowed_ips=networks.map(lambda texts: tuple(sorted(texts))),
        endpoint=strategies.none() | strategies.builds("h{0}.example.com:{0}".format, ports),
        keepalive=strategies.integers(0, 65535),
    )
    views = strategies.builds(
        View,
        interface=strategies.from_regex(r"[A-Za-z0-9_=+][A-Za-z0-9_=+-]{0,14}", fullmatch=True).filter(is_interface),
        addresses=networks.map(tuple),
        peers=strategies.lists(peers, max_size=5, unique_by=lambda peer: peer.name).map(
            lambda found: tuple(sorted(found, key=lambda peer: peer.name))
        ),
        network=strategies.none() | names,
        port=strategies.none() | ports,
        mtu=strategies.none() | strategies.integers(576, 65535),
        forwarding=strategies.booleans(),
        public_key=strategies.none() | strategies.integers().map(public_key),
        serial=strategies.integers(0, 2**63 - 1),
    )

    @hypothesis.given(views)
    @hypothesis.settings(database=None)
    def comes_back(view):
        back = View.from_dict(view.to_dict(), view.network)
        assert (back, back.digest) == (view, view.digest)

    comes_back()


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ({"addresses": ["10.42.0.1"]}, {"addresses": ["10.42.0.1/32"]}),
        ({"addresses": ["FD42:0::1/64"]}, {"addresses": ["fd42::1/64"]}),
        ({"addresses": ("10.42.0.1/16",)}, {"addresses": ["10.42.0.1/16"]}),
    ],
)
def test_addresses_are_made_canonical(given, canonical):
    assert View.from_dict(changed(**given)).to_dict()["addresses"] == canonical["addresses"]


def test_allowed_ips_are_made_canonical_and_sorted():
    view = View.from_dict(changed_peer(allowed_ips=["FD42::2", "10.42.0.2"]))
    assert view.peers[0].allowed_ips == ("10.42.0.2/32", "fd42::2/128")


@pytest.mark.parametrize(
    ("given", "canonical"),
    [("[FD00::0:1]:1", "[fd00::1]:1"), ("192.0.2.1:51820", "192.0.2.1:51820"), ("host:1", "host:1"), (None, None)],
)
def test_endpoints_are_made_canonical(given, canonical):
    assert View.from_dict(changed_peer(endpoint=given)).peers[0].endpoint == canonical


def test_content_that_its_digest_does_not_name_is_refused():
    data = {**VIEW.to_dict(), "port": 51999}
    with pytest.raises(ViewError, match="network net: its content does not match its digest"):
        View.from_dict(data, "net")


# --- digests ---------------------------------------------------------------------------------------------------------


def test_equal_views_have_equal_digests():
    same = replace(VIEW, peers=(replace(B), replace(C)))
    assert same.digest == VIEW.digest


def test_the_serial_is_no_part_of_the_digest():
    assert replace(VIEW, serial=8).digest == VIEW.digest


@pytest.mark.parametrize(
    "other",
    [
        replace(VIEW, interface="wg1"),
        replace(VIEW, addresses=("10.42.0.1/16",)),
        replace(VIEW, addresses=("10.42.0.1/24", "fd42::1/64")),
        replace(VIEW, network="other"),
        replace(VIEW, network=None),
        replace(VIEW, port=1),
        replace(VIEW, port=None),
        replace(VIEW, mtu=1280),
        replace(VIEW, mtu=None),
        replace(VIEW, public_key=public_key("other")),
        replace(VIEW, public_key=None),
        replace(VIEW, peers=()),
        replace(VIEW, peers=(B,)),
        replace(VIEW, peers=(replace(B, name="bb"), C)),
        replace(VIEW, peers=(replace(B, public_key=public_key("other")), C)),
        replace(VIEW, peers=(replace(B, allowed_ips=("10.42.0.2/32",)), C)),
        replace(VIEW, peers=(replace(B, endpoint=None), C)),
        replace(VIEW, peers=(replace(B, endpoint="b.example.com:1"), C)),
        replace(VIEW, peers=(replace(B, keepalive=0), C)),
        replace(VIEW, peers=(replace(B, endpoint=C.endpoint), replace(C, endpoint=B.endpoint))),
    ],
)
def test_any_other_content_has_another_digest(other):
    assert other.digest != VIEW.digest


def test_a_digest_can_be_computed_without_the_peers():
    peers = PeerSet.of([C.digest, B.digest])
    assert VIEW.digest_with(peers.hashes) == VIEW.digest == replace(VIEW, peers=(C, B)).digest


# --- what is wrong ---------------------------------------------------------------------------------------------------


def refusal(data, network=None):
    with pytest.raises(ViewError) as caught:
        View.from_dict(data, network)
    return str(caught.value)


@pytest.mark.parametrize("data", [None, [], "text", 1, {1: 2}])
def test_what_is_no_mapping_is_refused(data):
    assert refusal(data, "net").startswith("wireguard network net: must be a mapping, not ")


def test_an_unknown_key_is_refused_with_the_known_ones():
    assert "unknown key 'prot'; the known keys are addresses, boot, " in refusal(changed(prot=1))


def test_an_unknown_key_of_a_peer_is_refused_with_the_peers_name():
    assert "peer 'b': unknown key 'preshared'" in refusal(changed_peer(preshared="x"))


WRONG = [
    *[("interface", value) for value in ["", ".", "..", "a b", "a/b", "x" * 16, "w\u00fc", "a\nb", 1, [], {}, "$(x)"]],
    *[("addresses", value) for value in ["10.42.0.1/16", {}, 1, [1], [None], [""], ["10.42.0.1/33"], ["host"]]],
    *[("addresses", [value]) for value in ["fe80::1%eth0/64", "fd42::1%\nPostUp = reboot\n/64"]],
    *[("port", value) for value in [0, -1, 65536, "51820", 1.0, True, []]],
    *[("mtu", value) for value in [0, 575, 65536, "1420", 1420.0, True]],
    *[("public_key", value) for value in ["", "short", 1, "A" * 43 + "=", []]],
    *[("serial", value) for value in [-1, "1", 1.0, True, 2**63]],
    *[("peers", value) for value in [[], "text", 1, {1: {}}]],
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(field, value):
    assert f"wireguard interface: {field}: " in refusal(changed(**{field: value}))


WRONG_IN_PEER = [
    *[("public_key", value) for value in ["", "short", 1, []]],
    *[("allowed_ips", value) for value in ["10.42.0.2/32", {}, [1], ["10.42.0.2/16"], [""], ["fe80::%a\nb/64"]]],
    *[
        ("endpoint", value)
        for value in ["", "host", "host:", "host:0", "host:65536", "a b:1", "x\ny:1", 1, [], "1.2.3:1"]
    ],
    *[("keepalive", value) for value in [-1, 65536, "25", True, 25.0]],
]


@pytest.mark.parametrize(("field", "value"), WRONG_IN_PEER)
def test_a_wrong_value_in_a_peer_is_refused_by_peer_and_field(field, value):
    assert f"wireguard interface: peer 'b': {field}: " in refusal(changed_peer(**{field: value}))


def test_the_zone_of_an_address_brings_no_line_breaks_in():
    """Python takes any text as the zone of an IPv6 address, so an address could add lines to the configuration file."""
    assert "has a zone" in refusal(changed(addresses=["fd42::1%\nPostUp = reboot"]))


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[2J", "\u2028"])
def test_a_peer_has_a_printable_name(name):
    assert "a peer's name has printable characters only" in refusal(changed(peers={name: C.to_dict()}))


def test_a_peer_is_a_mapping():
    assert "wireguard interface: peer 'b': must be a mapping" in refusal(changed(peers={"b": "key"}))


@pytest.mark.parametrize("data", [{}, {"addresses": []}, {"interface": None}])
def test_the_interface_is_needed(data):
    assert refusal(data) == "wireguard interface: 'interface' is missing"


def test_the_public_key_of_a_peer_is_needed():
    assert refusal(changed(peers={"b": {}})) == "wireguard interface: peer 'b': 'public_key' is missing"


@pytest.mark.parametrize(
    ("addresses", "link_local"),
    [
        (("10.99.0.1/31", "fd99::7/64"), "fe80::a63:1/64"),
        (("fd99::1:0:0:7/64",), "fe80::1:0:0:7/64"),
        ((), None),
    ],
)
def test_with_dynamic_routing_an_interface_has_a_link_local_address_that_ends_like_its_first(addresses, link_local):
    view = View("wg0", addresses, dynamic_routing=True)
    assert view.link_local == link_local
    assert view.all_addresses == (*addresses, *filter(None, [link_local]))
    assert view.without_ipv6().link_local is None
    assert View("wg0", addresses).link_local is None


def test_with_dynamic_routing_no_route_is_ours():
    assert (
        replace(VIEW, peers=(Peer("b", public_key("b"), ("192.168.40.0/24",)),), dynamic_routing=True).routes == set()
    )


def test_more_endpoints_of_a_peer_are_in_its_digest():
    assert replace(B, others=("192.0.2.8:1",)).digest != B.digest
