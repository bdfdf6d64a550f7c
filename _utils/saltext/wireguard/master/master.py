"""
The master's knowledge: mesh file, registry, accepted keys, the secret of preshared keys.

External pillar, runner and engine all use this, so that they cannot disagree.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ..errors import ConfigError, LossError
from ..fleet import fleet
from ..fleet.fleet import Fleet
from ..fleet.membership import vouched_keys
from ..meshfile.load import load_mesh
from ..meshfile.mesh import Mesh
from ..meshfile.patterns import Nodegroups
from ..model.preshared import Secret
from ..model.view import View
from ..registry.registry import Registry
from ..registry.rows import Applied, Drain, NodeId, Snapshot
from ..registry.salt_keys import AcceptedKey, KeyDirectory, KeyStore, recent_salt_keys
from .config import (
    KEY_FILES,
    key_driver_of,
    keys_dir_of,
    mesh_path_of,
    name_of,
    nodegroups_of,
    registry_of,
    secret_of,
    state_dir_of,
)
from .secretfile import load_secret


@dataclass(frozen=True)
class Master:
    """
    The places where the master keeps things.

    ``mesh_path``: file or directory. ``keys_dir``: Salt's directory of accepted minion keys. ``state_dir``: ours.
    ``own_minion``: the id of the minion on the master's machine, if there is one. ``configured_secret``: the source of
    preshared keys, if that is not a file of ours. ``nodegroups``: those of its configuration; None: not known.
    ``key_store``: Salt's cache of keys, if that is not ``keys_dir``. ``registry_place``: where the registry is, unless
    it is a file in ``state_dir``. ``name``: what the other masters of the registry know it by.
    """

    mesh_path: str
    keys_dir: str
    state_dir: str
    own_minion: str = ""
    configured_secret: Secret | None = None
    nodegroups: Nodegroups | None = field(default=None, hash=False)
    registry_place: str = field(default="", repr=False)  # may have a password
    name: str = ""
    key_store: KeyStore | None = field(default=None, hash=False, compare=False)

    @classmethod
    def from_opts(cls, opts: Mapping[str, Any], key_store: KeyStore | None = None) -> Master:
        """From the Salt master's options. Raises ConfigError, which says what to write into them."""
        # Unless `id` is configured, Salt names a master after the minion on its machine.
        own_minion = str(opts.get("id") or "").removesuffix("_master")
        places = mesh_path_of(opts), keys_dir_of(opts), state_dir_of(opts)
        if key_store is None and key_driver_of(opts) != KEY_FILES:
            raise ConfigError(f"the master keeps minion keys in {key_driver_of(opts)!r} (keys.cache_driver)")
        shared = registry_of(opts), name_of(opts)
        return cls(*places, own_minion, secret_of(opts), nodegroups_of(opts), *shared, key_store)

    @property
    def registry(self) -> Registry:
        return Registry(self.registry_place or os.path.join(self.state_dir, "registry.db"), self.state_dir)

    @property
    def keys(self) -> KeyStore:
        return self.key_store or KeyDirectory(self.keys_dir)

    def mesh(self) -> Mesh:
        """The mesh file, parsed. Raises MeshError."""
        return load_mesh(self.mesh_path, self.nodegroups)

    def accepted(self) -> Mapping[str, AcceptedKey]:
        """The minion keys accepted now."""
        return self.keys.accepted()

    def salt_keys(self) -> Mapping[str, AcceptedKey]:
        """The same, read one by one, for work that concerns few of them."""
        return self.keys.by_name()

    def is_trusted(self, node: str) -> bool:
        """Whether its Salt key is accepted, or an operator vouches for its public key in some network."""
        # one key of a cache that is none for keys is merely missing, and only a look at all of them is an error
        keys = self.salt_keys() if self.key_store is None else self.accepted()
        return node in keys or node in vouched_keys(self.registry.snapshot())

    def moment(self, recent: bool = False) -> Moment:
        """
        All of it as it is now. Raises MeshError for an invalid mesh file.

        :param recent: for a view: whether the accepted keys may be those of a moment ago, see ``recent_salt_keys``
        """
        # The snapshot first: what is at least as new as its generation must not be older than it.
        snapshot = self.registry.snapshot()
        in_files = recent and self.key_store is None
        keys = recent_salt_keys(self.keys_dir, snapshot) if in_files else self.accepted()
        return Moment(self, self.mesh(), snapshot, keys, time.time())


@dataclass(frozen=True)
class Moment:
    """
    The master's knowledge at one moment. Each command takes one, and so reads nothing twice.

    Mesh file, registry and accepted keys are read when it is taken. The secret and the reports, which few commands
    need, are read when they are first used. ``now`` is in Unix seconds.
    """

    master: Master
    mesh: Mesh
    snapshot: Snapshot
    keys: Mapping[str, AcceptedKey]
    now: float

    @cached_property
    def secret(self) -> Secret | None:
        """The source of all preshared keys, made if it is missing; None if no network has preshared keys."""
        if not any(network.preshared_keys for network in self.mesh.networks):
            return None
        return self.master.configured_secret or load_secret(self.master.state_dir)

    @cached_property
    def applied(self) -> Mapping[NodeId, Applied]:
        """What every node last reported as applied."""
        return self.master.registry.applied()

    @cached_property
    def unguarded(self) -> Fleet:
        """The fleet, even with losses: for work that changes no node, and to force a loss."""
        path = self.master.registry.place
        return fleet.current(path, self.mesh, self.snapshot, self.keys, self.now, self.secret)

    def fleet(self) -> Fleet:
        """
        The fleet. Raises MeshError when the mesh file contradicts the registry, and LossError when most nodes of a
        network would leave it at once, or nodes would lose their addresses.
        """
        return self.guard(self.unguarded)

    def if_drained(self, network: str, node: str, drained: bool = True) -> Fleet:
        """The fleet as it would be with the others moved off this node, or not; even with losses."""
        drains = {where: each for where, each in self.snapshot.drains.items() if where != (network, node)}
        if drained:
            drains[network, node] = Drain(self.now, "", "")
        return Fleet(self.mesh, replace(self.snapshot, drains=drains), self.keys, self.now, self.secret)

    def guard(self, fleet: Fleet) -> Fleet:
        """The same fleet. Raises LossError when it has losses."""
        if fleet.losses:
            raise LossError(
                "\n".join(
                    f"{loss.describe(self.master.mesh_path)}. No node was changed."
                    ' Correct it, or, if this is intended, run `salt-run wireguard.reconcile force=True reason="..."`'
                    for loss in fleet.losses
                )
            )
        return fleet

    def views(self, node: str) -> dict[str, View] | None:
        """
        Network -> what the node must have there, with its preshared keys, which are for nobody else; empty if it was a
        member of some network, None if it never was one.

        Raises MeshError, and LossError where it concerns a network of this node.
        """
        losses = self.unguarded.losses_of(node)
        if losses:
            summary = "; ".join(loss.summary for loss in losses)
            raise LossError(f"{summary}. `salt-run wireguard.reconcile` on the master says which, and how to go on")
        views = self.unguarded.views_with_secrets(node)
        if not views:
            return {} if self.unguarded.was_member(node) else None
        serials = self._last_serials(node)
        return {
            name: replace(view, serial=max(view.serial, serials.get(name, 0))).known_as(
                self.unguarded.digest(name, node)
            )
            for name, view in views.items()
        }

    def _last_serials(self, node: str) -> dict[str, int]:
        """Of all its statements: reports make no new snapshot."""
        key = self.keys.get(node)
        return self.master.registry.last_serials(node, key.fingerprint) if key else {}
