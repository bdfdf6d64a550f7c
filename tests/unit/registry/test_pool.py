"""Which address a node gets, with the ledger in the registry's file and with the one on paper."""

from ipaddress import ip_address, ip_network

import pytest

from factories import membership, network, public_key
from saltext.wireguard.errors import PoolExhaustedError, RefusedError
from saltext.wireguard.registry.ledger import OnPaper, Stored
from saltext.wireguard.registry.pool import Pool, allocatable, without
from saltext.wireguard.registry.sqlite import SQLite

DAY = 86_400
WEEK = 7 * DAY
DUAL = "10.42.0.0/24, 'fd42::/64'"


@pytest.fixture(params=["stored", "on paper"])
def ledger(request, tmp_path):
    if request.param == "on paper":
        yield OnPaper((), {})
        return
    with SQLite(str(tmp_path / "registry.db")).write() as connection:
        yield Stored(connection, "net")


@pytest.fixture
def pools(ledger):
    """Makes the pool of a network, for nodes that are members unless they are among those that are gone."""

    def make(net, now=0.0, gone=(), suspended=()):
        members = {*"abcdefgh"}.difference(gone, suspended)
        return Pool(membership(net, members, suspended), ledger, now)

    return make


def given(pool, *nodes):
    """What the nodes get, one after the other."""
    for node in nodes:
        pool.assign(node)
    return [" ".join(map(str, pool.addresses(node))) for node in nodes]


# --- new addresses ---------------------------------------------------------------------------------------------------


def test_the_lowest_come_first_one_of_each_ip_version(pools):
    assert given(pools(network(subnets=DUAL)), "c", "a") == ["10.42.0.1 fd42::1", "10.42.0.2 fd42::2"]


def test_the_next_subnet_is_used_when_one_is_full(pools):
    net = network(subnets="10.42.0.0/30, 'fd42::/64', 10.43.0.0/30")
    assert given(pools(net), *"abcd") == [
        *("10.42.0.1 fd42::1", "10.42.0.2 fd42::2"),
        *("10.43.0.1 fd42::3", "10.43.0.2 fd42::4"),
    ]


def test_what_is_excluded_is_given_to_nobody(pools):
    extra = "exclude: [10.42.0.0/30, 10.42.0.5, 10.42.0.7-10.42.0.9]"
    assert given(pools(network(extra=extra)), *"abc") == ["10.42.0.4", "10.42.0.6", "10.42.0.10"]


def test_the_mesh_file_may_name_what_is_excluded(pools):
    net = network("a: {addresses: [10.42.0.5]}, '*': {}", extra="exclude: [10.42.0.0/28]")
    assert given(pools(net), "a", "b") == ["10.42.0.5", "10.42.0.16"]


def test_who_had_an_address_before_it_was_excluded_keeps_it(pools):
    given(pools(network()), "a")
    assert given(pools(network(extra="exclude: [10.42.0.1]")), "a", "b") == ["10.42.0.1", "10.42.0.2"]


def test_what_was_excluded_or_reserved_is_found_when_nothing_else_is_left(pools):
    net = network("z: {addresses: [10.42.0.4]}, '*': {}", subnets="10.42.0.0/29", extra="exclude: [10.42.0.2]")
    assert given(pools(net), *"abcd") == ["10.42.0.1", "10.42.0.3", "10.42.0.5", "10.42.0.6"]
    assert given(pools(network(subnets="10.42.0.0/29")), "e", "f") == ["10.42.0.2", "10.42.0.4"]


def test_a_pool_that_grows_goes_on_where_it_was(pools):
    assert given(pools(network(subnets="10.42.0.0/30")), "a", "b") == ["10.42.0.1", "10.42.0.2"]
    grown = pools(network(subnets="10.42.0.0/24"))
    assert given(grown, "a", "b", "c") == ["10.42.0.1", "10.42.0.2", "10.42.0.3"]


