"""
Compares a fleet as it is with the fleet as it will be, before anything changes.

The changes come from ``device.diff``, so that a plan, a test run and a run report the same change alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..device import diff, exits, forwarding, rotation
from ..device.disruption import cuts, public_keys
from ..device.exits import NO_POLICY, Policy
from ..device.operations import Applied, changes_of
from ..fleet.fleet import Fleet
from ..fleet.membership import Member
from ..fleet.network import NetworkState
from ..meshfile.mesh import Mesh
from ..model.answers import Sessions, Step
from ..model.changes import Change, Changes, Kind, Subject, removal
from ..model.device import Device, DevicePeer, fingerprint
from ..model.hosts import block_changes
from ..model.peer import Peer
from ..model.view import View
from ..registry.admission import question
from ..registry.rows import NodeId, Row, Snapshot
from ..registry.salt_keys import AcceptedKey

# With the name of a node, this stands for its public key, which it has not made yet.
_NOT_MADE = "not made yet: "


@dataclass(frozen=True)
class Difference:
    """What would change for one node in one network. ``cuts``: subject -> the session that the change cuts off."""

    network: str
    node: str
    changes: Changes
    cuts: Mapping[Subject, str] = field(default_factory=dict)

    def steps(self, sessions: Sessions | None) -> Iterator[Step]:
        """``sessions``: None if unknown, because the node did not answer."""
        for change in self.changes:
            cut = self.cuts.get(change.subject)
            disturbs = 0 if cut is None else sessions.cut(cut) if sessions else None
            yield Step(self.network, self.node, change, disturbs)


def projected(
    mesh: Mesh,
    snapshot: Snapshot,
    accepted: Mapping[str, AcceptedKey],
    now: float,
    mentioned: Collection[NodeId] = (),
) -> Fleet:
    """
    Return the fleet as it will be with this mesh file, once every node that may register has done so.

    Addresses are those that ``Registry.settle`` will give. A member that never registered has a stand-in for its key,
    and the addresses that are certain. Those ``mentioned`` before are left out. Raises MeshError, PoolExhaustedError
    and RefusedError, as a reconcile would.
    """
    present = Fleet(mesh, snapshot, accepted, now)
    rows, exports = dict(snapshot.rows), dict(snapshot.exports)
    for network in mesh.networks:
        state = present.networks[network.name]
        pool = state.pool()
        for name in [name for name, _ in state.address_holders() if pool.assign(name, move=True)]:
            who, addresses = (network.name, name), tuple(pool.addresses(name))
            if network.peer(name):
                exports[who] = replace(exports[who], addresses=addresses)
            else:
                rows[who] = replace(rows[who], addresses=addresses)
    for who, member in unregistered(present):
        if who not in mentioned and not _must_be_admitted(mesh, snapshot, who):
            rows[who] = _newcomer(who, rows.get(who), member.settings.port, accepted[member.node])
    return Fleet(mesh, replace(snapshot, rows=rows, exports=exports), accepted, now)


def unregistered(fleet: Fleet) -> Iterator[tuple[NodeId, Member]]:
    """The members that have not registered, or not since they were reinstalled."""
    return (((network, member.node), member) for network, member in fleet.members() if member.row is None)


def _must_be_admitted(mesh: Mesh, snapshot: Snapshot, who: NodeId) -> bool:
    network = mesh.network(who[0])
    return network is not None and question(network, "", (), snapshot.standings.get(who)) is not None


def _newcomer(who: NodeId, before: Row | None, port: int, key: AcceptedKey) -> Row:
    addresses = before.addresses if before else ()
    return Row(*who, f"{_NOT_MADE}{who[1]}", (), port, 0, key.fingerprint, 0.0, addresses)


def compare(before: Fleet, after: Fleet, mentioned: Collection[NodeId] = ()) -> Iterator[Difference]:
    """
    The differences between a fleet and a projected one, for each node that changes.

    Members that have not registered are included, unless they are ``mentioned`` already.
    """
    for name in sorted({*before.networks, *after.networks}):
        old, new = before.networks.get(name), after.networks.get(name)
        for node in sorted({*(old.members if old else ()), *(new.members if new else ())}):
            member = new.members.get(node) if new else None
            if new and member and _is_newcomer(member):
                if (name, node) not in mentioned:
                    joins = Change(Kind.INTERFACE, new.view(node).interface, None, _joins(member))
                    yield Difference(name, node, (joins,))
                continue
            have, want = _view(old, node), _view(new, node)
            changes = _with_newcomers(between(have, want), new)
            if changes:
                yield Difference(name, node, changes, cuts(changes, _on_paper(have, changes)))


def outdated(before: Fleet, after: Fleet) -> list[str]:
    """The external peers whose exported configuration would become outdated."""
    return sorted(
        peer
        for name, new in after.networks.items()
        for old in [before.networks.get(name)]
        for peer in new.peers
        if old and peer in old.peers and old.is_current(peer) and not new.is_current(peer)
    )


def _is_newcomer(member: Member) -> bool:
    return member.row is None or member.row.public_key.startswith(_NOT_MADE)


def _joins(member: Member) -> str:
    """In words, because the master does not know the facts yet, such as the key."""
    if member.row is None:
        return "registers, and waits to be admitted"
    addresses = ", ".join(str(address) for address in member.addresses)
    return f"registers with {addresses}" if addresses else "registers, and gets an address"


def _with_newcomers(changes: Changes, state: NetworkState | None) -> Changes:
    members = state.members if state else {}
    newcomers = {name: each for name, each in members.items() if each.row and _is_newcomer(each)}
    return tuple(
        replace(change, old=None, new=_joins(newcomers[change.name]))
        if change.kind == Kind.PEER and change.name in newcomers
        else change
        for change in changes
    )


def _view(state: NetworkState | None, node: str) -> View | None:
    """The view of a registered member, None for everybody else."""
    member = state.members.get(node) if state else None
    return state.view(node) if state and member and member.row else None


def between(old: View | None, new: View | None) -> Changes:
    """The changes between an interface as in one view and as in another; None for no interface."""
    names = (each.hosts.lines() if each and each.hosts else [] for each in (old, new))
    return _interface_between(old, new) + block_changes(*names)


def _interface_between(old: View | None, new: View | None) -> Changes:
    if new is None:
        return removal(old.interface) if old else ()
    if old is None or old.interface != new.interface:
        gone = removal(old.interface) if old else ()
        return gone + _changes(rotation.expand(new, None), None, Applied())
    old, new = _without_what_stays(rotation.expand(old, None), rotation.expand(new, None))
    forwarded = forwarding.versions(old.addresses) if old.forwarding else ()
    changes = _changes(new, as_device(old), Applied.of(old), forwarded, Policy.of(old))
    by_paths = Change(Kind.MTU, "", str(old.mtu), "what fits through the paths to its peers")
    return (*changes, by_paths) if old.mtu is not None and new.mtu is None else changes


def _without_what_stays(old: View, new: View) -> tuple[View, View]:
    """Leave out the peers that stay, most in a large mesh. But new addresses may change any peer's routes."""
    if old.addresses != new.addresses:
        return old, new
    both = {peer.digest for peer in old.peers} & {peer.digest for peer in new.peers}
    return (
        replace(old, peers=tuple(peer for peer in old.peers if peer.digest not in both)),
        replace(new, peers=tuple(peer for peer in new.peers if peer.digest not in both)),
    )


