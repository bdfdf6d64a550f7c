"""Operations on peers: what differs is set, and nothing else."""

import pytest

from factories import in_words
from saltext.wireguard.device.operations import PRESHARED_KEY, Applied, command_lines, preshared_keys
from unit.device.views_and_devices import (
    NOW,
    ONE,
    OTHER,
    A,
    B,
    argvs,
    device,
    have,
    key,
    operations,
    peer,
    view,
)


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
