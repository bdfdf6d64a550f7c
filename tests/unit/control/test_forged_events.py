"""Reconciles and rotations hear the whole event bus, on which every minion can put anything, and which can fail."""

from types import SimpleNamespace

import pytest

from saltext.wireguard.control import rotation
from saltext.wireguard.control.progress import Progress
from saltext.wireguard.control.reconciler import Reconciler, Request
from saltext.wireguard.model.statements import FOLLOWING_TAG


def deep(levels):
    nested = []
    for _ in range(levels):
        nested = [nested]
    return nested


NO_IDS = [None, 5, [], ["a"], {"a": "b"}, b"a", deep(5000)]


class Bus:
    def __init__(self, *events):
        self._events = iter(events)

    def publish(self, *_):
        return "1"

    def events(self, _):
        yield from self._events


def nothing(*_):
    return False


@pytest.mark.parametrize("id_", NO_IDS)
def test_a_forged_return_without_a_proper_id_is_passed_over(id_):
    """Lists in lists raised RecursionError, which ended the reconcile."""
    master = SimpleNamespace(registry=SimpleNamespace(place="/nowhere"))
    heard = Reconciler(master, Bus(), nothing, Request(20))
    heard._publish(["a"], "wireguard.sync", [])
    assert heard._handle("salt/job/1/ret/a", {"id": id_, "return": {"networks": {}}}) is False
    assert heard._handle("salt/job/1/ret/a", {"id": "a", "return": {"networks": {}}}) is True


@pytest.mark.parametrize("id_", NO_IDS)
def test_a_forged_word_that_a_peer_follows_does_not_end_the_rotation(id_, monkeypatch):
    """An id that cannot be hashed raised TypeError between announcement and switch."""
    later = []
    bus = Bus((FOLLOWING_TAG, {"id": id_}), (FOLLOWING_TAG, {"id": "peer"}), (FOLLOWING_TAG, later))
    statuses = [
        SimpleNamespace(network="net", reason=None, member=SimpleNamespace(node=node)) for node in ("a", "peer")
    ]
    monkeypatch.setattr(rotation, "statuses", lambda _: statuses)
    master = SimpleNamespace(moment=lambda: None)
    rotating = rotation.Rotation(master, bus, nothing, "net", "a", 20, "alice", "")
    rotating._follow(SimpleNamespace(public_key="old", next_key="new"))
    assert list(bus.events(0)) == [(FOLLOWING_TAG, later)]  # it waits for nobody after the last one


def test_progress_that_cannot_be_shown_does_not_end_the_reconcile():
    """In the reactor, where several runners share one way to the event bus, it did after five seconds."""

    def fail(_):
        raise RuntimeError("This event loop is already running")

    progress = Progress(fail)
    progress._last = 1.0  # long ago
    progress.wait_for(["a"])
    assert progress._last > 1.0