def _changes(
    view: View, device: Device | None, applied: Applied, forwarded: Collection[int] = (), policy: Policy = NO_POLICY
) -> Changes:
    operations = diff.diff(
        view,
        device,
        key_file="",
        public_key=view.public_key or "",
        endpoints={peer.endpoint: peer.endpoint for peer in view.peers if peer.endpoint},
        applied=applied,
        now=0,
        forwarded=forwarded,
        policy=policy,
    )
    return changes_of(operations)


def as_device(view: View) -> Device:
    """The device that a view describes, without what the system chooses; its endpoints may be names."""
    routed = view.routes
    return Device(
        interface=view.interface,
        up=True,
        public_key=view.public_key,
        port=view.port or 0,
        mtu=view.mtu or 0,
        addresses=frozenset(view.addresses),
        routes=routed,
        peers={peer.public_key: _as_device_peer(peer) for peer in view.peers},
        boot_routes=routed,
        mark=exits.mark(view),
        link_local=frozenset(filter(None, [view.link_local])),
    )


def _as_device_peer(peer: Peer) -> DevicePeer:
    return DevicePeer(
        public_key=peer.public_key,
        endpoint=peer.endpoint,
        allowed_ips=frozenset(peer.allowed_ips),
        latest_handshake=0,
        rx=0,
        tx=0,
        keepalive=peer.keepalive,
        preshared_key=fingerprint("") if peer.preshared else None,
    )


def _on_paper(view: View | None, changes: Changes) -> Mapping[Subject, str]:
    """The public keys for ``cuts``, of the peers that changes concern: most peers of a large mesh stay."""
    if view is None:
        return {}
    names = {change.name for change in changes if change.kind == Kind.PEER}
    routed = {change.name for change in changes if change.kind == Kind.ROUTE}
    peers = [peer for peer in view.peers if peer.name in names or not routed.isdisjoint(peer.allowed_ips)]
    return public_keys(peers, as_device(replace(view, peers=tuple(peers))))


def merge(first: Changes, then: Changes) -> Changes:
    """The changes of two steps as one."""
    result = {change.subject: change for change in first}
    for change in then:
        before = result.get(change.subject)
        result[change.subject] = _merged(before, change) if before else change
    return tuple(result.values())


def _merged(first: Change, then: Change) -> Change:
    old, new = first.old, then.new
    if isinstance(old, dict) and isinstance(then.old, dict):
        old = {**then.old, **old}
    if isinstance(new, dict) and isinstance(first.new, dict):
        new = {**first.new, **new}
    return replace(first, old=old, new=new)
