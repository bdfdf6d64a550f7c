"""What of a view a machine cannot have, in words. That the rest is applied is in tests/unit/node/test_apply.py."""

import json

import pytest

from saltext.wireguard.device import exits, forwarding
from saltext.wireguard.device.limits import Limits, questions, routes_of_others
from saltext.wireguard.errors import DeviceError
from saltext.wireguard.model.view import View

HUB = View("wg0", ("10.42.0.1/16", "fd42::1/64"), forwarding=True)
V4, V6 = forwarding.FILES[4], forwarding.FILES[6]


def test_every_network_is_asked_about_by_itself_in_order():
    assert questions(["10.2.0.0/16", "10.1.0.0/16"]) == [
        "route show table main exact 10.1.0.0/16",
        "route show table main exact 10.2.0.0/16",
    ]


@pytest.mark.parametrize(
    ("route", "network", "said"),
    [
        ({"dst": "10.1.0.0/16", "gateway": "10.0.0.1", "dev": "eth0"}, "10.1.0.0/16", "via 10.0.0.1 dev eth0"),
        ({"dst": "10.1.0.0/16", "dev": "eth1", "metric": 100}, "10.1.0.0/16", "dev eth1 metric 100"),
        ({"dst": "10.1.0.7", "dev": "eth1"}, "10.1.0.7/32", "dev eth1"),
        ({"dst": "fd99::", "dev": "eth1"}, "fd99::/128", "dev eth1"),
        ({"type": "blackhole", "dst": "10.1.0.0/16"}, "10.1.0.0/16", "of type blackhole"),
        ({"dst": "10.1.0.0/16", "nexthops": [{"dev": "a"}, {"dev": "b"}]}, "10.1.0.0/16", "by several ways"),
    ],
)
def test_the_way_of_a_foreign_route_is_said_in_the_words_of_ip(route, network, said):
    assert routes_of_others(json.dumps([route]), ["wg0"]) == {network: said}


def test_what_leads_into_the_interface_itself_is_no_obstacle():
    text = '[{"dst":"10.1.0.0/16","dev":"wg0"}]\n[]\n[{"dst":"10.2.0.0/16","dev":"wg1"}]\n'
    assert routes_of_others(text, ["wg0"]) == {"10.2.0.0/16": "dev wg1"}


@pytest.mark.parametrize("text", ['[{"dev":"eth0"}]', '[{"dst":"somewhere","dev":"eth0"}]', "{}", "[1]", "nonsense"])
def test_what_ip_does_not_say_is_an_error_that_quotes_nothing(text):
    with pytest.raises(DeviceError, match="the output of `ip route show exact` is malformed"):
        routes_of_others(text, ["wg0"])


def test_forwarding_is_missed_only_where_it_is_wanted_and_not_on_already():
    limits = Limits(fixed=frozenset([V4, V6]))
    assert [*map(str, limits.obstacles(HUB, [4], False))] == [f"IPv6 forwarding ({V6} cannot be written)"]
    assert [*map(str, limits.obstacles(View("wg0", HUB.addresses), [], False))] == []
    assert [*map(str, Limits().obstacles(HUB, [], False))] == []


def test_a_strict_filter_is_in_the_way_of_an_exit_only():
    limits = Limits(fixed=frozenset([exits.PATH_FILTER_OF_ALL]))
    said = [f"a loose reverse path filter ({exits.PATH_FILTER_OF_ALL} cannot be written)"]
    through = View("wg0", HUB.addresses, via="gw1", port=51820)
    assert [*map(str, limits.obstacles(through, [], True))] == said
    assert [*map(str, limits.obstacles(through, [], False))] == [*map(str, limits.obstacles(HUB, [4, 6], True))] == []
