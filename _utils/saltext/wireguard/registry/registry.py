"""
The registry: the verified statements of nodes, and the addresses allocated to them.

In a file, or in PostgreSQL for several masters; one transaction a change. Unique constraints, not locks, keep an
address or a public key from being given twice. Readers keep a copy in memory and look only at a generation number,
which every change of the rows that views are made from increases.

Decisions of operators, exported peers, the history and the nodes that others are moved off are parts of it:
``admissions``, ``exports``, ``audit``, ``drains``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict

from ..errors import ConfigError, RefusedError
from ..model.statements import ABSENT, Registration, Report, Rotation
from ..wording import some
from . import drains, exports
from . import history as trail
from .admission import Membership, Standing
from .admissions import Admissions
from .audit import Audit
from .boots import see_boot
from .budget import BOOTS, REPORTS, changes, spend, spenders
from .database import Connection, Database, upsert
from .decisions import Decisions
from .denials import Denials, unrecorded
from .exporting import Exporting
from .generation import advance_generation, is_older, outgrow, refuse_future
from .leases import Leases
from .ledger import Stored, pass_time
from .pool import Pool
from .postgresql import SCHEMES, PostgreSQL
from .public_keys import refuse_foreign_key, refuse_foreign_next_key
from .queries import (
    parse_rollback,
    read_addresses,
    read_applied,
    read_boots,
    read_former,
    read_noted,
    read_rows,
    read_untouched,
    read_waiting,
)
from .registrations import (
    accept,
    take_deferred,
    take_in,
)
from .renames import Renames
from .rows import EMPTY, VOUCHED, Applied, NodeId, Snapshot
from .serials import advance_serial, forget_serials, highest_serials
from .sqlite import SQLite
from .upkeep import Upkeep

# place -> the identity of what it was read from, None where there was none; the list of denials; what was read
_snapshots: dict[str, tuple[int | None, Mapping[NodeId, Standing], Snapshot]] = {}

_REPORT = upsert("report", "network, node", "digest, salt_key, reported, rollback, obstacles, drift")


def database_at(place: str) -> Database:
    """Raises ConfigError where none can be."""
    if place.startswith(SCHEMES):
        return PostgreSQL(place)
    if os.path.isabs(place):
        return SQLite(place)
    raise ConfigError(
        "`registry` in the master's configuration (ext_pillar, wireguard) must be postgresql://USER:PASSWORD@HOST/DATABASE"
        " or the absolute path of a file; an sdb:// URI must have one of these as its value, and its profile must be in"
        " the master's configuration"
    )


class Registry:
    """
    The registry in the file or PostgreSQL database at ``place``. May be shared by processes and threads.

    ``state_dir``: where the list of denials is; beside the file, unless it is given.
    """

    def __init__(self, place: str, state_dir: str = "") -> None:
        self._store = database_at(place)
        self.place = self._store.place  # without a password
        self._denials = Denials(os.path.join(state_dir or os.path.dirname(place), "denials.json"))
        self.admissions = Admissions(self._store, self._denials)
        self.exports = Exporting(self._store)
        self.audit = Audit(self._store)
        self.drains = drains.Drains(self._store)
        self.leases = Leases(self._store)
        self.upkeep = Upkeep(self._store, self._denials)
        self.renames = Renames(self._store, self._denials)

    def _decisions(self, connection: Connection) -> Decisions:
        return Decisions(connection, self._denials)

    def held(self) -> AbstractContextManager[None]:
        """Many changes within this block cost less; see ``Database.held``."""
        return self._store.held()

    # -- reading

    def exists(self) -> bool:
        """Whether anybody has ever registered."""
        return self._store.exists()

    def snapshot(self) -> Snapshot:
        """All registrations. Cheap when nothing changed since this process's last call. Never creates the file."""
        return self._store.read(self._snapshot, None) or self._snapshot_of_none()

    def _snapshot_of_none(self) -> Snapshot:
        """Of a registry that is not there, or not there any more: whoever was shut out stays so."""
        denied = self._denials.read()
        if not denied:
            return EMPTY
        known = _snapshots.get(self.place)
        if known and known[0] is None and known[1] is denied:
            return known[2]
        standings = unrecorded(denied)
        snapshot = Snapshot(standings=standings, unrecorded=standings)
        _snapshots[self.place] = (None, denied, snapshot)
        return snapshot

    def _snapshot(self, connection: Connection) -> Snapshot:
        identity = self._store.identity(connection)
        generation = connection.execute("SELECT value FROM generation").fetchone()[0]
        denied = self._denials.read()
        known = _snapshots.get(self.place)
        if known and known[0] == identity and known[1] is denied and known[2].generation == generation:
            return known[2]
        addresses = read_addresses(connection)
        decisions = self._decisions(connection)
        snapshot = Snapshot(
            generation,
            read_rows(connection, addresses),
            decisions.all(),
            read_waiting(connection),
            read_boots(connection),
            read_noted(connection),
            exports.read(connection, addresses),
            read_former(connection),
            read_untouched(connection),
            decisions.unrecorded(),
            connection.execute("SELECT sources FROM settled").fetchone()[0],
            drains.read(connection),
        )
        _snapshots[self.place] = (identity, denied, snapshot)
        return snapshot

    def standings(self) -> dict[NodeId, Standing]:
        """The decisions of operators alone: in a burst, the snapshot is another one after every registration."""
        found = self._store.read(lambda connection: self._decisions(connection).all(), None)
        return unrecorded(self._denials.read()) if found is None else found

    def vouched(self, network: str) -> dict[str, str]:
        """node -> public key of those that an operator vouches for; alone, as ``standings`` is."""
        sql = "SELECT node, public_key FROM node WHERE (network, salt_key) = (?, ?)"
        return dict(self._store.all(sql, (network, VOUCHED)))

    def knows(self, network: str, node: str) -> bool:
        """Whether the node has ever registered or reported, as far as anybody remembers."""
        sql = "SELECT 1 FROM {} WHERE (network, node) = (?, ?)"
        return any(self._store.all(sql.format(table), (network, node)) for table in ("node", "report"))

    def last_serials(self, node: str, salt_key: str) -> dict[str, int]:
        """Network -> the highest serial of all statements of a node, which its next one must exceed."""
        empty: dict[str, int] = {}
        return self._store.read(lambda connection: highest_serials(connection, node, salt_key), empty)

    def deferred(self) -> dict[NodeId, float]:
        """The nodes that changed so much lately that their last registration waits; since when, in Unix seconds."""
        rows = self._store.all("SELECT network, node, since FROM deferred")
        return {(network, node): since for network, node, since in rows}

    def restless(self) -> list[str]:
        """The nodes that have told of so many boots lately that further ones are not heeded."""
        empty: list[str] = []
        return self._store.read(lambda connection: spenders(connection, BOOTS, time.time()), empty)

    def applied(self) -> dict[NodeId, Applied]:
        """What every node last reported as applied."""
        sql = "SELECT network, node, digest, salt_key, reported, rollback, obstacles, drift FROM report"
        return read_applied(self._store.all(sql))

    # -- writing

    def register(self, record: Registration, salt_key: str, membership: Membership) -> bool:
        """
        Store a verified registration and give the node its addresses, or let it wait for an operator's decision where
        the network's policy says so; in one transaction.

        Addresses that the mesh file gives to one node may be taken from another only when that one is no member any
        more. Returns False when it is no news, or waits because the node has changed so much lately. Raises
        RefusedError when the serial is not newer, the public key is that of another member, or an operator said no, and
        PoolExhaustedError.
        """
        with self._store.write() as connection:
            if not advance_serial(connection, record, salt_key):
                return False
            booted = see_boot(connection, record, salt_key)
            decisions = self._decisions(connection)
            news = take_in(connection, decisions, record, salt_key, membership)
            if news:
                advance_generation(connection)
            return news or booted

    def vouch(self, record: Registration, membership: Membership, who: str) -> None:
        """
        Store what an operator, ``who``, fetched from the node himself, which needs no other decision.

        The node is a member already. Raises RefusedError when the public key is that of another member or the node was
        revoked, and PoolExhaustedError.
        """
        with self._store.write() as connection:
            self._decisions(connection).refuse_revoked(record)
            refuse_foreign_key(connection, record, VOUCHED, membership)
            accept(connection, record, VOUCHED, membership, who)
            advance_generation(connection)

    def announce(self, record: Rotation, salt_key: str, who: str, why: str) -> bool:
        """Store the key that a node will rotate to. Raises RefusedError when it is in use, or the node has moved on."""
        with self._store.write() as connection:
            if not advance_serial(connection, record, salt_key):
                return False
            refuse_foreign_next_key(connection, record)
            changed = connection.execute(
                "UPDATE node SET next_key = ? WHERE (network, node, public_key, salt_key) = (?, ?, ?, ?)",
                (record.next_key, record.network, record.node, record.public_key, salt_key),
            ).rowcount
            if not changed:
                raise RefusedError(f"{record.public_key} is not the present key of {record.node}", "key")
            details = {"public_key": record.next_key, "old_public_key": record.public_key}
            trail.write(connection, record.network, record.node, "rotating", who, why, **details)
            advance_generation(connection)
            return True

    def forget_announced(self, network: str, node: str) -> None:
        """Give up a rotation that did not happen."""
        with self._store.write() as connection:
            sql = "UPDATE node SET next_key = NULL WHERE (network, node) = (?, ?) AND next_key IS NOT NULL"
            if connection.execute(sql, (network, node)).rowcount:
                why = "it keeps its current key; the announced one is forgotten"
                trail.write(connection, network, node, "unannounced", "master", why)
                advance_generation(connection)

    def settle(self, membership: Membership, move: bool = False) -> bool:
        """
        Bring the addresses of all registered members, and of the peers that are exported, in line with the mesh file.
        The addresses of nodes that are gone get free: others may have them after the network's quarantine. Returns
        whether any of that changed.

        Suspended nodes are not gone. Needed when the mesh file gives a node another address, or a network another
        subnet, or no longer has a peer. A node whose address is in no subnet any more keeps it, unless nodes are to
        ``move``. Raises PoolExhaustedError and RefusedError.
        """
        network = membership.network
        with self._store.write() as connection:
            now = time.time()
            decisions = self._decisions(connection)
            decisions.list_again()
            changed = pass_time(connection, now)
            changed = take_deferred(connection, decisions, membership) or changed
            ledger = Stored(connection, network.name)
            pool = Pool(membership, ledger, now)
            registered = connection.execute("SELECT node FROM node WHERE network = ? ORDER BY node", [network.name])
            here = [node for (node,) in registered.fetchall() if node in membership]
            exported = exports.names(connection, network.name)
            dropped = {name for name in exported if network.peer(name) is None}
            exports.forget(connection, network.name, dropped)
            changed = changed or bool(dropped)
            for name in [*here, *sorted(exported - dropped)]:
                changed = pool.assign(name, move) or changed
            for name in ledger.holders():
                changed = pool.release(name) or changed
            if changed:
                advance_generation(connection)
            return changed

    def note_sources(self, sources: str) -> None:
        """
        All is settled by these sources of the fleet, see ``Fleet.sources``. By others than before, there are other
        views, which must be later ones.
        """
        with self._store.write() as connection:
            if connection.execute("UPDATE settled SET sources = ? WHERE sources != ?", (sources, sources)).rowcount:
                advance_generation(connection)

    def report(self, report: Report, salt_key: str) -> bool:
        """
        Store a verified report, and what it says was taken back into the history, once.

        Returns False when it says the same as the one before, from the same boot, or the node says something else all
        the time. Raises RefusedError when it is old, or of a generation of days to come that is not this registry's.
        """
        who = (report.network, report.node)
        with self._store.write(durable=False) as connection:  # who was not heard is asked again
            if not advance_serial(connection, report, salt_key):
                return False
            booted = see_boot(connection, report, salt_key)
            if is_older(connection, report.generation):
                refuse_future(report.generation)
                if spend(connection, changes(connection), report.node, time.time()):
                    outgrow(connection, report.generation)
            known = connection.execute(
                "SELECT digest, salt_key, obstacles, drift, rollback FROM report WHERE (network, node) = (?, ?)", who
            ).fetchone()
            rollback, obstacles, drift = report.rollback, json.dumps(report.obstacles), json.dumps(report.drift)
            told = (report.digest, salt_key, obstacles, drift, rollback)
            same = bool(known) and (*known[:4], parse_rollback(known[4])) == told
            news = not same and spend(connection, REPORTS, report.node, time.time())
            if news and rollback and rollback != parse_rollback(known and known[4]):
                trail.write(connection, *who, "rolled_back", report.node, rollback.why, digest=rollback.tried)
            if news and report.drift and drift != (known and known[3]):
                trail.write(connection, *who, "drifted", report.node, some(report.drift))
            connection.execute(
                _REPORT,
                (
                    *who,
                    report.digest,
                    salt_key,
                    time.time(),
                    rollback and json.dumps(asdict(rollback)),
                    obstacles,
                    drift,
                ),
            )
            return news or booted

    def forget_serials(self, network: str, node: str, who: str, why: str) -> bool:
        """Let a node speak again that used serials of the future. Returns whether it did."""
        with self._store.write() as connection:
            forgotten = forget_serials(connection, network, node)
            if forgotten:
                trail.write(connection, network, node, "serials_forgotten", who, why)
            return forgotten

    def settle_boots(self, nodes: Collection[str]) -> None:
        """Take the machines of these nodes for the only ones: all that have their Salt key were asked to speak."""
        with self._store.write() as connection:
            sql = "UPDATE boot SET state = 'current' WHERE state = 'fresh' AND node = ?"
            if connection.executemany(sql, [(node,) for node in nodes]).rowcount:
                advance_generation(connection)

    def mark_unconfirmed(self, nodes: Collection[str]) -> None:
        """
        Distrust these nodes' last reports, because the nodes are being asked to change what they reported.

        If an answer is lost and the node's view then becomes what it was, the node does not count as in sync.
        """
        with self._store.write() as connection:
            connection.executemany(
                "UPDATE report SET digest = '' WHERE node = ? AND digest != ?", [(node, ABSENT) for node in nodes]
            )
