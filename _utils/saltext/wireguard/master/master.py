"""
What the master knows and where it keeps it: mesh file, registry, accepted keys, the secret of preshared keys.

External pillar, runner and engine all come here, so that they cannot differ in what they believe.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import ConfigError, LossError, RefusedError
from ..fleet import fleet
from ..fleet.fleet import Fleet
from ..fleet.losses import Outside
from ..fleet.membership import Membership, vouched_keys
from ..fleet.network import NetworkState
from ..fleet.usage import Usage
from ..meshfile.load import load_mesh
from ..meshfile.mesh import ExternalPeer, Mesh, Network
from ..model.preshared import Secret
from ..model.statements import ABSENT, REGISTER_TAG, REPORT_TAG, Registration, Report, Rotation
from ..model.view import View
from ..registry.admission import REVOKED
from ..registry.evidence import claimed, verify
from ..registry.registry import Registry
from ..registry.rows import NodeId
from ..registry.salt_keys import AcceptedKey, load_salt_keys
from ..rollout.hold import current_hold
from . import secretfile
from .config import keys_dir_of, mesh_path_of, secret_of
from .external_peers import Client
from .intake import refuse_stranger, refuse_wrong_key
from .rotations import ROTATE_AGAIN_SECONDS, share
from .secretfile import load_secret
from .status import Status, believed_report, reason_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Master:
    """
    ``mesh_path``: file or directory. ``keys_dir``: Salt's directory of accepted minion keys. ``state_dir``: ours.
    ``own_minion``: the id of the minion on the master's machine, if there is one. ``configured_secret``: where
    preshared keys come from if not from a file of ours.
    """

    mesh_path: str
    keys_dir: str
    state_dir: str
    own_minion: str = ""
    configured_secret: Secret | None = None

    @classmethod
    def from_opts(cls, opts: Mapping[str, Any]) -> Master:
        """From the Salt master's options. Raises ConfigError, which says what to write into them."""
        # Salt calls a master after the minion on its machine, unless `id` is configured
        own_minion = str(opts.get("id") or "").removesuffix("_master")
        state_dir = os.path.join(opts["cachedir"], "wireguard")
        return cls(mesh_path_of(opts), keys_dir_of(opts), state_dir, own_minion, secret_of(opts))

    @property
    def registry(self) -> Registry:
        return Registry(os.path.join(self.state_dir, "registry.db"))

    def mesh(self) -> Mesh:
        """The mesh file, parsed. Raises MeshError."""
        return load_mesh(self.mesh_path)

    def accepted(self) -> Mapping[str, AcceptedKey]:
        """The minion keys accepted now."""
        return load_salt_keys(self.keys_dir)

    def secret(self) -> Secret | None:
        """Where all preshared keys come from, made if it is missing; None if the mesh file wants none."""
        if not any(network.preshared_keys for network in self.mesh().networks):
            return None
        return self.configured_secret or load_secret(self.state_dir)

    def preshared(self) -> set[NodeId]:
        """The registered nodes that have preshared keys, from a file of ours. Raises ConfigError for any other case."""
        concerned = {network.name for network in self.mesh().networks if network.preshared_keys}
        if not concerned:
            raise ConfigError(f"no network of {self.mesh_path} has `preshared_keys: true`")
        if self.configured_secret:
            raise ConfigError(
                "the secret comes from `preshared_secret` in the master's configuration: change it where it is kept,"
                " restart salt-master, and run `salt-run wireguard.reconcile`"
            )
        members = self._fleet(self.accepted()).members()
        return {(name, member.node) for name, member in members if name in concerned and member.row}

    def renew_secret(self, who: str, why: str) -> None:
        """Let all preshared keys be others from now on; ``who`` wants that, and ``why``. Raises as ``preshared``."""
        nodes = self.preshared()
        secretfile.renew_secret(self.state_dir)
        self.registry.note("preshared", nodes, who, why)

    def fleet(self) -> Fleet:
        """
        The fleet as it is now. Raises MeshError when the mesh file is invalid or contradicts the registry, and
        LossError when most nodes of a network would leave it at once, or nodes would lose their addresses.
        """
        return self._without_losses(self._fleet(self.accepted()))

    def _fleet(self, keys: Mapping[str, AcceptedKey]) -> Fleet:
        """Also one with losses: for what tells nobody, and for what comes before a loss is forced."""
        return fleet.current(self.mesh(), self.registry, keys, self.secret())

    def _without_losses(self, joined: Fleet) -> Fleet:
        if joined.losses:
            raise LossError(
                "\n".join(
                    f"{loss.describe(self.mesh_path)}. Nobody was told, and every node keeps what it has. Correct that,"
                    ' or, if it is meant, run `salt-run wireguard.reconcile force=True reason="..."`'
                    for loss in joined.losses
                )
            )
        return joined

    def views(self, node: str) -> dict[str, View] | None:
        """
        Network -> what the node must have there, with its preshared keys, which are for nobody else; empty if it was a
        member of some network, None if it never was one.

        Raises MeshError, and LossError where it concerns a network of this node.
        """
        joined = self._fleet(self.accepted())
        losses = joined.losses_of(node)
        if losses:
            summary = "; ".join(loss.summary for loss in losses)
            raise LossError(f"{summary}. `salt-run wireguard.reconcile` on the master says which, and how to go on")
        return joined.told(node) or ({} if joined.was_member(node) else None)

    def registered(self) -> set[str]:
        """The ids of all members that registered, and so can be asked."""
        return {member.node for _, member in self._fleet(self.accepted()).members() if member.has_registered}

    def is_trusted(self, node: str) -> bool:
        """Whether its Salt key is accepted, or an operator vouches for its public key in some network."""
        return node in self.accepted() or node in vouched_keys(self.registry.snapshot())

    def settle(self, forced: tuple[str, str] | None = None) -> dict[str, list[str]]:
        """
        Bring allocated addresses in line with the mesh file, and write into the history who joined and who left.

        ``forced``: (who, why) if most nodes of a network may leave it at once. That is about the members as they are
        now: with them noted, they are what a later loss is measured by.

        Returns network -> public keys of those that left it since the last call. Others may still have them as peers.
        """
        joined = self._fleet(self.accepted())
        if not forced:
            self._without_losses(joined)
        for network in joined.mesh.networks:
            self._settle_addresses(network, joined.networks[network.name].membership, move=bool(forced))
        for name in {name for name, _ in self.registry.snapshot().exports} - joined.networks.keys():
            self.registry.forget_exports(name)
        lossy = {loss.network for loss in joined.losses}
        left = {
            name: self._note_members(name, joined.networks.get(name), forced if name in lossy else None)
            for name in {*joined.networks, *self.registry.snapshot().noted}
        }
        return self.keys_of((name, node) for name, nodes in left.items() for node in nodes)

    def _settle_addresses(self, network: Network, members: Membership, move: bool) -> None:
        """Of each network by itself: one that has no address left does not stop the others."""
        try:
            self.registry.settle(network, members, members.suspended, move)
        except RefusedError as exc:
            log.error("wireguard: no address of network %s was changed: %s", network.name, exc)

    def address_warnings(self) -> list[str]:
        """What keeps nodes from their addresses, a sentence each: what nobody is told of, and exhausted pools."""
        fleet = self._fleet(self.accepted())
        found = [each.describe(self.mesh_path) for each in fleet.losses if isinstance(each, Outside)]
        for joined in fleet.networks.values():
            pool = joined.pool()
            try:
                for name, _ in joined.having():
                    pool.assign(name)
            except RefusedError as exc:
                found.append(f"{exc}; until then, no address of this network is changed")
        return found

    def usage(self) -> dict[str, Usage]:
        """What has become of the addresses of each network; also of one that nobody is told anything of just now."""
        joined = self._fleet(self.accepted())
        snapshot = self.registry.snapshot()
        return {
            network.name: Usage(network, joined.networks[network.name], snapshot) for network in joined.mesh.networks
        }

    def keys_of(self, nodes: Iterable[NodeId]) -> dict[str, list[str]]:
        """Network -> the public keys, also the announced ones, that these nodes registered."""
        rows = self.registry.snapshot().rows
        found: dict[str, list[str]] = {}
        for row in (rows[each] for each in nodes if each in rows):
            found.setdefault(row.network, []).extend(key for key in (row.public_key, row.next_key) if key)
        return found

    def _note_members(self, name: str, network: NetworkState | None, forced: tuple[str, str] | None) -> list[str]:
        registered = {member.node for member in network.members.values() if member.row} if network else set()
        who, said = forced or ("master", "")

        def why_not(node: str) -> str:
            if network is None:
                return "the mesh file has this network no more"
            return network.membership.why_not(node) or "its Salt key changed; it has not registered anew"

        def why(node: str) -> str:
            return f"{why_not(node)}; {said}" if said else why_not(node)

        return self.registry.note_members(name, registered, why, who)

    # -- what nodes say

    def hear(self, tag: str, event: object) -> bool:
        """Take in an event as ``take_in`` does. Returns whether it brought news."""
        return bool(self.take_in(tag, event))

    def take_in(self, tag: str, event: object) -> bool | None:
        """
        Take in an event as ``event.send`` makes it, ``{"id": .., "data": {"signed": ..}}``: verify and store the
        registration or report in it. Returns whether it brought news, and None where it is not believed.

        A statement that is not believed is one line in the log and counts in the registry; it raises nothing, because
        whoever forged it has no say in what else happens. Events with other tags are no news. Raises MeshError and
        RegistryError.
        """
        accept = {REGISTER_TAG: self._register, REPORT_TAG: self._report}.get(tag)
        if accept is None:
            return False
        fields = event if isinstance(event, Mapping) else {}
        data = fields.get("data")
        signed = data.get("signed") if isinstance(data, Mapping) else None
        try:
            return accept(signed)
        except RefusedError as exc:
            node, network = claimed(signed)
            self.registry.refuse(network, node, str(exc))
            sender = fields.get("id")
            sender = sender[:100] if isinstance(sender, str) else type(sender).__name__
            text = "refused what came as %s in the name of %s for network %s: %s (the event names %r as its sender)"
            log.warning(text, tag, node, network, exc, sender)
            return None

    def _register(self, signed: object) -> bool:
        keys = self.accepted()
        statement, key = verify(signed, Registration, keys)
        network, members = self._membership(statement.network, keys)
        refuse_stranger(members, statement.node, statement.network)
        refuse_wrong_key(network, statement.node, statement.public_key)
        return self.registry.register(statement, key.fingerprint, network, members, members.suspended)

    def _membership(self, name: str, keys: Mapping[str, AcceptedKey]) -> tuple[Network, Membership]:
        """Not by joining the whole fleet: when a large one comes up, every registration would join it anew."""
        network = self.mesh().network(name)
        if network is None:
            raise RefusedError(f"the mesh file has no network {name}")
        standings, vouched = self.registry.standings(), self.registry.vouched(name)
        return network, Membership(network, keys, standings, time.time(), vouched)

    def _report(self, signed: object) -> bool:
        keys = self.accepted()
        statement, key = verify(signed, Report, keys)
        if not self.registry.knows(statement.network, statement.node):
            # one that left may still report; one that never was there would be waited for in every reconcile
            _, members = self._membership(statement.network, keys)
            refuse_stranger(members, statement.node, statement.network)
        return self.registry.report(statement, key.fingerprint)

    def announce(self, signed: object, who: str, why: str) -> bool:
        """Take in the key that a node will rotate to. ``who`` wants that, and ``why``. Raises RefusedError."""
        keys = self.accepted()
        statement, key = verify(signed, Rotation, keys)
        network, members = self._membership(statement.network, keys)
        refuse_stranger(members, statement.node, statement.network)
        refuse_wrong_key(network, statement.node, statement.next_key)
        return self.registry.announce(statement, key.fingerprint, who, why)

    # -- what operators decide

    def admit(self, network: str, node: str, who: str, expires: float | None) -> bool:
        """Let a node in; see ``Registry.admit``. Raises RefusedError where the mesh file does not have it."""
        keys = self.accepted()
        if node not in keys:
            raise RefusedError(f"{node} is not an accepted minion: accept its key by `salt-key -a {node}` first")
        found, members = self._membership(network, keys)
        if found.settings(node) is None:
            raise RefusedError(f"{node} is not in network {network}: write it into the mesh file first")
        return self.registry.admit(found, node, keys[node].fingerprint, members, who, expires, members.suspended)

    def to_enroll(self, node: str, network: str | None = None) -> list[Network]:
        """
        The networks that the mesh file has the node in; only ``network`` if that is given. Raises RefusedError where
        an operator need not vouch for the node, as it registered by itself, or must not, and ConfigError.
        """
        found = [each for each in self.mesh().networks if network in (None, each.name) and each.settings(node)]
        if not found:
            where = f"network {network}" if network else "any network"
            raise ConfigError(f"the mesh file does not have {node} in {where}: write it there first")
        rows, keys = self.registry.snapshot().rows, self.accepted()
        for each in found:
            row = rows.get((each.name, node))
            if row and node in keys and row.salt_key == keys[node].fingerprint:
                raise RefusedError(f"{node} has registered by its minion: `salt {node} state.apply wireguard`")
        return found

    def enroll(self, statement: Registration, who: str) -> None:
        """
        Take in what ``who`` fetched from the node by ssh. Raises RefusedError.

        That makes it a member without an accepted Salt key. Should its minion have one later, and register with it,
        this has no meaning any more.
        """
        network, members = self._membership(statement.network, self.accepted())
        refuse_wrong_key(network, statement.node, statement.public_key)
        self.registry.vouch(statement, network, {*members, statement.node}, who, members.suspended)

    def networks_of(self, node: str, network: str | None = None) -> list[str]:
        """
        The networks that know the node, by the mesh file or by the registry; only ``network`` if that is given.

        Raises ConfigError when there are none, and for a name that only a glob of the mesh file would let in: it is
        mistyped, and an answer about it would be one about nobody.
        """
        snapshot = self.registry.snapshot()
        remembered = {name for name, each in {*snapshot.rows, *snapshot.standings, *snapshot.waiting} if each == node}
        networks = self.mesh().networks
        listed = {each.name for each in networks if each.settings(node) is not None}
        by_name = {each.name for each in networks if any(entry.pattern == node for entry in each.nodes)}
        if not remembered and any(each.peer(node) for each in networks):
            raise ConfigError(
                f"{node} is a peer that no minion runs on: to shut it out, take it out of the mesh file, or give it"
                f" another key by `salt-run wireguard.export {node} rekey=True`"
            )
        if not remembered and not by_name and listed and node not in self.accepted():
            raise ConfigError(f"there is no {node}: no accepted minion has this id, and none ever registered under it")
        found = sorted(listed | remembered)
        if network is not None:
            found = [name for name in found if name == network]
        if not found:
            where = f"network {network}" if network else "any network"
            raise ConfigError(f"{node} is not in {where}, neither by the mesh file nor by the registry")
        return found

    def revoked(self) -> set[NodeId]:
        """The nodes that an operator excluded."""
        standings = self.registry.snapshot().standings
        return {node for node, standing in standings.items() if standing.state == REVOKED}

    def due_for_rotation(self, now: float) -> list[NodeId]:
        """
        (network, node) whose key is due by ``rotate_every``, the longest overdue first; only nodes that are in sync.

        Each node has a moment of its own in the last fifth of the time, so that nodes that came together do not rotate
        together. One that just failed, as those do that are off, has to wait, so that it does not keep others waiting.
        """
        due = []
        failed = self.registry.failed_rotations(now - ROTATE_AGAIN_SECONDS)
        for status in self.status():
            network = self.mesh().network(status.network)
            if (status.network, status.member.node) in failed:
                continue
            if network and network.rotate_every and status.member.row and status.reason is None:
                moment = status.member.row.keyed + network.rotate_every * (0.8 + 0.2 * share(status.member.node))
                due.append((moment, (status.network, status.member.node)))
        return [who for moment, who in sorted(due) if moment <= now]

    # -- peers that are not minions

    def peer(self, name: str, network: str | None = None) -> tuple[Network, ExternalPeer]:
        """The peer of this name. Raises ConfigError where there is none, or one in each of several networks."""
        networks = [each for each in self.mesh().networks if network in (None, each.name)]
        found = [(each, peer) for each in networks for peer in [each.peer(name)] if peer]
        if not found:
            where = f"network {network} of the mesh file" if network else "the mesh file"
            raise ConfigError(f"{where} has no peer {name}: write `peers: {{{name}: }}` into its network first")
        if len(found) > 1:
            names = ", ".join(each.name for each, _ in found)
            raise ConfigError(f"{name} is a peer in the networks {names}: say which by `network=`")
        return found[0]

    def members(self, network: Network) -> Membership:
        """The members of a network, registered or not."""
        return self._membership(network.name, self.accepted())[1]

    def client(self, network: str, peer: str, public_key: str) -> View:
        """
        What a peer that was prepared for export must have with this key, which need not be the one that it has.

        Raises what ``fleet`` raises.
        """
        snapshot = self.registry.snapshot()
        export = replace(snapshot.exports[network, peer], public_key=public_key)
        foretold = replace(snapshot, exports={**snapshot.exports, (network, peer): export})
        joined = self._without_losses(Fleet(self.mesh(), foretold, self.accepted(), time.time(), self.secret()))
        return joined.networks[network].client(peer)

    def clients(self) -> Iterator[Client]:
        """All peers that are not minions."""
        exports = self.registry.snapshot().exports
        joined = self.fleet()
        for network in joined.mesh.networks:
            having = joined.networks[network.name]
            for peer in network.peers:
                export = exports.get((network.name, peer.name))
                found = having.peers.get(peer.name, peer)
                if export and export.exported and found.public_key:
                    yield Client(network.name, found, export, having.is_current(peer.name))
                else:
                    yield Client(network.name, found, None, False)

    # -- who is out of date

    def status(self) -> list[Status]:
        """Every member of every network, and why it is out of date if it is. Raises what ``fleet`` raises."""
        keys = self.accepted()  # these very keys: one that is deleted meanwhile must not be missing below
        joined = self._without_losses(self._fleet(keys))
        digests = joined.digests()
        applied = self.registry.applied()
        return [
            Status(network, member, report, reason_of(member, wanted, report), wanted)
            for network, member in joined.members()
            for report in [believed_report(applied, network, member.node, keys)]
            for wanted in [digests.get((network, member.node))]
        ]

    def last(self) -> frozenset[str]:
        """
        The nodes to change after all others, because these may be reached through them: hubs, those with networks
        behind them, and the one on the master's machine, as whoever has the master's address in the mesh has a tunnel
        to it.
        """
        carriers = (member.node for _, member in self.fleet().members() if member.settings.carries)
        return frozenset({self.own_minion, *carriers})

    def left_out(self) -> list[tuple[str, str, str]]:
        """(network, node, why) for nodes that the registry knows and that are no members now."""
        joined = self.fleet()
        snapshot = self.registry.snapshot()
        found = []
        for name, node in sorted({*snapshot.rows, *snapshot.standings}):
            network = joined.networks.get(name)
            why = network.membership.why_not(node) if network else "the mesh file has no such network"
            if why:
                found.append((name, node, why))
        return found

    def warnings(self) -> list[str]:
        """What needs a person: a hold, decisions that wait, and machines that present themselves as another."""
        waiting = self.registry.snapshot().waiting
        pending = [
            f"{node} waits in network {network} ({each.question}): `salt-run wireguard.admit {node}`, or `reject`"
            for (network, node), each in sorted(waiting.items())
        ]
        denied = sorted(load_salt_keys(f"{self.keys_dir}_denied").keys() & self.accepted().keys())
        enrolled = sorted(load_salt_keys(f"{self.keys_dir}_pre").keys() & vouched_keys(self.registry.snapshot()).keys())
        on_hold = [sentence for sentence in [current_hold(self.state_dir)] if sentence]
        return (
            on_hold
            + self.address_warnings()
            + pending
            + [
                f"another machine presents itself as {node} with a Salt key of its own; Salt denies it (`salt-key -L`)"
                for node in denied
            ]
            + [
                f"a machine presents itself as {node}, which was enrolled by ssh: accept its Salt key only if its"
                f" fingerprint is that of {node} (`salt-key -f {node}`, and there `salt-call --local key.finger`)"
                for node in enrolled
            ]
        )

    def own_removal(self, node: str, networks: Collection[str]) -> str:
        """What is known of the interfaces of a node that was removed."""
        applied = self.registry.applied()
        digests = [applied[(network, node)].digest for network in networks if (network, node) in applied]
        if node not in self.accepted() and self.is_trusted(node):
            return f"by ssh: `salt-ssh {node} state.apply wireguard` takes its interface down"
        if all(digest == ABSENT for digest in digests):
            return "has taken its interface down" if digests else "never reported an interface"
        return "has not taken its interface down" if node in self.accepted() else "out of reach: its Salt key is gone"

    def just_booted(self) -> set[str]:
        """Members whose machine came up anew, or is another one: it is to be seen whether the old one still runs."""
        keys = self.accepted()
        boots = self.registry.snapshot().boots
        members = {member.node for _, member in self._fleet(keys).members()}
        return {
            node
            for (node, salt_key), each in boots.items()
            if each.fresh and node in members and node in keys and keys[node].fingerprint == salt_key
        }

    def calls_for_reconcile(self, tag: str) -> bool:
        """Whether news that came with this tag is a reason to reconcile; most reports are the outcome of one."""
        return tag == REGISTER_TAG or bool(self.just_booted())

    def leftovers(self) -> list[NodeId]:
        """Nodes that left a network, can still be reached, and have not reported that they took it down."""
        keys = self.accepted()
        joined = self.fleet()
        return [
            (network, node)
            for (network, node), applied in self.registry.applied().items()
            if applied.digest != ABSENT
            and node in keys
            and applied.salt_key == keys[node].fingerprint
            and (network not in joined.networks or node not in joined.networks[network].members)
        ]
