"""What is refused, who comes and goes, and what of that is announced."""

import time

import pytest

from databases import BACKENDS
from factories import public_key, registration
from registering import FORK, register, whats


@pytest.fixture(params=BACKENDS)
def registry(request, tmp_path):
    return request.param(tmp_path)


# --- refusals --------------------------------------------------------------------------------------------------------


def test_the_same_refusal_again_only_counts(registry):
    for _ in range(3):
        registry.audit.refuse("net", "a", "reason")
    registry.audit.refuse("net", "a", "another reason")
    registry.audit.refuse("net", "b", "reason")
    found = {(each.network, each.node, each.reason): each.count for each in registry.audit.refusals()}
    assert found == {("net", "a", "reason"): 3, ("net", "a", "another reason"): 1, ("net", "b", "reason"): 1}


def test_refusals_come_newest_first(registry):
    for node in ("a", "b", "a"):
        registry.audit.refuse("net", node, "reason")
        time.sleep(0.002)
    assert [each.node for each in registry.audit.refusals()] == ["a", "b"]


def test_a_refusal_leaves_the_snapshot_as_it_is(registry):
    register(registry, registration("a"))
    before = registry.snapshot()
    registry.audit.refuse("net", "a", "reason")
    assert registry.snapshot() is before


# --- history ---------------------------------------------------------------------------------------------------------


def test_the_history_tells_what_became_of_a_registration(registry):
    register(registry, registration("a", 1))
    register(registry, registration("a", 2))  # nothing new
    register(registry, registration("a", 3, public_key=public_key("new")))
    register(registry, registration("a", 1, public_key=public_key("newer")), salt_key="another")
    assert whats(registry) == ["registered", "rekeyed", "reinstalled"]
    assert registry.audit.history()[1].details == {"public_key": public_key("new"), "old_public_key": public_key("a")}


def test_members_that_come_and_go_are_noted_once(registry):
    for members in ({"a", "b"}, {"a", "b"}, {"b"}, {"b"}, {"a", "b"}):
        registry.audit.note_members("net", members, lambda node: f"{node} is gone")
    assert [(entry.what, entry.node) for entry in registry.audit.history()] == [
        ("joined", "a"),
        ("joined", "b"),
        ("removed", "a"),
        ("joined", "a"),
    ]
    assert registry.audit.history()[2].why == "a is gone"
    assert registry.snapshot().noted == {"net": {"a", "b"}}


def note_them(registry, start):
    start.wait()
    registry.audit.note_members("net", {f"n{number}" for number in range(20)}, str)


def test_processes_that_note_the_same_members_note_them_once(registry):
    start = FORK.Barrier(3)
    processes = [FORK.Process(target=note_them, args=(registry, start)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(entry.node for entry in registry.audit.history()) == sorted(f"n{number}" for number in range(20))


def test_the_first_refusal_of_its_kind_is_in_the_history(registry):
    for _ in range(3):
        registry.audit.refuse("net", "a", "reason")
    assert [(entry.what, entry.why) for entry in registry.audit.history("a")] == [("refused", "reason")]


def claim_all(registry, start, results):
    start.wait()
    results.put([entry.id for entry in registry.audit.claim_history()])


def test_processes_that_announce_at_once_announce_everything_once(registry):
    for number in range(10):
        registry.audit.refuse("net", f"n{number}", "reason")
    start, results = FORK.Barrier(3), FORK.Queue()
    processes = [FORK.Process(target=claim_all, args=(registry, start, results)) for _ in range(3)]
    for process in processes:
        process.start()
    claimed = [number for _ in processes for number in results.get(timeout=60)]
    for process in processes:
        process.join()
    assert sorted(claimed) == [entry.id for entry in registry.audit.history()]
    assert registry.audit.claim_history() == []
