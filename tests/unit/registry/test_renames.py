"""A machine that has another minion id goes on as the same node."""

import pytest

from databases import BACKENDS
from factories import membership, network, public_key, registration
from registering import addresses, everybody, refused_without_a_trace, register, whats
from saltext.wireguard.model.statements import Report
from saltext.wireguard.registry.admission import ADMITTED

KEY = "salt key of a"


@pytest.fixture(params=BACKENDS)
def registry(request, tmp_path):
    """Node a has an address of its own, and not the first."""
    made = request.param(tmp_path)
    register(made, registration("b"))
    register(made, registration("a"))
    made.report(Report("a", "net", "digest", 2, boot="boot 1"), KEY)
    return made


def rename(registry, old="a", new="web01", salt_key=KEY, net=None, members=None):
    known = membership(net or network(), members or everybody(new))
    registry.renames.rename(known, old, new, salt_key, "alice", "new scheme")


def row(registry, node):
    return registry.snapshot().rows.get(("net", node))


def test_key_addresses_and_report_are_those_of_the_new_id(registry):
    """It was taken for a clone, and then got another address, which its guard refused."""
    before = row(registry, "a"), addresses(registry, "a"), registry.applied()["net", "a"]
    rename(registry)
    assert row(registry, "a") is None
    assert (row(registry, "web01").public_key, row(registry, "web01").salt_key) == (public_key("a"), KEY)
    assert (addresses(registry, "web01"), registry.applied()["net", "web01"]) == before[1:]
    assert ("net", "a") not in registry.applied()
    assert not registry.snapshot().former.get("net")


def test_the_history_goes_on_and_has_what_was_before(registry):
    rename(registry)
    rename(registry, "web01", "web001")
    assert whats(registry, "web001") == ["registered", "renamed", "renamed", "renamed", "renamed"]
    entry = registry.audit.history("web001")[-1]
    assert (entry.who, entry.why, entry.details) == ("alice", "new scheme", {"former": "web01"})


def test_it_registers_under_its_new_id_without_news(registry):
    rename(registry)
    assert not register(registry, registration("web01", 3, public_key=public_key("a")), salt_key=KEY, members={"web01"})


def test_nobody_else_is_affected(registry):
    before = row(registry, "b"), addresses(registry, "b")
    rename(registry)
    assert (row(registry, "b"), addresses(registry, "b")) == before


def test_what_it_was_given_under_its_new_id_already_is_given_back(registry):
    """The old id had left: the new one was taken for another machine with the same key, and had another address."""
    old = addresses(registry, "a")
    record = registration("web01", 3, public_key=public_key("a"))
    register(registry, record, salt_key=KEY, members={"b", "web01"})
    assert addresses(registry, "web01") != old
    rename(registry, members={"b", "web01"})
    assert addresses(registry, "web01") == old
    assert row(registry, "web01").serial == 3


def test_another_salt_key_is_another_machine(registry):
    with refused_without_a_trace(
        registry, "nothing that a said in network net was signed with the accepted Salt key of"
    ):
        rename(registry, salt_key="salt key of web01")


def test_a_machine_that_has_the_id_by_now_keeps_it(registry):
    register(registry, registration("a", 3, public_key=public_key("new a")), salt_key="another")
    with refused_without_a_trace(registry, "a has registered with another Salt key since"):
        rename(registry)
    register(registry, registration("web01", 1), salt_key="a third")
    register(registry, registration("a", 4), salt_key=KEY)
    with refused_without_a_trace(registry, "web01 has registered with another Salt key since"):
        rename(registry)


@pytest.mark.parametrize("revoked", ["a", "web01"])
def test_a_revocation_holds_under_every_id(registry, revoked):
    registry.admissions.revoke("net", revoked, "bob", "stolen")
    with refused_without_a_trace(registry, f"{revoked} was revoked by bob, and a revocation holds under every id"):
        rename(registry)


def test_a_membership_for_a_time_ends_at_its_time(registry):
    net = network(extra="admit: manual")
    registry.admissions.admit(membership(net, "a"), "a", KEY, "bob", 4e9)
    rename(registry, net=net)
    standing = registry.snapshot().standings["net", "web01"]
    assert (standing.state, standing.expires) == (ADMITTED, 4e9)


def test_its_addresses_in_the_mesh_file_win(registry):
    net = network("'*': {}, web01: {addresses: [10.42.0.77]}")
    rename(registry, net=net)
    assert "10.42.0.77" in addresses(registry, "web01")


def test_two_of_its_machines_are_still_told_apart(registry):
    rename(registry)
    assert registry.snapshot().boots["web01", KEY].current == "boot 1"
