"""What a node refuses to do unless it is forced, and what it does without a word."""

from dataclasses import replace

import pytest

from factories import public_key
from saltext.wireguard.device.guard import objections
from saltext.wireguard.model.device import Device, DevicePeer
from saltext.wireguard.model.view import Peer, View

NOW = 1_700_000_000
NAMES = ["a", "b", "c", "d", "e", "f"]


def peers(*names):
    return tuple(Peer(name, public_key(name), (f"10.42.0.{ord(name)}/32",)) for name in names)


def view(*names, addresses=("10.42.0.1/16",)):
    return View("wg0", addresses, peers(*names), "net")


def device(*names, down=(), addresses=("10.42.0.1/16",)):
    """What was made from a view of these peers, all of which are up but those that are down."""
    have = {
        peer.public_key: DevicePeer(
            peer.public_key,
            None,
            frozenset(peer.allowed_ips),
            NOW - (900 if peer.name in down else 9),
            0,
            0,
            0,
            None,
        )
        for peer in peers(*names)
    }
    return Device("wg0", True, public_key("own"), 51820, 1420, frozenset(addresses), frozenset(), have)


def refused(before, now_on, wanted, share=0.5):
    return objections(before, now_on, wanted, NOW, share)


def test_nothing_speaks_against_what_is_there_already():
    assert refused(view(*NAMES), device(*NAMES), view(*NAMES)) == ()


def test_nothing_speaks_against_a_first_set_up():
    assert refused(None, None, view(*NAMES)) == ()


def test_peers_may_be_added():
    assert refused(view("a"), device("a"), view(*NAMES)) == ()


def test_half_of_the_peers_may_be_removed_and_not_more():
    assert refused(view(*NAMES), device(*NAMES), view("a", "b", "c")) == ()
    (why,) = refused(view(*NAMES), device(*NAMES), view("a", "b"))
    assert why == "remove 4 of the 6 peers that are up (c, d, e, f)"


def test_the_share_is_a_setting():
    assert refused(view(*NAMES), device(*NAMES), view("a", "b"), share=0.7) == ()
    assert refused(view(*NAMES), device(*NAMES), view(*NAMES[1:]), share=0)


def test_of_three_peers_that_are_up_two_may_be_removed():
    assert refused(view("a", "b", "c"), device("a", "b", "c"), view("a")) == ()


def test_peers_that_are_down_may_all_be_removed():
    assert refused(view(*NAMES), device(*NAMES, down="cdef"), view("a", "b")) == ()


def test_a_peer_that_changes_its_key_is_not_removed():
    rekeyed = replace(view(*NAMES), peers=tuple(replace(peer, public_key="new") for peer in peers(*NAMES)))
    assert refused(view(*NAMES), device(*NAMES), rekeyed) == ()


def test_the_second_key_of_a_peer_that_rotates_counts_for_nothing():
    idle = device(*NAMES)
    without = {key: replace(peer, allowed_ips=frozenset()) for key, peer in idle.peers.items()}
    assert refused(view(*NAMES), replace(idle, peers=without), view("x")) == ()


def test_a_peer_that_somebody_added_by_hand_is_named_by_its_key():
    (why,) = refused(view("a", "b"), device(*NAMES), view("a"))
    assert why.startswith("remove 5 of the 6 peers that are up")
    assert public_key("c") in why


def test_the_last_peer_is_not_removed_even_if_it_is_down():
    (why,) = refused(view("a"), device("a", down="a"), view())
    assert why == "leave no peer of the 1 that the device has"


@pytest.mark.parametrize("addresses", [("10.42.0.9/16",), ("10.42.0.9/16", "fd42::1/64"), ("fd42::1/64",), ()], ids=str)
def test_an_address_of_the_node_does_not_go(addresses):
    (why,) = refused(view("a"), device("a"), view("a", addresses=addresses))
    assert why.startswith("take this node's own address 10.42.0.1 away")


def test_an_address_may_be_added():
    assert refused(view("a"), device("a"), view("a", addresses=("10.42.0.1/16", "fd42::1/64"))) == ()


def test_an_address_may_change_its_prefix_length():
    assert refused(view("a"), device("a"), view("a", addresses=("10.42.0.1/12",))) == ()


def test_an_address_that_somebody_added_by_hand_may_go():
    assert refused(view("a"), device("a", addresses=("10.42.0.1/16", "10.9.9.9/24")), view("a")) == ()


def test_without_a_configuration_that_can_be_read_the_device_tells_which_addresses_are_ours():
    assert refused(None, device("a"), view("a", addresses=("10.42.0.9/16",)))


def test_everything_that_speaks_against_a_view_is_said():
    assert len(refused(view(*NAMES), device(*NAMES), view("a", addresses=()))) == 2


# --- a default route through an exit ---------------------------------------------------------------------------------

THROUGH = replace(view("a", "b"), via="a", bypass_addresses=("192.0.2.1",))
ENCLOSED = replace(THROUGH, bypass_addresses=())


@pytest.mark.parametrize("before", [view("a", "b"), None])
@pytest.mark.parametrize("present", [device("a", "b"), None])
def test_the_default_route_of_the_masters_machine_leads_through_no_exit_by_mistake(before, present):
    """Minions that reach the master from outside of the mesh would wait for answers in vain."""
    (objection,) = objections(before, present, THROUGH, NOW, has_master=True)
    assert objection.startswith(
        "route the answers of the Salt master on this machine through the exit node a, which cuts off"
    )
    assert objections(before, present, THROUGH, NOW) == ()


@pytest.mark.parametrize("before", [view("a", "b"), None])
def test_a_node_that_would_stay_in_reach_of_nobody_outside_does_not_take_an_exit_by_mistake(before):
    """Without a master, and with ssh under sudo, nothing was left from where the exit could be taken back."""
    (objection,) = objections(before, device("a", "b"), ENCLOSED, NOW)
    assert objection.startswith(
        "route all answers of this machine through the exit node a: it knows neither a Salt master"
    )
    assert objections(ENCLOSED, device("a", "b"), ENCLOSED, NOW) == ()


def test_a_masters_machine_that_was_forced_to_keeps_its_exit_without_a_word():
    assert objections(THROUGH, device("a", "b"), THROUGH, NOW, has_master=True) == ()
