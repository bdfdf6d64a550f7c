"""Serials that a node uses: newer than all before, whatever happened to its clock and its cache."""

import pytest

from saltext.wireguard.node import notes as module
from saltext.wireguard.node.notes import Notes

DAY = 86_400 * 10**9
NOW = 1_800_000_000 * 10**9


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = NOW

        def time_ns(self):
            return self.now

        def time(self):
            return self.now / 10**9

    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_serials_are_times_and_grow_also_with_a_clock_that_was_set_back(tmp_path, clock):
    notes = Notes(str(tmp_path))
    assert notes.next_serial("net", 0) == NOW
    clock.now -= DAY // 2
    assert notes.next_serial("net", 0) == NOW + 1


def test_a_node_that_lost_its_cache_and_its_clock_exceeds_what_the_master_knows(tmp_path, clock):
    clock.now = 5
    assert Notes(str(tmp_path)).next_serial("net", NOW) == NOW + 1


@pytest.mark.parametrize("known", [0, NOW - DAY])
def test_what_a_node_used_while_its_clock_was_far_ahead_does_not_count_once_that_is_right(tmp_path, clock, known):
    """The master refuses serials of the future, and the node went on from the last one that it had used itself."""
    notes = Notes(str(tmp_path))
    clock.now = NOW + 3650 * DAY
    notes.next_serial("net", known)
    clock.now = NOW
    assert notes.next_serial("net", known) == NOW


def test_a_clock_that_starts_from_1970_at_each_boot_does_not_go_back_behind_what_the_master_knows(tmp_path, clock):
    notes = Notes(str(tmp_path))
    notes.next_serial("net", 0)
    clock.now = 1
    assert notes.next_serial("net", NOW - 7) == NOW + 1
