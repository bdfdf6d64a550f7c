"""
The contract that every backend of the registry must pass, and below it what is particular to the SQLite file.

For another backend, add what opens it to BACKENDS: a callable that takes a directory and gives an object with the
public methods of ``Registry``.
"""

import contextlib
import multiprocessing
import os
import signal
import sqlite3
import stat
import time
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from factories import membership, network, public_key, registration, sqlite_registry
from saltext.wireguard.errors import PoolExhaustedError, RefusedError, RegistryError
from saltext.wireguard.model.statements import Report
from saltext.wireguard.registry import boots as boots_module
from saltext.wireguard.registry import database, registrations
from saltext.wireguard.registry import registry as module
from saltext.wireguard.registry.registry import Registry
from saltext.wireguard.registry.rows import Boots

BACKENDS = [pytest.param(sqlite_registry, id="sqlite")]
FORK = multiprocessing.get_context("fork")
DUAL = "10.42.0.0/24, 'fd42::/64'"


@pytest.fixture(params=BACKENDS)
def registry(request, tmp_path):
    return request.param(tmp_path)


def everybody(*names):
    return {"a", "b", "c", "d", "e", *names}


def register(registry, record, net=None, salt_key=None, members=None):
    return registry.register(
        record,
        salt_key or f"salt key of {record.node}",
        membership(net or network(), everybody() if members is None else members),
    )


def addresses(registry, node="a", net="net"):
    return [str(address) for address in registry.snapshot().rows[net, node].addresses]


def content(registry):
    """All that can be read, without the times."""
    rows = {key: (row.public_key, row.serial, row.addresses) for key, row in registry.snapshot().rows.items()}
    return rows, registry.applied(), [(each.node, each.reason, each.count) for each in registry.audit.refusals()]


@contextlib.contextmanager
def refused_without_a_trace(registry, match):
    before = content(registry), registry.snapshot().generation
    with pytest.raises(RefusedError, match=match):
        yield
    assert (content(registry), registry.snapshot().generation) == before


