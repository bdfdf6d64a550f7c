"""
``diff`` decides alone; whether its commands lead to the view is tried on a ``Host``, a small model of what ``wg`` and
``ip`` do, and on a real device in tests/functional/test_real_device.py.
"""

import base64
import hashlib
import random
from dataclasses import dataclass, field, replace
from ipaddress import ip_interface

import pytest

from factories import change, in_words
from saltext.wireguard.device.diff import diff
from saltext.wireguard.device.operations import (
    PRESHARED_KEY,
    Applied,
    Operation,
    command_lines,
    preshared_keys,
)
from saltext.wireguard.errors import ViewError
from saltext.wireguard.model.device import Device, DevicePeer, fingerprint
from saltext.wireguard.model.view import Peer, View

NOW = 1_700_000_000


def key(name):
    return base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


OWN = key("own")
ONE, OTHER = key("one preshared key"), key("another preshared key")


def peer(name, *allowed_ips, public_key=None, **settings):
    return Peer(name, public_key or key(name), tuple(sorted(allowed_ips)), **settings)


def view(*peers, addresses=("10.42.0.1/16",), **settings):
    return View("wg0", tuple(addresses), peers, **settings)


def have(name, *allowed_ips, endpoint=None, latest_handshake=NOW - 10, keepalive=0, preshared_key=None):
    allowed = frozenset(allowed_ips)
    return DevicePeer(
        key(name),
        endpoint,
        allowed,
        latest_handshake,
        1000,
        2000,
        keepalive,
        preshared_key and fingerprint(preshared_key),
    )


def device(*peers, addresses=("10.42.0.1/16",), routes=(), **settings):
    defaults = {"up": True, "public_key": OWN, "port": 51820, "mtu": 1420, "boot_routes": frozenset(routes)}
    return Device(
        interface="wg0",
        addresses=frozenset(addresses),
        routes=frozenset(routes),
        peers={peer.public_key: peer for peer in peers},
        **{**defaults, **settings},
    )


def operations(view, device, endpoints=(), applied=None, **facts):
    return diff(
        view,
        device,
        key_file="/etc/wireguard/wg0.key",
        public_key=OWN,
        endpoints=dict(endpoints),
        applied=applied or Applied(),
        now=NOW,
        **facts,
    )


def argvs(*args, **kwargs):
    return [" ".join(operation.argv) for operation in operations(*args, **kwargs)]


def applied_by(view):
    """What the configuration file says after the view was applied."""
    return Applied(
        {peer.public_key: peer.endpoint for peer in view.peers if peer.endpoint},
        view.routes,
        {peer.public_key: peer.name for peer in view.peers},
    )


# What is right is not touched


def test_a_device_that_is_right_yields_nothing():
    right = view(peer("node2", "10.42.0.2/32", "192.168.4.0/24", keepalive=25), port=51820, mtu=1420)
    current = device(have("node2", "10.42.0.2/32", "192.168.4.0/24", keepalive=25), routes=["192.168.4.0/24"])
    assert operations(right, current) == ()


@pytest.mark.parametrize("noise", [{"latest_handshake": 0}, {"rx": 5}, {"tx": 5}, {"endpoint": "198.51.100.9:1"}])
def test_handshakes_counters_and_learned_endpoints_are_no_difference(noise):
    current = device(replace(have("node2", "10.42.0.2/32"), **noise))
    assert operations(view(peer("node2", "10.42.0.2/32")), current) == ()


def test_a_port_and_an_mtu_that_the_view_leaves_open_stay():
    assert operations(view(port=None, mtu=None), device(port=4444, mtu=9000)) == ()


def test_a_peer_that_is_right_is_mentioned_in_no_command():
    wanted = view(peer("node2", "10.42.0.2/32"), peer("node3", "10.42.0.3/32"))
    words = argvs(wanted, device(have("node2", "10.42.0.2/32"), have("node4", "10.42.0.4/32")))
    assert words
    assert not [argv for argv in words if key("node2") in argv]


# The interface


