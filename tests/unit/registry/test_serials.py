"""A clock that was ahead silences a node only until it is right again, and nobody plays old statements again."""

import time

import pytest

from databases import BACKENDS, execute
from factories import membership, network, public_key, registration
from saltext.wireguard.errors import RefusedError
from saltext.wireguard.model.statements import MAX_AHEAD_NS, Report, Rotation

DAY = 86_400 * 10**9


@pytest.fixture(params=BACKENDS)
def registry(request, tmp_path):
    return request.param(tmp_path)


def register(registry, serial, key="a", salt_key="salt key of a"):
    record = registration("a", serial, public_key=public_key(key), port=serial % 60_000 + 1)  # each is news
    return registry.register(record, salt_key, membership(network(), "a"))


def report(registry, serial, salt_key="salt key of a"):
    return registry.report(Report("a", "net", f"digest {serial}", serial), salt_key)


def announce(registry, serial):
    return registry.announce(
        Rotation("a", "net", public_key("a"), public_key("next"), serial), "salt key of a", "al", ""
    )


SAYS = {"registration": register, "report": report, "announcement": announce}


@pytest.mark.parametrize("says", SAYS.values(), ids=SAYS)
@pytest.mark.parametrize("ahead", [None, 3650 * DAY, MAX_AHEAD_NS + 10**12])
def test_a_serial_far_ahead_of_the_clock_is_refused_and_locks_nobody_out(registry, says, ahead):
    """A node that spoke once with a clock ahead, and lost its cache, was refused until then: with 2^63-1, for ever."""
    register(registry, 1)
    before = registry.snapshot(), registry.applied()
    with pytest.raises(RefusedError, match=r"is a wrong time: that is \d+ days ahead of the master's clock"):
        says(registry, time.time_ns() + ahead if ahead else 2**63 - 1)
    assert (registry.snapshot(), registry.applied()) == before
    assert says(registry, time.time_ns())


@pytest.mark.parametrize("says", SAYS.values(), ids=SAYS)
def test_a_clock_that_is_some_hours_ahead_is_no_harm(registry, says):
    register(registry, 1)
    assert says(registry, time.time_ns() + DAY // 2)


def test_the_highest_serial_is_that_of_all_kinds_and_networks_and_salt_keys_are_apart(registry):
    """A node that lost its cache was told that of its registration alone; its reports could be refused for long."""
    register(registry, 5)
    report(registry, 9)
    announce(registry, 7)
    report(registry, 20, salt_key="another")
    assert registry.last_serials("a", "salt key of a") == {"net": 9}
    assert registry.last_serials("b", "salt key of a") == {}


def test_nobody_has_serials_where_there_is_no_registry(registry):
    assert registry.last_serials("a", "salt key of a") == {}


def locked_out(registry):
    """As a master is whose own clock was ahead: it has taken in serials of the future."""
    register(registry, time.time_ns() - 10**9)
    execute(registry, "UPDATE serial SET value = value + ?", [400 * DAY])


def test_a_node_that_is_locked_out_is_told_apart_and_an_operator_lets_it_speak_again(registry):
    locked_out(registry)
    with pytest.raises(RefusedError, match=r"399 days ahead .*`salt-run wireguard.forget_serials a` lets the node"):
        register(registry, time.time_ns())
    assert registry.forget_serials("net", "a", "alice", "the clock was wrong")
    assert register(registry, time.time_ns())
    (entry,) = [entry for entry in registry.audit.history("a") if entry.what == "serials_forgotten"]
    assert (entry.what, entry.who, entry.why) == ("serials_forgotten", "alice", "the clock was wrong")


def test_what_a_node_said_before_its_serials_were_forgotten_stays_old(registry):
    """Else everything that was recorded before could be played again."""
    old = time.time_ns()
    locked_out(registry)
    registry.forget_serials("net", "a", "alice", "")
    with pytest.raises(RefusedError, match="not newer"):
        register(registry, old, key="of long ago")


def test_there_is_nothing_to_forget_of_a_node_with_a_good_clock_and_nothing_in_the_history(registry):
    register(registry, time.time_ns())
    assert registry.forget_serials("net", "a", "alice", "") is False
    assert "serials_forgotten" not in [entry.what for entry in registry.audit.history()]