def run(function, *arguments):
    """In another process, and wait for it."""
    process = FORK.Process(target=function, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 0


# --- registering -----------------------------------------------------------------------------------------------------


def test_an_empty_registry_has_nothing(registry):
    assert content(registry) == ({}, {}, [])


def test_a_registration_is_stored_as_it_came(registry):
    endpoints = ("192.0.2.1", "2001:db8::1")
    before = time.time()
    assert register(registry, registration("a", 7, endpoints=endpoints, port=1234), salt_key="fingerprint")
    row = registry.snapshot().rows["net", "a"]
    assert (row.network, row.node, row.public_key, row.endpoints, row.port, row.serial, row.salt_key) == (
        "net",
        "a",
        public_key("a"),
        endpoints,
        1234,
        7,
        "fingerprint",
    )
    assert before <= row.registered <= time.time()


def test_a_registration_without_endpoints_comes_back_without(registry):
    register(registry, registration("a", endpoints=()))
    assert registry.snapshot().rows["net", "a"].endpoints == ()


def test_a_newer_registration_replaces_the_older_one(registry):
    register(registry, registration("a", 1))
    assert register(registry, registration("a", 2, public_key=public_key("new"), endpoints=("192.0.2.9",), port=9))
    row = registry.snapshot().rows["net", "a"]
    assert (row.public_key, row.endpoints, row.port, row.serial) == (public_key("new"), ("192.0.2.9",), 9, 2)


def test_a_serial_of_today_is_stored(registry):
    serial = time.time_ns()
    register(registry, registration("a", serial))
    assert registry.snapshot().rows["net", "a"].serial == serial


def test_a_node_has_a_registration_for_each_network(registry):
    register(registry, registration("a"))
    other = replace(network(subnets="10.9.0.0/24"), name="other")
    register(registry, registration("a", network="other", public_key=public_key("a2")), other)
    assert addresses(registry) == ["10.42.0.1"]
    assert addresses(registry, net="other") == ["10.9.0.1"]


# --- serials ---------------------------------------------------------------------------------------------------------


def test_the_same_registration_again_is_no_news(registry):
    register(registry, registration("a", 5))
    before = registry.snapshot()
    assert register(registry, registration("a", 5)) is False
    assert registry.snapshot() is before


def test_an_older_registration_is_refused(registry):
    register(registry, registration("a", 5))
    with refused_without_a_trace(registry, "its serial 4 is not newer than 5: it came late, or somebody sent it again"):
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


# --- public keys -----------------------------------------------------------------------------------------------------


def test_the_public_key_of_another_member_is_refused_naming_both(registry):
    register(registry, registration("a"))
    with refused_without_a_trace(registry, "already that of a in network net: a cloned machine.*key file on b away"):
        register(registry, registration("b", 9, public_key=public_key("a")))


def test_a_refused_registration_does_not_use_its_serial_up(registry):
    register(registry, registration("a"))
    with pytest.raises(RefusedError):
        register(registry, registration("b", 9, public_key=public_key("a")))
    assert register(registry, registration("b", 8))


def test_a_refused_change_of_key_leaves_the_node_as_it_was(registry):
    register(registry, registration("a"))
    register(registry, registration("b"))
    with refused_without_a_trace(registry, "already that of a"):
        register(registry, registration("b", 2, public_key=public_key("a")))


def test_the_public_key_of_a_node_of_another_network_is_refused(registry):
    other = replace(network(), name="other")
    register(registry, registration("a"))
    with refused_without_a_trace(registry, "already that of a in network net"):
        register(registry, registration("b", network="other", public_key=public_key("a")), other)


def test_a_node_keeps_its_public_key_when_its_network_gets_another_name(registry):
    """The key file is that of the interface, so after renaming a network every single node was taken for a clone."""
    renamed = replace(network(), name="renamed")
    register(registry, registration("a"))
    assert register(registry, registration("a", 2, network="renamed"), renamed)
    assert addresses(registry, net="renamed") == ["10.42.0.1"]


def test_a_minion_keeps_its_public_key_when_it_gets_another_id(registry):
    """The old id, long deleted from the master's keys, kept its claim on the key for ever."""
    register(registry, registration("a"), salt_key="of the machine")
    assert register(registry, registration("b", public_key=public_key("a")), salt_key="of the machine", members={"b"})
    assert set(registry.snapshot().rows) == {("net", "b")}


def test_a_public_key_that_its_node_gave_up_is_free(registry):
    register(registry, registration("a", 1))
    register(registry, registration("a", 2, public_key=public_key("new")))
    assert register(registry, registration("b", public_key=public_key("a")))


# --- addresses -------------------------------------------------------------------------------------------------------


def test_addresses_are_given_lowest_first_one_of_each_ip_version(registry):
    net = network(subnets=DUAL)
    for node in ("c", "a", "b"):
        register(registry, registration(node), net)
    assert [addresses(registry, node) for node in ("c", "a", "b")] == [
        ["10.42.0.1", "fd42::1"],
        ["10.42.0.2", "fd42::2"],
        ["10.42.0.3", "fd42::3"],
    ]


def test_addresses_are_kept_when_a_node_registers_again(registry):
    net = network(subnets=DUAL)
    for serial in (1, 2):
        for node in ("a", "b"):
            register(registry, registration(node, serial, public_key=public_key(f"{node}{serial}")), net)
    assert [addresses(registry, node) for node in ("a", "b")] == [["10.42.0.1", "fd42::1"], ["10.42.0.2", "fd42::2"]]


def test_a_node_that_was_installed_anew_keeps_its_addresses_and_its_old_public_key_is_gone(registry):
    register(registry, registration("b"))
    register(registry, registration("a", 5), salt_key="old")
    register(registry, registration("a", 1, public_key=public_key("new")), salt_key="new")
    assert addresses(registry) == ["10.42.0.2"]
    rows = registry.snapshot().rows.values()
    assert sorted(row.public_key for row in rows) == sorted([public_key("b"), public_key("new")])
    assert register(registry, registration("c", public_key=public_key("a")))


def test_addresses_of_the_mesh_file_are_given_to_whom_it_names(registry):
    register(registry, registration("a"), network("a: {addresses: [10.42.0.77]}, '*': {}"))
    assert addresses(registry) == ["10.42.0.77"]


def test_what_the_mesh_file_leaves_open_is_given_from_the_subnets(registry):
    net = network("a: {addresses: [10.42.0.77]}, '*': {}", subnets=DUAL)
    register(registry, registration("a"), net)
    assert addresses(registry) == ["10.42.0.77", "fd42::1"]


def test_several_addresses_of_the_mesh_file_are_all_given(registry):
    net = network("a: {addresses: [10.42.0.77, 10.42.0.78, 'fd42::7']}", subnets=DUAL)
    register(registry, registration("a"), net)
    assert addresses(registry) == ["10.42.0.77", "10.42.0.78", "fd42::7"]


def test_addresses_that_the_mesh_file_names_are_given_to_nobody_else(registry):
    net = network(
        "d: {addresses: [10.42.0.1]}, gone: {addresses: [10.42.0.3]}, '*': {}",
        peers=f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.2, 10.42.0.5]}}",
    )
    for node in ("a", "b"):
        register(registry, registration(node), net)
    assert [addresses(registry, node) for node in ("a", "b")] == [["10.42.0.4"], ["10.42.0.6"]]


