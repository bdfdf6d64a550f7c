"""Who is out of date and why, who left, and whose machine booted."""

from dataclasses import replace
from pathlib import Path

from factories import accept, mesh_text, registration
from saltext.wireguard.master.status import calls_for_reconcile, carriers, just_booted, statuses
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, UNKNOWN, Report, Rollback
from saltext.wireguard.registry import salt_keys
from speaking import event, reasons, says


def report(master, node, serial=1):
    digest = master.moment().fleet().views(node)["net"].digest
    says(master, Report(node, "net", digest, serial))


def test_the_nodes_that_others_are_reached_through_come_last(master):
    Path(master.mesh_path).write_text(mesh_text("a: {hub: true}, b: {routes: [192.168.40.0/24]}, '*': {}"))
    assert carriers(replace(master, own_minion="z").moment()) == {"a", "b", "z"}


def test_members_that_never_said_anything_have_never_registered(master):
    assert reasons(master) == {"a": "never registered", "b": "never registered"}


def test_a_node_that_registered_has_still_to_report(master):
    says(master, registration("a"))
    assert reasons(master)["a"] == "never reported"


def test_a_node_that_reports_the_digest_of_its_view_is_in_sync(master):
    says(master, registration("a"))
    report(master, "a")
    assert reasons(master)["a"] is None


def test_a_node_that_joins_makes_the_others_out_of_date(master):
    says(master, registration("a"))
    report(master, "a")
    says(master, registration("b"))
    assert reasons(master) == {"a": "out of date", "b": "never reported"}


def test_a_node_that_leaves_makes_the_others_out_of_date(master, tmp_path):
    for node in "ab":
        says(master, registration(node))
    for node in "ab":
        report(master, node)
    assert reasons(master) == {"a": None, "b": None}
    (tmp_path / "minions" / "b").unlink()
    assert reasons(master) == {"a": "out of date"}


def test_a_node_that_was_installed_anew_has_never_registered(master):
    says(master, registration("a"))
    report(master, "a")
    accept(master, "a", key="a installed anew")
    assert reasons(master)["a"] == "never registered"


def test_the_report_of_an_earlier_installation_does_not_count(master):
    says(master, registration("a"))
    report(master, "a")
    accept(master, "a", key="a installed anew")
    says(master, registration("a"), signer="a installed anew")
    assert reasons(master)["a"] == "never reported"


def test_a_node_that_rolled_back_what_it_must_have_says_why(master):
    says(master, registration("a"))
    wanted = master.moment().fleet().views("a")["net"].digest
    says(master, Report("a", "net", UNKNOWN, 1, rollback=Rollback(wanted, "no peer came back", 5)))
    assert reasons(master)["a"] == "rolled back: no peer came back"


def test_a_node_that_rolled_back_something_else_is_merely_out_of_date(master):
    says(master, registration("a"))
    says(master, Report("a", "net", UNKNOWN, 1, rollback=Rollback("other", "no peer came back", 5)))
    assert reasons(master)["a"] == "out of date"


def test_a_rollback_is_one_entry_of_the_history_however_often_it_is_told(master):
    says(master, registration("a"))
    for serial, at in enumerate([5, 5, 6], 1):
        says(master, Report("a", "net", UNKNOWN, serial, rollback=Rollback("tried", "no peer came back", at)))
    entries = [entry for entry in master.registry.audit.history() if entry.what == "rolled_back"]
    assert [(entry.node, entry.who, entry.why) for entry in entries] == [("a", "a", "no peer came back")] * 2
    assert entries[0].details == {"digest": "tried"}


def test_a_report_of_the_wrong_digest_is_out_of_date(master):
    says(master, registration("a"))
    says(master, Report("a", "net", "0" * 64, 1))
    assert reasons(master)["a"] == "out of date"


def test_a_status_carries_the_digest_that_is_wanted(master):
    says(master, registration("a"))
    wanted = {status.member.node: status.wanted for status in statuses(master.moment())}
    assert wanted == {"a": master.moment().fleet().digests()["net", "a"], "b": None}


def test_a_key_that_is_deleted_while_the_status_is_made_does_no_harm(master, monkeypatch):
    """The accepted keys were looked at twice: a key deleted in between raised KeyError and ended the reconcile."""
    says(master, registration("a"))
    report(master, "a")
    looks = []
    load = salt_keys.load_salt_keys

    def load_then_delete(directory):
        keys = load(directory)
        looks.append(set(keys))
        return keys if len(looks) == 1 else {}

    monkeypatch.setattr(salt_keys, "load_salt_keys", load_then_delete)
    assert set(reasons(master)) == {"a", "b"}


