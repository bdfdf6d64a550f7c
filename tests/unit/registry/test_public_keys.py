"""One node, one public key: nobody loses a row to another's claim, and the history names whose row went."""

import pytest

from databases import BACKENDS
from factories import membership, network, public_key, registration
from saltext.wireguard.errors import RefusedError
from saltext.wireguard.model.statements import Rotation

MANUAL = network(extra="admit: manual")
MANUAL_REKEY = network(extra="rekey: manual")


@pytest.fixture(params=BACKENDS)
def registry(request, tmp_path):
    return request.param(tmp_path)


def register(registry, node, serial=1, key=None, net=None, members=("a", "b", "c"), suspended=(), salt_key=None):
    record = registration(node, serial, public_key=public_key(key or node))
    return registry.register(
        record, salt_key or f"salt key of {node}", membership(net or network(), members, suspended)
    )


def announce(registry, node, next_key, serial=1, key=None):
    record = Rotation(node, "net", public_key(key or node), public_key(next_key), serial)
    return registry.announce(record, f"salt key of {node}", "alice", "")


def keys(registry):
    return {node: (row.public_key, row.next_key) for (_, node), row in registry.snapshot().rows.items()}


def whats(registry, node):
    return [(entry.what, entry.who) for entry in registry.audit.history(node)]


@pytest.fixture
def two(registry):
    for node in "ab":
        register(registry, node)
    return registry


def test_an_announcement_of_the_key_of_another_node_is_refused_and_deletes_nothing(two):
    """It deleted the row of the other, who was out, and could not register again: "a cloned machine?"."""
    before = two.snapshot()
    with pytest.raises(RefusedError, match="already that of a in network net"):
        announce(two, "b", "a")
    assert two.snapshot() is before
    assert register(two, "a", 2) is not None


def test_an_announcement_of_the_key_that_another_announced_is_refused_and_deletes_nothing(two):
    announce(two, "a", "next of a")
    before = two.snapshot()
    with pytest.raises(RefusedError, match="already that of a in network net"):
        announce(two, "b", "next of a")
    assert two.snapshot() is before


def test_an_announcement_takes_no_key_of_a_node_that_is_no_member_just_now(registry):
    """Whoever announced the key of a node that was out for a moment deleted its row."""
    register(registry, "a")
    register(registry, "b", members="b", suspended="a")
    with pytest.raises(RefusedError, match="already that of a"):
        announce(registry, "b", "a")
    assert set(keys(registry)) == {"a", "b"}


@pytest.mark.parametrize("net", [network(), MANUAL, MANUAL_REKEY], ids=["auto", "admit", "rekey"])
def test_a_registration_does_not_take_the_key_of_a_revoked_node(registry, net):
    """A revoked node lost its row to whoever knew its public key, and `rekey: manual` asked nobody when it returned."""
    register(registry, "a")
    before = keys(registry)["a"]
    with pytest.raises(RefusedError, match="already that of a in network net"):
        register(registry, "b", key="a", net=net, members="b", suspended="a")
    assert keys(registry) == {"a": before}


@pytest.mark.parametrize("net", [network(), MANUAL, MANUAL_REKEY], ids=["auto", "admit", "rekey"])
def test_another_machine_does_not_take_the_key_of_a_node_that_is_gone(registry, net):
    """
    A registration that no operator had approved deleted the row of whoever was no member at that moment, and the key of
    that node could be another one without a question when the mesh file had it again.
    """
    register(registry, "a")
    with pytest.raises(RefusedError, match="already that of a in network net"):
        register(registry, "b", key="a", net=net, members="b")
    assert set(keys(registry)) == {"a"}
    assert register(registry, "a", 2, key="new", net=MANUAL_REKEY)
    assert registry.snapshot().waiting["net", "a"].question == "rekey"


def test_a_registration_that_waits_takes_nothing_yet_and_once_admitted_names_whose_row_went(registry):
    """Already the waiting registration deleted the other row."""
    register(registry, "a", salt_key="of the machine")
    register(registry, "b", key="a", net=MANUAL, members="b", salt_key="of the machine")
    assert set(keys(registry)) == {"a"}
    registry.admissions.admit(membership(MANUAL, "b"), "b", "of the machine", "alice", None)
    assert set(keys(registry)) == {"b"}
    assert whats(registry, "a") == [("registered", "a"), ("superseded", "alice")]
    (entry,) = [entry for entry in registry.audit.history("a") if entry.what == "superseded"]
    assert entry.details == {"public_key": public_key("a"), "by": "b"}
    assert entry.why == "b has its public key now: the same machine under another minion id"


def test_a_registration_that_is_refused_takes_nothing(registry):
    """The row of the other went before it was known whether there was an address for the newcomer."""
    small = network(subnets="10.42.0.0/31")
    register(registry, "a", net=small, salt_key="of the machine")
    register(registry, "c", net=small)
    before = registry.snapshot()
    with pytest.raises(RefusedError, match="no free IPv4 address"):
        register(registry, "b", key="a", net=small, members="bc", salt_key="of the machine")
    assert registry.snapshot() is before


def test_an_operator_may_vouch_for_a_machine_that_has_the_key_of_a_node_that_is_gone(registry):
    register(registry, "a")
    registry.vouch(registration("b", public_key=public_key("a")), membership(network(), "b"), "alice")
    assert set(keys(registry)) == {"b"}
    assert whats(registry, "a")[-1] == ("superseded", "alice")


def test_an_operator_who_vouches_does_not_take_the_key_of_a_member_or_a_revoked_node(registry):
    register(registry, "a")
    for members, suspended in (("ab", ""), ("b", "a")):
        with pytest.raises(RefusedError, match="already that of a"):
            registry.vouch(
                registration("b", public_key=public_key("a")), membership(network(), members, suspended), "alice"
            )
    assert set(keys(registry)) == {"a"}
