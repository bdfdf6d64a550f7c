import json

import pytest

from saltext.wireguard.device.parse import parse
from saltext.wireguard.errors import DeviceError
from saltext.wireguard.model.device import fingerprint
from saltext.wireguard.model.endpoint import canonical_endpoint

PRIVATE_KEY = "8BU4oeJsVvpX7NXbZc9+9ibqdbIl09zzhN3NoFap6lE="
PUBLIC_KEY = "KMPWgwnvQDIHTeBhBbBXf0BtYNij17kqA7UqcXQAT3Q="
PRESHARED_KEY = "MNt++LjDT6AH/3URlDQj88kdhNgB4RVP0238AZA3Vso="
ALICE = "c+E8VYwP2EJggAQKzmuGoLzg/L9+8LkhIL/r0oodlno="
BOB = "XGL4Lka3bDrgXnCi7cXcxXZO9n77VHuGo6XlLzsgVgc="

HEAD = f"{PRIVATE_KEY}\t{PUBLIC_KEY}\t51820\toff\n"
ALICE_LINE = (
    f"{ALICE}\t{PRESHARED_KEY}\t[fd00:0::5]:5\t192.168.4.0/24,10.42.0.2/32,fd42::2/128\t1700000000\t10\t148\t25\n"
)
BOB_LINE = f"{BOB}\t(none)\t(none)\t(none)\t0\t0\t0\toff\n"

LINK = {
    "ifname": "wg0",
    "flags": ["POINTOPOINT", "NOARP", "UP", "LOWER_UP"],
    "mtu": 1420,
    "addr_info": [
        {"family": "inet", "local": "10.42.0.1", "prefixlen": 16, "scope": "global"},
        {"family": "inet6", "local": "fd42::1", "prefixlen": 64, "scope": "global"},
        {"family": "inet6", "local": "fe80::932:344f:8b9f:9d89", "prefixlen": 64, "scope": "link"},
    ],
}


def device(dump=HEAD + ALICE_LINE + BOB_LINE, link=(LINK,), routes4=(), routes6=()):
    return parse("wg0", dump, json.dumps(list(link)), json.dumps(list(routes4)), json.dumps(list(routes6)))


def test_a_device_has_the_public_key_and_port_of_the_dump():
    assert (device().public_key, device().port) == (PUBLIC_KEY, 51820)


def test_a_device_without_a_key_has_no_public_key():
    assert device(dump="(none)\t(none)\t46137\toff\n").public_key is None


def test_peers_are_found_by_their_public_key():
    assert set(device().peers) == {ALICE, BOB}


def test_allowed_ips_are_a_set_of_canonical_networks():
    assert device().peers[ALICE].allowed_ips == {"10.42.0.2/32", "192.168.4.0/24", "fd42::2/128"}


def test_a_peer_without_allowed_ips_has_the_empty_set():
    assert device().peers[BOB].allowed_ips == frozenset()


def test_an_ipv6_endpoint_keeps_its_brackets_in_canonical_form():
    assert device().peers[ALICE].endpoint == "[fd00::5]:5"


def test_a_peer_without_endpoint_has_none():
    assert device().peers[BOB].endpoint is None


def test_keepalive_off_is_zero():
    assert (device().peers[ALICE].keepalive, device().peers[BOB].keepalive) == (25, 0)


def test_counters_and_handshake_are_numbers():
    alice = device().peers[ALICE]
    assert (alice.latest_handshake, alice.rx, alice.tx) == (1700000000, 10, 148)


def test_of_a_preshared_key_only_its_fingerprint_is_kept():
    peers = device().peers
    assert (peers[ALICE].preshared_key, peers[BOB].preshared_key) == (fingerprint(PRESHARED_KEY), None)
    assert fingerprint(PRESHARED_KEY) != fingerprint(PRIVATE_KEY)


def test_the_printed_device_has_no_secret():
    assert PRIVATE_KEY not in repr(device())
    assert PRESHARED_KEY not in repr(device())


def test_addresses_carry_their_prefix_and_leave_out_link_local_ones():
    assert device().addresses == {"10.42.0.1/16", "fd42::1/64"}
    assert device().link_local == {"fe80::932:344f:8b9f:9d89/64"}


def test_a_link_with_the_flag_up_is_up():
    assert device().up


def test_a_link_without_the_flag_up_is_down():
    assert not device(link=[{**LINK, "flags": ["POINTOPOINT", "NOARP"]}]).up


def test_the_mtu_is_that_of_the_link():
    assert device().mtu == 1420


def test_empty_objects_of_other_interfaces_are_passed_over():
    assert device(link=[{}, LINK, {}]).mtu == 1420