@pytest.mark.parametrize(
    ("subnets", "first", "last", "room"),
    [
        ("10.42.0.0/30", "10.42.0.1", "10.42.0.2", 2),
        ("10.42.0.0/31", "10.42.0.0", "10.42.0.1", 2),
        ("10.42.0.0/30, 10.42.9.0/30", "10.42.0.1", "10.42.9.2", 4),
        ("'fd42::/126'", "fd42::1", "fd42::3", 3),
        ("'fd42::/127'", "fd42::", "fd42::1", 2),
    ],
)
def test_a_pool_is_used_up_to_its_last_address(registry, subnets, first, last, room):
    net = network(subnets=subnets)
    names = [f"n{number}" for number in range(room)]
    for node in names:
        register(registry, registration(node), net, members=names)
    assert (addresses(registry, names[0]), addresses(registry, names[-1])) == ([first], [last])
    with refused_without_a_trace(registry, "network net has no free IPv[46] address for e: add a subnet to the mesh"):
        register(registry, registration("e"), net, members=[*names, "e"])


def test_an_exhausted_pool_is_a_refusal_of_its_own_kind(registry):
    net = network(subnets="10.42.0.0/31")
    for node in ("a", "b"):
        register(registry, registration(node), net)
    with pytest.raises(PoolExhaustedError):
        register(registry, registration("c"), net)


def test_a_large_subnet_with_holes_and_reservations_is_filled_in_order(registry):
    taken = ", ".join(f"s{number}: {{addresses: ['fd42::{number:x}']}}" for number in range(2, 200, 2))
    net = network(f"{taken}, '*': {{}}", subnets="'fd42::/64'")
    for number in range(3):
        register(registry, registration(f"n{number}"), net)
    assert [addresses(registry, f"n{number}") for number in range(3)] == [["fd42::1"], ["fd42::3"], ["fd42::5"]]


# --- a mesh file that changes ----------------------------------------------------------------------------------------


def test_nothing_to_settle_changes_nothing(registry):
    register(registry, registration("a"))
    before = registry.snapshot()
    assert registry.settle(membership(network(), everybody())) is False
    assert registry.snapshot() is before


def test_a_subnet_that_is_added_gives_every_member_an_address(registry):
    for node in ("b", "a"):
        register(registry, registration(node))
    assert registry.settle(membership(network(subnets=DUAL), everybody())) is True
    assert [addresses(registry, node) for node in ("a", "b")] == [["10.42.0.2", "fd42::1"], ["10.42.0.1", "fd42::2"]]


@pytest.mark.parametrize("subnets", ["10.9.0.0/24", "10.42.0.128/25"])
def test_who_has_an_address_that_no_subnet_has_any_more_keeps_it_until_nodes_are_to_move(registry, subnets):
    """The others would have sent to the new address at once, while the node keeps the old one until it is forced."""
    register(registry, registration("a"))
    for serial, settle in ((2, False), (3, True)):
        register(registry, registration("a", serial), network(subnets=subnets))
        assert not settle or registry.settle(membership(network(subnets=subnets), everybody())) is False
        assert addresses(registry) == ["10.42.0.1"]
    registry.settle(membership(network(subnets=subnets), everybody()), move=True)
    assert addresses(registry) == [str(ip_network(subnets)[1])]


