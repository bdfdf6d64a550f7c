"""
The digests of the example meshes, as they were. A digest names what a node has applied: where one changes without a
reason, every node of every fleet is out of date after an upgrade.
"""

import json
from pathlib import Path

import pytest

from factories import accepted, public_key, row
from saltext.wireguard.fleet.fleet import Fleet
from saltext.wireguard.meshfile.load import load_mesh
from saltext.wireguard.model.preshared import secret
from saltext.wireguard.registry.rows import Snapshot

REPO = Path(__file__).resolve().parents[3]
GOLDEN = json.loads(Path(__file__).with_name("golden_digests.json").read_text())
WILDCARDS = str.maketrans({"*": "1", "?": "x"})


def minions(mesh):
    """One minion for each id in the file, two for each glob."""
    patterns = {entry.pattern for network in mesh.networks for entry in network.nodes}
    globs = {pattern for pattern in patterns if pattern.translate(WILDCARDS) != pattern}
    return sorted(patterns - globs | {glob.replace("*", number).replace("?", "x") for glob in globs for number in "12"})


def registered(network, node, number):
    """A registration with addresses from each subnet whose IP version the mesh file gives the node none of."""
    settings = network.settings(node)
    versions = {address.version for address in settings.addresses}
    addresses = []
    for subnet in network.subnets:
        if subnet.version not in versions:
            versions.add(subnet.version)
            addresses.append(subnet[100 + number])
    return row(
        node,
        *addresses,
        network=network.name,
        public_key=settings.public_key or public_key(node),
        endpoints=(f"198.51.100.{number}", f"2a00:1450::{number}"),
        port=settings.port,
        serial=number,
        next_key=public_key(f"{node} next") if number == 1 else None,
    )


def digests(path):
    mesh = load_mesh(str(path))
    rows = {
        (network.name, node): registered(network, node, number)
        for network in mesh.networks
        for number, node in enumerate(minions(mesh), 1)
        if network.settings(node)
    }
    keys = accepted(*minions(mesh))
    fleet = Fleet(mesh, Snapshot(1, rows), keys, 1.75e9, secret("golden secret, long enough for everybody"))
    return fleet, {f"{network}/{node}": digest for (network, node), digest in fleet.digests().items()}


@pytest.mark.parametrize("path", sorted((REPO / "examples").glob("*.yml")), ids=lambda path: path.name)
def test_the_digests_of_an_example_are_those_of_before(path):
    assert digests(path)[1] == GOLDEN[path.name]


@pytest.mark.parametrize("path", sorted((REPO / "examples").glob("*.yml")), ids=lambda path: path.name)
def test_a_digest_that_is_computed_without_the_view_is_that_of_the_view(path):
    fleet, found = digests(path)
    for network, member in fleet.members():
        if member.row:
            assert found[f"{network}/{member.node}"] == fleet.views(member.node)[network].digest
