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

from collections.abc import Callable, Collection, Iterable, Mapping
from ipaddress import ip_interface

from ..errors import ViewError
from ..model.addresses import LEAST_MTU
from ..model.changes import Change, Facts, Kind
from ..model.device import Device
from ..model.view import Peer, View
from . import exits, forwarding
from .addresses import addresses_added, addresses_removed
from .default_route import WayOut
from .exits import NO_POLICY, Policy
from .operations import Applied, Operation
from .peers import peers_removed, peers_set
from .routes import routes_added, routes_removed


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
    mtu_last = view.effective_mtu is not None and view.effective_mtu < LEAST_MTU[6]
    wanted = view.routes
    way_out = WayOut(view, current, applied, policy)
    return (
        *(() if device else _create(view)),
        *_private_key(view, current, key_file, public_key),
        *_port(view, current),
        *_mark_set(view, current),
        *(() if mtu_last else mtu),
        *addresses_added(view, current),
        *_up(view, current),
        *((*way_out.removed(), *_mark_removed(view, current)) if view.via is None else ()),
        *peers_set(view, current, endpoints, applied, now),
        *routes_added(view, current, wanted),
        *_forwarding(view, forwarded),
        *way_out.added(),
        *(way_out.removed() if view.via is not None else ()),
        *routes_removed(view, current, wanted, applied),
        *peers_removed(view, current, applied),
        *addresses_removed(view, current),
        *(mtu if mtu_last else ()),
    )


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
            f"{view.interface}: peer {peer.name} has this node's own public key {public_key}, so WireGuard would"
            " ignore it; was one machine cloned from the other?"
        )
    for network in peer.allowed_ips:
        if network.endswith("/0") and view.via is None:
            raise ViewError(
                f"{view.interface}: peer {peer.name} has the default route {network} among its allowed IPs, but is not"
                " this node's exit: the tunnel's own packets would be routed into the tunnel. To make it the"
                " exit, write `exit: true` and `via:` in the mesh file"
            )


def _check_mtu(view: View) -> None:
    mtu = view.effective_mtu
    if mtu is None or mtu >= LEAST_MTU[6]:
        return
    if any(":" in network for network in (*view.addresses, *view.routes)):
        raise ViewError(f"{view.interface}: mtu {mtu} is too small: IPv6 needs at least {LEAST_MTU[6]}")


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
    return (Operation(Change(Kind.DEVICE, "", None, view.interface), argv),)


def _private_key(view: View, device: Device, key_file: str, public_key: str) -> tuple[Operation, ...]:
    if device.public_key == public_key:
        return ()
    old: Facts = {"public_key": device.public_key} if device.public_key else None
    argv = ("wg", "set", view.interface, "private-key", key_file)
    return (Operation(Change(Kind.PRIVATE_KEY, "", old, {"public_key": public_key}), argv),)


def _port(view: View, device: Device) -> tuple[Operation, ...]:
    if view.port is None or view.port == device.port:
        return ()
    port = str(view.port)
    argv = ("wg", "set", view.interface, "listen-port", port)
    return (Operation(Change(Kind.LISTEN_PORT, "", _number(device.port), port), argv),)


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
    return Operation(Change(Kind.MARK, "", old, new), ("wg", "set", view.interface, "fwmark", str(mark)))


def _mtu(view: View, device: Device) -> tuple[Operation, ...]:
    if view.effective_mtu in (None, device.mtu):
        return ()
    mtu = str(view.effective_mtu)
    argv = ("ip", "link", "set", "dev", view.interface, "mtu", mtu)
    return (Operation(Change(Kind.MTU, "", _number(device.mtu), mtu), argv),)


def _number(value: int) -> str | None:
    return str(value) if value else None


def _up(view: View, device: Device) -> tuple[Operation, ...]:
    if device.up:
        return ()
    return (Operation(Change(Kind.LINK, "", "down", "up"), ("ip", "link", "set", "dev", view.interface, "up")),)


def _forwarding(view: View, forwarded: Collection[int]) -> list[Operation]:
    missing = [version for version in forwarding.versions(view.addresses) if version not in forwarded]
    return [
        Operation(Change(Kind.FORWARDING, f"IPv{version}", "off", "on"), ("sh", "-c", forwarding.COMMANDS[version]))
        for version in missing
        if view.forwarding
    ]
