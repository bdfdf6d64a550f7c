"""Checks across the entries of a mesh file."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from ..model.addresses import Subnet, contains
from ..wording import quoted
from .mesh import EVERYBODY, IP_VERSIONS, Network, NodeEntry, Place, ends_of
from .reading import Scope


def check_unshared(scope: Scope, setting: str, value: object, place: Place) -> None:
    earlier = scope.report.claim((setting, value), place)
    if earlier:
        message = f"network {scope.network!r} has {setting} {value}, as the one at {earlier} does"
        scope.report.add(place, f"{message}; give one of them another `{setting}:`")


def check_endpoints(scope: Scope, network: Network) -> None:
    """An external peer of one name may be the same machine in several networks; a node has a port for each."""
    for place, owner, endpoint, site in scope.endpoints:
        settings = network.settings(owner)
        where = endpoint.with_port(settings.port if settings else network.port)
        # Different sites may use the same private addresses.
        thing = ("endpoint", site, where.lower().replace(".:", ":"))
        earlier = scope.report.claim(thing, place)
        is_same = bool(network.peer(owner) and scope.report.claim((*thing, owner), place))
        if earlier and not is_same:
            scope.report.add(place, f"endpoint {where} is already used at {earlier}; give one of them another port")


def check_ip_versions(scope: Scope, network: Network) -> None:
    """A glob is checked as if it were an id."""
    for entry in network.nodes:
        settings = network.settings(entry.pattern)
        versions = settings.ip_versions if settings else IP_VERSIONS
        there = {subnet.version for subnet in network.subnets}
        if entry.ip_versions and there and versions.isdisjoint(there):
            message = f"ip_versions leaves {quoted(entry.pattern)} no address: there is no IPv{max(versions)} subnet"
            scope.report.add(entry.place_of("ip_versions"), f"{message}; add one, or the other IP version")
        for name, given in (("addresses", entry.addresses), ("routes", entry.routes or ())):
            for each in given:
                if each.version not in versions:
                    message = f"{each} is IPv{each.version}, which ip_versions excludes for {quoted(entry.pattern)}"
                    scope.report.add(entry.place_of(name), f"{message}; remove one of them")


def check_preshared(scope: Scope, network: Network) -> None:
    for peer in network.peers:
        if peer.preshared_key and not network.preshared_keys:
            message = f"peer {peer.name!r} has preshared keys, but its network does not; write `preshared_keys: true`"
            scope.report.add(peer.place_of("preshared_key"), f"{message} into network {network.name!r}")


def check_dynamic_routing(scope: Scope, network: Network) -> None:
    """The allowed IPs of the only peer are everything, which no second one can have."""
    if not network.dynamic_routing:
        return
    place = network.place_of("dynamic_routing")
    names = [name for each in network.nodes for name in each.ids] + [peer.name for peer in network.peers]
    pattern = next((each for each in network.nodes if not each.ids), None)
    if pattern or len(set(names)) > 2:
        given = f"{quoted(pattern.pattern)} may be several" if pattern else f"here are {len(set(names))}"
        message = f"dynamic_routing is for two nodes or peers, and {given}; name two, and write a network for each link"
        scope.report.add(place, message)
    for owner in (*network.nodes, *network.peers):
        for setting in ("hub", "exit", "via", "routes"):
            if getattr(owner, setting, None):
                message = f"{setting} is not possible with dynamic_routing: a routing daemon makes the routes"
                scope.report.add(owner.place_of(setting), message)


def check_ends(scope: Scope, network: Network) -> None:
    """A misspelt end would join nobody, and silently remove the tunnels that it should keep."""
    groups = network.groups
    owners = {name for entry in network.nodes for name in entry.ids} | {peer.name for peer in network.peers}
    for place, end in scope.ends:
        if end in groups and end in owners:
            scope.report.add(
                place, f"{quoted(end)} is a group as well as a node or a peer; give the group another name"
            )
        elif end != EVERYBODY and end not in groups | owners:
            near = difflib.get_close_matches(end[:60], groups | owners, n=1)
            advice = f"did you mean {near[0]!r}?" if near else "give nodes `groups: [...]` that links can name"
            scope.report.add(place, f"there is no group, minion id or peer {quoted(end)}; {advice}")


def check_routes(scope: Scope, network: Network) -> None:
    """
    Two nodes may have the same network behind them if their priorities differ. Of routes that overlap otherwise, the
    longest prefix wins, as in the kernel.
    """
    known: dict[Subnet, list[tuple[Place, str, int]]] = {}
    for place, owner, priority, route in _routes_of(network):
        for other_place, other, other_priority in known.setdefault(route, []):
            if owner == other:
                scope.report.add(place, f"route {route} is there twice; keep one")
            elif priority == other_priority:
                message = f"route {route} is behind {quoted(owner)} and, at {other_place}, behind {quoted(other)}"
                scope.report.add(place, f"{message}; for failover, give each a `priority:` of its own")
        known[route].append((place, owner, priority))


def _routes_of(network: Network) -> list[tuple[Place, str, int, Subnet]]:
    """(place, owner, its priority, route)"""
    nodes = [
        (each.place_of("routes"), each.pattern, _priority_of(network, each), route)
        for each in network.nodes
        for route in each.routes or ()
    ]
    peers = [(each.place_of("routes"), each.name, 0, route) for each in network.peers for route in each.routes]
    return nodes + peers


def _priority_of(network: Network, entry: NodeEntry) -> int:
    settings = network.settings(entry.pattern)
    return settings.priority if settings else 0


def check_routes_between(scope: Scope, networks: Sequence[Network]) -> None:
    """
    A machine has one routing table for all networks. There, a route around a subnet leaves the subnet to the nodes; one
    inside of it would take their addresses.
    """
    elsewhere: dict[Subnet, Place] = {}
    for network in networks:
        routes = _routes_of(network)
        for place, _, _, route in routes:
            for other_place, subnet in scope.taken:
                if contains(subnet, route):
                    message = f"route {route} is in the subnet {subnet} at {other_place}"
                    scope.report.add(place, f"{message}; what is behind a node needs addresses of its own")
            if route in elsewhere:
                message = f"route {route} is one of another network too, at {elsewhere[route]}"
                scope.report.add(place, f"{message}, and a machine of both has room for one; keep one")
        elsewhere |= {route: place for place, _, _, route in routes}


def check_exits(scope: Scope, network: Network) -> None:
    """A glob is checked as if it were an id."""
    for entry in network.nodes:
        settings = network.settings(entry.pattern)
        groups = settings.groups if settings else frozenset()
        for via in entry.via or ():
            _check_exit(scope, network, entry.place_of("via"), (entry.pattern, groups), via)
    for peer in network.peers:
        for via in peer.via or ():
            _check_exit(scope, network, peer.place_of("via"), (peer.name, peer.groups), via)


def _check_exit(scope: Scope, network: Network, place: Place, user: tuple[str, frozenset[str]], via: str) -> None:
    """``user``: name and groups of the node or peer whose default route leads through ``via``."""
    problem = _problem_of_via(network, user[0], via)
    exit_node = network.settings(via)
    if not problem and exit_node and via != user[0] and not _are_linked(network, user, (via, exit_node.groups)):
        problem = f"via: no link joins {quoted(user[0])} with {quoted(via)}; add one"
        problem += ", as a default route does not lead through a hub"
    if problem:
        scope.report.add(place, problem)


def _problem_of_via(network: Network, name: str, via: str) -> str | None:
    exit_node = network.settings(via)
    if via == name:
        return f"{quoted(via)} cannot have its default route through itself; remove `via`"
    ids = [name for each in network.nodes for name in each.ids]
    if exit_node is None or any(character in via for character in "*?["):
        near = difflib.get_close_matches(via[:60], ids, n=1)
        advice = f"did you mean {near[0]!r}?" if near else "write the minion id of one with `exit: true`"
        return f"via: the network has no node {quoted(via)}; {advice}"
    if not exit_node.exit:
        return f"via: {quoted(via)} is no exit node; write `exit: true` there if it is to be one"
    return None


def _are_linked(network: Network, one: tuple[str, frozenset[str]], other: tuple[str, frozenset[str]]) -> bool:
    here, there = (ends_of(name, groups, network.groups) for name, groups in (one, other))
    return network.links is None or any(
        (a in here and b in there) or (b in here and a in there) for a, b in network.links
    )


def check_exits_between(scope: Scope, networks: Sequence[Network]) -> None:
    """A machine has one default route of each IP version."""
    places = {entry.pattern: entry.place_of("via") for network in networks for entry in network.nodes if entry.via}
    for node, place in places.items() if len(networks) > 1 else ():
        users: dict[int, Network] = {}
        for network in networks:
            settings = network.settings(node)
            for version in {subnet.version for subnet in network.subnets} if settings and settings.via else ():
                other = users.setdefault(version, network)
                if other is not network:
                    message = f"{quoted(node)} has `via` in networks {other.name!r} and {network.name!r}"
                    scope.report.add(place, f"{message}, and an IPv{version} default route in one only; remove one")


def check_node_ports(scope: Scope, networks: Sequence[Network]) -> None:
    """A node of two networks needs a port for each. A glob is checked as if it were an id."""
    places = {entry.pattern: entry.place for network in networks for entry in network.nodes}
    for node, place in places.items() if len(networks) > 1 else ():
        users: dict[int, Network] = {}
        for network in networks:
            settings = network.settings(node)
            other = users.setdefault(settings.port, network) if settings else network
            if settings and other.port != network.port:
                names = f"{other.name!r} and {network.name!r}"
                scope.report.add(place, f"{quoted(node)} has port {settings.port} in networks {names}; change one")
