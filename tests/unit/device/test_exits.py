"""What the commands do on a real machine is in tests/functional/test_exit_on_device.py."""

import json
from dataclasses import replace

import pytest

from factories import config_file, in_words, public_key
from saltext.wireguard.device import exits
from saltext.wireguard.device.check import check
from saltext.wireguard.device.diff import diff
from saltext.wireguard.device.exits import Item, Policy
from saltext.wireguard.device.operations import Applied, command_lines
from saltext.wireguard.device.trial import new_exit
from saltext.wireguard.errors import DeviceError, ViewError
from saltext.wireguard.formats import networkd
from saltext.wireguard.formats.wg_quick import parse
from saltext.wireguard.model.changes import as_salt
from saltext.wireguard.model.device import Device
from saltext.wireguard.model.view import Peer, View
from saltext.wireguard.review.plan import as_device, between

OWN = public_key("own")
GW1 = Peer("gw1", public_key("gw1"), ("10.42.0.2/32", "fd42::2/128"), "192.0.2.2:51820")
GW2 = Peer("gw2", public_key("gw2"), ("10.42.0.3/32", "fd42::3/128"), "192.0.2.3:51820")
PLAIN = View("wg0", ("10.42.0.1/16", "fd42::1/64"), (GW1, GW2), "net", 51820, 1420, public_key=OWN)
ONLY_V4 = replace(
    PLAIN,
    addresses=("10.42.0.1/16",),
    peers=tuple(replace(each, allowed_ips=each.allowed_ips[:1]) for each in PLAIN.peers),
)
MARK = "0x5747ca6c"
TABLE = str(int(MARK, 0))


def through(via, view=PLAIN, **settings):
    """The view of a node whose default route leads through ``via``."""
    peers = (
        replace(each, allowed_ips=tuple(sorted((*each.allowed_ips, "0.0.0.0/0", "::/0")))) if each.name == via else each
        for each in view.peers
    )
    return replace(view, via=via, peers=tuple(peers), **settings)


def operations(before, wanted, **facts):
    known = {"applied": Applied.of(before), "policy": Policy.of(before), **facts}
    endpoints = {peer.endpoint: peer.endpoint for peer in wanted.peers}
    shared = {"key_file": "wg0.key", "public_key": OWN, "endpoints": endpoints, "now": 0}
    return diff(wanted, as_device(before), **shared, **known)


def lines(*args, **facts):
    return [" ".join(argv) for argv in command_lines(operations(*args, **facts), "wg0")]


# --- what is made, and in which order --------------------------------------------------------------------------------


def test_the_rule_that_leads_into_the_tunnel_is_the_last_step_and_the_mark_comes_first():
    found = lines(PLAIN, through("gw1", ONLY_V4))
    assert found[0].startswith(f"wg set wg0 fwmark {TABLE} peer {GW1.public_key} ")
    assert found[1:4] == [
        f"ip -4 route replace default dev wg0 table {TABLE}",
        f"ip -4 rule add pref 31819 not fwmark {MARK}/0xffff0000 lookup main suppress_prefixlength 0",
        f"ip -4 rule add pref 31820 not fwmark {MARK}/0xffff0000 lookup {TABLE}",
    ]


def test_of_all_that_goes_the_rule_that_leads_into_the_tunnel_is_first_and_the_mark_goes_after_it():
    before = through("gw1", ONLY_V4)
    found = lines(before, ONLY_V4)
    assert found == [
        f"ip -4 rule del pref 31820 not fwmark {MARK}/0xffff0000 lookup {TABLE}",
        f"ip -4 rule del pref 31819 not fwmark {MARK}/0xffff0000 lookup main suppress_prefixlength 0",
        f"ip -4 route del default dev wg0 table {TABLE}",
        f"wg set wg0 fwmark 0 peer {GW1.public_key} allowed-ips 10.42.0.2/32",
    ]


def test_what_is_right_needs_no_command():
    assert operations(through("gw1"), through("gw1")) == ()


def test_another_exit_is_a_matter_of_the_peers_alone():
    found = operations(through("gw1"), through("gw2"))
    assert [argv[:3] for argv in command_lines(found, "wg0")] == [("wg", "set", "wg0")]
    assert in_words(found)["IPv4 default route"] == {"old": "via gw1", "new": "via gw2"}


def test_only_ip_versions_of_the_network_are_led_through_the_exit():
    view = through("gw1", ONLY_V4)
    assert {item.version for item in exits.items(view)} == {4}


def test_the_route_stays_when_the_exit_is_gone():
    view = replace(through("gw1"), peers=(GW2,))
    assert exits.items(view) == exits.items(through("gw1"))


