"""The checks of a lint. Each looks at one network."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from ..device.mtu import ETHERNET_MTU, OVERHEAD, WIREGUARD_MTU
from ..errors import Problem
from ..fleet.losses import Outside, losses
from ..model.addresses import Address, Subnet, can_be_endpoint, is_local
from ..model.hosts import nameless
from ..model.names import is_like_another_device
from ..registry.pool import allocatable, is_excluded, size
from ..registry.rows import NodeId
from ..wording import quoted, some
from .context import Context, Reached, used_endpoints

# A network is nearly full when this share of its addresses is in use.
FULL = 0.9

# Subnets of so few addresses are meant to be full.
_MADE_TO_MEASURE = 6

_INTO_THE_TUNNEL = "packets to it go into the tunnel itself unless a more specific route exists; change one of the two"


def contradictions(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """Addresses and public keys in the file that the registry has given to another node."""
    if context.state:
        yield from context.state.problems()


def circles(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """Endpoints that can be reached only through the tunnel that they are meant to open."""
    for reached, via in _circular(context, contexts):
        detour = f" (via {', '.join(f'{name} of {network}' for network, name in via)})" if via else ""
        yield reached.place.problem(
            f"{reached} is inside the mesh, so it can be reached only through the tunnel{detour} that it is meant to"
            f" open; give {reached.name} an endpoint outside the mesh",
        )


def _circular(context: Context, contexts: list[Context]) -> Iterator[tuple[Reached, list[NodeId]]]:
    """Such an endpoint, and the participants through whose tunnels the path leads."""
    carriers = _carriers(contexts)
    for name in context.participants:
        start = here = (context.network.name, name)
        via: list[NodeId] = []
        while here in carriers and carriers[here][0] != start and len(via) < len(carriers):
            here = carriers[here][0]
            via.append(here)
        if here in carriers and carriers[here][0] == start:
            yield carriers[start][1], via


def _carriers(contexts: list[Context]) -> dict[NodeId, tuple[NodeId, Reached]]:
    """Participant that is reached only through a tunnel -> the other end of that tunnel, and the endpoint."""
    owners = {
        address: (context.network.name, name)
        for context in contexts
        for name, participant in context.participants.items()
        for address in participant.addresses
    }
    carriers = {}
    for context in contexts:
        by_name: dict[str, list[Reached]] = {}
        for each in context.reached:
            by_name.setdefault(each.name, []).append(each)
        for name, (first, *others) in by_name.items():
            if not others and first.is_certain and first.address in owners:
                carriers[context.network.name, name] = (owners[first.address], first)
    return carriers


def too_small(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    for version, room, taken, needed in _space(context):
        if taken + needed > room:
            yield context.network.place_of("subnets").problem(
                f"network {context.network.name} needs {taken + needed} IPv{version} addresses and has {room}; add a"
                " subnet",
            )


def shared_ports(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """Minions with the same port in two networks that match them by globs. ``meshfile`` checks other entries."""
    for other in contexts[: contexts.index(context)]:
        for name in sorted(context.members.keys() & other.members.keys()):
            port = context.members[name].settings.port
            if port == other.members[name].settings.port:
                names = f"{other.network.name!r} and {context.network.name!r}"
                yield context.place_of(name).problem(f"{name} has port {port} in networks {names}; change one")


# --- warnings --------------------------------------------------------------------------------------------------------


def nearly_full(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    grows = any(entry.is_pattern for entry in context.network.nodes)
    for version, room, taken, needed in _space(context):
        used = taken + needed
        if FULL * room <= used <= room and (grows or room > _MADE_TO_MEASURE):
            yield context.network.place_of("subnets").problem(
                f"network {context.network.name} has {room - used} of {room} IPv{version} addresses free; add a subnet"
                " before they are used up",
            )


def _space(context: Context) -> Iterator[tuple[int, int, int, int]]:
    """(IP version, all addresses, those given or reserved, those that members will need), for each version."""
    network = context.network
    holders = _holders(context)
    for version in sorted({subnet.version for subnet in network.subnets}):
        used = {each for each in {*network.reserved, *holders} if each.version == version and network.subnet_of(each)}
        have = {holders[address] for address in used if address in holders}
        named = {name: member.settings.addresses for name, member in context.members.items()}
        named.update((peer.name, peer.addresses) for peer in network.peers if not peer.public_key)
        needed = sum(
            1
            for name, addresses in named.items()
            if name not in have and not any(address.version == version for address in addresses)
        )
        subnets = [subnet for subnet in network.subnets if subnet.version == version]
        room = sum(size(numbers) for subnet in subnets for numbers in allocatable(network, subnet))
        yield version, room + sum(1 for each in used if is_excluded(network, each)), len(used), needed


def _holders(context: Context) -> dict[Address, str]:
    """Address -> its holder. Former nodes hold theirs until the quarantine is over."""
    if context.known is None or context.state is None:
        return {}
    pool = context.state.pool()
    holdings = context.known.snapshot.holdings(context.network.name)
    allocated = {each.address: each.node for each in holdings if not pool.is_free(each)}
    return allocated | {address: name for name, member in context.members.items() for address in member.allocated}


def in_own_subnet(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """Endpoints that the network's own routes lead into the tunnel, unless a machine has a more specific route."""
    circular = {reached for reached, _ in _circular(context, contexts)}
    offered: dict[Subnet, set[str]] = {}
    for reached in context.reached:
        subnet = context.network.subnet_of(reached.address)
        if subnet is None or reached in circular:
            continue
        if reached.endpoint:
            yield reached.place.problem(f"{reached} is in the network's own {subnet}: {_INTO_THE_TUNNEL}")
        else:
            offered.setdefault(subnet, set()).add(reached.name)
    for subnet, names in offered.items():
        message = f"the endpoints that {some(names)} offered are in the network's own {subnet}: {_INTO_THE_TUNNEL}"
        yield context.network.place_of("subnets").problem(message)


