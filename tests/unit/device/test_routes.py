"""Operations on routes."""

import pytest

from saltext.wireguard.device.operations import Applied
from unit.device.views_and_devices import argvs, device, have, peer, view


def test_networks_of_the_interfaces_own_addresses_need_no_route():
    assert view(peer("node2", "10.42.0.2/32", "fd42::2/128"), addresses=["10.42.0.1/16", "fd42::1/64"]).routes == set()


def test_networks_behind_a_peer_need_a_route():
    wanted = view(peer("node2", "10.42.0.2/32", "192.168.4.0/24", "fd99::/64"))
    assert wanted.routes == {"192.168.4.0/24", "fd99::/64"}


def test_a_network_larger_than_that_of_the_address_needs_a_route():
    assert view(peer("node2", "10.0.0.0/8")).routes == {"10.0.0.0/8"}


@pytest.mark.parametrize(("network", "family"), [("192.168.4.0/24", "-4"), ("fd99::/64", "-6")])
def test_a_missing_route_is_added_and_takes_none_from_another_interface(network, family):
    wanted = view(peer("node2", network))
    assert argvs(wanted, device(have("node2", network))) == [f"ip {family} route add {network} dev wg0"]


def test_a_route_replaces_the_one_that_the_kernel_made_for_an_address_that_goes():
    wanted = view(peer("node2", "10.9.0.0/16"))
    current = device(have("node2", "10.9.0.0/16"), addresses=["10.42.0.1/16", "10.9.0.1/16"])
    assert argvs(wanted, current) == [
        "ip -4 route replace 10.9.0.0/16 dev wg0",
        "ip address del 10.9.0.1/16 dev wg0",
    ]


def test_a_route_that_was_applied_and_is_not_wanted_any_more_is_removed():
    assert argvs(view(), device(routes=["192.168.4.0/24"]), applied=Applied(routes=frozenset({"192.168.4.0/24"}))) == [
        "ip -4 route del 192.168.4.0/24 dev wg0 proto boot"
    ]


def test_a_route_made_by_hand_is_left_alone():
    assert argvs(view(), device(routes=["192.168.4.0/24"])) == []


def test_a_route_of_a_routing_daemon_is_left_alone():
    current = device(routes=["192.168.4.0/24"], boot_routes=frozenset())
    assert argvs(view(), current, applied=Applied(routes=frozenset({"192.168.4.0/24"}))) == []


def test_a_route_that_is_gone_already_is_not_removed():
    assert argvs(view(), device(), applied=Applied(routes=frozenset({"192.168.4.0/24"}))) == []
