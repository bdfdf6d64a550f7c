"""What a registration changes: the row of a node, its public key and its addresses."""

import time
from dataclasses import replace
from ipaddress import ip_network

import pytest

from databases import BACKENDS
from factories import membership, network, public_key, registration
from registering import DUAL, addresses, content, everybody, refused_without_a_trace, register
from saltext.wireguard.errors import PoolExhaustedError, RefusedError


@pytest.fixture(params=BACKENDS)
def registry(request, tmp_path):
    return request.param(tmp_path)


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
