"""Routing rules of others. The JSON is that of iproute2 6.1."""

import json

import pytest

from saltext.wireguard.device import exits
from saltext.wireguard.device.other_rules import clashes, halves_taken
from saltext.wireguard.errors import DeviceError
from saltext.wireguard.model.view import View

PLAIN = View("wg0", ("10.42.0.1/16",), port=51820)
EXIT = View("wg0", ("10.42.0.1/16",), port=51820, via="gw1")
MARK = exits.mark(EXIT)
USUAL = [
    {"priority": 0, "src": "all", "table": "local"},
    {"priority": 32766, "src": "all", "table": "main"},
    {"priority": 32767, "src": "all", "table": "default"},
]
SUPPRESSING = {"priority": 32764, "src": "all", "table": "main", "suppress_prefixlen": 0}
OTHER_VPN = {"priority": 32765, "not": None, "src": "all", "fwmark": "0xca6c", "table": "51820"}
OURS = [
    {"priority": 31819, "not": None, "src": "all", "fwmark": hex(MARK), "fwmask": "0xffff0000", "table": "main",
     "suppress_prefixlen": 0},
    {"priority": 31820, "not": None, "src": "all", "fwmark": hex(MARK), "fwmask": "0xffff0000", "table": str(MARK)},
]  # fmt: skip


def found(view, *rules, defaults=("200", "51820")):
    ordered = sorted([*USUAL, *rules], key=lambda rule: rule["priority"])
    return [*map(str, clashes(json.dumps(ordered), 4, view, defaults.__contains__))]


def everything(priority, **more):
    return {"priority": priority, "src": "all", "table": "200", **more}


@pytest.mark.parametrize("view", [PLAIN, EXIT])
def test_the_rules_of_every_machine_and_our_own_are_in_nobodys_way(view):
    assert found(view, *OURS) == []


def test_a_rule_that_takes_everything_before_the_main_table_is_named():
    assert found(PLAIN, everything(100)) == ["its IPv4 routes (`ip -4 rule` 100, lookup 200, comes first)"]
    assert found(EXIT, *OURS, everything(100)) == [
        "all of the IPv4 default route through gw1 (`ip -4 rule` 100, lookup 200, comes first)"
    ]


def test_a_table_without_a_default_route_takes_nothing():
    """strongSwan has such a rule for its table 220 on every machine, which is mostly empty."""
    assert found(PLAIN, everything(220), defaults=()) == found(EXIT, everything(220), defaults=()) == []


def test_a_rule_without_a_table_takes_everything_too():
    assert found(PLAIN, {"priority": 9, "src": "all", "action": "blackhole"}) == [
        "its IPv4 routes (`ip -4 rule` 9, blackhole, comes first)"
    ]


@pytest.mark.parametrize(
    "selector",
    [{"src": "10.0.0.0", "srclen": 8}, {"dst": "10.9.0.0"}, {"iif": "lo"}, {"fwmark": "0x10", "fwmask": "0xff"},
     {"ipproto": "udp", "dport": 53}, {"uid_start": 1, "uid_end": 2}, {"l3mdev": None}],
)  # fmt: skip
def test_a_rule_for_some_packets_is_not(selector):
    assert found(PLAIN, everything(100, **selector)) == []


def test_another_vpn_that_lets_the_main_table_come_first_is_in_the_way_of_an_exit_only():
    assert found(PLAIN, SUPPRESSING, OTHER_VPN) == []
    assert found(EXIT, *OURS, SUPPRESSING, OTHER_VPN) == [
        "all of the IPv4 default route through gw1 (`ip -4 rule` 32765, lookup 51820, is left out)"
    ]


def test_a_rule_that_takes_the_tunnels_own_packets_is_named():
    by_mask = everything(100, fwmark="0x57400000", fwmask="0xfff00000")
    (text,) = found(EXIT, *OURS, by_mask, everything(101, fwmark="0x10", fwmask="0xff"))
    assert text.endswith("(`ip -4 rule` 100, lookup 200, takes the tunnel's own packets)")


def test_halves_of_the_internet_in_the_main_table_are_named():
    """OpenVPN's `redirect-gateway def1`: the main table comes before the exit's, so no packet took the exit."""
    (finding,) = halves_taken({"0.0.0.0/1": "via 10.8.0.1 dev tun0", "::/1": "dev tun0"}, EXIT)
    assert str(finding).endswith("(this machine has 0.0.0.0/1 via 10.8.0.1 dev tun0)")
    assert [*halves_taken({"0.0.0.0/1": "dev tun0"}, PLAIN)] == []


def test_malformed_output_is_an_error():
    with pytest.raises(DeviceError, match="`ip -json -4 rule show` is malformed"):
        [*clashes('[{"table": "200"}]', 4, PLAIN, lambda table: True)]
