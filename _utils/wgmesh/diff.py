"""
What must change about a device so that it equals a view: the operations, in order, and the commands for them.

Pure: nothing here runs a command, resolves a name, or sees a private key. What is right yields no operation, and a
change names only what differs, so that other sessions lose no packet.

Order of operations: the device, its key, port, MTU and addresses; link up; peers that are new or changed; routes; and
only then what goes away. So a rekeyed node's networks have moved to its new key before the old key goes. A default
route into the tunnel is the last of the routes, and the first to go: the interface's own packets bear their mark before
it comes, and until it is gone, and never go into the tunnel themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from ipaddress import IPv4Network, IPv6Network, ip_interface, ip_network
from itertools import groupby, pairwise

from . import exits, forwarding
from .device import Device, DevicePeer, canonical_endpoint, fingerprint
from .errors import ViewError
from .exits import NO_POLICY, Policy
from .view import Peer, View

Facts = str | dict[str, object] | None

# A session is renewed every 120 seconds while it carries packets and refused after 180 (the WireGuard paper, 6.1).
STALE_SECONDS = 180

# Linux takes the IPv6 addresses of an interface away when its MTU falls below this (RFC 8200, 5).
IPV6_MINIMUM_MTU = 1280

# Stands in a command for the file that has the preshared key of the peer it is about.
PRESHARED_KEY = "@PRESHARED_KEY@"

# A command line may have 128 KiB an argument and 2 MiB in all; 64 peers with ten networks each need 20 KiB.
PEERS_PER_COMMAND = 64


@dataclass(frozen=True)
class Applied:
    """
    What the last applied configuration said.

    ``endpoints``: public key to endpoint as it was written then. ``routes``: networks that it needed routes for.
    ``names``: public key to the peer's name. ``mark``: of the interface's own packets, see ``exits.mark``.
    """

    endpoints: Mapping[str, str] = field(default_factory=dict)
    routes: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    mark: int = 0

    @classmethod
    def of(cls, view: View | None) -> Applied:
        """From the view that was applied last, as the configuration has it; nothing where there is none."""
        if view is None:
            return cls()
        return cls(
            endpoints={peer.public_key: peer.endpoint for peer in view.peers if peer.endpoint},
            routes=routes(view),
            names={peer.public_key: peer.name for peer in view.peers},
            mark=exits.mark(view),
        )


@dataclass(frozen=True)
class Operation:
    """
    One step: what it concerns, what was and will be there (None for nothing), and the command that does it.

    No field ever has a secret: the private key goes by the path of its file, and in place of a preshared key stands
    ``PRESHARED_KEY`` (see ``preshared_keys``). ``argv`` is empty where another operation has this effect. ``old`` equal
    to ``new`` marks a step that only serves others.
    """

    subject: str
    old: Facts
    new: Facts
    argv: tuple[str, ...]


def diff(
    view: View,
    device: Device | None,
    *,
    key_file: str,
    public_key: str,
    endpoints: Mapping[str, str],
    applied: Applied,
    now: int,
    forwarded: Collection[int] = (),
    policy: Policy = NO_POLICY,
) -> tuple[Operation, ...]:
    """
    Return the operations that make the device equal to the view, in order; none where it already is.

    :param device: None where the interface does not exist yet
    :param key_file: path of the private key, which ``public_key`` belongs to
    :param endpoints: endpoint as the view has it to ``ip:port``; what is missing here could not be resolved, and its
        peer is set without an endpoint rather than everything else delayed
    :param applied: what the last applied configuration said
    :param now: Unix seconds
    :param forwarded: the IP versions that the machine forwards already
    :param policy: what it has of the default route through an exit
    :raises ViewError: see ``check``
    """
    check(view, public_key)
    current = device or _no_device(view.interface)
    mtu = _mtu(view, current)
    # Below IPv6's minimum the kernel drops IPv6 addresses by itself, and removing them afterwards would fail.
    mtu_last = view.effective_mtu is not None and view.effective_mtu < IPV6_MINIMUM_MTU
    wanted = routes(view)
    way_out = _WayOut(view, current, applied, policy)
    return (
        *(() if device else _create(view)),
        *_private_key(view, current, key_file, public_key),
        *_port(view, current),
        *_mark_set(view, current),
        *(() if mtu_last else mtu),
        *_addresses_added(view, current),
        *_up(view, current),
        *((*way_out.removed(), *_mark_removed(view, current)) if view.via is None else ()),
        *_peers_set(view, current, endpoints, applied, now),
        *_routes_added(view, current, wanted),
        *_forwarding(view, forwarded),
        *way_out.added(),
        *(way_out.removed() if view.via is not None else ()),
        *_routes_removed(view, current, wanted, applied),
        *_peers_removed(view, current, applied),
        *_addresses_removed(view, current),
        *(mtu if mtu_last else ()),
    )


def commands(operations: Iterable[Operation], interface: str) -> list[tuple[str, ...]]:
    """Return the command lines to run, in order. Neighbouring ``wg set`` become one, up to 64 peers."""
    prefix = ("wg", "set", interface)
    argvs = [operation.argv for operation in operations if operation.argv]
    result: list[tuple[str, ...]] = []
    for is_wg_set, group in groupby(argvs, key=lambda argv: argv[: len(prefix)] == prefix):
        neighbours = list(group)
        result += _merged(prefix, neighbours) if is_wg_set else neighbours
    return result


def preshared_keys(command: Sequence[str], view: View) -> list[str]:
    """Return the preshared keys that the command wants in place of each ``PRESHARED_KEY``, in order."""
    keys = {peer.public_key: peer.preshared_key for peer in view.peers}
    public_key = ""
    found = []
    for before, word in pairwise(command):
        if before == "peer":
            public_key = word
        elif word == PRESHARED_KEY:
            found.append(keys[public_key] or "")
    return found


def _merged(prefix: tuple[str, ...], argvs: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    chunks = (argvs[start : start + PEERS_PER_COMMAND] for start in range(0, len(argvs), PEERS_PER_COMMAND))
    return [(*prefix, *(word for argv in chunk for word in argv[len(prefix) :])) for chunk in chunks]


def changes(operations: Iterable[Operation]) -> dict[str, dict[str, Facts]]:
    """Return Salt's ``changes``: subject to ``old`` and ``new``. A peer with a new key is one entry."""
    result: dict[str, dict[str, Facts]] = {}
    for operation in operations:
        if operation.old == operation.new:
            continue
        entry = result.setdefault(operation.subject, {"old": None, "new": None})
        for side, facts in (("old", operation.old), ("new", operation.new)):
            if facts is not None:
                entry[side] = facts
    return result