def test_routes_leave_out_what_the_kernel_made():
    routes4 = [{"dst": "10.42.0.0/16", "protocol": "kernel"}, {"dst": "192.168.4.0/24"}]
    routes6 = [{"dst": "fd42::/64", "protocol": "kernel"}, {"dst": "fd99::/64", "metric": 1024}]
    assert device(routes4=routes4, routes6=routes6).routes == {"192.168.4.0/24", "fd99::/64"}


def test_a_route_to_one_host_is_a_network_of_one_address():
    assert device(routes4=[{"dst": "10.9.0.7"}], routes6=[{"dst": "fd98::1"}]).routes == {"10.9.0.7/32", "fd98::1/128"}


def test_default_routes_are_networks_of_their_family():
    assert device(routes4=[{"dst": "default"}], routes6=[{"dst": "default"}]).routes == {"0.0.0.0/0", "::/0"}


def test_routes_of_another_protocol_are_told_from_those_of_ip_route_add():
    routes4 = [{"dst": "10.7.0.0/16", "protocol": "static"}, {"dst": "10.8.0.0/16"}]
    assert device(routes4=routes4).boot_routes == {"10.8.0.0/16"}


@pytest.mark.parametrize("protocols", [("static", "boot"), ("boot", "static")])
def test_of_two_routes_to_one_network_that_of_ip_route_add_counts(protocols):
    routes6 = [{"dst": "fd99::/64", "protocol": protocol} for protocol in protocols]
    assert device(routes6=routes6).boot_routes == {"fd99::/64"}


def test_no_output_about_routes_means_no_routes():
    assert parse("wg0", HEAD, json.dumps([LINK]), "", "\n").routes == frozenset()


@pytest.mark.parametrize(
    ("dump", "message"),
    [
        ("", "printed nothing"),
        (f"{PRIVATE_KEY}\n", "line 1: 1 fields instead of 4"),
        (f"{PRIVATE_KEY}\t{PUBLIC_KEY}\t{PRIVATE_KEY}\toff\n", "line 1: port is malformed"),
        (HEAD + f"{ALICE}\t{PRESHARED_KEY}\n", "line 2: 2 fields instead of 8"),
        (HEAD + BOB_LINE + ALICE_LINE.replace("[fd00:0::5]:5", PRESHARED_KEY), "line 3: endpoint is malformed"),
        (HEAD + ALICE_LINE.replace("10.42.0.2/32", PRESHARED_KEY), "line 2: allowed IPs is malformed"),
        (HEAD + ALICE_LINE.replace("1700000000", PRESHARED_KEY), "line 2: latest handshake is malformed"),
        (HEAD + ALICE_LINE.replace("\t25", "\tsoon"), "line 2: keepalive is malformed"),
    ],
)
class TestAMalformedDump:
    def test_is_an_error_that_names_the_line(self, dump, message):
        with pytest.raises(DeviceError, match=message):
            device(dump=dump)

    def test_is_an_error_that_quotes_no_secret(self, dump, message):
        with pytest.raises(DeviceError) as caught:
            device(dump=dump)
        assert PRIVATE_KEY not in str(caught.value)
        assert PRESHARED_KEY not in str(caught.value)

    def test_is_an_error_whose_traceback_shows_no_cause_with_a_secret(self, dump, message):
        with pytest.raises(DeviceError) as caught:
            device(dump=dump)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("nonsense", "is malformed"),
        ("{}", "is malformed"),
        ("[1]", "is malformed"),
        ("[]", "wg0 is not in it"),
        ('[{"ifname": "wg0", "mtu": "big"}]', "mtu of wg0 is malformed"),
        ('[{"ifname": "wg0", "mtu": 1420, "addr_info": [{"local": "10.42.0.1"}]}]', "an address of wg0 is malformed"),
    ],
)
def test_malformed_output_about_the_link_is_an_error(link, message):
    with pytest.raises(DeviceError, match=message):
        parse("wg0", HEAD, link, "[]", "[]")


@pytest.mark.parametrize("routes", ["nonsense", "[1]", '[{"dst": "nowhere"}]', "[{}]"])
def test_malformed_output_about_routes_is_an_error(routes):
    with pytest.raises(DeviceError, match=r"ip -json -4 route show"):
        parse("wg0", HEAD, json.dumps([LINK]), routes, "[]")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("192.0.2.1:51820", "192.0.2.1:51820"),
        ("[2001:DB8:0:0::1]:51820", "[2001:db8::1]:51820"),
        ("[fe80::1%eth0]:51820", "[fe80::1%eth0]:51820"),
    ],
)
def test_an_endpoint_has_one_canonical_form(text, canonical):
    assert canonical_endpoint(text) == canonical


@pytest.mark.parametrize("text", ["", "192.0.2.1", "[192.0.2.1]:1", "2001:db8::1:51820", "host:1", "192.0.2.1:http"])
def test_what_is_not_an_address_and_a_port_is_no_endpoint(text):
    with pytest.raises(ValueError, match=r".*"):
        canonical_endpoint(text)
