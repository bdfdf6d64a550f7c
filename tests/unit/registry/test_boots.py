"""Two machines with one Salt key."""

from dataclasses import replace

import pytest

from databases import BACKENDS
from factories import registration
from registering import refused_without_a_trace, register, whats
from saltext.wireguard.model.statements import Report
from saltext.wireguard.registry.rows import Boots


@pytest.fixture(params=BACKENDS)
def registry(request, tmp_path):
    return request.param(tmp_path)


def says(registry, serial, boot, kind="registration", **changes):
    """Raises RefusedError where that is not believed."""
    if kind == "report":
        return registry.report(Report("a", "net", f"digest {serial}", serial, boot), "salt key of a")
    return register(registry, registration("a", serial, boot=boot, **changes))


def test_a_machine_that_boots_is_no_clone(registry):
    for serial, boot in enumerate(["one", "one", "two", "three", "three"], 1):
        says(registry, serial, boot)
    assert whats(registry) == ["registered"]


@pytest.mark.parametrize("kind", ["registration", "report"])
def test_the_machine_that_appeared_later_is_refused_once_both_were_heard(registry, kind):
    says(registry, 1, "original", kind)
    says(registry, 2, "clone", kind)
    says(registry, 3, "original", kind)
    (entry,) = [entry for entry in registry.audit.history() if entry.what == "cloned"]
    assert (entry.node, "two machines use its Salt key at the same time" in entry.why) == ("a", True)
    with refused_without_a_trace(registry, r"a second machine uses the Salt key of a \(boot id clone\): a clone"):
        says(registry, 4, "clone", kind)
    says(registry, 5, "original", kind)


def test_a_report_from_another_boot_is_news_also_when_it_says_the_same(registry):
    """It was none, so nobody was asked to speak, and the original of a copied machine never did."""
    report = Report("a", "net", "digest", 1, "original")
    assert registry.report(report, "salt key of a")
    assert registry.report(replace(report, serial=2, boot="clone"), "salt key of a")
    assert not registry.report(replace(report, serial=3, boot="clone"), "salt key of a")
    assert registry.report(replace(report, serial=4), "salt key of a")


def test_what_one_kind_of_statement_tells_of_boots_holds_for_the_other(registry):
    says(registry, 1, "original")
    says(registry, 1, "clone", "report")
    says(registry, 2, "original")
    with refused_without_a_trace(registry, "a clone"):
        says(registry, 2, "clone", "report")


def test_a_clone_does_not_use_up_serials_of_the_original(registry):
    """A clone whose clock was ahead made every statement of the original an old one."""
    says(registry, 1, "original")
    says(registry, 2, "clone")
    says(registry, 3, "original")
    for _ in range(2):
        with refused_without_a_trace(registry, "a clone"):
            says(registry, 10**9, "clone")
    says(registry, 4, "original")


def test_the_original_may_boot_and_the_clone_stays_one(registry):
    for serial, boot in enumerate(["original", "clone", "original", "original rebooted"], 1):
        says(registry, serial, boot)
    with refused_without_a_trace(registry, "a clone"):
        says(registry, 9, "clone")
    says(registry, 10, "original rebooted")


def test_a_clone_that_boots_is_noticed_again(registry):
    for serial, boot in enumerate(["original", "clone", "original", "clone rebooted", "original"], 1):
        says(registry, serial, boot)
    assert whats(registry).count("cloned") == 2
    with refused_without_a_trace(registry, "a clone"):
        says(registry, 9, "clone rebooted")


def test_a_machine_that_got_a_salt_key_of_its_own_is_no_clone(registry):
    for serial, boot in enumerate(["original", "clone", "original"], 1):
        says(registry, serial, boot)
    assert register(registry, registration("a", 1, boot="clone"), salt_key="a new one")


def test_machines_that_do_not_name_their_boots_are_taken_as_they_are(registry):
    for serial, boot in enumerate(["", "one", "", "two", ""], 1):
        says(registry, serial, boot)
    assert "cloned" not in whats(registry)


def boots(registry):
    return registry.snapshot().boots.get(("a", "salt key of a"))


def test_the_first_boot_that_is_heard_of_is_not_fresh_and_the_next_one_is_until_it_is_settled(registry):
    says(registry, 1, "one")
    assert boots(registry) == Boots("one")
    says(registry, 2, "two", "report")
    assert boots(registry) == Boots("two", fresh=True)
    registry.settle_boots({"a"})
    assert boots(registry) == Boots("two")
    says(registry, 3, "two", "report")
    assert boots(registry) == Boots("two")


def test_the_snapshot_names_the_boots_of_clones(registry):
    for serial, boot in enumerate(["original", "clone", "original", "clone rebooted", "original"], 1):
        says(registry, serial, boot, "report")
    assert boots(registry) == Boots("original", ("clone", "clone rebooted"))


def test_the_same_boot_once_more_gives_no_new_snapshot(registry):
    says(registry, 1, "one")
    before = registry.snapshot()
    says(registry, 2, "one", "report")
    registry.settle_boots({"a"})
    assert registry.snapshot() is before