def test_a_device_that_does_not_exist_is_created_first():
    first, *_ = operations(view(), None)
    assert first == Operation(change("device", None, "wg0"), ("ip", "link", "add", "dev", "wg0", "type", "wireguard"))


def test_everything_is_set_up_before_peers_and_routes():
    wanted = view(peer("node2", "10.42.0.2/32", "192.168.4.0/24"), port=51820, mtu=1380)
    assert [str(operation.change.subject) for operation in operations(wanted, None)] == [
        "device",
        "private key",
        "listen port",
        "mtu",
        "address 10.42.0.1/16",
        "link",
        "peer node2",
        "route 192.168.4.0/24",
    ]


def test_a_wrong_private_key_is_set_by_the_path_of_its_file():
    assert argvs(view(), device(public_key=key("other"))) == ["wg set wg0 private-key /etc/wireguard/wg0.key"]


def test_the_change_of_a_private_key_shows_public_keys_only():
    (operation,) = operations(view(), device(public_key=key("other")))
    assert (operation.change.old, operation.change.new) == ({"public_key": key("other")}, {"public_key": OWN})


def test_a_wrong_port_is_set():
    assert argvs(view(port=51821), device()) == ["wg set wg0 listen-port 51821"]


def test_a_wrong_mtu_is_set():
    assert argvs(view(mtu=1380), device()) == ["ip link set dev wg0 mtu 1380"]


def test_an_mtu_too_small_for_ipv6_is_set_after_the_ipv6_addresses_went():
    assert argvs(view(mtu=1200), device(addresses=["10.42.0.1/16", "fd42::1/64"])) == [
        "ip address del fd42::1/64 dev wg0",
        "ip link set dev wg0 mtu 1200",
    ]


def test_a_link_that_is_down_is_set_up():
    assert argvs(view(), device(up=False)) == ["ip link set dev wg0 up"]


@pytest.mark.parametrize(("forwarded", "turned_on"), [((), [4, 6]), ([6], [4]), ([4, 6], [])])
def test_a_node_that_passes_packets_on_forwards_what_it_does_not_forward_yet(forwarded, turned_on):
    addresses = ["10.42.0.1/16", "fd42::1/64"]
    wanted = view(addresses=addresses, forwarding=True)
    found = operations(wanted, device(addresses=addresses), forwarded=forwarded)
    assert in_words(found) == {f"IPv{version} forwarding": {"old": "off", "new": "on"} for version in turned_on}


def test_forwarding_that_somebody_else_turned_on_stays():
    assert operations(view(), device(), forwarded=[4, 6]) == ()


# Addresses


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


# Peers


def test_a_new_peer_is_set_with_all_it_has():
    wanted = view(peer("node2", "10.42.0.2/32", "10.42.1.2/32", endpoint="node2.example:51820", keepalive=25))
    endpoints = {"node2.example:51820": "[2001:db8::2]:51820"}
    assert argvs(wanted, device(), endpoints) == [
        f"wg set wg0 peer {key('node2')} endpoint [2001:db8::2]:51820 persistent-keepalive 25"
        " allowed-ips 10.42.0.2/32,10.42.1.2/32"
    ]


def test_a_new_peer_whose_endpoint_does_not_resolve_is_set_without_it():
    wanted = view(peer("node2", "10.42.0.2/32", endpoint="node2.example:51820"))
    assert argvs(wanted, device()) == [
        f"wg set wg0 peer {key('node2')} persistent-keepalive 0 allowed-ips 10.42.0.2/32"
    ]


def test_an_endpoint_that_resolved_to_nonsense_is_one_that_did_not_resolve():
    """It was an error, which kept the node from all other changes."""
    wanted = view(peer("node2", "10.42.0.2/32", endpoint="node2.example:51820"))
    nonsense = argvs(wanted, device(), {"node2.example:51820": "node3.example:51820"})
    assert nonsense == argvs(wanted, device(), {})


def test_an_endpoint_that_stands_for_itself_is_compared_as_text():
    """So are views compared on paper, where no name is looked up."""
    wanted = view(peer("node2", "10.42.0.2/32", endpoint="node2.example:51820"))
    text = "node2.example:51820"
    assert argvs(wanted, device(have("node2", "10.42.0.2/32", endpoint=text)), {text: text}) == []