def test_a_large_pool_is_not_looked_through_from_its_beginning_for_each_node(pools, monkeypatch):
    """Registering many nodes at once was quadratic: each registration read all addresses of its network."""
    pool = pools(network(subnets="10.0.0.0/8"))
    given(pool, *map(str, range(200)))
    looked = []
    holder = type(pool._ledger).holder
    monkeypatch.setattr(type(pool._ledger), "holder", lambda *each: looked.append(each) or holder(*each))
    assert given(pool, "next") == ["10.0.0.201"]
    assert len(looked) <= 3


def test_what_comes_next_is_said_without_giving_it(pools):
    pool = pools(network(subnets="10.42.0.0/30"))
    assert [str(pool.next_free(4)) for _ in range(2)] == ["10.42.0.1"] * 2
    given(pool, "a", "b")
    assert (pool.next_free(4), pool.next_free(6)) == (None, None)


def test_an_exhausted_pool_says_who_gets_nothing_and_what_to_do(pools):
    pool = pools(network(subnets="10.42.0.0/31"))
    given(pool, "a", "b")
    with pytest.raises(PoolExhaustedError, match="network net has no free IPv4 address for c: add a subnet"):
        pool.assign("c")


# --- addresses of nodes that are gone --------------------------------------------------------------------------------


def test_a_node_that_comes_back_has_its_address_again(pools):
    given(pools(network()), "a")
    assert pools(network(), gone="a").release("a") is True
    assert given(pools(network(), now=10 * WEEK), "b", "a") == ["10.42.0.2", "10.42.0.1"]


def test_what_is_in_quarantine_is_given_to_nobody_else(pools):
    net = network(subnets="10.42.0.0/31")
    given(pools(net), "a", "b")
    pools(net, gone="a").release("a")
    with pytest.raises(PoolExhaustedError):
        pools(net, now=WEEK - 1, gone="a").assign("c")
    assert given(pools(net, now=WEEK, gone="a"), "c") == ["10.42.0.0"]


def test_the_network_says_how_long_the_quarantine_is(pools):
    net = network(subnets="10.42.0.0/31", extra="quarantine: 1h")
    given(pools(net), "a", "b")
    pools(net, gone="a").release("a")
    assert given(pools(net, now=3600.0, gone="a"), "c") == ["10.42.0.0"]


def test_those_that_were_free_for_longest_come_first_and_only_when_all_others_are_used_up(pools):
    net = network(subnets="10.42.0.0/29")
    given(pools(net), *"abcd")
    for moment, node in enumerate("bca"):
        pools(net, now=moment, gone="abc").release(node)
    assert given(pools(net, now=2 * WEEK, gone="abc"), *"uvwxy") == [
        *("10.42.0.5", "10.42.0.6", "10.42.0.2", "10.42.0.3", "10.42.0.1"),
    ]


def test_a_subnet_is_used_again_before_the_next_one_is(pools):
    net = network(subnets="10.42.0.0/31, 10.43.0.0/24")
    given(pools(net), "a", "b")
    pools(net, gone="a").release("a")
    assert given(pools(net, now=2 * WEEK, gone="a"), "c", "d") == ["10.42.0.0", "10.43.0.1"]


def test_a_node_that_came_back_loses_nothing_while_nobody_has_settled_that(pools):
    """Its pillar has the address already."""
    net = network(subnets="10.42.0.0/31")
    given(pools(net), "a", "b")
    pools(net, gone="a").release("a")
    with pytest.raises(PoolExhaustedError):
        pools(net, now=2 * WEEK).assign("c")


def test_who_was_revoked_keeps_what_it_had(pools):
    net = network(subnets="10.42.0.0/31")
    given(pools(net), "a", "b")
    pools(net, gone="a").release("a")
    with pytest.raises(PoolExhaustedError):
        pools(net, now=2 * WEEK, suspended="a").assign("c")


