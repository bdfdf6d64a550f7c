"""
Parses the text of mesh files.

``parse_mesh`` returns a Mesh, or raises one MeshError with every problem found, each with its file and line. The tables
``MESH_KEYS``, ``NETWORK_KEYS``, ``NODE_KEYS`` and ``PEER_KEYS`` have every key of the file: how it is read, and what
the documentation and the JSON Schema say about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..errors import MeshError, Problem
from ..model.names import INTERFACE
from ..wording import quoted
from .checks import (
    check_dynamic_routing,
    check_endpoints,
    check_ends,
    check_exits,
    check_exits_between,
    check_ip_versions,
    check_node_ports,
    check_preshared,
    check_routes,
    check_routes_between,
    check_unshared,
)
from .entries import LONGEST_LIST, read_nodes, read_peers
from .mesh import DEFAULT_INTERFACE, DEFAULT_KEEPALIVE, DEFAULT_PORT, REPAIR, REPORT, Mesh, Network
from .patterns import Nodegroups
from .reading import REQUIRED, SMALLEST_MESH, Key, Scope, claim, read_entries, read_table, require
from .scalars import read_name
from .schema import (
    CIDR,
    DNS,
    DNS_TEXT,
    SUBNETS,
    by_name,
    choice,
    choice_or_off,
    many,
    matching,
    mtu_key,
    period,
    period_or_never,
    switch,
    whole,
)
from .values import read_dns, read_domain, read_exclude, read_interface, read_links, read_subnets
from .yamltree import Invalid, Report, Scalar, Table, Value, load


def parse_mesh(sources: Sequence[tuple[str, str]], nodegroups: Nodegroups | None = None) -> Mesh:
    """
    Return the mesh that ``sources``, pairs of file name and text, describe; MeshError carries all problems.

    :param nodegroups: those of the master; None where they are not known, and then match nobody
    """
    scope = Scope(Report(), nodegroups=nodegroups)
    networks = tuple(network for file, text in sources for network in _networks_of(scope, file, text))
    problems = scope.report.problems
    if not networks and not problems:
        problems.append(Problem(sources[0][0] if sources else "mesh", 0, f"no networks; {SMALLEST_MESH}"))
    check_node_ports(scope, networks)
    check_routes_between(scope, networks)
    check_exits_between(scope, networks)
    if problems:
        raise MeshError(problems)
    return Mesh(networks)


def _networks_of(scope: Scope, file: str, text: str) -> Sequence[Network]:
    tree = load(file, text, scope.report)
    if tree is None:
        return ()
    try:
        values, _ = read_table(scope, MESH_KEYS, tree, "a mesh file")
    except Invalid as problem:
        scope.report.add(problem.place, str(problem))
        return ()
    networks: Sequence[Network] = values.get("networks", ())
    return networks


def _networks(scope: Scope, value: Value) -> tuple[Network, ...]:
    if not isinstance(value, Table) or not value.entries:
        raise Invalid(value.place, f"networks must be a mapping from names to networks; {SMALLEST_MESH}")
    return read_entries(scope, _network, value, "networks")


def _network(scope: Scope, key: Scalar, value: Value) -> Network:
    name = read_name(key, "a network's name")
    claim(scope, ("network", name), key.place, f"network {name!r} is already defined", "keep one")
    inner = Scope(scope.report, name, scope.taken, nodegroups=scope.nodegroups)
    values, places = read_table(inner, NETWORK_KEYS, value, f"network {name!r}")
    require(inner, NETWORK_KEYS, places, key.place, f"network {name!r}")
    network = Network(name, key.place, **values, places=places, nodegroups=scope.nodegroups)
    for setting in ("interface", "port"):
        if setting in values or setting not in places:
            check_unshared(inner, setting, getattr(network, setting), places.get(setting, key.place))
    if network.domain and not network.hosts:
        inner.report.add(places["domain"], "domain is for the names in hosts files; also write `hosts: true`")
    check_endpoints(inner, network)
    check_ends(inner, network)
    check_routes(inner, network)
    check_ip_versions(inner, network)
    check_exits(inner, network)
    check_dynamic_routing(inner, network)
    if network.rotate_every and network.peers:
        message = "rotate_every is not possible with peers: they have the nodes' keys by hand, and would lose them all"
        inner.report.add(places["rotate_every"], message)
    check_preshared(inner, network)
    fixed = next((entry for entry in network.nodes if entry.public_key), None)
    if network.rotate_every and fixed:
        message = f"rotate_every is not possible with the public_key of {quoted(fixed.pattern)}, which allows no other"
        inner.report.add(places["rotate_every"], message)
    return network


# Keys are read in this order, so that addresses and the MTU can be checked against the subnets. The schema of a key
# whose value has keys of its own refers to the definition of their table.
MESH_KEYS: Mapping[str, Key] = {
    "networks": Key(
        _networks,
        "mapping from name to network",
        {**by_name({"$ref": "#/definitions/network"}), "minProperties": 1},
        REQUIRED,
    ),
}
NETWORK_KEYS: Mapping[str, Key] = {
    "interface": Key(read_interface, "text, 1 to 15 bytes", matching(INTERFACE), f"`{DEFAULT_INTERFACE}`"),
    "port": whole("port", 1, 65535, f"`{DEFAULT_PORT}`"),
    "drift": choice("drift", (REPAIR, REPORT), f"`{REPAIR}`"),
    "subnets": Key(read_subnets, CIDR, SUBNETS, REQUIRED),
    "exclude": Key(
        read_exclude,
        "list of networks in CIDR notation, ranges `first-last`, and addresses",
        many({"type": "string", "pattern": "^[0-9A-Fa-f.:]+(/[0-9]{1,3}| *- *[0-9A-Fa-f.:]+)?$"}),
    ),
    "quarantine": period("quarantine", "1h", "`7d`"),
    "mtu": mtu_key("what the paths to the node's peers let through"),
    "keepalive": whole("keepalive", 0, 65535, f"`{DEFAULT_KEEPALIVE}`", "number of seconds"),
    "nodes": Key(
        read_nodes,
        "mapping from minion id, glob, `L@` list, `E@` regular expression or `N@` nodegroup to node",
        {
            "type": "object",
            "propertyNames": {"pattern": "^[^ /]+$", "maxLength": LONGEST_LIST},
            "additionalProperties": {"anyOf": [{"$ref": "#/definitions/node"}, {"type": "null"}]},
        },
        REQUIRED,
    ),
    "peers": Key(
        read_peers,
        "mapping from name to peer",
        {**by_name({"anyOf": [{"$ref": "#/definitions/peer"}, {"type": "null"}]}), "type": ["object", "null"]},
    ),
    "admit": choice("admit", ("auto", "manual"), "`auto`"),
    "rekey": choice("rekey", ("auto", "manual"), "`auto`"),
    "rotate_every": period("rotate_every", "1h", "never"),
    "links": Key(
        read_links,
        "list of pairs `[one, other]`; each a group, a minion id, a peer's name, or `'*'` for everybody",
        many({"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}),
        "everybody with everybody",
    ),
    "preshared_keys": switch("preshared_keys"),
    "failover": choice_or_off("failover", ("auto", "ask")),
    "failover_after": period("failover_after", "5s", "`10s`"),
    "failback": period_or_never("failback", "1m", "`10m`"),
    "hosts": switch("hosts"),
    "domain": Key(read_domain, "text, a domain name", matching(re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}"))),
    "dns": Key(read_dns, DNS_TEXT, DNS),
    "dynamic_routing": switch("dynamic_routing"),
}
