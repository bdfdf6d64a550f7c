"""A fleet that is made from an earlier one is the one that is made from the sources alone."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import accepted, public_key, row
from saltext.wireguard.errors import MeshError
from saltext.wireguard.fleet.differences import differences
from saltext.wireguard.fleet.fleet import Fleet, current
from saltext.wireguard.meshfile.parse import parse_mesh
from saltext.wireguard.model.preshared import secret
from saltext.wireguard.registry.admission import ADMITTED, REVOKED, Standing
from saltext.wireguard.registry.pool import Holding
from saltext.wireguard.registry.rows import VOUCHED, Boots, Snapshot, Waiting

MESH = """\
networks:
  net:
    subnets: [10.42.0.0/24, 'fd42::/64']
    preshared_keys: true
    hosts: true
    nodes:
      'n*': {groups: [all]}
      n1: {site: ams}
      n2: {endpoint: false, groups: [some]}
      n3: {addresses: [10.42.0.103]}
      gate: {routes: [192.168.7.0/24]}
      'via*': {via: exit, groups: [vias]}
      exit: {exit: true}
    peers:
      phone: {public_key: KEY, addresses: [10.42.0.200], groups: [all]}
    links: [[all, all], [some, gate], [vias, exit]]
  other:
    subnets: [10.43.0.0/24]
    interface: wg1
    port: 51821
    nodes: {'*': {}}
