"""A flood of what a member truly says is not looked at, and keeps nobody else from being heard."""

from saltext.wireguard.registry import pace as pace_module
from saltext.wireguard.registry.pace import A_SECOND, AT_ONCE, Pace


def allowed(pace, serials, now=0.0, node="a", network="net"):
    return sum(pace.allows(node, ("registration", network, "salt key"), serial, now) for serial in serials)


def test_of_a_flood_of_new_statements_so_many_are_looked_at_and_a_few_a_second_from_then_on():
    pace = Pace()
    assert allowed(pace, range(1, 1001)) == AT_ONCE
    assert allowed(pace, range(1001, 2001), now=10.0) == 10 * A_SECOND
    assert allowed(pace, range(2001, 3001), now=10_000.0) == AT_ONCE


def test_what_others_send_again_does_not_keep_a_node_from_speaking():
    pace = Pace()
    allowed(pace, range(1, 101))
    assert allowed(pace, [50] * 10_000) == 10_000
    assert allowed(pace, [101]) == 1


def test_each_node_has_a_pace_of_its_own_and_one_for_all_networks():
    pace = Pace()
    allowed(pace, range(1, 1001))
    assert allowed(pace, [1], network="other") == 0
    assert allowed(pace, [1], node="b") == 1


def test_made_up_networks_take_a_bounded_amount_of_room(monkeypatch):
    monkeypatch.setattr(pace_module, "_MOST_REMEMBERED", 50)
    pace = Pace()
    for number in range(AT_ONCE):
        allowed(pace, [1], network=f"made up {number}")
    assert len(pace._latest) <= 50