def test_a_changed_keepalive_is_all_that_is_set():
    assert argvs(view(peer("node2", "10.42.0.2/32", keepalive=25)), device(have("node2", "10.42.0.2/32"))) == [
        f"wg set wg0 peer {key('node2')} persistent-keepalive 25"
    ]


def test_a_keepalive_that_ends_is_set_to_zero():
    assert argvs(view(peer("node2", "10.42.0.2/32")), device(have("node2", "10.42.0.2/32", keepalive=25))) == [
        f"wg set wg0 peer {key('node2')} persistent-keepalive 0"
    ]


def test_changed_allowed_ips_are_set_as_the_whole_list():
    wanted = view(peer("node2", "10.42.0.2/32", "10.42.1.2/32"))
    assert argvs(wanted, device(have("node2", "10.42.0.2/32", "10.42.0.9/32"))) == [
        f"wg set wg0 peer {key('node2')} allowed-ips 10.42.0.2/32,10.42.1.2/32"
    ]


def test_a_peer_without_allowed_ips_gets_the_empty_list():
    (operation,) = operations(view(peer("node2")), device(have("node2", "10.42.0.2/32")))
    assert operation.argv == ("wg", "set", "wg0", "peer", key("node2"), "allowed-ips", "")


def test_a_preshared_key_that_the_view_does_not_have_is_removed():
    current = device(have("node2", "10.42.0.2/32", preshared_key=ONE))
    assert argvs(view(peer("node2", "10.42.0.2/32")), current) == [
        f"wg set wg0 peer {key('node2')} preshared-key /dev/null"
    ]


def with_preshared(name, preshared_key):
    return peer(name, f"10.42.0.{name[-1]}/32", preshared=True, preshared_key=preshared_key)


def test_a_preshared_key_that_the_device_has_already_is_no_difference():
    assert argvs(view(with_preshared("node2", ONE)), device(have("node2", "10.42.0.2/32", preshared_key=ONE))) == []


@pytest.mark.parametrize("before", [None, OTHER])
def test_of_a_peer_whose_preshared_key_differs_only_that_is_set(before):
    current = device(have("node2", "10.42.0.2/32", preshared_key=before))
    assert argvs(view(with_preshared("node2", ONE)), current) == [
        f"wg set wg0 peer {key('node2')} preshared-key {PRESHARED_KEY}"
    ]


def test_a_new_peer_has_its_preshared_key_from_the_beginning():
    (operation,) = operations(view(with_preshared("node2", ONE)), device())
    assert operation.argv[:7] == ("wg", "set", "wg0", "peer", key("node2"), "preshared-key", PRESHARED_KEY)
    assert operation.change.new["preshared_key"] == "set"


def test_a_command_finds_the_preshared_key_of_each_of_its_peers():
    wanted = view(with_preshared("node2", ONE), peer("node3", "10.42.0.3/32"), with_preshared("node4", OTHER))
    (command,) = command_lines(operations(wanted, device()), "wg0")
    assert command.count(PRESHARED_KEY) == 2
    secrets = preshared_keys(command, {key("node2"): ONE, key("node4"): OTHER})
    assert [(command[place - 2], secret) for place, secret in secrets.items()] == [
        (key("node2"), ONE),
        (key("node4"), OTHER),
    ]


def test_a_peer_that_the_view_does_not_have_is_removed():
    assert argvs(view(), device(have("node2", "10.42.0.2/32"))) == [f"wg set wg0 peer {key('node2')} remove"]


def test_a_rekeyed_nodes_networks_move_to_its_new_key_before_the_old_one_goes():
    wanted = view(peer("node2", "10.42.0.2/32", public_key=key("new")))
    assert argvs(wanted, device(have("node2", "10.42.0.2/32"))) == [
        f"wg set wg0 peer {key('new')} persistent-keepalive 0 allowed-ips 10.42.0.2/32",
        f"wg set wg0 peer {key('node2')} remove",
    ]