def test_a_member_that_has_another_address_by_now_does_not_keep_the_old_one_for_ever(pools):
    named = network("a: {addresses: [10.42.0.1]}, '*': {}", subnets="10.42.0.0/31")
    given(pools(network(subnets="10.42.0.0/31")), "a")
    given(pools(named), "a")
    with pytest.raises(PoolExhaustedError):
        pools(named, now=WEEK - 1).assign("b")
    assert given(pools(named, now=WEEK), "b") == ["10.42.0.0"]


def test_the_mesh_file_may_name_what_is_in_quarantine(pools):
    given(pools(network()), "a")
    pools(network(), gone="a").release("a")
    assert given(pools(network("b: {addresses: [10.42.0.1]}, a: {}")), "b", "a") == ["10.42.0.1", "10.42.0.2"]


@pytest.mark.parametrize(
    "changed",
    [network(extra="exclude: [10.42.0.1]"), network("z: {addresses: [10.42.0.1]}, '*': {}")],
    ids=["excluded", "named for another"],
)
def test_who_comes_back_does_not_get_what_is_taken_by_the_mesh_file_since(pools, changed):
    given(pools(network()), "a")
    pools(network(), gone="a").release("a")
    assert given(pools(changed), "a") == ["10.42.0.2"]


# --- subnets that change ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subnet", ["10.42.0.128/25", "10.9.0.0/24"])
def test_an_address_that_no_subnet_has_is_kept_until_nodes_are_to_move(pools, subnet):
    given(pools(network()), "a")
    pool = pools(network(subnets=subnet))
    assert given(pool, "a") == ["10.42.0.1"]
    assert pool.assign("a", move=True)
    assert pool.addresses("a") == [ip_network(subnet)[1]]


def test_a_member_is_not_robbed_by_the_mesh_file(pools):
    given(pools(network()), "a")
    with pytest.raises(RefusedError, match=r"the mesh file gives 10\.42\.0\.1 to b, but a has it"):
        pools(network("b: {addresses: [10.42.0.1]}, '*': {}")).assign("b")


def test_addresses_of_peers_are_theirs(pools):
    peer = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.1]}}"
    assert given(pools(network(peers=peer)), "a") == ["10.42.0.2"]


# --- counting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taken", "left"),
    [
        ([], [range(1, 10)]),
        ([range(0, 3)], [range(3, 10)]),
        ([range(4, 5), range(3, 6)], [range(1, 3), range(6, 10)]),
        ([range(8, 20)], [range(1, 8)]),
        ([range(0, 20)], []),
        ([range(20, 30)], [range(1, 10)]),
    ],
)
def test_ranges_without_others(taken, left):
    assert without(range(1, 10), taken) == left


def test_excluded_ranges_may_overlap(pools):
    net = network(extra="exclude: [10.42.0.0/28, 10.42.0.8-10.42.0.20, 10.42.0.200-10.42.0.255]")
    first, last = ip_address("10.42.0.21"), ip_address("10.42.0.199")
    assert allocatable(net, net.subnets[0]) == [range(int(first), int(last) + 1)]


# --- IP versions that a node does not take part with ------------------------------------------------------------------


def test_a_node_is_given_no_address_of_an_ip_version_that_it_is_exempted_from(pools):
    net = network("'*': {}, a: {ip_versions: [4]}, b: {ip_versions: [6]}", subnets=DUAL)
    assert given(pools(net), *"abc") == ["10.42.0.1", "fd42::1", "10.42.0.2 fd42::2"]


def test_a_node_that_is_exempted_for_a_while_has_its_address_again_afterwards(pools):
    given(pools(network(subnets=DUAL)), "a")
    assert given(pools(network("'*': {}, a: {ip_versions: [4]}", subnets=DUAL)), *"ab")[1] == "10.42.0.2 fd42::2"
    assert given(pools(network(subnets=DUAL)), "a") == ["10.42.0.1 fd42::1"]
