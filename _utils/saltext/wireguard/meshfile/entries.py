"""The entries under ``nodes`` and ``peers``. ``NODE_KEYS`` and ``PEER_KEYS`` list every key that they can have."""

from __future__ import annotations

from collections.abc import Mapping

from ..model.names import MAX_HOST_NAME
from ..wording import quoted
from .mesh import ExternalPeer, NodeEntry
from .patterns import Kind, Nodegroups, check, kind_of
from .reading import WHAT_IS_REQUIRED, Key, Scope, claim, entries_of, read_entries, read_table
from .scalars import TIME, read_expires, read_groups, read_ip_versions, read_name, read_site, read_text
from .schema import (
    ADDRESSES,
    BARE,
    CIDR,
    DNS,
    DNS_TEXT,
    ENDPOINT,
    ENDPOINTS,
    HOST,
    NAMED,
    NODE_ENDPOINTS,
    OFFERS,
    OFFERS_TEXT,
    PUBLIC_KEY,
    PUBLIC_KEY_TEXT,
    SUBNETS,
    VIA,
    VIA_TEXT,
    by_name,
    many,
    matching,
    mtu_key,
    switch,
    whole,
)
from .values import (
    read_addresses,
    read_node_endpoint,
    read_offer,
    read_peer_dns,
    read_peer_endpoint,
    read_public_key,
    read_routes,
    read_site_endpoints,
    read_via,
    read_withhold,
)
from .yamltree import Invalid, Scalar, Value

LONGEST_LIST = 10_000


def read_nodes(scope: Scope, value: Value) -> tuple[NodeEntry, ...]:
    if isinstance(value, Scalar) and value.kind == "null":
        raise Invalid(value.place, f"nodes is empty; {WHAT_IS_REQUIRED['nodes']}")
    scope.has_no_nodes = not entries_of(value, "nodes")
    return read_entries(scope, _node, value, "nodes")


def _node(scope: Scope, key: Scalar, value: Value) -> NodeEntry:
    pattern = _minion_id(key, scope.nodegroups)
    if kind_of(pattern) is Kind.ID:
        taken = f"{quoted(pattern)} differs in case only from the id"
        claim(scope, ("id", scope.network, pattern.lower()), key.place, taken, "host names have no case, so keep one")
    if isinstance(value, Scalar) and value.kind == "null":
        return NodeEntry(pattern, key.place)
    values, places = read_table(scope, NODE_KEYS, value, f"node {quoted(pattern)}")
    entry = NodeEntry(pattern, key.place, **values, places=places)
    hosts = [endpoint for endpoint in entry.endpoint or () if endpoint.host]
    for name in ("addresses", "endpoint", "endpoints", "routes", "public_key"):
        if entry.is_pattern and (hosts if name == "endpoint" else values.get(name)):
            scope.report.add(
                places[name], f"{name} belongs to one node; write the minion's id instead of {quoted(pattern)}"
            )
    _claim_key(scope, pattern, entry)
    if entry.public_key and "addresses" not in places and not entry.is_pattern:
        message = "public_key needs addresses: a node that need not register is given none; write `addresses: [...]`"
        scope.report.add(places["public_key"], message)
    if not entry.is_pattern:
        scope.endpoints += ((places["endpoint"], pattern, endpoint, None) for endpoint in hosts)
    for site, endpoint in (entry.endpoints or {}).items():
        scope.endpoints.append((places["endpoints"], pattern, endpoint, site))
    return entry


def _minion_id(key: Scalar, nodegroups: Nodegroups | None) -> str:
    pattern = read_text(key, "a minion id")
    if not pattern or not pattern.isprintable() or any(character in " /" for character in pattern):
        raise Invalid(
            key.place, f"{quoted(pattern)} is not a minion id: it must have no spaces, '/' or control characters"
        )
    most = LONGEST_LIST if pattern.startswith("L@") else MAX_HOST_NAME
    if len(pattern.encode(errors="replace")) > most:
        raise Invalid(key.place, f"{quoted(pattern)} is too long for a minion id: at most {most} bytes")
    try:
        check(pattern, nodegroups)
    except ValueError as reason:
        raise Invalid(key.place, str(reason)) from None
    return pattern


