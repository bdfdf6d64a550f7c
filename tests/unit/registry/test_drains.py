"""Nodes that the others are moved off, as the registry remembers them."""

import time

import pytest

from databases import BACKENDS
from factories import registration
from registering import register, whats
from saltext.wireguard.registry.drains import Cause

ALICE = Cause("drained", "alice", "new disks")
FAILOVER = Cause("drained", "failover", "2 of 2 lost it", automatic=True)
BACK = Cause("undrained", "bob", "")


@pytest.fixture(params=BACKENDS)
def registry(request, tmp_path):
    made = request.param(tmp_path)
    register(made, registration())
    return made


def drains(registry):
    return {node: (each.who, each.automatic) for node, each in registry.snapshot().drains.items()}


def test_a_drain_is_remembered_makes_new_views_and_is_in_the_history(registry):
    before = registry.snapshot().generation
    assert registry.drains.begin("net", "a", ALICE)
    assert drains(registry) == {("net", "a"): ("alice", False)}
    assert registry.snapshot().generation > before
    entry = registry.audit.history("a")[-1]
    assert (entry.what, entry.who, entry.why) == ("drained", "alice", "new disks")


def test_a_failover_does_not_take_an_operators_drain_over(registry):
    """It would end it when the node is well again."""
    registry.drains.begin("net", "a", ALICE)
    assert not registry.drains.begin("net", "a", FAILOVER)
    assert drains(registry) == {("net", "a"): ("alice", False)}


def test_an_operator_takes_a_failovers_drain_over(registry):
    registry.drains.begin("net", "a", FAILOVER)
    assert registry.drains.begin("net", "a", ALICE)
    assert drains(registry) == {("net", "a"): ("alice", False)}


def test_a_drain_ends_once(registry):
    registry.drains.begin("net", "a", ALICE)
    assert registry.drains.end("net", "a", BACK)
    assert not registry.drains.end("net", "a", BACK)
    assert (drains(registry), whats(registry, "a")[-2:]) == ({}, ["drained", "undrained"])


def test_a_drain_for_a_time_lapses_and_others_do_not(registry):
    registry.drains.begin("net", "a", Cause("drained", "alice", "a drill", until=time.time() - 1))
    registry.drains.begin("net", "b", ALICE)
    registry.drains.lapse()
    assert drains(registry) == {("net", "b"): ("alice", False)}
    generation = registry.snapshot().generation
    registry.drains.lapse()
    assert registry.snapshot().generation == generation