def test_a_network_is_taken_by_its_new_peer_before_its_old_one_lets_it_go():
    wanted = view(peer("node2", "10.42.0.3/32"), peer("node3", "10.42.0.4/32"), peer("node4", "10.42.0.5/32"))
    current = device(have("node2", "10.42.0.2/32"), have("node3", "10.42.0.3/32"), have("node4", "10.42.0.4/32"))
    subjects = [str(operation.change.subject) for operation in operations(wanted, current)]
    assert subjects == ["peer node2", "peer node3", "peer node4"]


def test_networks_are_taken_first_whatever_the_peers_are_called():
    wanted = view(peer("node2", "10.42.0.5/32"), peer("node3", "10.42.0.2/32"), peer("node4", "10.42.0.3/32"))
    current = device(have("node2", "10.42.0.2/32"), have("node3", "10.42.0.3/32"), have("node4", "10.42.0.4/32"))
    subjects = [str(operation.change.subject) for operation in operations(wanted, current)]
    assert subjects == ["peer node4", "peer node3", "peer node2"]


def test_a_peer_that_loses_a_network_to_another_is_not_touched():
    wanted = view(peer("node2", "10.42.0.2/32"), peer("node3", "10.42.0.3/32", "10.42.9.0/24"))
    current = device(have("node2", "10.42.0.2/32", "10.42.9.0/24"), have("node3", "10.42.0.3/32"))
    assert [argv for argv in argvs(wanted, current) if key("node2") in argv] == []


def test_a_peer_that_loses_a_network_to_another_is_a_change_nevertheless():
    wanted = view(peer("node2", "10.42.0.2/32"), peer("node3", "10.42.0.3/32", "10.42.9.0/24"))
    current = device(have("node2", "10.42.0.2/32", "10.42.9.0/24"), have("node3", "10.42.0.3/32"))
    assert in_words(operations(wanted, current))["peer node2"] == {
        "old": {"allowed_ips": ["10.42.0.2/32", "10.42.9.0/24"]},
        "new": {"allowed_ips": ["10.42.0.2/32"]},
    }


# Endpoints: the view says node2 is at A; whether it is set depends on what was applied, and on the session

A, B = "192.0.2.1:51820", "192.0.2.2:51820"
AT_A = view(peer("node2", "10.42.0.2/32", endpoint=A))
SET_TO_A = [f"wg set wg0 peer {key('node2')} endpoint {A}"]


def endpoint_commands(at, record, handshake=NOW - 10, wanted=AT_A):
    current = device(have("node2", "10.42.0.2/32", endpoint=at, latest_handshake=handshake))
    return argvs(wanted, current, {A: A, B: B}, Applied({key("node2"): record} if record else {}))


def test_a_peer_that_roamed_is_left_where_it_is():
    assert endpoint_commands(at=B, record=A) == []


def test_an_endpoint_that_changed_in_the_view_is_set():
    assert endpoint_commands(at=B, record=B) == SET_TO_A


def test_what_was_applied_is_read_from_the_view_that_was():
    a = peer("a", "10.42.0.2/32", "192.168.4.0/24", endpoint="db1:51820")
    b = peer("b", "10.42.0.3/32", "fd99::/64")
    assert Applied.of(view(a, b)) == Applied(
        endpoints={key("a"): "db1:51820"},
        routes=frozenset({"192.168.4.0/24", "fd99::/64"}),
        names={key("a"): "a", key("b"): "b"},
    )


def test_without_a_view_nothing_was_applied():
    assert Applied.of(None) == Applied()


def test_an_endpoint_that_was_never_applied_is_set():
    assert endpoint_commands(at=B, record=None) == SET_TO_A


def test_a_changed_endpoint_where_the_peer_already_is_needs_nothing():
    assert endpoint_commands(at=A, record=B) == []


def test_a_session_of_179_seconds_is_still_alive():
    assert endpoint_commands(at=B, record=A, handshake=NOW - 179) == []


@pytest.mark.parametrize("handshake", [NOW - 180, 0])
def test_a_stale_session_is_called_at_the_configured_endpoint(handshake):
    assert endpoint_commands(at=B, record=A, handshake=handshake) == SET_TO_A


