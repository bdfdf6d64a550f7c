"""Addresses and networks that other interfaces have as well."""

import json

import pytest
from views import peer

from saltext.wireguard.device.overlaps import (
    held_by_others,
    shared_addresses,
    shared_networks,
    surrounding_networks,
    taken_peers,
)
from saltext.wireguard.errors import DeviceError


def link(name, *addresses, **info):
    parts = (text.partition("/") for text in addresses)
    return {
        "ifname": name,
        "addr_info": [
            {"local": address, "prefixlen": int(prefix), "scope": "global", **info} for address, _, prefix in parts
        ],
    }


def held(*links):
    return held_by_others(json.dumps(links), {"wg0"})


def found(looking, wanted, *links):
    return [*map(str, looking(wanted, held(*links)))]


def test_an_address_that_another_interface_has_is_named_with_that():
    links = [link("wg0", "10.42.0.1/16"), link("eth0", "10.42.0.1/24", "fd42::1/64"), link("eth1", "10.42.0.1/32")]
    assert found(shared_addresses, ["10.42.0.1/16", "fd42::1/64", "10.42.0.2/16"], *links) == [
        "address 10.42.0.1 alone (eth0, eth1 has it too)",
        "address fd42::1 alone (eth0 has it too)",
    ]


def test_a_peer_whose_address_this_machine_has_itself_is_named():
    """Packets to it never left the machine."""
    peers = [peer("node2", "10.42.0.2/32", "192.168.4.0/24"), peer("node3", "fd42::3/128")]
    found = [*map(str, taken_peers(peers, held(link("lo", "10.42.0.2/32", "192.168.4.0/32", "fd42::4/128"))))]
    assert found == ["peer node2 at 10.42.0.2 (lo has this address)"]


def test_a_single_address_in_the_meshs_network_is_in_nobodys_way():
    assert found(shared_networks, ["10.42.0.0/16"], link("lo", "10.42.0.200/32")) == []


@pytest.mark.parametrize("address", ["10.42.5.7/24", "10.42.0.9/16"])
def test_a_network_that_others_have_in_whole_or_in_part_is_named(address):
    (text,) = found(shared_networks, ["10.42.0.0/16", "fd42::/64"], link("eth0", address))
    assert text.startswith("all of network 10.42.0.0/16 (eth0 has 10.42.")


def test_a_network_around_the_meshs_loses_neighbours_and_not_the_mesh():
    office = link("eth0", "10.0.0.1/8")
    assert found(shared_networks, ["10.42.0.0/16"], office) == []
    (text,) = found(surrounding_networks, ["10.42.0.0/16", "192.168.4.0/24"], office)
    assert (
        text == "neighbours of eth0 in 10.42.0.0/16 (it has 10.0.0.0/8, and packets to 10.42.0.0/16 go into the tunnel)"
    )
    assert found(surrounding_networks, ["10.0.0.0/8"], office) == []


def test_of_a_point_to_point_device_the_other_end_counts():
    ppp = link("ppp0", "192.0.2.1/24", address="10.42.0.9")
    assert found(shared_networks, ["10.42.0.0/16"], ppp) == ["all of network 10.42.0.0/16 (ppp0 has 10.42.0.0/24)"]


@pytest.mark.parametrize("scope", ["host", "link"])
def test_addresses_that_every_machine_has_are_in_nobodys_way(scope):
    assert held(link("lo", "10.42.0.1/8", scope=scope)) == ()


@pytest.mark.parametrize(
    "text", ['[{"addr_info":[]}]', '[{"ifname":"e","addr_info":[{"scope":"global","local":"x"}]}]']
)
def test_malformed_output_is_an_error_that_quotes_nothing(text):
    with pytest.raises(DeviceError, match="the output of `ip -json address show` is malformed"):
        held_by_others(text, ())