def test_what_stays_outside_is_led_around_before_the_rest_comes():
    view = through("gw1", bypass_addresses=("203.0.113.5",), other_ports=(51830,))
    found = [item.arguments for item in exits.items(view) if item.version == 4]
    assert found[0] == f"throw 203.0.113.5 table {TABLE}"
    assert found[2] == f"pref 31818 fwmark {MARK}/0 ipproto udp sport 51830 lookup main"


def test_an_address_that_is_to_stay_outside_now_comes_before_the_old_one_goes():
    found = lines(through("gw1", bypass_addresses=("203.0.113.5",)), through("gw1", bypass_addresses=("203.0.113.6",)))
    assert found == [
        f"ip -4 route replace throw 203.0.113.6 table {TABLE}",
        f"ip -4 route del throw 203.0.113.5 table {TABLE}",
    ]


def test_another_port_makes_everything_anew_before_the_old_goes():
    found = lines(through("gw1"), through("gw1", port=51821))
    added = [number for number, line in enumerate(found) if " add " in line or " replace " in line]
    deleted = [number for number, line in enumerate(found) if " del " in line]
    assert found[0].startswith("wg set wg0 listen-port 51821 fwmark ")
    assert max(added) < min(deleted)


def test_marks_of_different_interfaces_differ_and_all_are_ours():
    marks = [exits.mark(through("gw1", port=port)) for port in (1, 51820, 65535)]
    assert len({*marks}) == 3
    assert all(exits.is_ours(mark) for mark in marks)
    assert not any(exits.is_ours(mark) for mark in (0, 1, 51820, 0xCA6C))


def test_a_mark_that_somebody_else_gave_stays():
    device = replace(as_device(PLAIN), mark=51820)
    endpoints = {peer.endpoint: peer.endpoint for peer in PLAIN.peers}
    facts = {"key_file": "wg0.key", "public_key": OWN, "endpoints": endpoints, "applied": Applied.of(PLAIN), "now": 0}
    assert diff(PLAIN, device, **facts) == ()


def test_a_strict_check_of_sources_is_loosened_and_a_loose_one_left_alone():
    strict = Policy(Policy.of(through("gw1")).items, strict=True)
    assert "reverse path filter" in in_words(operations(through("gw1"), through("gw1"), policy=strict))
    assert operations(PLAIN, PLAIN, policy=Policy(strict=True)) == ()


def test_a_default_route_through_a_peer_that_is_no_exit_is_refused():
    with pytest.raises(ViewError, match=r"gw1 has the default route 0\.0\.0\.0/0 .* `exit: true` and `via:`"):
        check(replace(through("gw1"), via=None), OWN)


def test_without_a_port_there_is_nothing_to_tell_packets_by():
    with pytest.raises(ViewError, match="needs a port"):
        check(through("gw1", port=None), OWN)


def test_a_plan_tells_it_in_plain_words():
    found = as_salt(between(PLAIN, through("gw1", other_ports=(51830,))))
    assert found["IPv6 default route"] == {"old": None, "new": "via gw1"}
    assert found["outside the tunnel: UDP port 51830"] == {"old": None, "new": "yes"}
    assert as_salt(between(through("gw1"), PLAIN))["IPv4 default route"] == {"old": "into the tunnel", "new": None}


# --- who must answer -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "wanted", "exit_node"),
    [
        (PLAIN, through("gw1"), GW1),
        (through("gw1"), through("gw2"), GW2),
        (None, through("gw1"), GW1),
        (through("gw1"), through("gw1", mtu=1400), None),
        (through("gw1"), PLAIN, None),
        (through("gw1"), replace(through("gw2"), peers=()), None),
    ],
)
def test_an_exit_must_answer_when_it_is_new(before, wanted, exit_node):
    assert new_exit(before, wanted, as_device(before or PLAIN)) == (exit_node and exit_node.public_key)


def test_at_a_first_set_up_nobody_must_answer():
    assert new_exit(None, through("gw1"), None) is None


# --- in files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "view",
    [
        through("gw1"),
        through("gw1", forwarding=True),
        through("gw1", bypass_addresses=("203.0.113.5", "2001:db8::5"), other_ports=(51830, 51840)),
        replace(through("gw1"), peers=(GW2,)),
        through("gw1", replace(PLAIN, peers=(replace(GW1, allowed_ips=("10.42.0.2/32", "192.168.7.0/24")),))),
    ],
)
def test_it_is_read_back_from_the_configuration_file(view):
    found = parse(config_file(view), "wg0")
    assert found == replace(view, public_key=None)
    assert replace(found, public_key=OWN).digest == view.digest