def removed(interface: str) -> dict[str, dict[str, Facts]]:
    """Return Salt's ``changes`` for an interface that goes."""
    return {interface: {"old": "present", "new": None}}


def routes(view: View) -> frozenset[str]:
    """
    Return the networks that the kernel must route to the interface: the AllowedIPs that lie in no network of its own
    addresses, but for everything, which is the matter of ``exits``. wg-quick makes routes for the same.
    """
    connected = [ip_interface(address).network for address in view.addresses]
    return frozenset(
        text
        for peer in view.peers
        for text in peer.allowed_ips
        if not text.endswith("/0") and not any(_contains(network, ip_network(text)) for network in connected)
    )


def _contains(network: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    if isinstance(network, IPv4Network) and isinstance(other, IPv4Network):
        return other.subnet_of(network)
    return isinstance(network, IPv6Network) and isinstance(other, IPv6Network) and other.subnet_of(network)


def check(view: View, public_key: str) -> None:
    """Raise ViewError where WireGuard or the kernel would take the view and quietly do something else."""
    _check_unique(view.peers, "name", lambda peer: (peer.name,))
    _check_unique(view.peers, "public key", lambda peer: (peer.public_key,))
    _check_unique(view.peers, "allowed IP", lambda peer: dict.fromkeys(peer.allowed_ips))
    for peer in view.peers:
        _check_peer(view, peer, public_key)
    for address in view.addresses:
        if ip_interface(address).ip.is_link_local and ":" in address:
            raise ViewError(f"{view.interface}: address {address} is link-local; the kernel makes these itself")
    _check_mtu(view)
    if view.via is not None and view.port is None:
        raise ViewError(f"{view.interface}: a default route through {view.via} needs a port, which marks its packets")


def _check_unique(peers: Iterable[Peer], what: str, values: Callable[[Peer], Iterable[str]]) -> None:
    owners: dict[str, str] = {}
    for peer in peers:
        for value in values(peer):
            if value in owners:
                raise ViewError(f"peers {owners[value]} and {peer.name} have the same {what} {value}")
            owners[value] = peer.name


def _check_peer(view: View, peer: Peer, public_key: str) -> None:
    if peer.public_key == public_key:
        raise ViewError(
            f"{view.interface}: peer {peer.name} has this node's own public key {public_key}, so that WireGuard would"
            " ignore it; was one machine cloned from the other?"
        )
    for network in peer.allowed_ips:
        if network.endswith("/0") and view.via is None:
            raise ViewError(
                f"{view.interface}: peer {peer.name} has the default route {network} among its allowed IPs, and is not"
                " the exit node of this one: the tunnel's own packets would be routed into the tunnel. In a mesh file,"
                " `exit: true` and `via:` say that it is to be"
            )


def _check_mtu(view: View) -> None:
    mtu = view.effective_mtu
    if mtu is None or mtu >= IPV6_MINIMUM_MTU:
        return
    if any(":" in network for network in (*view.addresses, *routes(view))):
        raise ViewError(f"{view.interface}: mtu {mtu} is too small: IPv6 needs at least {IPV6_MINIMUM_MTU}")


# The interface itself


def _no_device(interface: str) -> Device:
    return Device(
        interface=interface,
        up=False,
        public_key=None,
        port=0,
        mtu=0,
        addresses=frozenset(),
        routes=frozenset(),
        peers={},
    )


def _create(view: View) -> tuple[Operation, ...]:
    argv = ("ip", "link", "add", "dev", view.interface, "type", "wireguard")
    return (Operation("device", None, view.interface, argv),)


def _private_key(view: View, device: Device, key_file: str, public_key: str) -> tuple[Operation, ...]:
    if device.public_key == public_key:
        return ()
    old: Facts = {"public_key": device.public_key} if device.public_key else None
    argv = ("wg", "set", view.interface, "private-key", key_file)
    return (Operation("private key", old, {"public_key": public_key}, argv),)


def _port(view: View, device: Device) -> tuple[Operation, ...]:
    if view.port is None or view.port == device.port:
        return ()
    port = str(view.port)
    argv = ("wg", "set", view.interface, "listen-port", port)
    return (Operation("listen port", _number(device.port), port, argv),)


def _mark_set(view: View, device: Device) -> tuple[Operation, ...]:
    mark = exits.mark(view)
    if mark in (0, device.mark):
        return ()
    return (_mark_operation(view, device, mark),)


def _mark_removed(view: View, device: Device) -> tuple[Operation, ...]:
    """A mark that somebody else gave stays."""
    if exits.mark(view) or not exits.is_ours(device.mark):
        return ()
    return (_mark_operation(view, device, 0),)


def _mark_operation(view: View, device: Device, mark: int) -> Operation:
    old, new = (f"{number:#x}" if number else None for number in (device.mark, mark))
    return Operation("mark of its own packets", old, new, ("wg", "set", view.interface, "fwmark", str(mark)))


def _mtu(view: View, device: Device) -> tuple[Operation, ...]:
    if view.effective_mtu in (None, device.mtu):
        return ()
    mtu = str(view.effective_mtu)
    argv = ("ip", "link", "set", "dev", view.interface, "mtu", mtu)
    return (Operation("mtu", _number(device.mtu), mtu, argv),)


def _number(value: int) -> str | None:
    return str(value) if value else None


def _up(view: View, device: Device) -> tuple[Operation, ...]:
    if device.up:
        return ()
    return (Operation("link", "down", "up", ("ip", "link", "set", "dev", view.interface, "up")),)


def _forwarding(view: View, forwarded: Collection[int]) -> list[Operation]:
    missing = [version for version in forwarding.versions(view.addresses) if version not in forwarded]
    return [
        Operation(f"IPv{version} forwarding", "off", "on", ("sh", "-c", forwarding.COMMANDS[version]))
        for version in missing
        if view.forwarding
    ]


# Addresses


def _addresses_added(view: View, device: Device) -> list[Operation]:
    replaced = _replaced(view, device)
    operations = []
    for address in view.addresses:
        if address in device.addresses:
            continue
        operations += [_address_removed(view, old) for old in sorted(replaced) if _host(old) == _host(address)]
        operations.append(Operation(f"address {address}", None, address, _address_argv(view, "add", address)))
    return operations


def _addresses_removed(view: View, device: Device) -> list[Operation]:
    """Remove what the view does not have, network by network, long prefixes last."""
    removed = device.addresses.difference(view.addresses) - _replaced(view, device)
    operations = []
    for network, addresses in groupby(sorted(sorted(removed), key=_by_network), key=_by_network):
        operations += _network_left(view, device, network, list(addresses))
    return operations


def _by_network(address: str) -> tuple[int, str]:
    network = ip_interface(address).network
    return network.prefixlen, str(network)


def _replaced(view: View, device: Device) -> frozenset[str]:
    """Return IPv6 addresses with a wrong prefix length: unlike IPv4, Linux takes an IPv6 address only once."""
    wanted = {_host(address) for address in view.addresses if address not in device.addresses}
    surplus = device.addresses.difference(view.addresses)
    return frozenset(address for address in surplus if ":" in address and _host(address) in wanted)


def _network_left(view: View, device: Device, network: tuple[int, str], addresses: list[str]) -> list[Operation]:
    """
    Remove addresses of one network, and keep those of it that the view has.

    With an IPv4 address the kernel deletes its secondaries (those of the same network that were added later) unless
    ``promote_secondaries`` is set, and with an interface's last IPv4 address all its IPv4 routes. So each is put back
    before it goes or where it stays. Those that stay are held meanwhile with a prefix length of their own, and the way
    to their network with a route that nothing else is like: the kernel's goes with its address.
    """
    removals = [_address_removed(view, address) for address in addresses]
    if ":" in addresses[0]:
        return removals
    steps = removals[:1]
    for address, removal in zip(addresses[1:], removals[1:], strict=True):
        steps += [_step(view, "replace", address), removal]
    kept = [address for address in view.addresses if _by_network(address) == network]
    if not kept:
        return steps
    holds = [f"{_host(address)}/32" for address in kept]
    let_go = [_step(view, "del", hold) for hold in holds if hold not in device.addresses.union(view.addresses)]
    return [
        *(_step(view, "replace", hold) for hold in holds),
        _hold_route(view, "replace", network[1]),
        *steps,
        *(_step(view, "replace", address) for address in kept),
        _hold_route(view, "del", network[1]),
        *let_go,
    ]


def _hold_route(view: View, verb: str, network: str) -> Operation:
    # Like the kernel's own, so that it is never taken for a route of ours; of all routes there, used last.
    unlike = ("proto", "kernel", "scope", "link", "metric", str(2**32 - 1))
    argv = ("ip", "-4", "route", verb, network, "dev", view.interface, *unlike)
    return Operation(f"route {network}", None, None, argv)


def _step(view: View, verb: str, address: str) -> Operation:
    return Operation(f"address {address}", None, None, _address_argv(view, verb, address))


def _address_removed(view: View, address: str) -> Operation:
    return Operation(f"address {address}", address, None, _address_argv(view, "del", address))


def _address_argv(view: View, verb: str, address: str) -> tuple[str, ...]:
    return ("ip", "address", verb, address, "dev", view.interface)


def _host(address: str) -> str:
    return address.partition("/")[0]


# Peers


def _peers_set(view: View, device: Device, endpoints: Mapping[str, str], applied: Applied, now: int) -> list[Operation]:
    moved = _moved(view, device)
    operations = {}
    for peer in view.peers:
        have = device.peers.get(peer.public_key)
        endpoint = _endpoint(peer, have, endpoints, applied, now)
        if have is None:
            operations[peer.public_key] = _peer_added(view, peer, endpoint)
            continue
        operation = _peer_changed(view, peer, have, endpoint, moved)
        if operation.new:
            operations[peer.public_key] = operation
    return [operations[key] for key in _takers_first(view, device, operations)]


def _moved(view: View, device: Device) -> frozenset[str]:
    """Return the networks that some peer gains; WireGuard takes each away from its present peer by itself."""
    gained: set[str] = set()
    for peer in view.peers:
        have = device.peers.get(peer.public_key)
        gained.update(set(peer.allowed_ips) - have.allowed_ips if have else peer.allowed_ips)
    return frozenset(gained)


def _endpoint(
    peer: Peer, have: DevicePeer | None, endpoints: Mapping[str, str], applied: Applied, now: int
) -> str | None:
    """Return the endpoint to set, if any. A peer that roamed is left where it is while its session lives."""
    resolved = _resolved(peer, endpoints)
    if resolved is None or have is None:
        return resolved
    configured_anew = applied.endpoints.get(peer.public_key) != peer.endpoint
    return resolved if have.endpoint != resolved and (configured_anew or is_stale(have, now)) else None


def is_stale(peer: DevicePeer, now: int) -> bool:
    """Tell whether there is no session with this peer, or has never been one; ``now`` in Unix seconds."""
    return now - peer.latest_handshake > STALE_SECONDS


def _resolved(peer: Peer, endpoints: Mapping[str, str]) -> str | None:
    if peer.endpoint is None or peer.endpoint not in endpoints:
        return None
    resolved = endpoints[peer.endpoint]
    if resolved == peer.endpoint:  # an address, which the view has in canonical form, or a comparison on paper
        return resolved
    try:
        return canonical_endpoint(resolved)
    except ValueError:
        raise ViewError(f"peer {peer.name}: endpoint {peer.endpoint} resolved to {resolved}: not ip:port") from None


def _peer_added(view: View, peer: Peer, endpoint: str | None) -> Operation:
    new: dict[str, object] = {"public_key": peer.public_key, "allowed_ips": list(peer.allowed_ips)}
    words: list[str] = []
    if peer.preshared:
        new["preshared_key"] = "set"
        words += ["preshared-key", PRESHARED_KEY]
    if endpoint:
        new["endpoint"] = endpoint
        words += ["endpoint", endpoint]
    new["keepalive"] = peer.keepalive
    words += ["persistent-keepalive", str(peer.keepalive), "allowed-ips", ",".join(peer.allowed_ips)]
    return Operation(f"peer {peer.name}", None, new, _peer_argv(view, peer.public_key, words))


def _peer_changed(view: View, peer: Peer, have: DevicePeer, endpoint: str | None, moved: frozenset[str]) -> Operation:
    """Return the operation for what differs about a peer; it repeats nothing that is right."""
    old: dict[str, object] = {}
    new: dict[str, object] = {}
    words: list[str] = []
    if endpoint:
        old["endpoint"], new["endpoint"] = have.endpoint, endpoint
        words += ["endpoint", endpoint]
    if have.keepalive != peer.keepalive:
        old["keepalive"], new["keepalive"] = have.keepalive, peer.keepalive
        words += ["persistent-keepalive", str(peer.keepalive)]
    if have.allowed_ips != set(peer.allowed_ips):
        old["allowed_ips"], new["allowed_ips"] = sorted(have.allowed_ips), list(peer.allowed_ips)
    # A peer that only loses networks to others needs no command: its own would take all of them off for a moment.
    if have.allowed_ips - moved != set(peer.allowed_ips):
        words += ["allowed-ips", ",".join(peer.allowed_ips)]
    if have.preshared_key != _fingerprint(peer):
        old["preshared_key"] = "set" if have.preshared_key else None
        new["preshared_key"] = ("changed" if have.preshared_key else "set") if peer.preshared else "removed"
        # `wg set` reads an empty file as the all-zero key, which stands for none.
        words += ["preshared-key", PRESHARED_KEY if peer.preshared else "/dev/null"]
    return Operation(f"peer {peer.name}", old, new, _peer_argv(view, peer.public_key, words) if words else ())


def _fingerprint(peer: Peer) -> str | None:
    """On paper, where the key itself is not known, one is like another."""
    return fingerprint(peer.preshared_key or "") if peer.preshared else None


def _peer_argv(view: View, public_key: str, words: Iterable[str]) -> tuple[str, ...]:
    return ("wg", "set", view.interface, "peer", public_key, *words)


def _takers_first(view: View, device: Device, operations: Mapping[str, Operation]) -> list[str]:
    """
    Return the keys of the operations so that a network's new peer takes it before its old peer lets it go.

    The end is the same in any order, as every peer is given its whole list; this one leaves no gap. Where peers swap,
    one of them has to be first.
    """
    owners = {network: key for key, peer in device.peers.items() for network in peer.allowed_ips}
    order: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(operations, ()))
    for peer in view.peers:
        for network in peer.allowed_ips:
            owner = owners.get(network, peer.public_key)
            if peer.public_key in operations and owner in operations and owner != peer.public_key:
                order.add(owner, peer.public_key)
    with suppress(CycleError):
        order.prepare()
    keys: dict[str, None] = {}
    while ready := order.get_ready():
        keys.update(dict.fromkeys(ready))
        order.done(*ready)
    return [*keys, *(key for key in operations if key not in keys)]


