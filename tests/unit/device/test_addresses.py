"""Operations on addresses: those that stay are never missing in between."""

from factories import in_words
from saltext.wireguard.device.operations import Applied
from unit.device.views_and_devices import argvs, device, operations, view


def test_a_missing_address_is_added():
    assert argvs(view(), device(addresses=[])) == ["ip address add 10.42.0.1/16 dev wg0"]


def test_an_address_that_the_view_does_not_have_is_removed():
    assert argvs(view(), device(addresses=["10.42.0.1/16", "10.9.0.1/24"])) == ["ip address del 10.9.0.1/24 dev wg0"]


def test_an_ipv4_address_with_a_wrong_prefix_goes_after_the_right_one_came():
    assert argvs(view(), device(addresses=["10.42.0.1/32"])) == [
        "ip address add 10.42.0.1/16 dev wg0",
        "ip address del 10.42.0.1/32 dev wg0",
    ]


def test_an_ipv6_address_with_a_wrong_prefix_goes_before_the_right_one_comes():
    assert argvs(view(addresses=["fd42::1/64"]), device(addresses=["fd42::1/128"])) == [
        "ip address del fd42::1/128 dev wg0",
        "ip address add fd42::1/64 dev wg0",
    ]


def test_an_address_and_its_network_are_held_while_another_of_its_network_goes():
    """
    The kernel's route to the network went with the address, and nothing was sent to any peer until both were back;
    of several addresses that stay, only one was held.
    """
    assert argvs(view(addresses=["10.42.0.2/16", "10.42.0.3/16"]), device(addresses=["10.42.0.1/16"])) == [
        "ip address add 10.42.0.2/16 dev wg0",
        "ip address add 10.42.0.3/16 dev wg0",
        "ip address replace 10.42.0.2/32 dev wg0",
        "ip address replace 10.42.0.3/32 dev wg0",
        "ip -4 route replace 10.42.0.0/16 dev wg0 proto kernel scope link metric 4294967295",
        "ip address del 10.42.0.1/16 dev wg0",
        "ip address replace 10.42.0.2/16 dev wg0",
        "ip address replace 10.42.0.3/16 dev wg0",
        "ip -4 route del 10.42.0.0/16 dev wg0 proto kernel scope link metric 4294967295",
        "ip address del 10.42.0.2/32 dev wg0",
        "ip address del 10.42.0.3/32 dev wg0",
    ]


def test_an_address_that_goes_is_put_back_first_where_another_of_its_network_took_it_along():
    assert argvs(view(addresses=["10.43.0.1/16"]), device(addresses=["10.42.0.1/16", "10.42.0.2/16"])) == [
        "ip address add 10.43.0.1/16 dev wg0",
        "ip address del 10.42.0.1/16 dev wg0",
        "ip address replace 10.42.0.2/16 dev wg0",
        "ip address del 10.42.0.2/16 dev wg0",
    ]


def test_holding_an_address_is_no_change():
    held = operations(view(addresses=["10.42.0.2/16"]), device(addresses=["10.42.0.1/16"]))
    assert in_words(held) == {
        "address 10.42.0.1/16": {"old": "10.42.0.1/16", "new": None},
        "address 10.42.0.2/16": {"old": None, "new": "10.42.0.2/16"},
    }


LINK_LOCAL = "fe80::a2a:1/64"


def test_with_dynamic_routing_a_link_local_address_is_added_once():
    wanted = view(dynamic_routing=True)
    added = f"ip address add {LINK_LOCAL} dev wg0"
    assert argvs(wanted, device()) == [added]
    assert argvs(wanted, device(link_local=["fe80::1/64"])) == [added]
    assert argvs(wanted, device(link_local=["fe80::1/64", LINK_LOCAL])) == []


def test_of_link_local_addresses_only_the_one_of_the_last_configuration_is_removed():
    """The kernel makes such ones for wireguard-go, and a routing daemon's administrator adds others."""
    have = device(link_local=["fe80::1/64", LINK_LOCAL])
    assert argvs(view(), have) == []
    removed = [f"ip address del {LINK_LOCAL} dev wg0"]
    assert argvs(view(), have, applied=Applied.of(view(dynamic_routing=True))) == removed