def test_a_subnet_that_is_replaced_gives_every_member_a_new_address_and_one_that_is_put_back_the_old_one(registry):
    for node in ("a", "b"):
        register(registry, registration(node))
    registry.settle(membership(network(subnets="10.9.0.0/24"), everybody()), move=True)
    assert [addresses(registry, node) for node in ("a", "b")] == [["10.9.0.1"], ["10.9.0.2"]]
    registry.settle(membership(network(), everybody()), move=True)
    assert [addresses(registry, node) for node in ("a", "b")] == [["10.42.0.1"], ["10.42.0.2"]]


def test_a_subnet_that_is_removed_takes_its_addresses_along_and_brings_them_back(registry):
    for node in ("a", "b"):
        register(registry, registration(node), network(subnets=DUAL))
    registry.settle(membership(network(subnets="10.42.0.0/24"), everybody()), move=True)
    assert [addresses(registry, node) for node in ("a", "b")] == [["10.42.0.1"], ["10.42.0.2"]]
    registry.settle(membership(network(subnets=DUAL), {"b"}))
    registry.settle(membership(network(subnets=DUAL), everybody()))
    assert [addresses(registry, node) for node in ("a", "b")] == [["10.42.0.1", "fd42::1"], ["10.42.0.2", "fd42::2"]]


def test_a_subnet_that_grows_changes_no_address(registry):
    for node in ("a", "b"):
        register(registry, registration(node))
    assert registry.settle(membership(network(subnets="10.42.0.0/16"), everybody())) is False


def test_an_address_that_becomes_the_broadcast_address_of_its_subnet_is_replaced(registry):
    """It was kept, as it is in the subnet; no packet to it arrives."""
    register(registry, registration("a"), network(subnets="10.42.0.2/31"))
    register(registry, registration("b"), network(subnets="10.42.0.2/31"))
    assert addresses(registry, "b") == ["10.42.0.3"]
    registry.settle(membership(network(subnets="10.42.0.0/30"), everybody()), move=True)
    assert [addresses(registry, node) for node in ("a", "b")] == [["10.42.0.2"], ["10.42.0.1"]]


def test_what_a_node_gave_up_for_an_address_of_the_mesh_file_is_not_given_away_at_once(registry):
    register(registry, registration("a"))
    named = network("a: {addresses: [10.42.0.77]}, '*': {}")
    registry.settle(membership(named, everybody()))
    register(registry, registration("b"), named)
    assert [addresses(registry, node) for node in ("a", "b")] == [["10.42.0.77"], ["10.42.0.2"]]


def test_nodes_that_are_no_members_are_not_given_addresses(registry):
    register(registry, registration("a"))
    registry.settle(membership(network(subnets=DUAL), {"b"}))
    assert addresses(registry) == []


def test_an_address_of_the_mesh_file_is_taken_from_a_node_that_is_no_member(registry):
    register(registry, registration("gone"), members={"gone"})
    register(registry, registration("a"), network("a: {addresses: [10.42.0.1]}"))
    assert addresses(registry) == ["10.42.0.1"]
    assert addresses(registry, "gone") == []


@pytest.mark.parametrize(("holder", "named"), [("a", "b"), ("b", "a")])
def test_an_address_of_the_mesh_file_that_a_member_has_is_refused_naming_both(registry, holder, named):
    register(registry, registration(holder))
    net = network(f"{named}: {{addresses: [10.42.0.1]}}, '*': {{}}")
    text = f"the mesh file gives 10.42.0.1 to {named}, but {holder} has it. Give {named} another address"
    with refused_without_a_trace(registry, text):
        register(registry, registration(named), net)


@pytest.mark.parametrize(("holder", "named"), [("a", "b"), ("b", "a")])
def test_settling_does_not_take_a_members_address_away_either(registry, holder, named):
    register(registry, registration(holder))
    register(registry, registration(named))
    with refused_without_a_trace(registry, f"gives 10.42.0.1 to {named}, but {holder} has it"):
        registry.settle(membership(network(f"{named}: {{addresses: [10.42.0.1]}}, '*': {{}}"), everybody()))


@pytest.mark.parametrize(("old", "new"), [("a", "b"), ("b", "a")])
def test_the_mesh_file_moves_an_address_from_one_node_to_another(registry, old, new):
    """Although the mesh file gave the old holder another address, the new one was refused, and nobody was settled."""
    net = network(f"{old}: {{addresses: [10.42.0.7]}}, '*': {{}}")
    for node in ("a", "b"):
        register(registry, registration(node), net)
    registry.settle(
        membership(network(f"{old}: {{addresses: [10.42.0.8]}}, {new}: {{addresses: [10.42.0.7]}}"), everybody())
    )
    assert (addresses(registry, old), addresses(registry, new)) == (["10.42.0.8"], ["10.42.0.7"])


