"""What operators decide about nodes, and what that changes in the registry."""

import pytest

from databases import BACKENDS
from factories import membership, network, public_key, registration
from registering import addresses, everybody, refused_without_a_trace, register, whats
from saltext.wireguard.model.statements import Report


@pytest.fixture(params=BACKENDS)
def registry(request, tmp_path):
    return request.param(tmp_path)


MANUAL = network(extra="admit: manual")
MANUAL_REKEY = network(extra="rekey: manual")


def admit(registry, node="a", net=MANUAL, salt_key=None, expires=None):
    return registry.admissions.admit(
        membership(net, everybody()), node, salt_key or f"salt key of {node}", "alice", expires
    )


def test_a_new_node_waits_where_the_mesh_file_says_so_and_has_nothing(registry):
    assert register(registry, registration("a"), MANUAL)
    snapshot = registry.snapshot()
    assert snapshot.rows == {}
    waiting = snapshot.waiting["net", "a"]
    assert (waiting.question, waiting.public_key, waiting.salt_key) == ("admit", public_key("a"), "salt key of a")
    assert whats(registry) == ["waiting"]


def test_who_waits_and_sends_again_waits_on_and_is_in_the_history_once(registry):
    for serial in (1, 2):
        register(registry, registration("a", serial), MANUAL)
    assert whats(registry) == ["waiting"]
    register(registry, registration("a", 3, public_key=public_key("other")), MANUAL)
    assert whats(registry) == ["waiting", "waiting"]
    assert registry.snapshot().waiting["net", "a"].public_key == public_key("other")


def test_an_admission_takes_in_what_waits(registry):
    register(registry, registration("a", 7), MANUAL)
    assert admit(registry) is True
    snapshot = registry.snapshot()
    assert (snapshot.rows["net", "a"].serial, snapshot.waiting) == (7, {})
    assert addresses(registry) == ["10.42.0.1"]
    assert whats(registry) == ["waiting", "admitted", "registered"]
    assert {entry.who for entry in registry.audit.history()[1:]} == {"alice"}


def test_an_admission_beforehand_lets_the_registration_in(registry):
    assert admit(registry) is False
    assert register(registry, registration("a"), MANUAL)
    assert set(registry.snapshot().rows) == {("net", "a")}


def test_what_waits_under_an_old_salt_key_is_not_let_in_by_an_admission(registry):
    register(registry, registration("a"), MANUAL, salt_key="old")
    assert admit(registry, salt_key="new") is False
    assert (registry.snapshot().rows, registry.snapshot().waiting) == ({}, {})


def test_an_admission_does_not_give_away_the_key_of_another(registry):
    register(registry, registration("a"), MANUAL)
    register(registry, registration("b", public_key=public_key("a")))
    with refused_without_a_trace(registry, "already that of b"):
        admit(registry)
    assert set(registry.snapshot().waiting) == {("net", "a")}


def test_a_rejected_key_is_refused_until_it_is_admitted(registry):
    register(registry, registration("a"), MANUAL)
    assert registry.admissions.reject("net", "a", "alice") == public_key("a")
    assert registry.snapshot().waiting == {}
    with refused_without_a_trace(registry, "alice rejected this key; `salt-run wireguard.admit a` takes that back"):
        register(registry, registration("a", 2), MANUAL)
    admit(registry)
    assert register(registry, registration("a", 2), MANUAL)
    assert whats(registry) == ["waiting", "rejected", "admitted", "registered"]


def test_after_a_rejection_another_key_may_ask(registry):
    register(registry, registration("a"), MANUAL)
    registry.admissions.reject("net", "a", "alice")
    register(registry, registration("a", 2, public_key=public_key("other")), MANUAL)
    assert registry.snapshot().waiting["net", "a"].public_key == public_key("other")


def test_there_is_nothing_to_reject_where_nothing_waits(registry):
    assert registry.admissions.reject("net", "a", "alice") is None
    assert whats(registry) == []