def test_a_member_whose_machine_came_up_anew_is_to_be_looked_at_until_that_is_settled(master):
    says(master, registration("a", 1, boot="one"))
    says(master, registration("b", 1, boot="one"))
    assert just_booted(master.moment()) == set()
    says(master, registration("a", 2, boot="two"))
    assert just_booted(master.moment()) == {"a"}
    master.registry.settle_boots({"a"})
    assert just_booted(master.moment()) == set()


def test_a_registration_calls_for_a_reconcile_and_a_report_only_when_a_machine_came_up_anew(master):
    """With the reactor, a reconcile for each of many reports would never end."""
    says(master, registration("a", 1, boot="one"))
    says(master, Report("a", "net", "0" * 64, 1, "one"))
    assert calls_for_reconcile(master, REGISTER_TAG)
    assert not calls_for_reconcile(master, REPORT_TAG)
    says(master, Report("a", "net", "0" * 64, 2, "two"))
    assert calls_for_reconcile(master, REPORT_TAG)


def test_of_a_salt_key_that_is_accepted_no_more_no_boot_is_looked_at(master):
    says(master, registration("a", 1, boot="one"))
    says(master, registration("a", 2, boot="two"))
    accept(master, "a", key="b")
    assert just_booted(master.moment()) == set()


def test_a_clone_changes_the_digest_and_a_boot_does_not(master):
    """So a node whose clone was found is asked, and the clone with it; and no node for having booted."""

    def digest():
        return master.moment().fleet().digests()["net", "a"]

    says(master, registration("a", 1, boot="original"))
    before = digest()
    says(master, Report("a", "net", "0" * 64, 2, "clone"))
    assert digest() == before
    says(master, Report("a", "net", "0" * 64, 3, "original"))
    assert digest() != before


def test_a_report_of_a_view_that_the_node_should_not_have_calls_for_a_reconcile(master):
    """A late sync brought a revoked peer back, the node said so, and nobody did anything about it."""
    says(master, registration("a"))
    report(master, "a")
    late = Report("a", "net", "digest of an old view", 2)
    assert says(master, late)
    assert calls_for_reconcile(master, REPORT_TAG, event(late))


def test_a_report_of_what_is_wanted_calls_for_none(master):
    says(master, registration("a"))
    right = Report("a", "net", master.moment().fleet().views("a")["net"].digest, 2)
    assert not calls_for_reconcile(master, REPORT_TAG, event(right))


def test_a_report_of_a_rollback_calls_for_none(master):
    """The node would refuse the same change again."""
    says(master, registration("a"))
    rolled_back = Report("a", "net", UNKNOWN, 2, rollback=Rollback("digest", "no session", 1))
    assert not calls_for_reconcile(master, REPORT_TAG, event(rolled_back))


def test_a_forged_report_calls_for_none(master):
    says(master, registration("a"))
    assert not calls_for_reconcile(master, REPORT_TAG, event(Report("a", "net", "digest", 2), signer="b"))


def drifted(master, *drift, serial=2):
    return Report("a", "net", master.moment().fleet().views("a")["net"].digest, serial, drift=drift)


def leave_drift(master):
    Path(master.mesh_path).write_text(mesh_text("'*': {}", extra="drift: report"))


def test_a_node_that_others_changed_says_what_and_is_asked(master):
    """The master had it in sync until somebody planned."""
    says(master, registration("a"))
    report(master, "a")
    assert says(master, drifted(master, "address 10.42.0.9/24", "peer b"))
    assert reasons(master)["a"] == "drifted: address 10.42.0.9/24, peer b"
    assert calls_for_reconcile(master, REPORT_TAG, event(drifted(master, "peer b")))
    (entry,) = [each for each in master.registry.audit.history() if each.what == "drifted"]
    assert (entry.node, entry.why) == ("a", "address 10.42.0.9/24, peer b")
    report(master, "a", serial=3)
    assert reasons(master)["a"] is None


def test_the_same_drift_is_one_entry_of_the_history(master):
    says(master, registration("a"))
    for serial in (1, 2):
        says(master, drifted(master, "peer b", serial=serial))
    assert [entry.what for entry in master.registry.audit.history()].count("drifted") == 1


def test_drift_that_the_mesh_file_leaves_alone_is_said_and_nobody_asks(master):
    leave_drift(master)
    says(master, registration("a"))
    says(master, drifted(master, "peer b"))
    (status,) = [each for each in statuses(master.moment()) if each.member.node == "a"]
    assert (status.reason, status.is_left) == ("drifted: peer b", True)
    assert not calls_for_reconcile(master, REPORT_TAG, event(drifted(master, "peer b")))


def test_a_node_that_is_out_of_date_is_asked_whatever_else_it_has(master):
    leave_drift(master)
    says(master, registration("a"))
    says(master, drifted(master, "peer b"))
    says(master, registration("b"))
    (status,) = [each for each in statuses(master.moment()) if each.member.node == "a"]
    assert (status.reason, status.is_left) == ("out of date", False)