def test_the_mesh_file_swaps_the_addresses_of_two_nodes(registry):
    """Giving up its old address, the second node deleted what the first one had just been given."""
    for node, address in (("a", "10.42.0.7"), ("b", "10.42.0.8")):
        register(registry, registration(node), network(f"{node}: {{addresses: [{address}]}}"))
    registry.settle(membership(network("a: {addresses: [10.42.0.8]}, b: {addresses: [10.42.0.7]}"), everybody()))
    assert (addresses(registry, "a"), addresses(registry, "b")) == (["10.42.0.8"], ["10.42.0.7"])


def test_a_new_node_is_given_what_the_mesh_file_took_from_another_before_anybody_settles(registry):
    register(registry, registration("a"))
    register(registry, registration("b"), network("a: {addresses: [10.42.0.9]}, b: {addresses: [10.42.0.1]}"))
    assert addresses(registry, "b") == ["10.42.0.1"]


def test_no_settling_at_all_happens_when_the_pool_is_too_small_for_everybody(registry):
    for node in ("a", "b", "c"):
        register(registry, registration(node))
    with refused_without_a_trace(registry, "has no free IPv6 address for c"):
        registry.settle(membership(network(subnets="10.42.0.0/24, 'fd42::/127'"), everybody()))


# --- nodes that are gone ----------------------------------------------------------------------------------------------

DAY = 86_400
SMALL = "10.42.0.0/31"  # room for two


@pytest.fixture
def clock(monkeypatch):
    """The registry's clock, at noon of some day."""
    clock = Clock(1_800_000_000.0)
    for each in (module, registrations, boots_module, database):
        monkeypatch.setattr(each, "time", clock)
    return clock


class Clock:
    def __init__(self, now):
        self.now = now

    def time(self):
        return self.now

    def time_ns(self):
        return int(self.now * 1e9)


def fill(registry):
    """Of the nodes a and b, which have all addresses, a goes away."""
    for node in ("a", "b"):
        register(registry, registration(node), network(subnets=SMALL))
    registry.settle(membership(network(subnets=SMALL), {"b"}))


def days_until_given(registry, clock):
    """After how many days, with two looks a day at who is gone, the address of the node that is gone is another's."""
    net = network(subnets=SMALL)
    registry.settle(membership(net, {"b"}))
    clock.now += 1  # so that no rounding matters
    for look in range(60):
        with contextlib.suppress(PoolExhaustedError):
            register(registry, registration("c", look + 1), net, members={"b", "c"})
            return look / 2
        clock.now += DAY / 2
        registry.settle(membership(net, {"b"}))
    return None


def test_the_address_of_a_node_that_is_gone_is_given_to_another_after_the_quarantine(registry, clock):
    """It was kept for ever, until the pool was full of nodes that were gone."""
    fill(registry)
    assert days_until_given(registry, clock) == 7
    assert addresses(registry, "c") == ["10.42.0.0"]


def test_a_node_that_is_gone_for_a_moment_keeps_its_address_and_a_later_quarantine_is_as_long(registry, clock):
    fill(registry)
    for _ in range(6):
        clock.now += DAY
        registry.settle(membership(network(subnets=SMALL), {"b"}))
    registry.settle(membership(network(subnets=SMALL), {"a", "b"}))
    assert addresses(registry) == ["10.42.0.0"]
    registry.settle(membership(network(subnets=SMALL), {"b"}))
    assert days_until_given(registry, clock) == 7


def test_a_node_that_is_seen_to_be_gone_once_more_is_no_news(registry, clock):
    fill(registry)
    before = registry.snapshot()
    assert registry.settle(membership(network(subnets=SMALL), {"b"})) is False
    assert registry.snapshot() is before


def test_a_node_that_only_an_operator_excluded_keeps_its_address(registry, clock):
    for node in ("a", "b"):
        register(registry, registration(node), network(subnets=SMALL))
    registry.settle(membership(network(subnets=SMALL), {"b"}, suspended={"a"}))
    assert addresses(registry) == ["10.42.0.0"]


