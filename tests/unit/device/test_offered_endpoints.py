import ipaddress
import json

import pytest

from saltext.wireguard.device.offered_endpoints import candidates, is_own, source_address
from saltext.wireguard.errors import DeviceError
from saltext.wireguard.model.addresses import can_be_endpoint
from saltext.wireguard.model.offers import Offers
from saltext.wireguard.model.statements import MAX_ENDPOINTS


def link(name, *addresses, flags=("BROADCAST", "UP", "LOWER_UP"), **info):
    """One link of ``ip -json address show`` with global addresses."""
    addr_info = [{"family": "inet", "local": address, "scope": "global", **info} for address in addresses]
    return {"ifname": name, "flags": list(flags), "addr_info": addr_info}


def offered(*links, towards_master=None, tunnels=()):
    return candidates(json.dumps(links), towards_master, tunnels)


def test_ipv4_comes_before_ipv6_else_in_the_order_of_the_system():
    links = [link("eth0", "2001:db8::2", "192.0.2.2"), link("eth1", "192.0.2.1", "2001:db8::1")]
    assert offered(*links) == ("192.0.2.2", "192.0.2.1", "2001:db8::2", "2001:db8::1")


@pytest.mark.parametrize("address", ["192.0.2.9", "2001:db8::9"])
def test_the_address_towards_the_master_comes_first(address):
    links = [link("eth0", "192.0.2.1", "2001:db8::1"), link("eth1", address)]
    assert offered(*links, towards_master=address)[0] == address


def test_an_address_towards_the_master_that_is_not_there_changes_nothing():
    assert offered(link("eth0", "192.0.2.1"), towards_master="192.0.2.7") == ("192.0.2.1",)


@pytest.mark.parametrize(
    "name",
    [
        "docker0",
        "br-0123456789ab",
        "vethabc",
        "cni0",
        "virbr0",
        "tailscale0",
        "cali12",
        "tun0",
        "tap0",
        "gre1",
        "gretap1",
        "ipsec0",
        "kube-ipvs0",
        "weave",
        "lxc3f",
        "vxlan.calico",
    ],
)
def test_bridges_of_containers_and_overlays_are_left_out(name):
    """With OpenVPN's tun0 towards the master, its address was offered, and first."""
    links = [link(name, "172.17.0.1"), link("eth0", "192.0.2.1")]
    assert offered(*links, towards_master="172.17.0.1") == ("192.0.2.1",)


def test_a_point_to_point_device_is_a_way_in_only_with_a_public_address():
    """A VPN to the office is none, the provider's PPPoE is one."""
    flags = ("POINTOPOINT", "UP")
    links = [link("office", "10.8.0.6", flags=flags), link("ppp0", "100.64.0.9", "8.8.4.4", flags=flags)]
    assert offered(*links, towards_master="10.8.0.6") == ("8.8.4.4",)


@pytest.mark.parametrize("name", ["br-ex", "br-lan", "br-mgmt", "br0", "bond0", "enp1s0", "br-0123456789abc"])
def test_other_bridges_carry_the_addresses_of_real_machines(name):
    """Everything that began with br- was left out, so OpenStack hosts and routers offered nothing."""
    assert offered(link(name, "192.0.2.1")) == ("192.0.2.1",)


def test_a_tunnel_does_not_carry_itself():
    links = [link("wg0", "10.42.0.1"), link("eth0", "192.0.2.1")]
    assert offered(*links, towards_master="10.42.0.1", tunnels={"wg0"}) == ("192.0.2.1",)


def test_loopback_interfaces_are_left_out_whatever_addresses_they_carry():
    assert offered(link("lo", "192.0.2.1", flags=("LOOPBACK", "UP"))) == ()


@pytest.mark.parametrize("field", ["temporary", "deprecated", "tentative"])
def test_addresses_that_go_away_are_left_out(field):
    assert offered(link("eth0", "2001:db8::1", **{field: True})) == ()


@pytest.mark.parametrize("scope", ["link", "host", "site", None])
def test_addresses_that_are_not_global_are_left_out(scope):
    assert offered(link("eth0", "192.0.2.1", scope=scope)) == ()


