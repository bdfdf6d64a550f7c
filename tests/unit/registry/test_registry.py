"""The registry as a whole: serials, reports, snapshots, and many that write at once."""

import os
import signal
import time
from ipaddress import ip_network

import pytest

from databases import BACKENDS
from factories import membership, network, public_key, registration
from registering import DUAL, FORK, refused_without_a_trace, register, run
from saltext.wireguard.errors import RefusedError
from saltext.wireguard.model.statements import Report


@pytest.fixture(params=BACKENDS)
def registry(request, tmp_path):
    return request.param(tmp_path)


# --- serials ---------------------------------------------------------------------------------------------------------


def test_the_same_registration_again_is_no_news(registry):
    register(registry, registration("a", 5))
    before = registry.snapshot()
    assert register(registry, registration("a", 5)) is False
    assert registry.snapshot() is before


def test_an_older_registration_is_refused(registry):
    register(registry, registration("a", 5))
    with refused_without_a_trace(registry, "its serial 4 is not newer than 5: it arrived late or was replayed"):
        register(registry, registration("a", 4, public_key=public_key("old")))


def test_a_node_that_was_installed_anew_may_begin_with_a_lower_serial(registry):
    register(registry, registration("a", 5), salt_key="old")
    assert register(registry, registration("a", 1, public_key=public_key("new")), salt_key="new")


def test_statements_of_an_old_salt_key_stay_old_when_that_key_is_accepted_again(registry):
    register(registry, registration("a", 5), salt_key="old")
    register(registry, registration("a", 1, public_key=public_key("new")), salt_key="new")
    with refused_without_a_trace(registry, "its serial 4 is not newer than 5"):
        register(registry, registration("a", 4), salt_key="old")


def test_serials_of_nodes_networks_and_kinds_are_apart(registry):
    register(registry, registration("a", 5))
    assert register(registry, registration("b", 1))
    assert registry.report(Report("a", "net", "digest", 1), "salt key of a")


# --- reports ---------------------------------------------------------------------------------------------------------


def test_a_report_is_kept_with_its_salt_key(registry):
    assert registry.report(Report("a", "net", "digest", 1), "fingerprint")
    applied = registry.applied()["net", "a"]
    assert (applied.digest, applied.salt_key) == ("digest", "fingerprint")
    assert applied.reported == pytest.approx(time.time(), abs=60)


def test_the_last_report_counts(registry):
    for serial in (1, 2):
        registry.report(Report("a", "net", f"digest {serial}", serial), "fingerprint")
    assert registry.applied()["net", "a"].digest == "digest 2"


def test_the_same_report_again_is_no_news(registry):
    registry.report(Report("a", "net", "digest", 1), "fingerprint")
    assert registry.report(Report("a", "net", "digest", 1), "fingerprint") is False


def test_an_older_report_is_refused(registry):
    registry.report(Report("a", "net", "digest 2", 2), "fingerprint")
    with refused_without_a_trace(registry, "its serial 1 is not newer than 2"):
        registry.report(Report("a", "net", "digest 1", 1), "fingerprint")


def test_a_report_leaves_the_snapshot_as_it_is(registry):
    register(registry, registration("a"))
    before = registry.snapshot()
    registry.report(Report("a", "net", "digest", 1), "salt key of a")
    assert registry.snapshot() is before


# --- snapshots -------------------------------------------------------------------------------------------------------


def test_snapshots_of_one_generation_are_the_same_object(registry):
    register(registry, registration("a"))
    assert registry.snapshot() is registry.snapshot()


def test_a_change_gives_a_new_snapshot_and_leaves_the_old_one_as_it_was(registry):
    register(registry, registration("a"))
    before = registry.snapshot()
    register(registry, registration("b"))
    after = registry.snapshot()
    assert (set(before.rows), set(after.rows)) == ({("net", "a")}, {("net", "a"), ("net", "b")})
    assert after.generation > before.generation


def test_a_change_by_another_process_gives_a_new_snapshot(registry):
    register(registry, registration("a"))
    before = registry.snapshot()
    run(register, registry, registration("b"))
    assert registry.snapshot() is not before
    assert ("net", "b") in registry.snapshot().rows


def test_another_process_that_changes_nothing_leaves_the_snapshot_as_it_is(registry):
    register(registry, registration("a"))
    before = registry.snapshot()
    run(register, registry, registration("a"))
    assert registry.snapshot() is before


# --- many at once ----------------------------------------------------------------------------------------------------


def register_some(registry, names, start):
    start.wait()
    net = network(subnets=DUAL)
    for name in names:
        registry.snapshot()
        registry.register(registration(name), f"salt key of {name}", membership(net, ()))
        registry.snapshot()


def test_forty_nodes_that_register_with_four_processes_are_all_stored_with_addresses_of_their_own(registry):
    """None of them exists when they start: making the file at the same time raised `database is locked`."""
    names = [f"n{number:02}" for number in range(40)]
    start = FORK.Barrier(4)
    processes = [FORK.Process(target=register_some, args=(registry, names[part::4], start)) for part in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    rows = registry.snapshot().rows.values()
    assert sorted(row.node for row in rows) == names
    given = sorted(address for row in rows for address in row.addresses if address.version == 4)
    assert given == [ip_network("10.42.0.0/24")[number] for number in range(1, 41)]
    assert len({address for row in rows for address in row.addresses if address.version == 6}) == 40


def claim_one_key(registry, name, start, results):
    start.wait()
    try:
        results.put(register(registry, registration(name, public_key=public_key("clone"))))
    except RefusedError:
        results.put(False)


def test_of_clones_that_register_at_once_one_has_the_key(registry):
    start, results = FORK.Barrier(4), FORK.Queue()
    processes = [FORK.Process(target=claim_one_key, args=(registry, name, start, results)) for name in "abcd"]
    for process in processes:
        process.start()
    found = sorted(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    assert found == [False, False, False, True]
    assert len(registry.snapshot().rows) == 1


def register_for_ever(registry, first, acknowledged):
    net = network(subnets="10.0.0.0/8")
    for number in range(first, first + 100_000):
        registry.register(registration(f"n{number}"), "f", membership(net, ()))
        os.write(acknowledged, b"%d\n" % number)


def test_what_was_acknowledged_survives_the_sudden_death_of_the_writer(registry):
    expected = set()
    for generation, seconds in enumerate((0.03, 0.11, 0.2, 0.07, 0.151)):
        reader, writer = os.pipe()
        process = FORK.Process(target=register_for_ever, args=(registry, generation * 1_000_000, writer))
        process.start()
        os.close(writer)
        seen = os.read(reader, 1)  # it has begun
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        with os.fdopen(reader, "rb") as lines:
            seen += lines.read()
        expected |= {f"n{number}" for number in map(int, seen[: seen.rindex(b"\n")].split())}
        rows = registry.snapshot().rows
        assert expected <= {node for _, node in rows}
        assert all(len(row.addresses) == 1 for row in rows.values())
    assert len({row.addresses for row in rows.values()}) == len(rows)
    assert register(registry, registration("a"), network(subnets="10.0.0.0/8"))