@pytest.mark.parametrize("years", [-10, 10])
def test_a_clock_that_is_set_does_not_end_a_quarantine_nor_make_it_last_for_ever(registry, clock, years):
    fill(registry)
    clock.now += years * 365 * DAY
    assert days_until_given(registry, clock) == (6 if years > 0 else 7)  # it counts as a day, or not at all


def test_a_clock_that_was_wrong_when_a_node_went_and_is_put_right_does_not_matter(registry, clock):
    clock.now += 3650 * DAY
    fill(registry)
    clock.now -= 3650 * DAY
    assert days_until_given(registry, clock) == 7


def test_time_in_which_nobody_looked_does_not_count(registry, clock):
    """The master may have been off for long, or the registry may be one that was put back from a backup."""
    fill(registry)
    clock.now += 3 * DAY
    registry.settle(membership(network(subnets=SMALL), {"b"}))
    clock.now += 300 * DAY
    assert days_until_given(registry, clock) == 5


def test_a_quarantine_ends_also_if_somebody_looks_once_a_month(registry, clock):
    fill(registry)
    months = 0
    while months < 20:
        clock.now += 30 * DAY
        months += 1
        registry.settle(membership(network(subnets=SMALL), {"b"}))
        with contextlib.suppress(PoolExhaustedError):
            register(registry, registration("c", months), network(subnets=SMALL), members={"b", "c"})
            break
    assert months == 7


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


# --- refusals --------------------------------------------------------------------------------------------------------


def test_the_same_refusal_again_only_counts(registry):
    for _ in range(3):
        registry.audit.refuse("net", "a", "reason")
    registry.audit.refuse("net", "a", "another reason")
    registry.audit.refuse("net", "b", "reason")
    found = {(each.network, each.node, each.reason): each.count for each in registry.audit.refusals()}
    assert found == {("net", "a", "reason"): 3, ("net", "a", "another reason"): 1, ("net", "b", "reason"): 1}


def test_refusals_come_newest_first(registry):
    for node in ("a", "b", "a"):
        registry.audit.refuse("net", node, "reason")
        time.sleep(0.002)
    assert [each.node for each in registry.audit.refusals()] == ["a", "b"]


def test_a_refusal_leaves_the_snapshot_as_it_is(registry):
    register(registry, registration("a"))
    before = registry.snapshot()
    registry.audit.refuse("net", "a", "reason")
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


# --- operators decide ------------------------------------------------------------------------------------------------

MANUAL = network(extra="admit: manual")
MANUAL_REKEY = network(extra="rekey: manual")


def admit(registry, node="a", net=MANUAL, salt_key=None, expires=None):
    return registry.admissions.admit(
        membership(net, everybody()), node, salt_key or f"salt key of {node}", "alice", expires
    )


def whats(registry, node=None):
    return [entry.what for entry in registry.audit.history(node)]


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


# --- two machines with one Salt key ----------------------------------------------------------------------------------


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


# --- history ---------------------------------------------------------------------------------------------------------


def test_the_history_tells_what_became_of_a_registration(registry):
    register(registry, registration("a", 1))
    register(registry, registration("a", 2))  # nothing new
    register(registry, registration("a", 3, public_key=public_key("new")))
    register(registry, registration("a", 1, public_key=public_key("newer")), salt_key="another")
    assert whats(registry) == ["registered", "rekeyed", "reinstalled"]
    assert registry.audit.history()[1].details == {"public_key": public_key("new"), "old_public_key": public_key("a")}


def test_members_that_come_and_go_are_noted_once(registry):
    for members in ({"a", "b"}, {"a", "b"}, {"b"}, {"b"}, {"a", "b"}):
        registry.audit.note_members("net", members, lambda node: f"{node} is gone")
    assert [(entry.what, entry.node) for entry in registry.audit.history()] == [
        ("joined", "a"),
        ("joined", "b"),
        ("removed", "a"),
        ("joined", "a"),
    ]
    assert registry.audit.history()[2].why == "a is gone"
    assert registry.snapshot().noted == {"net": {"a", "b"}}


def note_them(registry, start):
    start.wait()
    registry.audit.note_members("net", {f"n{number}" for number in range(20)}, str)


