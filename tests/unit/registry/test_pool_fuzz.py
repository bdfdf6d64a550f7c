"""Whatever nodes and the mesh file do, no address is another's too early, and both ledgers agree."""

import contextlib
from dataclasses import dataclass, field

import pytest

from factories import membership, network
from saltext.wireguard.errors import RefusedError
from saltext.wireguard.registry.ledger import OnPaper, Stored
from saltext.wireguard.registry.pool import Pool, is_host
from saltext.wireguard.registry.sqlite import SQLite

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")

DAY = 86_400
NODES = "abcdefgh"
NETWORKS = [
    network(subnets="10.42.0.0/29"),
    network(subnets="10.42.0.0/28, 'fd42::/126'"),
    network(subnets="10.42.0.0/30, 10.43.0.0/30"),
    network(subnets="10.42.0.0/29", extra="exclude: [10.42.0.2-10.42.0.3]"),
    network("a: {addresses: [10.42.0.3]}, b: {addresses: [10.42.0.1]}, '*': {}", subnets="10.42.0.0/29"),
    network(subnets="10.42.0.0/29", extra="quarantine: 1d"),
]
STEPS = st.one_of(
    st.tuples(st.just("come"), st.sampled_from(NODES)),
    st.tuples(st.just("go"), st.sampled_from(NODES)),
    st.tuples(st.just("suspend"), st.sampled_from(NODES)),
    st.tuples(st.just("wait"), st.integers(1, 9)),
    st.tuples(st.just("edit"), st.sampled_from(range(len(NETWORKS)))),
    st.tuples(st.just("settle"), st.booleans()),
)


@dataclass
class World:
    """What everybody knows, beside the ledger."""

    net: object = NETWORKS[0]
    now: float = 0.0
    members: set = field(default_factory=set)
    suspended: set = field(default_factory=set)


def take(world, ledger, step):
    """One step, by one ledger. Returns what it came to."""
    what, value = step
    pool = Pool(membership(world.net, world.members, world.suspended), ledger, world.now)
    answer = None
    with contextlib.suppress(RefusedError):
        if what == "come":
            answer = pool.assign(value)
        elif what == "settle":
            answer = [pool.assign(node, move=value) for node in sorted(world.members)]
            answer += [pool.release(node) for node in NODES]
    return answer, {node: sorted(map(str, ledger.holdings(node)), key=str) for node in NODES}


def change(world, step):
    """What a step means for everybody."""
    what, value = step
    if what in ("come", "go", "suspend"):
        world.members.discard(value)
        world.suspended.discard(value)
        {"come": world.members, "suspend": world.suspended}.get(what, set()).add(value)
    elif what == "wait":
        world.now += value * DAY
    elif what == "edit":
        world.net = NETWORKS[value]


def check(world, ledger, before):
    for address, old in before.items():
        new = ledger.holder(address)
        if new.node != old.node:
            named = address in world.net.settings(new.node).addresses
            assert named or (old.freed is not None and old.freed + world.net.quarantine <= world.now)
            assert named or is_host(world.net, address)
            assert old.node not in world.suspended or named
    in_use = [each.address for node in NODES for each in ledger.holdings(node) if each.freed is None]
    assert len(in_use) == len(set(in_use))


@hypothesis.given(st.lists(STEPS, max_size=40))
def test_an_address_is_anothers_only_after_its_quarantine_or_by_the_mesh_file(steps):
    world, ledger = World(), OnPaper((), {})
    for step in steps:
        change(world, step)
        before = {each.address: each for node in NODES for each in ledger.holdings(node)}
        take(world, ledger, step)
        check(world, ledger, before)


@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(st.lists(STEPS, max_size=25))
def test_the_registry_gives_what_the_plan_foretold(tmp_path_factory, steps):
    path = str(tmp_path_factory.mktemp("registry") / "registry.db")
    world, paper = World(), OnPaper((), {})
    with SQLite(path).write() as connection:
        stored = Stored(connection, "net")
        for step in steps:
            change(world, step)
            assert take(world, stored, step) == take(world, paper, step)