def test_a_changed_key_waits_where_the_mesh_file_says_so_and_the_old_one_stays(registry):
    register(registry, registration("a"), MANUAL_REKEY)
    register(registry, registration("a", 2, public_key=public_key("new")), MANUAL_REKEY)
    assert registry.snapshot().rows["net", "a"].public_key == public_key("a")
    assert registry.snapshot().waiting["net", "a"].question == "rekey"
    admit(registry, net=MANUAL_REKEY)
    assert registry.snapshot().rows["net", "a"].public_key == public_key("new")
    assert whats(registry)[-1] == "rekeyed"


def test_a_node_that_goes_back_to_its_old_key_waits_no_more(registry):
    """An operator who admitted the key then gave the network one that the node did not have any more."""
    register(registry, registration("a", 1), MANUAL_REKEY)
    register(registry, registration("a", 2, public_key=public_key("new")), MANUAL_REKEY)
    register(registry, registration("a", 3), MANUAL_REKEY)
    assert registry.snapshot().waiting == {}
    admit(registry, net=MANUAL_REKEY)
    assert registry.snapshot().rows["net", "a"].public_key == public_key("a")


def test_a_node_waits_no_more_once_the_mesh_file_lets_it_in(registry):
    register(registry, registration("a", 1), MANUAL)
    register(registry, registration("a", 2))
    assert registry.snapshot().waiting == {}


def test_a_revoked_node_is_refused_and_keeps_its_addresses_for_its_return(registry):
    register(registry, registration("a"))
    registry.admissions.revoke("net", "a", "alice", "stolen")
    standing = registry.snapshot().standings["net", "a"]
    assert (standing.state, standing.who, standing.why) == ("revoked", "alice", "stolen")
    with refused_without_a_trace(registry, "a was revoked by alice"):
        register(registry, registration("a", 2))
    register(registry, registration("b"))
    assert (addresses(registry), addresses(registry, "b")) == (["10.42.0.1"], ["10.42.0.2"])
    registry.admissions.readmit("net", "a", "bob", "found")
    assert register(registry, registration("a", 2)) is False  # no news
    assert addresses(registry) == ["10.42.0.1"]
    assert whats(registry, "a") == ["registered", "revoked", "readmitted"]


def test_to_revoke_also_ends_the_waiting(registry):
    register(registry, registration("a"), MANUAL)
    registry.admissions.revoke("net", "a", "alice", "")
    assert registry.snapshot().waiting == {}


def test_a_node_that_was_let_in_for_a_time_is_so_no_longer_after_a_revocation_was_taken_back(registry):
    """To revoke and readmit a guest made it a member for ever."""
    admit(registry, expires=5.0)
    registry.admissions.revoke("net", "a", "alice", "")
    assert registry.snapshot().standings["net", "a"].expires == 5.0
    registry.admissions.readmit("net", "a", "alice", "")
    assert registry.snapshot().standings["net", "a"].expires == 5.0
    admit(registry)
    assert registry.snapshot().standings["net", "a"].expires is None


DECISIONS = {
    "revoke": lambda registry: registry.admissions.revoke("net", "a", "alice", ""),
    "readmit": lambda registry: registry.admissions.readmit("net", "a", "alice", ""),
    "admit": admit,
    "waiting": lambda registry: register(registry, registration("c"), MANUAL),
}


def test_the_decisions_can_be_read_alone_and_a_registry_that_is_not_there_has_none(registry):
    assert registry.standings() == {}
    registry.admissions.revoke("net", "a", "alice", "")
    assert registry.standings() == registry.snapshot().standings != {}


def test_it_knows_who_registered_or_reported(registry):
    assert not registry.knows("net", "a")
    register(registry, registration("a"))
    registry.report(Report("b", "net", "digest", 1, "boot"), "salt key of b")
    assert [registry.knows("net", node) for node in "abc"] == [True, True, False]
    assert not registry.knows("other", "a")


@pytest.mark.parametrize("decide", DECISIONS.values(), ids=DECISIONS)
def test_a_decision_gives_a_new_snapshot(registry, decide):
    """Otherwise the processes that make views would not notice."""
    register(registry, registration("a"))
    before = registry.snapshot()
    decide(registry)
    assert registry.snapshot().generation > before.generation