""".replace("KEY", public_key("phone"))
SOURCES = parse_mesh([("mesh.yml", MESH)])
NODES = ("n1", "n2", "n3", "n4", "n5", "gate", "via1", "exit", "stranger")
NOW = 1000.0


def registered(network, node, number):
    address = f"10.{'42' if network == 'net' else '43'}.0.{10 + NODES.index(node)}"
    return row(
        node,
        *(() if node == "n3" and network == "net" else (ip_address(address),)),
        network=network,
        public_key=public_key(f"{node} {number % 2}"),
        endpoints=(("192.0.2.7",), (f"198.51.100.{number}",), ("10.43.0.11", "1.1.1.1"), ())[number % 4],
        next_key=public_key(f"{node} next") if number == 3 else None,
        salt_key=VOUCHED if number == 5 else f"salt key of {node}",
    )


def changed(sources, change):
    """The snapshot and the accepted keys after a change."""
    snapshot, keys = sources
    network, node, what, number = change
    who = (network, node)
    rows, standings, waiting, boots = (
        {**each} for each in (snapshot.rows, snapshot.standings, snapshot.waiting, snapshot.boots)
    )
    former = dict(snapshot.former)
    if what == "register":
        rows[who] = registered(network, node, number)
    elif what == "leave" and who in rows:
        left = rows.pop(who)
        former[network] = (*former.get(network, ()), *(Holding(each, node, 5.0) for each in left.addresses))
    elif what == "decide":
        state, expires = (REVOKED, ADMITTED)[number % 2], (None, NOW - 1, NOW + 50)[number % 3]
        standings[who] = Standing(state, 1.0, "alice", "", expires)
    elif what == "undecide":
        standings.pop(who, None)
    elif what == "wait":
        waiting[who] = Waiting(network, node, "admit", public_key(node), f"salt key of {node}", 1.0)
    elif what == "boot":
        boots[node, f"salt key of {node}"] = Boots(str(number), clones=("clone",) * (number % 2))
    elif what == "key":
        keys = {name: key for name, key in keys.items() if name != node} if node in keys else {**keys, **accepted(node)}
    new = replace(snapshot, rows=rows, standings=standings, waiting=waiting, boots=boots, former=former)
    return replace(new, generation=snapshot.generation + 2), keys


def facts(fleet):
    """All that a fleet says."""
    members = {(network, member.node): member for network, member in fleet.members()}
    return {
        "members": members,
        "views": {node: fleet.views_with_secrets(node) for node in NODES},
        "digests": fleet.digests(),
        "one by one": {(name, node): fleet.digest(name, node) for name, node in members if members[name, node].row},
        "registered": {name: state.registered for name, state in fleet.networks.items()},
        "outside": {name: state.addresses_outside() for name, state in fleet.networks.items()},
        "withdrawn": {name: state.withdrawn for name, state in fleet.networks.items()},
        "expiries": {name: sorted(state.expiries()) for name, state in fleet.networks.items()},
        "valid until": fleet.valid_until,
        "generation": fleet.generation,
        "losses": fleet.losses,
        "free": {name: state.pool().next_free(4) for name, state in fleet.networks.items()},
    }


KINDS = ("register", "register", "register", "leave", "decide", "undecide", "wait", "boot", "key")
CHANGES = st.tuples(
    st.sampled_from(["net", "other"]), st.sampled_from(NODES), st.sampled_from(KINDS), st.integers(0, 7)
)


def made(snapshot, keys, before=None):
    """The fleet, or what the mesh file and the registry contradict each other in."""
    try:
        return Fleet(SOURCES, snapshot, keys, NOW, secret("s" * 40), before)
    except MeshError as exc:
        return str(exc)


@given(st.lists(st.lists(CHANGES, min_size=1, max_size=3), min_size=1, max_size=10))
def test_after_any_changes_a_fleet_is_the_one_of_the_sources_alone(steps):
    sources = (Snapshot(1, noted={"net": frozenset(NODES)}), accepted(*NODES))
    fleet = made(*sources)
    for step in steps:
        for change in step:
            sources = changed(sources, change)
        scratch, after = made(*sources), made(*sources, fleet)
        if isinstance(scratch, str):
            assert after == scratch
        else:
            assert facts(after) == facts(scratch)
            fleet = after


def test_a_fleet_stays_what_it_was_when_another_is_made_from_it():
    sources = changed((Snapshot(1), accepted(*NODES)), ("net", "n1", "register", 1))
    before = made(*sources)
    known = facts(before)
    made(*changed(sources, ("net", "n2", "register", 2)), before).digests()
    assert facts(before) == known


def test_what_did_not_change_is_not_made_again():
    sources = (Snapshot(1), accepted(*NODES))
    for number, node in enumerate(("n1", "n2", "n4")):
        sources = changed(sources, ("net", node, "register", number))
    before = made(*sources)
    before.digests()
    after = made(*changed(sources, ("net", "n5", "register", 1)), before)
    old, new = (fleet.networks["net"].view("n1").peers for fleet in (before, after))
    assert {peer.name for peer in new} - {peer.name for peer in old} == {"n5"}
    assert all(any(peer is other for other in new) for peer in old)


def test_a_change_that_is_about_more_than_single_nodes_is_none_of_nodes():
    before = Snapshot(1, rows={("net", "n1"): registered("net", "n1", 0)})
    assert differences(before, replace(before, exports={("net", "phone"): "anything"}), {}, {}) is None
    assert differences(before, replace(before, generation=2, noted={"net": frozenset({"n1"})}), {}, {}).nodes == set()


def test_the_fleet_of_a_registry_is_made_from_the_one_before_it():
    sources = changed((Snapshot(1), accepted(*NODES)), ("net", "n1", "register", 1))
    first = current("/nowhere/registry.db", SOURCES, *sources, NOW)
    first.digests()
    kept = first.networks["net"].members["n1"]
    second = current("/nowhere/registry.db", SOURCES, *changed(sources, ("net", "n2", "register", 2)), NOW)
    assert second.networks["net"].members["n1"] is kept
    assert second.networks["net"].registered == {"n1", "n2"}


@pytest.mark.parametrize("offers", ["10.43.0.11", "10.42.0.14"])
def test_an_offered_address_counts_until_somebody_has_it_and_again_after_that(offers):
    given = replace(registered("net", "n4", 0), endpoints=(offers,))
    sources = Snapshot(1, rows={("net", "n4"): given, ("net", "n5"): registered("net", "n5", 1)}), accepted(*NODES)
    holder = next(
        name
        for name in ("net", "other")
        for node in NODES
        if str(registered(name, node, 0).addresses[:1]) == f"({ip_address(offers)!r},)"
    )
    node = next(node for node in NODES if registered(holder, node, 0).addresses == (ip_address(offers),))
    fleet = made(*sources)
    fleet.digests()
    for what in ("register", "leave"):
        sources = changed(sources, (holder, node, what, 1))
        fleet = made(*sources, fleet)
        assert facts(fleet) == facts(made(*sources))


def test_an_exit_that_registers_counts_for_those_that_wait_for_it_even_if_it_is_no_member():
    """They kept their own default route until the next change of the mesh file."""
    sources = changed((Snapshot(1), accepted(*NODES)), ("net", "via1", "register", 0))
    before = made(*sources)
    before.digests()
    for what in ("register", "decide"):
        sources = changed(sources, ("net", "exit", what, 0))
    assert facts(made(*sources, before)) == facts(made(*sources))
