"""Real packets are in tests/functional/test_mtu_on_device.py."""

import struct

import pytest

from saltext.wireguard.device import echo
from saltext.wireguard.device.echo import PingResult, Search


def found(most, full=1440):
    """What a search finds where packets of up to ``most`` bytes come through, and how often it tried."""
    search, tries = Search(full), 0
    while not search.done:
        search.record(search.size <= most)
        tries += 1
    return search.fits, tries


def test_where_all_comes_through_two_packets_tell():
    assert found(1440) == (1440, 2)


def test_where_nothing_comes_through_one_packet_tells():
    assert found(0) == (None, 1)


@pytest.mark.parametrize("most", [84, 85, 576, 1279, 1372, 1438, 1439])
def test_otherwise_the_largest_is_found_to_within_four_bytes_in_few_steps(most):
    fits, tries = found(most)
    assert most - echo.STEP < fits <= most
    assert tries <= 12


@pytest.mark.parametrize("size", [84, 1280, 1440, 1441])
@pytest.mark.parametrize("version", [4, 6])
def test_a_request_has_its_size_with_the_ip_header(version, size):
    assert len(echo.request(version, 1, 2, size)) + {4: 20, 6: 40}[version] == size


def test_the_smallest_request_is_a_header_alone():
    """The checksum of ICMP is ours, that of ICMPv6 the kernel's."""
    assert echo.request(4, 0, 0) == b"\x08\x00\xf7\xff\x00\x00\x00\x00"
    assert echo.request(6, 0, 0) == b"\x80\x00\x00\x00\x00\x00\x00\x00"


@pytest.mark.parametrize(("identifier", "number"), [(0, 0), (1, 2), (0xFFFF, 0xFFFF), (0xF7FF, 1)])
def test_a_checksum_is_right(identifier, number):
    packet = echo.request(4, identifier, number, 84)
    total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    assert total == 0xFFFF


def answer(version, identifier, number, payload=56, kind=None):
    header = bytes([0x45]) + bytes(19) if version == 4 else b""
    return (
        header
        + struct.pack("!BBHHH", {4: 0, 6: 129}[version] if kind is None else kind, 0, 0, identifier, number)
        + bytes(payload)
    )


@pytest.mark.parametrize(("version", "size"), [(4, 84), (6, 104)])
def test_a_reply_tells_its_number_and_size(version, size):
    assert echo.reply(version, answer(version, 7, 3), 7) == (3, size)


@pytest.mark.parametrize(
    "packet", [b"", b"\x45", answer(4, 8, 3), answer(4, 7, 3, kind=8), answer(4, 7, 3, kind=3), answer(4, 7, 3)[:27]]
)
def test_anything_else_is_no_reply_to_us(packet):
    assert echo.reply(4, packet, 7) is None


def test_the_outcome_says_what_to_do():
    outcome = PingResult(1440, 4, ("phone",), {"db1": 1372, "db2": 1400})
    assert outcome.comment() == (
        "no answer from phone; packets of more than 1372 bytes do not reach db1, though the MTU is 1440:"
        " write `mtu: 1372` for the one of the two nodes that has the narrow line, or for the whole network"
    )
    assert PingResult(1440, 4, (), {}).comment() == "packets of 1440 bytes reach all 4 peers"