@pytest.mark.parametrize("old", [" table ", "rule del ", "PostDown = ", "Table = off"])
def test_a_file_that_somebody_edited_says_nothing(old):
    assert parse(config_file(through("gw1")).replace(old, old.upper()), "wg0") is None


def test_wg_quick_makes_no_routes_of_its_own():
    text = config_file(through("gw1", replace(PLAIN, peers=(replace(GW1, allowed_ips=("192.168.7.0/24",)),))))
    assert "\nTable = off # default route via gw1\n" in text
    assert "ip -4 route add 192.168.7.0/24 dev wg0 || :; " in text


def test_networkd_makes_the_same():
    view = through("gw1", ONLY_V4, bypass_addresses=("203.0.113.5",), other_ports=(51830,))
    assert f"\nFirewallMark={TABLE}\n" in networkd.netdev(view, "wg0.key", {})
    sections = networkd.network(view).split("\n\n")[3:]
    assert [section.split("\n") for section in sections] == [
        ["[Route]", "Destination=203.0.113.5", "Type=throw", f"Table={TABLE}"],
        ["[Route]", "Destination=0.0.0.0/0", f"Table={TABLE}", "Protocol=boot", "Scope=link"],
        [
            *("[RoutingPolicyRule]", "Family=ipv4", "Priority=31818", f"FirewallMark={MARK}/0", "IPProtocol=udp"),
            *("SourcePort=51830", "Table=main"),
        ],
        [
            *("[RoutingPolicyRule]", "Family=ipv4", "InvertRule=yes", "Priority=31819"),
            *(f"FirewallMark={MARK}/0xffff0000", "Table=main", "SuppressPrefixLength=0"),
        ],
        [
            *("[RoutingPolicyRule]", "Family=ipv4", "InvertRule=yes", "Priority=31820"),
            *(f"FirewallMark={MARK}/0xffff0000", f"Table={TABLE}", ""),
        ],
    ]


# --- reading ---------------------------------------------------------------------------------------------------------

OF_OTHERS = [
    {"priority": 0, "src": "all", "table": "local"},
    {"priority": 31820, "not": None, "src": "all", "fwmark": "0xca6c", "table": "51820"},
    {"priority": 32766, "src": "all", "table": "main"},
]
RULES = [
    {"priority": 31818, "fwmark": MARK, "fwmask": "0", "ipproto": "udp", "sport": 51830, "table": "main"},
    {
        **{"priority": 31819, "not": None, "src": "all", "fwmark": MARK, "fwmask": "0xffff0000"},
        **{"table": "main", "suppress_prefixlen": 0},
    },
    {"priority": 31820, "not": None, "src": "all", "fwmark": MARK, "fwmask": "0xffff0000", "table": TABLE},
]
ROUTES = [{"type": "throw", "dst": "203.0.113.5", "flags": []}, {"dst": "default", "dev": "wg0", "flags": []}]


def test_rules_and_routes_are_read_as_they_are_made():
    view = through("gw1", ONLY_V4, bypass_addresses=("203.0.113.5",), other_ports=(51830,))
    rules = exits.parse_rules(json.dumps(OF_OTHERS + RULES), 4, [int(MARK, 0)])
    assert {*rules, *exits.parse_routes(json.dumps(ROUTES), 4, int(MARK, 0))} == {*exits.items(view)}


@pytest.mark.parametrize("changed", [{"fwmask": "0xff"}, {"table": "main"}, {"priority": 5}, {"fwmark": MARK}])
def test_a_rule_of_ours_that_says_something_else_is_none_that_is_wanted(changed):
    rule = {key: value for key, value in {**RULES[2], **changed}.items() if key != "not" or "fwmark" not in changed}
    (found,) = exits.parse_rules(json.dumps([rule]), 4, [int(MARK, 0)])
    assert found not in exits.items(through("gw1"))


@pytest.mark.parametrize("text", ["{", "{}", "[1]"])
def test_what_is_no_list_of_rules_is_an_error(text):
    with pytest.raises(DeviceError, match=r"`ip -json -4 rule show` is malformed"):
        list(exits.parse_rules(text, 4, []))


def test_nothing_at_all_is_read_as_nothing():
    assert [*exits.parse_rules("", 6, [1]), *exits.parse_routes("", 6, 1)] == []


def test_an_item_is_added_and_taken_away_by_the_same_words():
    item = Item(6, "rule", "pref 1 lookup main")
    assert item.added() == ("ip", "-6", "rule", "add", "pref", "1", "lookup", "main")
    assert item.deleted() == ("ip", "-6", "rule", "del", "pref", "1", "lookup", "main")


def test_the_device_tells_its_mark():
    assert isinstance(as_device(through("gw1")), Device)
    assert as_device(through("gw1")).mark == int(MARK, 0)
