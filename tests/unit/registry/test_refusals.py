"""Refusals: how many there are is up to others, so no flood of them hides what happened, or costs much."""

import pytest

from databases import BACKENDS
from saltext.wireguard.registry import audit as module
from saltext.wireguard.registry import refusals
from saltext.wireguard.registry.refusals import (
    ANYBODY,
    DAY,
    KEPT_ENTRIES,
    KEPT_SECONDS,
    MAX_ENTRIES,
    MAX_UNWRITTEN,
    WRITTEN_A_SECOND,
    WRITTEN_AT_ONCE,
    Refused,
    Tally,
)


class Clock:
    """That of days, and the one that is never set."""

    def __init__(self):
        self.now = 1_800_000_000.0
        self.set_back = 0.0

    def time(self):
        return self.now - self.set_back

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


# Instead of the limits, so that the tests are fast.
OF_NODE, OF_KIND = 6, 20


@pytest.fixture(params=BACKENDS)
def registry(request, tmp_path, monkeypatch):
    monkeypatch.setattr(refusals, "MAX_ENTRIES_OF_NODE", OF_NODE)
    monkeypatch.setattr(refusals, "MAX_ENTRIES", OF_KIND)
    monkeypatch.setattr(module, "_tallies", {})
    return request.param(tmp_path)


def flood(registry, clock, count, node="evil", kind="old", reason="its serial {} is not newer"):
    """Slowly enough that each is written."""
    for number in range(count):
        clock.now += 1 / WRITTEN_A_SECOND
        registry.audit.refuse("net", node.format(number), reason.format(number), kind)


def found(registry, node):
    return [(each.reason, each.count) for each in registry.audit.refusals() if each.node == node]


def test_stale_statements_do_not_push_out_the_trace_of_a_real_attack(registry, clock):
    """The newest 500 were kept, and each stale statement has another reason: 500 of these hid everything else."""
    registry.audit.refuse("net", "web1", "its signature was not made with the accepted Salt key of web1", "signature")
    flood(registry, clock, 200)
    assert found(registry, "web1") == [("its signature was not made with the accepted Salt key of web1", 1)]
    assert registry.audit.history(limit=10**6)[0].node == "web1"


def test_one_node_has_a_bounded_number_of_entries_and_all_are_counted(registry, clock):
    flood(registry, clock, 100)
    counts = [count for _, count in found(registry, "evil")]
    assert (len(counts), sum(counts)) == (OF_NODE, 100)
    assert found(registry, "evil")[0] == ("its serial 99 is not newer", 100 - OF_NODE + 1)


def test_made_up_names_have_a_bounded_number_of_entries_and_hide_nobody_of_another_kind(registry, clock):
    flood(registry, clock, 5 * OF_KIND, node="made up {}", kind="stranger", reason="no accepted minion")
    registry.audit.refuse("net", "web1", "forged", "signature")
    assert found(registry, ANYBODY) == [("no accepted minion", 4 * OF_KIND)]
    assert sum(each.count for each in registry.audit.refusals()) == 5 * OF_KIND + 1
    assert len(registry.audit.refusals()) == OF_KIND + 2
    assert found(registry, "web1") == [("forged", 1)]


def test_the_next_day_a_refusal_is_an_entry_of_its_own_again(registry, clock):
    registry.audit.refuse("net", "a", "forged", "signature")
    clock.now += DAY - 1
    registry.audit.refuse("net", "a", "forged", "signature")
    assert found(registry, "a") == [("forged", 2)]
    clock.now += 2
    registry.audit.refuse("net", "a", "forged", "signature")
    assert found(registry, "a") == [("forged", 1), ("forged", 2)]


def test_a_clock_that_was_ahead_does_not_swallow_refusals(registry, clock):
    registry.audit.refuse("net", "a", "forged", "signature")
    clock.set_back = 400 * DAY
    registry.audit.refuse("net", "a", "forged", "signature")
    assert found(registry, "a") == [("forged", 1), ("forged", 1)]


def test_refusals_are_forgotten_after_a_month_and_nothing_else_is(registry, clock):
    registry.admissions.revoke("net", "b", "alice", "")
    registry.audit.refuse("net", "a", "forged", "signature")
    clock.now += KEPT_SECONDS + 1
    registry.audit.refuse("net", "c", "forged", "signature")
    assert [(entry.what, entry.node) for entry in registry.audit.history()] == [("revoked", "b"), ("refused", "c")]


def test_of_many_days_the_newest_refusals_are_kept(registry, clock, monkeypatch):
    monkeypatch.setattr(refusals, "KEPT_ENTRIES", 5)
    flood(registry, clock, 9, node="n{}", reason="forged")
    assert [each.node for each in registry.audit.refusals()] == [f"n{number}" for number in (8, 7, 6, 5, 4)]
    assert KEPT_ENTRIES > MAX_ENTRIES


def test_an_entry_that_counts_several_says_so(registry, clock):
    for _ in range(3):
        clock.now += 1
        registry.audit.refuse("net", "a", "forged", "signature")
    (entry,) = registry.audit.history("a")
    assert entry.details == {"kind": "signature", "times": 3, "last": clock.now}


def test_a_flood_is_only_counted_and_written_a_few_times_a_second(registry, clock, monkeypatch):
    """Each forged event was a transaction, and a line in the log."""
    told = [registry.audit.refuse("net", "a", "forged", "signature") for _ in range(5000)]
    assert told.count(True) == WRITTEN_AT_ONCE
    clock.now += 1
    told = [registry.audit.refuse("net", "b", "forged", "signature") for _ in range(1000)]
    assert told.count(True) == WRITTEN_A_SECOND
    clock.now += 1
    assert registry.audit.refuse("net", "c", "forged", "signature")
    assert sum(each.count for each in registry.audit.refusals()) == 6001


def test_what_is_only_counted_takes_a_bounded_amount_of_memory():
    tally = Tally()
    for number in range(WRITTEN_AT_ONCE + 3 * MAX_UNWRITTEN):
        tally.add(Refused("net", f"n{number}", "stranger"), 1000.0)
    counted = tally.add(Refused("net", "n", "stranger"), 1001.0)
    assert len(counted) <= MAX_UNWRITTEN + 2
    assert sum(counted.values()) == 3 * MAX_UNWRITTEN + 1
    assert counted[Refused(ANYBODY, ANYBODY, "stranger")] == 2 * MAX_UNWRITTEN