def behind_a_node(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """Endpoints that a route of the mesh file leads into the tunnel."""
    routes = {
        str(route): route for participant in context.participants.values() for route in participant.settings.routes
    }
    longest_first = sorted(routes.items(), key=lambda item: -item[1].prefixlen)
    around = {each: [text for text, route in longest_first if each.address in route] for each in context.reached}
    for view in context.topology.views() if any(around.values()) else ():
        behind = {text: peer.name for peer in view for text in peer.allowed_ips if text in routes}
        used = used_endpoints(view)
        for reached, texts in around.items():
            text = next((text for text in texts if text in behind), None)
            if text and (reached.name, reached.host) in used:
                message = f"{reached} is in {text} behind {behind[text]}: {_INTO_THE_TUNNEL}"
                yield reached.place.problem(message)


def mtu_too_large(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """An MTU above Ethernet's own is meant for jumbo frames, which the Internet does not carry."""
    outside = [
        reached.address
        for reached in context.reached
        if not any(each.network.subnet_of(reached.address) for each in contexts)
    ]
    version = max((address.version for address in outside), default=4)
    fits = ETHERNET_MTU - OVERHEAD[version]
    nodes = [(each.mtu, each.place_of("mtu")) for each in context.network.nodes]
    for mtu, place in [(context.network.mtu, context.network.place_of("mtu")), *nodes]:
        if mtu and mtu > fits and (mtu <= ETHERNET_MTU or any(address.is_global for address in outside)):
            yield place.problem(
                f"mtu {mtu} is too large for Ethernet and the Internet: with WireGuard over IPv{version}, packets"
                f" have {mtu + OVERHEAD[version]} bytes; write at most {fits}",
            )


def mtu_of_tunnel_in_tunnel(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """An `mtu` that does not fit into an outer tunnel. Without one, the nodes find one that fits."""
    inner = context.network.mtu
    owners = {
        address: each
        for each in contexts
        for participant in each.participants.values()
        for address in participant.addresses
    }
    reported = {context.network.name}
    for reached in context.reached:
        carrier = owners.get(reached.address)
        if carrier is None or inner is None:
            continue
        outer = carrier.network.mtu or WIREGUARD_MTU
        fits = outer - OVERHEAD[reached.address.version]
        if inner > fits and carrier.network.name not in reported:
            reported.add(carrier.network.name)
            yield context.network.place_of("mtu").problem(
                f"{reached} is reached through network {carrier.network.name}, whose MTU is"
                f" {outer}; packets of network {context.network.name} fit in if its own `mtu` is at most {fits}",
            )


def unresolved(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """Names that do not resolve. If none of several does, this machine probably cannot resolve any."""
    if context.names is None:
        return
    missing = [each for each in context.written if not each[2].address and each[2].host not in context.names]
    several = {endpoint.host for _, _, endpoint in missing}
    if not context.names and len(several) > 1:
        message = f"this machine resolves none of the endpoints' names, so it may have no DNS: {some(several)}"
        yield min(missing, key=lambda each: each[1].line)[1].problem(message)
        return
    for name, place, endpoint in missing:
        message = f"{endpoint.host} does not resolve on this machine: nodes that cannot resolve it cannot reach {name}"
        yield place.problem(f"{message}; correct the name, or write an address")


def local_endpoints(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """Addresses that every machine has itself: right only where something forwards them, such as a proxy."""
    for name, place, endpoint in context.written:
        addresses = {*map(ip_address, (context.names or {}).get(endpoint.host, ()))}
        if endpoint.address and is_local(endpoint.address):
            message = f"{name}'s endpoint {endpoint} is local to each machine: it works only where something there"
            yield place.problem(f"{message}, such as a proxy, leads to {name}; otherwise write another address")
        elif addresses and not any(can_be_endpoint(address) for address in addresses):
            message = f"{name}'s endpoint {endpoint.host} resolves on this machine to {some(map(str, addresses))}"
            yield place.problem(f"{message}, where no machine can be reached; correct the name, or write an address")


def odd_interface(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """Interfaces with a usual name of other devices. A node with such a device refuses to make the interface."""
    name = context.network.interface
    if is_like_another_device(name):
        message = f"interface {name} is a usual name of other devices: a node that has one cannot join; write `wg0`"
        yield context.network.place_of("interface").problem(f"{message}, or another name of your own")


def public_domain(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """A domain of one label is a top-level domain: web1.com belongs to somebody on the Internet."""
    domain = context.network.domain
    if domain and "." not in domain and domain.lower() not in _PRIVATE_DOMAINS:
        message = f"domain {domain} is a top-level domain: names such as web1.{domain} may be somebody else's"
        advice = "write a domain of your own, such as mesh.example.com, or one for private use, such as internal"
        yield context.network.place_of("domain").problem(f"{message}; {advice}")


# ICANN has reserved `internal`, RFC 2606 `test`; the others are widely used and will not be delegated.
_PRIVATE_DOMAINS = {"internal", "test", "home", "corp", "lan", "mail", "localdomain", "intranet", "private"}


def unknown_nodegroups(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """Entries of which only a master knows whom they match."""
    for entry in context.network.nodes if context.network.nodegroups is None else ():
        if entry.is_nodegroup:
            message = f"'{entry.pattern}' matches nobody here: only the master's configuration has its nodegroups"
            yield entry.place.problem(message)


def unmatched(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """Entries that no accepted minion matches. An expired one may stay."""
    if context.known is None or not context.network.nodes:
        return
    if not context.known.accepted.keys() & context.members.keys():
        message = f"no accepted minion is in network {context.network.name}: see `salt-key -L`"
        yield context.network.place_of("nodes").problem(message)
        return
    matched = {entry.pattern for node in context.known.accepted for entry in context.network.entries(node)}
    for entry in context.network.nodes:
        if not entry.ids and entry.pattern not in matched:
            message = f"no accepted minion matches '{entry.pattern}': correct or remove it, or accept their Salt keys"
            yield entry.place.problem(message)
        for name in entry.ids:
            if name in context.members and name not in context.known.accepted:
                message = f"no accepted minion has the id {name}: accept its Salt key, or correct or remove it"
                yield entry.place.problem(message)


def outside_subnets(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """Addresses in use that the subnets do not have any more."""
    nodes = context.state.addresses_outside() if context.state else {}
    if nodes:
        found = Outside(context.network.name, nodes, context.network.place_of("subnets"))
        message = f"{found.describe(found.place.file)}; they get others if a reconcile is forced"
        yield found.place.problem(message)


def excluded_in_use(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """Excluded addresses that nodes had before, and keep."""
    have = [
        f"{name} ({address})"
        for name, member in sorted(context.members.items())
        for address in member.allocated
        if is_excluded(context.network, address)
    ]
    if have:
        message = f"{some(have)}: allocated before the exclusion, and kept; to change that, give them `addresses:`"
        yield context.network.place_of("exclude").problem(message)


def pending_losses(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """Losses that a reconcile would refuse. Those of networks that the file lacks are reported for the first one."""
    if context.known is None:
        return
    members = {each.network.name: each.state.members for each in contexts if each.state}
    for loss in losses(context.mesh, context.known.snapshot, context.known.accepted, members, context.now):
        if loss.network == context.network.name or (loss.place is None and context is contexts[0]):
            place = loss.place or context.network.place
            message = f"{loss.describe(place.file)}; a reconcile refuses that unless it is forced"
            yield place.problem(message)


def impossible_ids(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """Minions in the file that are left out because of their ids."""
    if context.known is None or context.state is None:
        return
    for node in sorted(context.known.accepted):
        why = context.network.settings(node) and context.state.membership.problem_of_id(node)
        namesake = context.network.peer(context.network.namesake(node) or "")
        if why and namesake:
            message = f"the minion {node} is no member, as this peer has its name; give the peer another one"
            yield namesake.place.problem(message)
        elif why:
            yield context.place_of(node).problem(f"the minion {quoted(node)} is no member: {why}; give it another id")


def nameless_participants(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """Participants that get no host name in a network with ``hosts``."""
    names = {name: context.network.names(name) for name in context.participants} if context.network.hosts else {}
    for name, why in sorted(nameless(names, context.network.domain).items()):
        yield context.place_of(name).problem(f"no hosts file gets {quoted(name)}, as {why}")


def one_key_twice(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """Waiting nodes with the key of another one. The registry admits no such node."""
    if context.known is None:
        return
    rows = {row.public_key: row.node for row in context.known.snapshot.rows.values() if row.node in context.members}
    peers = {
        participant.public_key: name for name, participant in context.participants.items() if name in context.peers
    }
    for (network, node), waiting in sorted(context.known.snapshot.waiting.items()):
        owner = {**rows, **peers}.get(waiting.public_key, node)
        rows.setdefault(waiting.public_key, node)
        if network == context.network.name and owner != node:
            yield context.place_of(node).problem(
                f"{node}, which waits to be admitted, has the public key of {owner}: a cloned machine? Move the key"
                f" file on {node} away and apply again; it makes a new key",
            )
