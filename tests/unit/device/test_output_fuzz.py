"""Odd output of `wg` and `ip`: what comes of it is a value, or a DeviceError that names the command."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltext.wireguard.device import exits, mtu, offered_endpoints, parse
from saltext.wireguard.errors import DeviceError

SECRETS = ["8BU4oeJsVvpX7NXbZc9+9ibqdbIl09zzhN3NoFap6lE=", "MNt++LjDT6AH/3URlDQj88kdhNgB4RVP0238AZA3Vso="]
KEYS = ["KMPWgwnvQDIHTeBhBbBXf0BtYNij17kqA7UqcXQAT3Q=", "c+E8VYwP2EJggAQKzmuGoLzg/L9+8LkhIL/r0oodlno="]
DUMP = (
    f"{SECRETS[0]}\t{KEYS[0]}\t51820\t0x5747ca6c\n"
    f"{KEYS[1]}\t{SECRETS[1]}\t[fd00::5]:5\t192.168.4.0/24,10.42.0.2/32,fd42::2/128\t1700000000\t10\t148\t25\n"
)
ADDRESSES = [
    {
        "ifname": "wg0",
        "flags": ["POINTOPOINT", "UP"],
        "mtu": 1420,
        "addr_info": [
            {"family": "inet", "local": "10.42.0.1", "prefixlen": 16, "scope": "global"},
            {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link", "temporary": True},
        ],
    }
]
ROUTES = [
    {"dst": "default", "dev": "wg0", "protocol": "boot"},
    {"dst": "10.9.0.0/16", "dev": "wg0"},
    {"type": "throw", "dst": "192.0.2.1"},
    {"dst": "10.8.0.0/16", "nexthops": [{"dev": "eth0"}, {"dev": "eth1"}], "metrics": [{"mtu": 1400}]},
    {"dst": "192.0.2.9", "prefsrc": "192.0.2.2", "type": "local"},
]
RULES = [
    {"priority": 31818, "fwmark": "0x5747ca6c", "fwmask": "0", "ipproto": "udp", "sport": 51821, "table": "main"},
    {"priority": 31819, "not": None, "fwmark": "0x5747ca6c", "fwmask": "0xffff0000", "suppress_prefixlen": 0},
]
MARK = 0x5747CA6C


def read_dump(text):
    parse.parse("wg0", text, json.dumps(ADDRESSES), "", "")
    parse.parse_peers("wg0", text)


def read_addresses(text):
    parse.parse("wg0", DUMP, text, "", "")
    offered_endpoints.candidates(text, "192.0.2.9", ["wg1"])


def read_routes(text):
    parse.parse("wg0", DUMP, json.dumps(ADDRESSES), text, text)
    list(exits.parse_routes(text, 4, MARK))
    offered_endpoints.source_address(text)
    offered_endpoints.is_own(text)
    for route in mtu.routes(text):
        names = mtu.devices(route)
        if names:
            mtu.path_mtu(route, [1500 for _ in names])


def read_rules(text):
    list(exits.parse_rules(text, 4, {MARK}))


READERS = {
    "wg show dump": (read_dump, DUMP),
    "wg show latest-handshakes": (parse.handshakes, f"{KEYS[0]}\t1700000000\n{KEYS[1]}\t0\n"),
    "ip address show": (read_addresses, json.dumps(ADDRESSES)),
    "ip route": (read_routes, json.dumps(ROUTES)),
    "ip rule show": (read_rules, json.dumps(RULES)),
}
ODD_VALUES = [
    None,
    True,
    -1,
    2.5,
    float("inf"),
    "",
    "x",
    "\t",
    [],
    {},
    [[]],
    [None],
    {"a": 1},
    "0x",
    "1" * 5000,
]


def read(reader, text):
    """Only a DeviceError, which names the command and quotes no secret, may come of it."""
    try:
        reader(text)
    except DeviceError as exc:
        said = str(exc)
    else:
        return
    assert "`" in said or "wg0" in said
    assert not [secret for secret in SECRETS if secret in said]


@pytest.mark.parametrize(("reader", "text"), READERS.values(), ids=READERS)
def test_what_the_programs_do_print_is_read(reader, text):
    reader(text)


@pytest.mark.parametrize(("reader", "text"), READERS.values(), ids=READERS)
@pytest.mark.parametrize(
    "odd", ["", "\n", "null", "[", "[" * 100_000, '{"a": 1}', "[1]", "[[]]", "\0", "�", "[]x", "1e999"]
)
def test_output_of_another_shape_is_one_kind_of_error(reader, text, odd):
    read(reader, odd)
    read(reader, text + odd)
    read(reader, odd + text)


@pytest.mark.parametrize(("reader", "text"), READERS.values(), ids=READERS)
@given(seed=st.integers(0, 2**32))
def test_mutated_output_is_one_kind_of_error(reader, text, seed):
    chance = random.Random(seed)
    read(reader, mutated_json(chance, text) if text[0] == "[" and chance.random() < 0.7 else mutated_text(chance, text))


def mutated_text(chance, text):
    """A few pieces are taken out, doubled, swapped or replaced."""
    for _ in range(chance.randint(1, 4)):
        start, end = sorted(chance.randint(0, len(text)) for _ in range(2))
        end = min(end, start + 30)
        piece = chance.choice(
            ["", text[start:end] * 2, "\t", "\n", ",", "99999999999999999999", "(none)", "off", "::", "-"]
        )
        text = text[:start] + piece + text[end:]
    return text


def mutated_json(chance, text):
    """A value somewhere in it is another one, or is not there."""
    data = json.loads(text)
    for _ in range(chance.randint(1, 3)):
        place = data
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = chance.choice(keys)
            if isinstance(place[key], dict | list) and place[key] and chance.random() < 0.7:
                place = place[key]
                continue
            if chance.random() < 0.2:
                del place[key]
            else:
                place[key] = json.loads(json.dumps(chance.choice(ODD_VALUES)))
            break
    return json.dumps(data)
