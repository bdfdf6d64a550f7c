"""What a node says may cost the others only so much, however true it is; and it is not lost."""

import pytest

from databases import BACKENDS, execute
from factories import membership, network, public_key, registration
from saltext.wireguard.model.statements import Report, Rollback, Rotation
from saltext.wireguard.registry import audit, boots, generation, history, registrations
from saltext.wireguard.registry import registry as module
from saltext.wireguard.registry.budget import BOOTS, CHANGES, REPORTS

MANUAL = network(extra="admit: manual")


class Clock:
    def __init__(self):
        self.now = 1_800_000_000.0

    def time(self):
        return self.now

    def time_ns(self):
        return int(self.now * 10**9)

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for each in (module, registrations, boots, generation, history, audit):
        monkeypatch.setattr(each, "time", clock)
    return clock


@pytest.fixture(params=BACKENDS)
def registry(request, tmp_path):
    return request.param(tmp_path)


def register(registry, serial, node="a", net=None, **changes):
    return registry.register(
        registration(node, serial, **changes), f"salt key of {node}", membership(net or network(), "ab")
    )


def settle(registry, members=("a", "b")):
    return registry.settle(membership(network(), members))


def endpoint(serial):
    return {"endpoints": (f"192.0.2.{serial % 250}",)}


def exhaust(registry, node="a"):
    """Change as often as that counts at once. Returns the last serial."""
    serial = 1
    register(registry, serial, node)
    while register(registry, serial + 1, node, **endpoint(serial + 1)):
        serial += 1
    return serial + 1


def rows_of(registry, table):
    return execute(registry, f"SELECT count(*) FROM {table}")[0][0]


# --- what is no news


def test_a_registration_that_says_the_same_changes_nothing(registry):
    """Each accepted statement made every worker of the master join the whole fleet anew: 0.5 s at 2,000 nodes."""
    register(registry, 1, boot="one")
    before = registry.snapshot()
    for serial in range(2, 50):
        assert register(registry, serial, boot="one") is False
    assert registry.snapshot() is before
    assert registry.last_serials("a", "salt key of a") == {"net": 49}


def test_who_waits_and_says_the_same_changes_nothing(registry):
    register(registry, 1, net=MANUAL)
    before = registry.snapshot()
    assert register(registry, 2, net=MANUAL) is False
    assert registry.snapshot() is before
    assert registry.admissions.admit(membership(MANUAL, "a"), "a", "salt key of a", "alice", None)
    assert registry.snapshot().rows["net", "a"].serial == 2


def test_a_registration_that_says_the_same_brings_an_address_that_was_missing(registry):
    register(registry, 1)
    assert register(registry, 2, net=network(subnets="10.42.0.0/24, 'fd42::/64'"))
    assert len(registry.snapshot().rows["net", "a"].addresses) == 2


def test_a_report_that_says_the_same_is_no_news(registry):
    """Each report of a node was a look at the whole fleet."""
    assert registry.report(Report("a", "net", "digest", 1), "salt key of a")
    assert registry.report(Report("a", "net", "digest", 2), "salt key of a") is False
    registry.mark_unconfirmed({"a"})
    assert registry.report(Report("a", "net", "digest", 3), "salt key of a")


# --- what is too much


def test_a_member_that_offers_other_endpoints_all_the_time_changes_a_bounded_number_of_views(registry, clock):
    """One member that offered other endpoints each second cost every node a pillar each time."""
    register(registry, 1)
    generations = set()
    for number in range(300):
        clock.now += 12
        register(registry, number + 2, **endpoint(number))
        generations.add(registry.snapshot().generation)
    assert len(generations) <= CHANGES.at_once + 3600 / CHANGES.seconds + 1


def test_what_waits_is_the_last_word_and_is_taken_in_when_the_budget_allows(registry, clock):
    last = exhaust(registry)
    before = registry.snapshot()
    for serial in range(last + 1, last + 5):
        assert register(registry, serial, **endpoint(serial)) is False
    assert settle(registry) is False
    assert registry.snapshot() is before
    assert set(registry.deferred()) == {("net", "a")}
    clock.now += CHANGES.seconds
    assert settle(registry) is True
    assert registry.snapshot().rows["net", "a"].endpoints == endpoint(last + 4)["endpoints"]
    assert registry.deferred() == {}
    assert settle(registry) is False


