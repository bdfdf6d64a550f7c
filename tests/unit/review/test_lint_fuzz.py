"""A mesh that parses can be judged, whatever the registry says and whichever names resolve."""

from ipaddress import ip_address

import pytest
import yaml

from factories import accepted, public_key, row
from saltext.wireguard.errors import MeshError
from saltext.wireguard.meshfile.parse import parse_mesh
from saltext.wireguard.registry.admission import ADMITTED, Standing
from saltext.wireguard.registry.rows import Snapshot, Waiting
from saltext.wireguard.review.context import Known
from saltext.wireguard.review.lint import lint

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")

NOW = 1_800_000_000.0
HOSTS = ["x.example", "y.example:1", "10.42.0.1", "10.42.0.9:2", "10.43.0.1", "8.8.8.8", "[fd42::1]"]
ANY_NODE = {
    "site": st.sampled_from("xy"),
    "hub": st.booleans(),
    "priority": st.integers(0, 1),
    "groups": st.sampled_from([["g"], ["h"], ["g", "h"]]),
    "port": st.integers(1, 3),
    "expires": st.sampled_from(["2020-01-01", "2100-01-01"]),
}
GLOB = st.fixed_dictionaries({}, optional={**ANY_NODE, "endpoint": st.just(False)})
NODE = st.fixed_dictionaries(
    {},
    optional={
        **ANY_NODE,
        "endpoint": st.just(False) | st.sampled_from([*HOSTS, ["[2001:db8::7]", "192.0.2.77"]]),
        "routes": st.sampled_from([["192.168.40.0/24"], ["8.8.0.0/16", "10.50.0.0/16"]]),
        "endpoints": st.dictionaries(st.sampled_from("xy"), st.sampled_from(HOSTS), min_size=1),
    },
)
PEER = st.fixed_dictionaries({}, optional={"endpoint": st.sampled_from(HOSTS), "groups": ANY_NODE["groups"]})
ENDS = st.sampled_from(["*", "a", "b"])


@st.composite
def networks(draw, number):
    """Network n1 or n2, which has 10.42.0.0/24 or 10.43.0.0/24, or little of it."""
    prefix = f"10.4{number + 1}.0"
    addresses = iter([f"{prefix}.{last}" for last in draw(st.permutations(range(1, 7)))])
    nodes = {glob: draw(GLOB) for glob in draw(st.sets(st.sampled_from(["*", "a*", "[cd]"])))}
    for name in ("a", "b"):  # links name them
        nodes[name] = {**draw(NODE), **draw(st.sampled_from([{}, {"addresses": [next(addresses)]}]))}
    peers = {
        name: {**draw(PEER), "public_key": public_key((name, number)), "addresses": [next(addresses)]}
        for name in draw(st.sets(st.sampled_from(["phone", "tablet"])))
    }
    optional = {"mtu": st.sampled_from([1280, 1420, 1500, 9000]), "links": st.lists(st.tuples(ENDS, ENDS), min_size=1)}
    extra = draw(st.fixed_dictionaries({}, optional=optional))
    if "links" in extra:
        extra["links"] = [list(link) for link in extra["links"]]
    subnets = draw(st.sampled_from([[f"{prefix}.0/24"], [f"{prefix}.0/29", f"fd4{number}::/64"]]))
    settings = {"subnets": subnets, "interface": f"wg{number}", "port": 50000 + number, "nodes": nodes, "peers": peers}
    return {f"n{number}": {**settings, **extra}}


ROWS = st.dictionaries(
    st.tuples(st.sampled_from(["n1", "n2"]), st.sampled_from([*"abcde", "phone"])),
    st.tuples(
        st.sampled_from([(), ("10.42.0.1",), ("192.0.2.1", "10.43.0.2"), ("fd42::1", "2001:db8::1")]),
        st.lists(st.sampled_from(["10.42.0.1", "10.42.0.2", "10.43.0.1", "fd42::1"]), unique=True, max_size=3),
    ),
)
NAMES = st.none() | st.dictionaries(
    st.sampled_from(["x.example", "y.example"]), st.just(("10.42.0.1", "fe80::1%eth0", "2001:db8::2"))
)


@hypothesis.settings(suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(networks(1), st.just({}) | networks(2), ROWS, st.sets(st.sampled_from([*"abcde", "phone"])), NAMES)
def test_a_mesh_that_parses_can_be_judged_and_every_finding_has_a_line(one, other, rows, keys, names):
    try:
        mesh = parse_mesh([("mesh.yml", yaml.safe_dump({"networks": {**one, **other}}))])
    except MeshError:
        hypothesis.assume(False)
    registered = {
        (net, node): row(
            node, *map(ip_address, addresses), network=net, endpoints=endpoints, public_key=public_key(node)
        )
        for (net, node), (endpoints, addresses) in rows.items()
    }
    standings = {("n1", "a"): Standing(ADMITTED, 1.0, "root", "", NOW + 1)}
    waiting = {("n1", "b"): Waiting("n1", "b", "admit", public_key("a"), "", 1.0)}
    noted = {"n1": frozenset("abcde"), "gone": frozenset("abcd")}
    known = Known(Snapshot(1, registered, standings, waiting, noted=noted), accepted(*sorted(keys)))
    for findings in (lint(mesh, NOW), lint(mesh, NOW, known, names)):
        for problem in (*findings.errors, *findings.warnings):
            assert problem.line
            assert problem.message.isprintable()
