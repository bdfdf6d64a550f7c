"""An operator admits the key that was shown, and no other that came since."""

import pytest

from databases import BACKENDS
from factories import membership, network, public_key, registration
from saltext.wireguard.errors import RefusedError

MANUAL = network(extra="admit: manual")
MANUAL_REKEY = network(extra="rekey: manual")
CHANGED = "is not what was there, or shown, before: its public key is"


@pytest.fixture(params=BACKENDS)
def registry(request, tmp_path):
    return request.param(tmp_path)


def asks(registry, serial, key="a", net=MANUAL):
    registry.register(registration("a", serial, public_key=public_key(key)), "salt key of a", membership(net, "a"))


def admit(registry, key="", net=MANUAL):
    return registry.admissions.admit(membership(net, "a"), "a", "salt key of a", "alice", None, public_key=key)


def show(registry):
    waiting = registry.snapshot().waiting
    registry.admissions.note_shown({node: each.public_key for node, each in waiting.items()})


def key_of(registry):
    row = registry.snapshot().rows.get(("net", "a"))
    return row and row.public_key


def test_the_only_key_that_waits_needs_no_name(registry):
    asks(registry, 1)
    asks(registry, 2)
    assert admit(registry)
    assert key_of(registry) == public_key("a")


def test_a_key_that_took_the_place_of_the_one_that_was_shown_is_not_admitted(registry):
    """`admit` took what waited at that moment: between `pending` and `admit`, the key could be another one."""
    asks(registry, 1)
    show(registry)
    asks(registry, 2, "forged")
    with pytest.raises(RefusedError, match=f"{CHANGED} .*salt-run wireguard.admit a public_key="):
        admit(registry)
    assert key_of(registry) is None
    assert registry.snapshot().waiting["net", "a"].public_key == public_key("forged")
    assert "admitted" not in [entry.what for entry in registry.audit.history()]


def test_a_key_that_took_the_place_of_another_that_was_never_shown_is_not_admitted_either(registry):
    """An event had told of the first one."""
    asks(registry, 1)
    asks(registry, 2, "forged")
    with pytest.raises(RefusedError, match=CHANGED):
        admit(registry)
    show(registry)
    assert admit(registry)
    assert key_of(registry) == public_key("forged")


def test_a_key_that_comes_after_the_node_took_its_question_back_is_another_one_still(registry):
    asks(registry, 1, "first", MANUAL_REKEY)
    asks(registry, 2, "second", MANUAL_REKEY)
    show(registry)
    asks(registry, 3, "first", MANUAL_REKEY)  # back to the key that it has: nothing waits
    asks(registry, 4, "forged", MANUAL_REKEY)
    with pytest.raises(RefusedError, match=CHANGED):
        admit(registry, net=MANUAL_REKEY)
    assert key_of(registry) == public_key("first")


@pytest.mark.parametrize("length", [8, 20, 44])
def test_the_key_that_is_named_is_admitted_whatever_was_shown(registry, length):
    asks(registry, 1, "first")
    asks(registry, 2)
    assert admit(registry, public_key("a")[:length])
    assert key_of(registry) == public_key("a")


def test_another_key_than_the_one_that_is_named_is_not_admitted(registry):
    asks(registry, 1)
    with pytest.raises(RefusedError, match="has another public key by now"):
        admit(registry, public_key("other")[:8])
    assert key_of(registry) is None


def test_a_key_that_does_not_wait_is_not_admitted_beforehand(registry):
    with pytest.raises(RefusedError, match=r"no registration of a with the public key .* waits in network net"):
        admit(registry, public_key("a"))
    assert registry.standings() == {}


@pytest.mark.parametrize("decide", ["reject", "revoke", "admit"])
def test_with_a_decision_the_question_begins_anew(registry, decide):
    asks(registry, 1, "first")
    asks(registry, 2, "second")
    show(registry)
    if decide == "admit":
        admit(registry)
        asks(registry, 3, "third", MANUAL_REKEY)
    elif decide == "reject":
        registry.admissions.reject("net", "a", "alice")
        asks(registry, 3, "third")
    else:
        registry.admissions.revoke("net", "a", "alice", "")
        registry.admissions.readmit("net", "a", "alice", "")
        asks(registry, 3, "third", network("'*': {}", extra="rekey: manual"))
    if registry.snapshot().waiting:
        admit(registry)
    assert key_of(registry) == public_key("third")


def test_what_was_shown_is_no_change_of_views(registry):
    asks(registry, 1)
    before = registry.snapshot()
    show(registry)
    assert registry.snapshot() is before