def test_in_a_network_of_thousands_the_next_change_waits_for_longer(registry, clock):
    """Ten an hour, in a full mesh of 2,000, took two thirds of a core of the master."""
    last = exhaust(registry)
    columns = "public_key || i, endpoints, port, serial, salt_key, registered, next_key, keyed"
    numbers = "WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 2000)"
    execute(registry, f"{numbers} INSERT INTO node SELECT network, node || i, {columns} FROM node, numbers")
    clock.now += 6 * CHANGES.seconds
    assert register(registry, last + 1, **endpoint(7)) is False
    clock.now += CHANGES.seconds
    assert register(registry, last + 2, **endpoint(8)) is True


def test_the_wait_is_as_long_whatever_else_the_node_says(registry, clock):
    """A report of a newer generation gave back what the time in a small network would have."""
    test_in_a_network_of_thousands_the_next_change_waits_for_longer(registry, clock)
    clock.now += CHANGES.seconds
    later = registry.snapshot().generation + 5
    registry.report(Report("a", "net", "digest", 1, generation=later), "salt key of a")
    assert registry.snapshot().generation < later


def test_a_node_that_goes_back_to_what_it_said_before_waits_no_more(registry, clock):
    last = exhaust(registry)
    register(registry, last + 1, **endpoint(last - 1))
    assert registry.deferred() == {}
    clock.now += CHANGES.seconds
    assert settle(registry) is False


def test_a_node_that_is_readmitted_is_heard_at_once(registry, clock):
    """Its new key waited for minutes, as it had used up its changes before it was revoked."""
    last = exhaust(registry)
    registry.admissions.revoke("net", "a", "alice", "")
    registry.admissions.readmit("net", "a", "alice", "")
    assert register(registry, last + 1, public_key=public_key("new"))
    assert registry.snapshot().rows["net", "a"].public_key == public_key("new")


def test_one_node_that_changes_all_the_time_keeps_nobody_else_waiting(registry, clock):
    exhaust(registry)
    assert register(registry, 1, "b")
    assert register(registry, 2, "b", **endpoint(7))


def test_a_rotation_that_an_operator_wants_does_not_wait(registry, clock):
    last = exhaust(registry)
    key = registry.snapshot().rows["net", "a"].public_key
    announcement = Rotation("a", "net", key, public_key("next"), last + 1)
    registry.announce(announcement, "salt key of a", "alice", "")
    assert register(registry, last + 2, public_key=public_key("next"))
    assert registry.snapshot().rows["net", "a"].public_key == public_key("next")


def test_what_waits_is_checked_when_it_is_taken_in(registry, clock):
    """Meanwhile another may have got the key, or an operator may have revoked the node."""
    last = exhaust(registry)
    register(registry, last + 1, public_key=public_key("shared"))
    register(registry, 1, "b", public_key=public_key("shared"))
    clock.now += 10 * CHANGES.seconds
    assert settle(registry) is False
    assert registry.snapshot().rows["net", "a"].public_key == public_key("a")
    assert registry.deferred() == {}
    (refusal,) = registry.audit.refusals()
    assert (refusal.node, "already that of b" in refusal.reason) == ("a", True)


def test_what_waits_of_a_node_that_is_no_member_any_more_is_dropped(registry, clock):
    last = exhaust(registry)
    register(registry, last + 1, **endpoint(last + 1))
    registry.admissions.revoke("net", "a", "alice", "")
    clock.now += 10 * CHANGES.seconds
    settle(registry, "b")
    assert registry.deferred() == {}
    assert registry.snapshot().rows["net", "a"].endpoints != endpoint(last + 1)["endpoints"]


@pytest.mark.parametrize("days", [-4000, 4000])
def test_a_clock_that_is_set_silences_nobody(registry, clock, days):
    exhaust(registry)
    clock.now += days * 86_400
    settle(registry)
    assert register(registry, 1, "b")
    clock.now += CHANGES.seconds
    settle(registry)
    assert registry.deferred() == {}
    clock.now += CHANGES.seconds
    assert register(registry, int(1e6), **endpoint(99))


# --- what grows


def test_what_else_a_node_changes_does_not_hide_another_boot(registry, clock):
    """A node that had used up its changes could be copied, and the copy went unnoticed: boots were changes, too."""
    register(registry, 1, boot="first")
    for number in range(2, 30):
        register(registry, number, **endpoint(number))
    assert registry.deferred()
    assert registry.report(Report("a", "net", "digest", 1, "second"), "salt key of a")
    assert registry.snapshot().boots["a", "salt key of a"].current == "second"


