"""What `ip` says of real routes is in tests/functional/test_mtu_on_device.py."""

import pytest

from factories import change, config_file, public_key
from saltext.wireguard.device import exits, mtu
from saltext.wireguard.device.diff import diff
from saltext.wireguard.device.operations import Applied
from saltext.wireguard.errors import DeviceError
from saltext.wireguard.formats import networkd
from saltext.wireguard.formats.wg_quick import parse
from saltext.wireguard.model.view import Peer, View
from saltext.wireguard.review.plan import as_device, between

OWN = public_key("own")


def view(*endpoints, address="10.42.0.1/16", **settings):
    """A node whose peers have these endpoints."""
    peers = [
        Peer(f"node{number}", public_key(number), (f"10.42.0.{number}/32",), endpoint)
        for number, endpoint in enumerate(endpoints, 2)
    ]
    return View("wg0", (address,), tuple(peers), "net", 51820, **{"public_key": OWN, **settings})


V4, V6, NAMED = "192.0.2.2:51820", "[2001:db8::2]:51820", "db1.example.com:51820"
MARK = exits.own_mark(view())


def asked(of, **resolved):
    endpoints = {V4: V4, V6: V6, **resolved}
    found = mtu.route_queries(of, endpoints)
    return {version: [line.split()[3] for line in lines] for version, lines in found.items()}


# --- what is asked ---------------------------------------------------------------------------------------------------


def test_routes_to_the_endpoints_are_asked_for_with_the_mark_of_the_interface():
    """Else the answer would be the tunnel itself, where the default route leads through an exit."""
    assert mtu.route_queries(view(V4), {V4: V4}) == {4: [f"route get fibmatch 192.0.2.2 mark {MARK}"], 6: []}


def test_each_address_is_asked_for_once():
    both = {V4: V4, "192.0.2.2:1": "192.0.2.2:1", V6: V6}
    assert {version: len(lines) for version, lines in mtu.route_queries(view(V4, "192.0.2.2:1", V6), both).items()} == {
        4: 1,
        6: 1,
    }


def test_a_name_is_asked_for_by_its_address():
    assert mtu.route_queries(view(NAMED), {NAMED: "192.0.2.7:51820"})[4] == [
        f"route get fibmatch 192.0.2.7 mark {MARK}"
    ]


def test_a_name_that_does_not_resolve_is_left_out():
    assert mtu.route_queries(view(V4, NAMED), {V4: V4})[4] == [f"route get fibmatch 192.0.2.2 mark {MARK}"]


@pytest.mark.parametrize("endpoints", [(), (None,), (V4, None)])
def test_default_routes_are_asked_for_where_somebody_calls_from_anywhere(endpoints):
    found = asked(view(*endpoints))
    assert (found[4][-1], found[6]) == ("192.0.2.255", ["2001:db8:ffff::1"])


# --- what is answered ------------------------------------------------------------------------------------------------


def test_answers_are_lists_one_after_the_other():
    text = '[{"dst":"default","dev":"eth0"}]\n[{"dst":"192.0.2.0/24","dev":"eth1","metrics":[{"mtu":1400}]}]\n'
    assert [route["dev"] for route in mtu.routes(text)] == ["eth0", "eth1"]
    assert list(mtu.routes("")) == []


@pytest.mark.parametrize("text", ["[", "x", "[{}]\nError"])
def test_anything_else_is_an_error(text):
    with pytest.raises(DeviceError, match="is malformed"):
        list(mtu.routes(text))


def test_the_mtu_of_a_route_goes_before_that_of_its_device():
    assert mtu.path_mtu({"dev": "eth0", "metrics": [{"advmss": 1000}, {"mtu": 1400}]}, [1500]) == 1400
    assert mtu.path_mtu({"dev": "eth0"}, [1500]) == 1500


def test_a_route_with_several_ways_is_as_narrow_as_the_narrowest():
    route = {"nexthops": [{"gateway": "192.0.2.1", "dev": "eth0"}, {"dev": "ppp0"}]}
    assert mtu.devices(route) == ["eth0", "ppp0"]
    assert mtu.path_mtu(route, [1500, 1492]) == 1492


def test_a_route_that_leads_nowhere_has_no_device():
    assert mtu.devices({"type": "unreachable", "dst": "192.0.2.0/24"}) == []


# --- what fits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoints", "paths", "fits"),
    [
        ((V4,), {4: [1500]}, 1420),
        ((V6,), {6: [1500]}, 1420),
        ((V4, V6), {4: [1500], 6: [1500]}, 1420),
        ((V4,), {4: [1492]}, 1420),  # PPPoE
        ((V4,), {4: [1472]}, 1412),
        ((V4,), {4: [1420]}, 1360),  # a tunnel in a tunnel
        ((V4, V4), {4: [1500, 1400]}, 1340),
        ((V4,), {4: [9000]}, 1420),  # jumbo frames end somewhere
        ((V4, None), {4: [1500, 1500], 6: []}, 1420),  # who calls may come by IPv6
        ((V4,), {4: [], 6: []}, None),
        ((V4,), {4: [600]}, 576),
    ],
)
def test_what_fits_through_all_paths(endpoints, paths, fits):
    """1440 for IPv4 over Ethernet lost full packets where the other end was behind PPPoE."""
    assert mtu.fitting(view(*endpoints), paths) == fits


def test_ipv6_needs_its_minimum():
    assert mtu.fitting(view(V4, address="fd42::1/64"), {4: [1300]}) == 1280


# --- in views, files and plans ---------------------------------------------------------------------------------------


def test_it_is_no_part_of_what_the_master_knows():
    assert view(path_mtu=1400).digest == view().digest
    assert "path_mtu" not in view(path_mtu=1400).to_dict()


def test_what_the_mesh_file_says_goes_before_it():
    assert [view(mtu=1300, path_mtu=1400).effective_mtu, view(path_mtu=1400).effective_mtu] == [1300, 1400]


@pytest.mark.parametrize("settings", [{"mtu": 1400}, {"path_mtu": 1400}, {}])
def test_it_is_read_back_from_the_configuration_file_as_what_it_is(settings):
    assert parse(config_file(view(V4, **settings)), "wg0") == view(V4, public_key=None, **settings)


def test_it_is_in_the_files_from_which_the_interface_comes_up():
    assert "\nMTU = 1400 # by the paths to the peers\n" in config_file(view(path_mtu=1400))
    assert "\nMTUBytes=1400\n" in networkd.netdev(view(path_mtu=1400), "wg0.key", {})


def test_it_is_set_where_it_is_another_one():
    wanted = view(V4, path_mtu=1400)
    facts = {"key_file": "wg0.key", "public_key": OWN, "endpoints": {V4: V4}, "applied": Applied.of(wanted), "now": 0}
    (operation,) = diff(wanted, as_device(view(V4, mtu=1420)), **facts)
    assert operation.argv == ("ip", "link", "set", "dev", "wg0", "mtu", "1400")
    assert diff(wanted, as_device(view(V4, mtu=1400)), **facts) == ()


def test_a_plan_tells_that_the_nodes_find_out_themselves_from_now_on():
    assert between(view(mtu=1400), view()) == (change("mtu", "1400", "what fits through the paths to its peers"),)
    assert between(view(), view()) == ()