def test_a_stale_session_at_the_configured_endpoint_needs_nothing():
    assert endpoint_commands(at=A, record=A, handshake=0) == []


def test_an_endpoint_that_resolves_only_now_is_set():
    assert endpoint_commands(at=None, record=A, handshake=0) == SET_TO_A


def test_a_learned_endpoint_stays_where_the_view_has_none():
    assert endpoint_commands(at=B, record=A, handshake=0, wanted=view(peer("node2", "10.42.0.2/32"))) == []


def test_spellings_of_one_ipv6_endpoint_are_the_same():
    current = device(have("node2", "10.42.0.2/32", endpoint="[2001:db8::2]:51820"))
    wanted = view(peer("node2", "10.42.0.2/32", endpoint="node2.example:51820"))
    assert argvs(wanted, current, {"node2.example:51820": "[2001:DB8:0::2]:51820"}) == []


# Routes


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


def test_removals_come_last():
    wanted = view(peer("node3", "10.42.0.3/32", "192.168.5.0/24"), addresses=["10.43.0.1/16"])
    current = device(have("node2", "10.42.0.2/32", "192.168.4.0/24"), routes=["192.168.4.0/24"])
    record = Applied(routes=frozenset({"192.168.4.0/24"}))
    assert [str(operation.change.subject) for operation in operations(wanted, current, applied=record)] == [
        "address 10.43.0.1/16",
        "peer node3",
        "route 10.42.0.3/32",
        "route 192.168.5.0/24",
        "route 192.168.4.0/24",
        f"peer {key('node2')}",
        "address 10.42.0.1/16",
    ]


# Changes


def test_a_new_peer_is_a_change_with_all_it_has():
    wanted = view(peer("node2", "10.42.0.2/32", endpoint=A, keepalive=25))
    assert in_words(operations(wanted, device(), {A: A}))["peer node2"] == {
        "old": None,
        "new": {"public_key": key("node2"), "allowed_ips": ["10.42.0.2/32"], "endpoint": A, "keepalive": 25},
    }


def test_a_changed_peer_is_a_change_of_what_differs():
    wanted = view(peer("node2", "10.42.0.2/32", keepalive=25))
    assert in_words(operations(wanted, device(have("node2", "10.42.0.2/32"))))["peer node2"] == {
        "old": {"keepalive": 0},
        "new": {"keepalive": 25},
    }


def test_a_removed_peer_is_known_by_its_key():
    assert in_words(operations(view(), device(have("node2", "10.42.0.2/32", endpoint=A)))) == {
        f"peer {key('node2')}": {
            "old": {"public_key": key("node2"), "allowed_ips": ["10.42.0.2/32"], "endpoint": A, "keepalive": 0},
            "new": None,
        }
    }


def test_a_removed_peer_has_its_name_where_the_last_configuration_had_one():
    record = Applied(names={key("node2"): "node2"})
    assert list(in_words(operations(view(), device(have("node2")), applied=record))) == ["peer node2"]


def test_a_new_key_of_a_node_is_one_change():
    wanted = view(peer("node2", "10.42.0.2/32", public_key=key("new")))
    current = device(have("node2", "10.42.0.2/32"))
    result = in_words(operations(wanted, current, applied=Applied(names={key("node2"): "node2"})))
    assert result == {
        "peer node2": {
            "old": {"public_key": key("node2"), "allowed_ips": ["10.42.0.2/32"], "keepalive": 0},
            "new": {"public_key": key("new"), "allowed_ips": ["10.42.0.2/32"], "keepalive": 0},
        }
    }


def test_a_removed_peer_whose_name_another_one_took_is_known_by_its_key():
    wanted = view(peer("node2", "10.42.0.3/32", public_key=key("node3"), keepalive=25))
    current = device(have("node2", "10.42.0.2/32"), have("node3", "10.42.0.3/32"))
    result = in_words(operations(wanted, current, applied=Applied(names={key("node2"): "node2"})))
    assert list(result) == ["peer node2", f"peer {key('node2')}"]