def test_a_node_that_tells_of_more_boots_than_are_heeded_is_named_until_it_is_quiet(registry, clock):
    """A copy could tell of made-up boots first, and nobody saw that its next one was not noted."""
    for number in range(1, BOOTS.at_once + 5):
        assert registry.restless() == (["a"] if number > BOOTS.at_once + 1 else [])
        registry.report(Report("a", "net", "digest", number, f"boot {number}"), "salt key of a")
    clock.now += BOOTS.seconds
    assert registry.restless() == []


@pytest.mark.parametrize("kind", ["registration", "report"])
def test_made_up_boots_take_a_bounded_amount_of_room_and_change_a_bounded_number_of_views(registry, clock, kind):
    """The table of boots grew with each made-up boot id, also of a revoked node, and each was a change for all."""
    register(registry, 1)
    generations = set()
    for number in range(2, 302):
        clock.now += 360
        if kind == "report":
            registry.report(Report("a", "net", "digest", number, f"boot {number}"), "salt key of a")
        else:
            register(registry, number, boot=f"boot {number}")
        generations.add(registry.snapshot().generation)
    assert len(generations) <= BOOTS.at_once + 300 + 2
    assert rows_of(registry, "boot") <= boots.MAX_BOOTS + 1
    (pruned,) = [entry for entry in registry.audit.history("a", limit=10**6) if entry.what == "pruned"]
    assert pruned.why == "so many of its older boots: it has more than 50"
    assert rows_of(registry, "boot") + pruned.details["times"] == 300


def test_made_up_generations_change_a_bounded_number_of_views(registry, clock):
    """A registry outgrows the generations that nodes report, and each time all was joined anew."""
    register(registry, 1)
    generations = set()
    for number in range(2, 202):
        clock.now += 1
        later = registry.snapshot().generation + 5
        registry.report(Report("a", "net", "digest", number, generation=later), "salt key of a")
        generations.add(registry.snapshot().generation)
    assert len(generations) <= CHANGES.at_once + 200 / CHANGES.seconds + 2


def test_made_up_digests_are_a_bounded_amount_of_news(registry, clock):
    news = 0
    for number in range(1, 361):
        clock.now += 10
        news += registry.report(Report("a", "net", f"digest {number}", number), "salt key of a")
    assert news <= REPORTS.at_once + 3600 / REPORTS.seconds + 1
    assert registry.applied()["net", "a"].digest == "digest 360"


def test_the_history_has_a_bounded_number_of_entries_that_a_node_makes_itself_and_says_what_is_gone(registry, clock):
    """3 GB a day at 100 a second."""
    registry.admissions.revoke("net", "a", "alice", "stolen")
    for number in range(1, 401):
        clock.now += 120
        rollback = Rollback("digest", f"reason {number}", number)
        registry.report(Report("a", "net", "digest", number, rollback=rollback), "salt key of a")
    entries = registry.audit.history("a", limit=10**6)
    own = [entry for entry in entries if entry.who == "a"]
    assert history.MAX_BY_ITSELF <= len(own) <= history.MAX_BY_ITSELF + history.PRUNED_EACH
    assert own[-1].why == "reason 400"
    (revoked,) = [entry for entry in entries if entry.what == "revoked"]
    (pruned,) = [entry for entry in entries if entry.what == "pruned"]
    assert (revoked.who, revoked.why) == ("alice", "stolen")
    assert pruned.details["times"] == 400 - len(own)
    assert "more than 200 of its own doing" in pruned.why


def test_old_entries_go_and_the_newest_stay_however_the_clock_is_set(registry, clock, monkeypatch):
    for number in range(99):
        registry.audit.note("forced", {("net", f"n{number}")}, "alice", "")
    clock.now += 4000 * 86_400
    registry.audit.note("forced", {("net", "n")}, "alice", "")
    assert len(registry.audit.history(limit=1000)) == 100
    monkeypatch.setattr(history, "ALWAYS_KEPT", 10)
    for number in range(50):
        registry.audit.note("forced", {("net", f"m{number}")}, "alice", "")
    whats = [entry.what for entry in registry.audit.history(limit=1000)]
    assert (whats.count("forced"), whats.count("pruned")) == (51, 99)


def test_a_node_that_is_reached_elsewhere_is_in_the_history(registry):
    register(registry, 1)
    register(registry, 2, endpoints=("192.0.2.7",), port=7)
    entry = registry.audit.history("a")[-1]
    assert (entry.what, entry.who, entry.details) == ("moved", "a", {"endpoints": ["192.0.2.7"], "port": 7})
