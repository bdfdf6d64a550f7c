"""One master at a time changes nodes, and one that lost its lease changes nothing more."""

import threading
import time

import pytest

from databases import PLACES, execute, needs_postgresql, postgresql_uri
from factories import membership, network, registration
from registering import FORK
from saltext.wireguard.errors import RegistryError
from saltext.wireguard.registry import leases as module
from saltext.wireguard.registry.leases import Inputs
from saltext.wireguard.registry.registry import Registry


@pytest.fixture(params=PLACES)
def masters(request, tmp_path):
    """Two of one registry."""
    place = request.param(tmp_path)
    return [Registry(place, str(tmp_path / name)) for name in ("m1", "m2")]


@pytest.fixture
def soon(monkeypatch):
    """Leases that end soon, and are not renewed."""
    monkeypatch.setattr(module, "LEASE_SECONDS", 0.3)
    monkeypatch.setattr(module, "RENEW_SECONDS", 60.0)


def register(registry, node, serial=1):
    return registry.register(registration(node, serial), "salt key", membership(network(), "abc"))


def nodes(registry):
    return {node for _, node in registry.snapshot().rows}


def test_a_lease_is_held_by_one_master_and_the_other_waits_for_its_end(masters):
    one, other = masters
    order = []

    def work():
        with other.leases.held("m2"):
            order.append("m2")

    with one.leases.held("m1"):
        waiting = threading.Thread(target=work)
        waiting.start()
        time.sleep(0.5)
        order.append("m1")
    waiting.join()
    assert order == ["m1", "m2"]


def test_who_holds_the_lease_changes_the_registry_and_so_does_who_only_hears(masters):
    one, other = masters
    with one.leases.held("m1"):
        register(one, "a")
        register(other, "b")
    register(one, "c")
    assert nodes(one) == {"a", "b", "c"}


def test_a_lease_is_renewed_for_as_long_as_its_master_works(masters, monkeypatch):
    monkeypatch.setattr(module, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.1)
    one, other = masters
    with one.leases.held("m1"):
        time.sleep(1.5)
        assert other.leases._holder("m2") == "m1"
        register(one, "a")


def test_a_master_that_lost_its_lease_in_the_middle_writes_nothing_more(masters, soon):
    one, other = masters

    def stand_still():
        with one.leases.held("m1"):
            time.sleep(0.5)
            with other.leases.held("m2"):
                pass
            register(one, "a")

    register(one, "b")
    with pytest.raises(RegistryError, match=r"m2 has been changing nodes meanwhile.*nothing more was changed"):
        stand_still()
    assert nodes(one) == {"b"}
    register(one, "a")


def test_after_a_crash_another_master_takes_over_when_the_lease_ends(masters, monkeypatch):
    monkeypatch.setattr(module, "LEASE_SECONDS", 0.5)
    one, other = masters
    token = one.leases._take("m1")
    started = time.monotonic()
    with other.leases.held("m2"):
        assert time.monotonic() - started >= 0.3
        assert other.leases._holder("m1") == "m2"
    assert one.leases._take("m1") == token + 2


def test_a_master_that_starts_again_has_its_own_lease_at_once(masters):
    one, _ = masters
    token = one.leases._take("m1")
    assert one.leases._take("m1") == token + 1


def test_who_waits_for_too_long_is_told_so(masters, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.3)
    one, other = masters
    with (
        one.leases.held("m1"),
        pytest.raises(RegistryError, match="another master has been changing nodes"),
        other.leases.held("m2"),
    ):
        pass


def count(place, state_dir, times):
    registry = Registry(place, state_dir)
    for _ in range(times):
        with registry.leases.held(state_dir):
            found = registry._store.all("SELECT count(*) FROM member")[0][0]
            time.sleep(0.01)
            execute(registry, "INSERT INTO member VALUES ('net', ?)", [str(found)])


@needs_postgresql
def test_three_masters_never_hold_it_at_once(tmp_path):
    """Each counts what is there and writes the next number; two at once would write the same, which is no key twice."""
    uri = postgresql_uri(tmp_path)
    register(Registry(uri, str(tmp_path)), "a")
    jobs = [FORK.Process(target=count, args=(uri, str(tmp_path / name), 5)) for name in ("m1", "m2", "m3")]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0, 0, 0]
    assert len(Registry(uri, str(tmp_path))._store.all("SELECT node FROM member")) == 15


# --- what the masters have


def test_masters_see_what_the_others_have_and_forget_one_that_is_gone(masters):
    one, other = masters
    one.leases.note("m1", Inputs("mesh 1", "modules"))
    other.leases.note("m2", Inputs("mesh 2", "modules"))
    assert one.leases.others("m1") == {"m2": Inputs("mesh 2", "modules")}
    assert other.leases.others("m2") == {"m1": Inputs("mesh 1", "modules")}
    execute(one, "UPDATE master SET seen = seen - 1000 WHERE name = 'm2'")
    assert one.leases.others("m1") == {}


def test_what_has_not_changed_is_not_written_again_at_once(masters):
    one, _ = masters
    seen = []
    for inputs in ("mesh", "mesh", "other"):
        one.leases.note("m1", Inputs(inputs, "modules"))
        seen += execute(one, "SELECT seen FROM master")
    assert seen[0] == seen[1] < seen[2]


def test_nobody_is_seen_where_there_is_no_registry(masters):
    assert masters[0].leases.others("m1") == {}