@pytest.mark.parametrize(
    ("before", "wanted", "old", "new"),
    [(None, ONE, None, "set"), (ONE, OTHER, "set", "changed"), (ONE, None, "set", "removed")],
)
def test_changes_say_of_a_preshared_key_only_what_happens_to_it(before, wanted, old, new):
    current = device(have("node2", "10.42.0.2/32", preshared_key=before))
    wanted = view(peer("node2", "10.42.0.2/32", preshared=bool(wanted), preshared_key=wanted))
    found = operations(wanted, current)
    assert in_words(found)["peer node2"] == {"old": {"preshared_key": old}, "new": {"preshared_key": new}}
    assert ONE not in repr(found)
    assert OTHER not in repr(found)


def test_diff_checks_the_view():
    with pytest.raises(ViewError, match="own public key"):
        operations(view(peer("node2", public_key=OWN)), device())


# The commands lead to the view


@dataclass
class Host:
    """What ``wg`` and ``ip`` make of commands, as tried on wireguard-go and Linux 6.18 without promote_secondaries."""

    link: dict = field(default_factory=dict)
    addresses: list = field(default_factory=list)
    routes: list = field(default_factory=list)
    peers: dict = field(default_factory=dict)
    held: set = field(default_factory=set)

    def run(self, argv):
        words = [word for word in argv if word not in ("-4", "-6", "dev", "wg0")]
        getattr(self, f"_{words[0]}_{words[1]}")(*words[2:])

    def _ip_link(self, verb, *words):
        if verb == "add":
            assert not self.link, "the device exists already"
            self.link = {"up": False, "port": 40000, "mtu": 1420, "public_key": None}
        elif words == ("up",):
            self.link["up"] = True
        else:
            self.link["mtu"] = int(words[1])

    def _ip_address(self, verb, address):
        if verb == "del":
            self._address_removed(address)
        elif address not in self.addresses:
            taken = [other for other in self.addresses if ip_interface(other).ip == ip_interface(address).ip]
            assert ":" not in address or not taken, "ipv6: address already assigned"
            self.addresses.append(address)
        else:
            assert verb == "replace", "the address exists already"

    def _address_removed(self, address):
        network = ip_interface(address).network
        alike = [other for other in self.addresses if ip_interface(other).network == network]
        primary = ":" not in address and alike[0] == address
        for gone in alike if primary else [address]:
            self.addresses.remove(gone)
        if not any(":" not in other for other in self.addresses):
            self.routes = [route for route in self.routes if ":" in route]

    def _ip_route(self, verb, network, *protocol):
        assert self.link["up"], "the device is down"
        if "kernel" in protocol:
            self.held = {"replace": {*self.held, network}, "del": self.held - {network}}[verb]
            return
        if verb == "del":
            self.routes.remove(network)
            return
        connected = [str(ip_interface(address).network) for address in self.addresses if ":" not in address]
        assert verb == "replace" or network not in [*self.routes, *connected], "the route exists already"
        self.routes.append(network)

    def _wg_set(self, *words):
        words = list(words)
        peer = None
        while words:
            word = words.pop(0)
            if word == "peer":
                peer = self.peers.setdefault(words.pop(0), {"allowed_ips": set(), "keepalive": 0, "touched": 0})
                peer["touched"] += 1
            elif word == "remove":
                self.peers = {key: other for key, other in self.peers.items() if other is not peer}
            elif word == "private-key":
                self.link["public_key"] = {"/etc/wireguard/wg0.key": OWN}[words.pop(0)]
            elif word == "listen-port":
                self.link["port"] = int(words.pop(0))
            else:
                self._peer_set(peer, word, words.pop(0))

    def _peer_set(self, peer, word, value):
        if word == "allowed-ips":
            networks = set(filter(None, value.split(",")))
            for other in self.peers.values():
                other["allowed_ips"] -= networks
            peer["allowed_ips"] = networks
        elif word == "persistent-keepalive":
            peer["keepalive"] = int(value)
        else:
            peer[word] = value

    def device(self):
        if not self.link:
            return None
        return Device(
            interface="wg0",
            addresses=frozenset(self.addresses),
            routes=frozenset(self.routes),
            boot_routes=frozenset(self.routes),
            peers={
                key: DevicePeer(key, p.get("endpoint"), frozenset(p["allowed_ips"]), NOW, 0, 0, p["keepalive"], None)
                for key, p in self.peers.items()
            },
            **self.link,
        )

    def apply(self, view, record):
        resolved = {peer.endpoint: peer.endpoint for peer in view.peers if peer.endpoint}
        for argv in command_lines(operations(view, self.device(), resolved, record), "wg0"):
            self.run(argv)
        assert not self.held