def test_processes_that_note_the_same_members_note_them_once(registry):
    start = FORK.Barrier(3)
    processes = [FORK.Process(target=note_them, args=(registry, start)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(entry.node for entry in registry.audit.history()) == sorted(f"n{number}" for number in range(20))


def test_the_first_refusal_of_its_kind_is_in_the_history(registry):
    for _ in range(3):
        registry.audit.refuse("net", "a", "reason")
    assert [(entry.what, entry.why) for entry in registry.audit.history("a")] == [("refused", "reason")]


def claim_all(registry, start, results):
    start.wait()
    results.put([entry.id for entry in registry.audit.claim_history()])


def test_processes_that_announce_at_once_announce_everything_once(registry):
    for number in range(10):
        registry.audit.refuse("net", f"n{number}", "reason")
    start, results = FORK.Barrier(3), FORK.Queue()
    processes = [FORK.Process(target=claim_all, args=(registry, start, results)) for _ in range(3)]
    for process in processes:
        process.start()
    claimed = [number for _ in processes for number in results.get(timeout=60)]
    for process in processes:
        process.join()
    assert sorted(claimed) == [entry.id for entry in registry.audit.history()]
    assert registry.audit.claim_history() == []


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


# --- the SQLite file -------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    return sqlite_registry(tmp_path)


def execute(registry, sql):
    connection = sqlite3.connect(registry.path)
    with contextlib.closing(connection), connection:
        return connection.execute(sql).fetchall()


def test_files_are_for_their_owner_only(file):
    register(file, registration("a"))
    connection = sqlite3.connect(file.path)
    with contextlib.closing(connection):
        connection.execute("SELECT * FROM node").fetchall()  # as long as a connection is open, so are WAL and index
        directory = os.path.dirname(file.path)
        modes = {name: stat.S_IMODE(os.stat(os.path.join(directory, name)).st_mode) for name in os.listdir(directory)}
    assert set(modes) == {"registry.db", "registry.db-wal", "registry.db-shm"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700


def test_files_are_for_their_owner_only_whatever_the_umask(file):
    before = os.umask(0)
    try:
        register(file, registration("a"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(file.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(file.path)).st_mode) == 0o700


@pytest.mark.parametrize("read", ["snapshot", "applied", "deferred"])
def test_reading_never_makes_the_file(file, tmp_path, read):
    getattr(file, read)()
    assert os.listdir(tmp_path) == []


def test_nothing_is_left_of_making_the_file(file):
    register(file, registration("a"))
    assert [name for name in os.listdir(os.path.dirname(file.path)) if not name.startswith("registry.db")] == []


def test_the_file_appears_only_when_it_is_complete(file, monkeypatch):
    """There was a moment in which it was empty, and another in which it was locked."""
    link = os.link
    seen = []

    def look_and_link(source, target):
        seen.append((file.snapshot().rows, os.path.exists(target)))
        link(source, target)
        seen.append((dict(file.snapshot().rows), execute(file, "PRAGMA journal_mode")))

    monkeypatch.setattr(os, "link", look_and_link)
    register(file, registration("a"))
    assert seen == [({}, False), ({}, [("wal",)])]


def test_who_comes_second_in_making_the_file_uses_that_of_the_first(file, monkeypatch):
    link = os.link

    def too_late(source, target):
        monkeypatch.setattr(os, "link", link)
        register(file, registration("b"))
        link(source, target)

    monkeypatch.setattr(os, "link", too_late)
    register(file, registration("a"))
    assert set(file.snapshot().rows) == {("net", "a"), ("net", "b")}


READS_AND_WRITES = {
    "snapshot": lambda registry: registry.snapshot(),
    "applied": lambda registry: registry.applied(),
    "refusals": lambda registry: registry.audit.refusals(),
    "register": lambda registry: register(registry, registration("b")),
    "settle": lambda registry: registry.settle(membership(network(), everybody())),
    "report": lambda registry: registry.report(Report("a", "net", "digest", 1), "f"),
    "refuse": lambda registry: registry.audit.refuse("net", "a", "reason"),
}
each_call = pytest.mark.parametrize("call", READS_AND_WRITES.values(), ids=READS_AND_WRITES)


@each_call
def test_a_registry_of_a_newer_version_says_what_to_do(file, call):
    register(file, registration("a"))
    execute(file, "PRAGMA user_version = 99")
    with pytest.raises(RegistryError, match=r"has format 99, this software knows \d+: update saltext-wireguard on"):
        call(file)


@each_call
@pytest.mark.parametrize("damage", ["noise", "text", "truncated"])
def test_a_damaged_file_is_an_error_and_not_an_empty_registry(file, call, damage):
    register(file, registration("a"))
    with open(file.path, "rb") as handle:
        whole = handle.read()
    with open(file.path, "wb") as handle:
        damaged = {"noise": os.urandom(len(whole)), "text": b"not a database\n" * 999, "truncated": whole[:5000]}
        handle.write(damaged[damage])
    with pytest.raises(RegistryError, match=f"the registry {file.path} is not usable"):
        call(file)


@each_call
def test_an_empty_file_is_an_error_and_not_an_empty_registry(file, call):
    """Taken for an empty registry, it would have told every node that it has no peers."""
    os.makedirs(os.path.dirname(file.path))
    with open(file.path, "wb"):
        pass
    with pytest.raises(RegistryError, match="is an empty file: restore it from a backup, or delete it"):
        call(file)


@each_call
def test_a_directory_that_may_not_be_searched_is_an_error_and_not_an_empty_registry(file, call, monkeypatch):
    """`os.path.exists` says False there, so whoever had no right to look believed that no node had registered."""

    def denied(path, *_, **__):
        raise PermissionError(13, "Permission denied")

    register(file, registration("a"))
    monkeypatch.setattr(os, "stat", denied)
    with pytest.raises(RegistryError, match=r"is not usable: .*Permission denied.*Check its owner, its mode"):
        call(file)


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match="is not usable"):
        register(Registry(str(tmp_path / "file" / "wireguard" / "registry.db")), registration("a"))


@pytest.mark.parametrize("name", ["with space", "50%", "question?mark=1", "h#sh", "\u00fcml\u00e4ut"])
def test_the_directory_may_have_any_name(tmp_path, name):
    registry = sqlite_registry(tmp_path / name)
    register(registry, registration("a"))
    assert addresses(registry) == ["10.42.0.1"]


def test_a_registry_put_back_from_a_backup_is_seen_even_if_as_much_was_changed_since(file):
    """It had the generation of the other one after as many changes, so a running master would not have looked."""
    register(file, registration("a"))
    with open(file.path, "rb") as handle:
        backup = handle.read()
    register(file, registration("b"))
    assert ("net", "b") in file.snapshot().rows
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(file.path + suffix)
    with open(file.path, "r+b") as handle:  # in place, as `cp` does: the same inode
        handle.write(backup)
        handle.truncate()
    run(register, file, registration("c"))
    assert set(file.snapshot().rows) == {("net", "a"), ("net", "c")}


def test_a_registry_that_was_deleted_is_an_empty_one(file):
    register(file, registration("a"))
    file.snapshot()
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(file.path + suffix)
    assert dict(file.snapshot().rows) == {}
    register(file, registration("b"))
    assert set(file.snapshot().rows) == {("net", "b")}


def test_a_unique_key_is_enforced_by_the_file_itself(file):
    register(file, registration("a"))
    register(file, registration("b"))
    with pytest.raises(sqlite3.IntegrityError):
        execute(file, "UPDATE node SET public_key = (SELECT public_key FROM node WHERE node = 'a')")


def test_who_registers_has_no_list_of_addresses_read_for_it(file, monkeypatch):
    """SQLite read the whole network for each node, although there is an index: it was said not to be worth it."""
    statements = []
    connect = sqlite3.connect

    def traced(*args, **kwargs):
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(statements.append)
        return connection

    register(file, registration("a"))
    monkeypatch.setattr(sqlite3, "connect", traced)
    register(file, registration("b"))
    looked_up = [each for each in statements if each.startswith("SELECT") and " FROM address " in each]
    plans = [execute(file, f"EXPLAIN QUERY PLAN {each}")[0][-1] for each in looked_up]
    assert plans
    assert [plan for plan in plans if "(network=? AND " not in plan] == []


def test_addresses_are_kept_as_text_that_can_be_read_back(file):
    register(file, registration("a"), network(subnets=DUAL))
    assert execute(file, "SELECT address, node FROM address ORDER BY address") == [("10.42.0.1", "a"), ("fd42::1", "a")]
    assert file.snapshot().rows["net", "a"].addresses == (ip_address("10.42.0.1"), ip_address("fd42::1"))