def _peers_removed(view: View, device: Device, applied: Applied) -> list[Operation]:
    wanted = {peer.public_key for peer in view.peers}
    # A removal shares its subject with the new key of the same node, and with nothing else.
    taken = {f"peer {peer.name}" for peer in view.peers if peer.public_key in device.peers}
    operations = []
    for key in sorted(set(device.peers) - wanted):
        peer = device.peers[key]
        subject = f"peer {applied.names.get(key, key)}"
        if subject in taken:
            subject = f"peer {key}"
        taken.add(subject)
        old: dict[str, object] = {"public_key": key, "allowed_ips": sorted(peer.allowed_ips)}
        if peer.endpoint:
            old["endpoint"] = peer.endpoint
        old["keepalive"] = peer.keepalive
        operations.append(Operation(subject, old, None, _peer_argv(view, key, ["remove"])))
    return operations


# Routes


def _routes_added(view: View, device: Device, wanted: frozenset[str]) -> list[Operation]:
    connected = {str(ip_interface(address).network) for address in device.addresses}
    operations = []
    for network in sorted(wanted - device.routes):
        # `replace` would take a route away from another interface, such as the node's own LAN: `add` fails instead.
        # Only over a route that the kernel made for an address of ours, one that goes, there is no other way.
        verb = "replace" if network in connected else "add"
        argv = ("ip", _family(network), "route", verb, network, "dev", view.interface)
        operations.append(Operation(f"route {network}", None, network, argv))
    return operations