def read_peers(scope: Scope, value: Value) -> tuple[ExternalPeer, ...]:
    if isinstance(value, Scalar) and value.kind == "null":
        return ()
    if scope.has_no_nodes:
        scope.report.add(value.place, f"there are peers but no nodes; {WHAT_IS_REQUIRED['nodes']}")
    return read_entries(scope, _peer, value, "peers")


def _peer(scope: Scope, key: Scalar, value: Value) -> ExternalPeer:
    name = read_name(key, "a peer's name")
    taken = f"peer {name!r} is already a node or peer"
    claim(scope, ("id", scope.network, name.lower()), key.place, taken, "keep one")
    if isinstance(value, Scalar) and value.kind == "null":
        return ExternalPeer(name, key.place)
    values, places = read_table(scope, PEER_KEYS, value, f"peer {name!r}")
    if "public_key" in places and "addresses" not in places:
        what = f"peer {name!r}, which has a key of its own, has no 'addresses'"
        scope.report.add(key.place, f"{what}; write its addresses in the network, such as `addresses: [10.42.9.1]`")
    peer = ExternalPeer(name, key.place, **values, places=places)
    _claim_key(scope, name, peer)
    scope.endpoints += ((places["endpoint"], name, endpoint, None) for endpoint in peer.endpoint or ())
    return peer


def _claim_key(scope: Scope, name: str, owner: NodeEntry | ExternalPeer) -> None:
    """A machine may have one key in several networks, by one name."""
    if owner.public_key:
        place = owner.place_of("public_key")
        earlier = scope.report.claim(("public key", owner.public_key), place)
        is_same = scope.report.claim(("public key", owner.public_key, name), place)
        if earlier and not is_same:
            message = f"this public key is already used at {earlier}; every peer has its own"
            scope.report.add(place, f"{message}, and in another network the same one only by the same name")


NODE_KEYS: Mapping[str, Key] = {
    "addresses": Key(read_addresses, BARE, ADDRESSES, "one of each IP version, allocated once and kept"),
    "endpoint": Key(
        read_node_endpoint,
        NODE_ENDPOINTS,
        ENDPOINT,
        "what the node itself offers when it registers",
    ),
    "endpoints": Key(read_site_endpoints, "mapping from site to `host`, `host:port` or `[IPv6]:port`", by_name(HOST)),
    "port": whole("port", 1, 65535, "the network's `port`"),
    "mtu": mtu_key("the network's `mtu`"),
    "groups": Key(read_groups, "list of names", many(NAMED)),
    "site": Key(read_site, "text, named as a network is", NAMED),
    "hub": switch("hub"),
    "routes": Key(read_routes, CIDR, SUBNETS),
    "priority": whole("priority", 0, 65535, "`0`"),
    "exit": switch("exit"),
    "via": Key(read_via, VIA_TEXT, VIA),
    "offer": Key(read_offer, OFFERS_TEXT, OFFERS, "see [how endpoints are chosen](how-it-works.md#endpoints)"),
    "withhold": Key(read_withhold, OFFERS_TEXT, OFFERS),
    "ip_versions": Key(read_ip_versions, "list of `4` and `6`", many({"enum": [4, 6]}), "`[4, 6]`"),
    "expires": Key(read_expires, "date, or time with zone (ISO 8601)", matching(TIME), "never"),
    "public_key": Key(read_public_key, PUBLIC_KEY_TEXT, PUBLIC_KEY, "what the node registers"),
}
PEER_KEYS: Mapping[str, Key] = {
    "public_key": Key(read_public_key, PUBLIC_KEY_TEXT, PUBLIC_KEY, "made when the peer is exported"),
    "addresses": Key(read_addresses, BARE, ADDRESSES, "one of each IP version, when it is exported"),
    "endpoint": Key(read_peer_endpoint, ENDPOINTS, ENDPOINT, "`false`"),
    "groups": Key(read_groups, "list of names", many(NAMED)),
    "routes": Key(read_routes, CIDR, SUBNETS),
    "via": Key(read_via, VIA_TEXT, VIA),
    "dns": Key(read_peer_dns, f"{DNS_TEXT}, or `false`", {"anyOf": [DNS, {"const": False}]}, "the network's `dns`"),
    "preshared_key": switch("preshared_key"),
}
