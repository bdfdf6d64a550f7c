"""Lines about progress: few, and never the reason that something fails."""

import pytest

from saltext.wireguard.control import progress
from saltext.wireguard.control.progress import EVERY_SECONDS, Progress


@pytest.fixture
def clock(monkeypatch):
    """A list whose only item is the time."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_short_wait_says_nothing(clock):
    said = []
    waiting = Progress(said.append)
    for _ in range(3):
        waiting.wait_for(["a"])
    assert said == []


def test_a_long_wait_names_the_nodes_every_few_seconds(clock):
    said = []
    waiting = Progress(said.append)
    for _ in range(4):
        waiting.wait_for(["b", "a"])
        clock[0] += EVERY_SECONDS / 2 + 0.1
    assert said == ["waiting for 2 nodes: a, b"]


def test_a_line_that_cannot_be_shown_stops_nothing():
    """Salt's progress events failed in the threads of the reactor, and the reconcile with them."""

    def fail(text):
        raise RuntimeError(text)

    Progress(fail).tell("half of it is done")