def _routes_removed(view: View, device: Device, wanted: frozenset[str], applied: Applied) -> list[Operation]:
    """Remove what the last configuration needed and this one does not. Routes of others are left alone."""
    operations = []
    for network in sorted((applied.routes & device.boot_routes) - wanted):
        # With the protocol, or the kernel's own route to the same network may go instead.
        argv = ("ip", _family(network), "route", "del", network, "dev", view.interface, "proto", "boot")
        operations.append(Operation(f"route {network}", network, None, argv))
    return operations


class _WayOut:
    """The default route through an exit node: what a device's peers are part of, and what the rest of it is."""

    def __init__(self, view: View, device: Device, applied: Applied, policy: Policy) -> None:
        self._view = view
        names = {**applied.names, **{peer.public_key: peer.name for peer in view.peers}}
        self._owners = {network: names.get(key, key) for key, network in _defaults(device)}
        self._policy = policy
        self._wanted = exits.items(view)

    def added(self) -> list[Operation]:
        via = f"via {self._view.via}"
        operations = [
            Operation(_subject(item), None, via if item.stays_outside is None else "yes", item.added())
            for item in self._wanted
            if item not in self._policy.items
        ]
        if self._policy.strict and 4 in exits.versions(self._view):
            operations.insert(0, Operation("reverse path filter", "strict", "loose", ("sh", "-c", exits.LOOSEN)))
        return operations + self._moved()

    def _moved(self) -> list[Operation]:
        """To another exit it moves with the allowed IPs of the two."""
        wanted = ((version, exits.DEFAULTS[version]) for version in exits.versions(self._view))
        return [
            Operation(f"IPv{version} default route", f"via {self._owners[network]}", f"via {self._view.via}", ())
            for version, network in wanted
            if self._owners.get(network, self._view.via) != self._view.via
        ]

    def removed(self) -> list[Operation]:
        """The rules go first, and of these the one that leads into the tunnel."""
        stale = sorted(self._policy.items.difference(self._wanted), key=lambda item: (item.kind, item.words))
        return [
            Operation(_subject(item), "into the tunnel" if item.stays_outside is None else "yes", None, item.deleted())
            for item in reversed(stale)
        ]


def _defaults(device: Device) -> list[tuple[str, str]]:
    return [(key, text) for key, peer in device.peers.items() for text in peer.allowed_ips if text.endswith("/0")]


def _subject(item: exits.Item) -> str:
    outside = item.stays_outside
    return f"IPv{item.version} default route" if outside is None else f"outside the tunnel: {outside}"


def _family(network: str) -> str:
    return "-6" if ":" in network else "-4"