ADDRESSES = (
    ["10.42.0.1/16", "10.42.0.1/24", "10.42.0.1/32", "10.42.0.2/16", "10.42.0.3/16", "10.43.0.1/16", "10.43.0.2/32"],
    ["fd42::1/64", "fd42::1/128", "fd42::2/64"],
)
NETWORKS = [
    *(f"10.42.0.{number}/32" for number in range(10, 18)),
    *(f"fd42::{number}/128" for number in range(10, 14)),
    *("10.42.0.0/16", "10.42.0.0/24", "10.43.0.0/16", "192.168.4.0/24", "fd42::/64", "fd99::/64"),
]


def some_view(choose):
    """A view of up to six peers that share out some networks, so that two such views overlap in every way."""
    names = choose.sample(["node2", "node3", "node4", "node5", "node6", "node7"], choose.randint(0, 6))
    shares = {name: [] for name in names}
    for network in choose.sample(NETWORKS, choose.randint(0, len(NETWORKS))) if names else ():
        shares[choose.choice(names)].append(network)
    peers = [
        peer(
            name,
            *shares[name],
            public_key=key(name + choose.choice(["", "", "", "rekeyed"])),
            endpoint=choose.choice([None, A, B]),
            keepalive=choose.choice([0, 25]),
        )
        for name in sorted(names)
    ]
    addresses = [*choose.sample(ADDRESSES[0], choose.randint(1, 3)), choose.choice(ADDRESSES[1])]
    return view(*peers, addresses=addresses, port=choose.choice([None, 51820, 51821]), mtu=choose.choice([None, 1380]))


@pytest.fixture(params=range(100))
def moved_host(request):
    """A host that was led from one random view to another; with both views, and the peers before the second."""
    choose = random.Random(request.param)
    old, new = some_view(choose), some_view(choose)
    host = Host()
    host.apply(old, Applied())
    for peer in host.peers.values():
        peer["touched"] = 0
    before = host.device()
    host.apply(new, applied_by(old))
    return host, before, old, new


def test_between_any_two_views_the_device_ends_up_as_the_view(moved_host):
    host, _, _, new = moved_host
    assert host.link["up"]
    assert set(host.addresses) == set(new.addresses)
    assert set(host.routes) == new.routes
    assert {key: (peer["allowed_ips"], peer["keepalive"]) for key, peer in host.peers.items()} == {
        peer.public_key: (set(peer.allowed_ips), peer.keepalive) for peer in new.peers
    }


def test_between_any_two_views_a_second_run_finds_nothing_to_do(moved_host):
    host, _, _, new = moved_host
    resolved = {A: A, B: B}
    assert operations(new, host.device(), resolved, applied_by(new)) == ()


def test_between_any_two_views_peers_that_stay_as_they_are_are_not_touched(moved_host):
    host, _, old, new = moved_host
    same = {peer.public_key for peer in set(old.peers) & set(new.peers)}
    assert {key for key in same if host.peers[key]["touched"]} == set()


def test_between_any_two_views_changes_name_no_peer_that_stays_as_it_is(moved_host):
    _, before, old, new = moved_host
    named = in_words(operations(new, before, {A: A, B: B}, applied_by(old)))
    differing = {peer.name for peer in set(old.peers) ^ set(new.peers)}
    assert {subject for subject in named if subject.startswith("peer ")} <= {f"peer {name}" for name in differing}