@pytest.mark.parametrize("address", ["169.254.20.10", "127.0.0.53", "fe80::1", "::1", "0.0.0.0"])
def test_what_the_master_would_refuse_is_left_out_even_if_the_system_calls_it_global(address):
    """The cluster DNS cache of Kubernetes has 169.254.20.10 with scope global: no such node could register at all."""
    assert offered(link("nodelocaldns", address), link("eth0", "192.0.2.1")) == ("192.0.2.1",)


def test_everything_offered_is_what_the_master_takes():
    links = [link("eth0", *(f"169.254.{number}.1" for number in range(9)), "192.0.2.1", "10.0.0.1", "fd00::1")]
    assert all(can_be_endpoint(ipaddress.ip_address(address)) for address in offered(*links))


def test_no_more_are_offered_than_a_record_holds():
    assert len(offered(link("eth0", *(f"192.0.2.{number}" for number in range(100))))) == MAX_ENDPOINTS


@pytest.mark.parametrize("text", ["", "[]", "[{}]", '[{"ifname": "eth0"}]', '[{"ifname": "eth0", "addr_info": [{}]}]'])
def test_no_addresses_is_nothing_to_offer(text):
    assert candidates(text, None, ()) == ()


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "1",
        "[1]",
        '[{"ifname": 1}]',
        '[{"ifname": "eth0", "addr_info": [1]}]',
        '[{"ifname": "eth0", "addr_info": [{"scope": "global", "local": "not an address"}]}]',
    ],
)
def test_output_that_is_not_understood_is_a_device_error(text):
    with pytest.raises(DeviceError, match="is malformed"):
        candidates(text, None, ())


def test_the_source_address_is_that_of_the_route():
    assert source_address('[{"dst": "192.0.2.1", "dev": "eth0", "prefsrc": "192.0.2.9"}]') == "192.0.2.9"


@pytest.mark.parametrize("text", ["", "[]", "[{}]", "{}", "no json", "1", "[1]", "null"])
def test_without_a_route_there_is_no_source_address(text):
    assert source_address(text) is None


@pytest.mark.parametrize(
    ("answer", "own"),
    [
        ('[{"type":"local","dst":"192.0.2.1","dev":"lo"}]', True),
        ('[{"dst":"192.0.2.9","dev":"eth0"}]', False),
        ("", False),
        ("[]", False),
        ("{", False),
    ],
)
def test_an_address_of_this_machine_is_told_from_others(answer, own):
    assert is_own(answer) is own


HERE = [
    link("eth0", "192.0.2.1", "10.1.0.1"),
    link("eth1", "10.2.0.1"),
    link("docker0", "172.17.0.1"),
    link("ppp0", "100.64.0.1", flags=("POINTOPOINT", "UP")),
    link("lo", "203.0.113.1", flags=("LOOPBACK", "UP")),
]


@pytest.mark.parametrize(
    ("only", "never", "expected"),
    [
        ((), (), ["192.0.2.1", "10.1.0.1", "10.2.0.1"]),
        ((), ("10.0.0.0/8",), ["192.0.2.1"]),
        ((), ("eth[1-9]",), ["192.0.2.1", "10.1.0.1"]),
        (("eth1",), (), ["10.2.0.1"]),
        (("eth*",), ("eth1", "192.0.2.0/24"), ["10.1.0.1"]),
        (("docker0", "ppp*", "lo"), (), ["172.17.0.1", "100.64.0.1", "203.0.113.1"]),
        (("100.64.0.0/10",), (), ["100.64.0.1"]),
        (("fd00::/8", "eth9"), (), []),
    ],
)
def test_the_operator_names_what_is_offered_and_what_is_not(only, never, expected):
    """300 cloud machines offered an inner network that leads nowhere, and each needed a line of its own."""
    assert candidates(json.dumps(HERE), None, (), Offers(only, never)) == tuple(expected)


def test_what_nobody_can_reach_is_not_offered_although_it_is_named():
    links = [link("lo", "127.0.0.1"), link("wg7", "192.0.2.9"), link("eth0", "169.254.0.1")]
    assert candidates(json.dumps(links), None, ["wg7"], Offers(("lo", "wg7", "eth0"))) == ()
