"""
The registry: what nodes said of themselves, and which addresses they were given.

An SQLite file, readable by its owner only, one transaction a change. Unique constraints, not locks, keep an address or
a public key from being given twice. Readers keep a copy in memory and look only at a generation number, which every
change of the rows that views are made from increases.

A second backend would offer the public methods of ``Registry`` and pass ``tests/unit/wgmesh/test_registry.py``.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace

from . import exports, policy
from . import history as trail
from .errors import RefusedError
from .exports import Export
from .ledger import Stored, pass_time
from .model import Network
from .policy import ADMITTED, REVOKED, Standing
from .pool import Address, Holding, Pool, parse_address
from .record import ABSENT, Registration, Report, Rollback, Rotation
from .store import Store

NodeId = tuple[str, str]  # (network, node)

# In place of the fingerprint of a Salt key: no such key proves the row, an operator vouches for it.
VOUCHED = "vouched"

MAX_REFUSALS = 500


@dataclass(frozen=True)
class Row:
    """
    One node's accepted registration.

    ``salt_key`` is the fingerprint of the Salt key that signed it, or VOUCHED, ``next_key`` the public key that the
    node announced for a rotation, ``keyed`` the time at which it came to its present key (Unix seconds). ``addresses``
    are those that it has; not those that it had before it was gone, which are in ``Snapshot.former``.
    """

    network: str
    node: str
    public_key: str
    endpoints: tuple[str, ...]
    port: int
    serial: int
    salt_key: str
    registered: float
    addresses: tuple[Address, ...] = ()
    next_key: str | None = None
    keyed: float = 0.0

    @property
    def is_vouched(self) -> bool:
        """Whether an operator vouches for it, who fetched it by ssh or wrote it into the mesh file."""
        return self.salt_key == VOUCHED


@dataclass(frozen=True)
class Applied:
    """
    The last view that a node reported as applied, by digest, at which time (Unix seconds), under which Salt key;
    and the change that it took back instead, if it remembered one.
    """

    digest: str
    salt_key: str
    reported: float
    rollback: Rollback | None = None


@dataclass(frozen=True)
class Refusal:
    """A statement about ``node`` that was not believed; ``last`` is in Unix seconds."""

    network: str
    node: str
    reason: str
    count: int
    last: float


@dataclass(frozen=True)
class Waiting:
    """A registration that an operator must decide about. ``question`` is "admit" or "rekey"."""

    network: str
    node: str
    question: str
    public_key: str
    salt_key: str
    since: float


@dataclass(frozen=True)
class Boots:
    """
    The boots of the machines that speak with one Salt key, by their ids.

    ``current`` is that of the machine that is believed, ``clones`` those of others that run at the same time. With
    ``fresh``, nobody has looked yet whether the machine of the boot before this one still runs as well.
    """

    current: str | None = None
    clones: tuple[str, ...] = ()
    fresh: bool = False


@dataclass(frozen=True)
class Snapshot:
    """
    All that views are made from, at one generation. Within a process, one generation is one object.

    ``noted``: network -> its registered members when it was last settled. ``former``: network -> addresses that their
    nodes do not use any more. ``untouched``: network -> subnet -> see ``pool.Ledger``.
    """

    generation: int = 0
    rows: Mapping[NodeId, Row] = field(default_factory=dict)
    standings: Mapping[NodeId, Standing] = field(default_factory=dict)
    waiting: Mapping[NodeId, Waiting] = field(default_factory=dict)
    boots: Mapping[tuple[str, str], Boots] = field(default_factory=dict)  # (node, Salt key) -> boots
    noted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    exports: Mapping[NodeId, Export] = field(default_factory=dict)
    former: Mapping[str, tuple[Holding, ...]] = field(default_factory=dict)
    untouched: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def holdings(self, network: str) -> list[Holding]:
        """All addresses of a network that nodes and peers have, or had."""
        rows = ((row.node, row.addresses) for row in self.rows.values() if row.network == network)
        exported = ((each.peer, each.addresses) for each in self.exports.values() if each.network == network)
        held = [Holding(address, name) for name, addresses in (*rows, *exported) for address in addresses]
        return [*held, *self.former.get(network, ())]


EMPTY = Snapshot()
_snapshots: dict[str, tuple[int, Snapshot]] = {}


class Registry:
    """The registry in the file at ``path``. May be shared by processes and threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._store = Store(path)

    def held(self) -> AbstractContextManager[None]:
        """Many changes within this block cost less; see ``Store.held``."""
        return self._store.held()

    # -- reading

    def exists(self) -> bool:
        """Whether anybody has ever registered."""
        return self._store.exists()

    def snapshot(self) -> Snapshot:
        """All registrations. Cheap when nothing changed since this process's last call. Never creates the file."""
        return self._store.read(self._snapshot, EMPTY)

    def _snapshot(self, connection: sqlite3.Connection) -> Snapshot:
        inode = os.stat(self.path).st_ino
        generation = connection.execute("SELECT value FROM generation").fetchone()[0]
        known = _snapshots.get(self.path)
        if known and known[0] == inode and known[1].generation == generation:
            return known[1]
        addresses = _addresses(connection)
        snapshot = Snapshot(
            generation,
            _rows(connection, addresses),
            _standings(connection),
            _waiting(connection),
            _boots(connection),
            _noted(connection),
            exports.read(connection, addresses),
            _former(connection),
            _untouched(connection),
        )
        _snapshots[self.path] = (inode, snapshot)
        return snapshot

    def standings(self) -> dict[NodeId, Standing]:
        """The decisions of operators alone: in a burst, the snapshot is another one after every registration."""
        empty: dict[NodeId, Standing] = {}
        return self._store.read(_standings, empty)

    def vouched(self, network: str) -> dict[str, str]:
        """node -> public key of those that an operator vouches for; alone, as ``standings`` is."""
        sql = "SELECT node, public_key FROM node WHERE (network, salt_key) = (?, ?)"
        return dict(self._store.all(sql, (network, VOUCHED)))

    def knows(self, network: str, node: str) -> bool:
        """Whether the node has ever registered or reported, as far as anybody remembers."""
        sql = "SELECT 1 FROM {} WHERE (network, node) = (?, ?)"
        return any(self._store.all(sql.format(table), (network, node)) for table in ("node", "report"))

    def applied(self) -> dict[NodeId, Applied]:
        """What every node last reported as applied."""
        sql = "SELECT network, node, digest, salt_key, reported, rollback FROM report"
        return {
            (network, node): Applied(digest, salt_key, reported, _rollback(rollback))
            for network, node, digest, salt_key, reported, rollback in self._store.all(sql)
        }

    def refusals(self) -> list[Refusal]:
        """Refused statements, the newest first."""
        sql = "SELECT network, node, reason, count, last FROM refusal ORDER BY last DESC"
        return [Refusal(*row) for row in self._store.all(sql)]

    # -- writing

    def register(
        self,
        record: Registration,
        salt_key: str,
        network: Network,
        members: Collection[str],
        suspended: Container[str] = (),
    ) -> bool:
        """
        Store a verified registration and give the node its addresses, or let it wait for an operator's decision where
        the network's policy says so; in one transaction.

        ``members`` are the minions that are now members of the network, ``suspended`` those that may be again; see
        ``settle``. Addresses that the mesh file gives to one node
        may be taken from another only when that one is no member any more. Returns False when this very record is
        known already. Raises RefusedError when the serial is not newer, the public key is that of another member, or
        an operator said no, and PoolExhaustedError.
        """
        with self._store.write() as connection:
            if not _advance(connection, record, salt_key):
                return False
            _see_boot(connection, record, salt_key)
            _refuse_foreign_key(connection, record, members)
            question = _question(connection, record, network)
            if question:
                _wait(connection, record, salt_key, question)
            else:
                _accept(connection, record, salt_key, network, members, suspended, who=record.node)
            _bump(connection)
            return True

    def vouch(
        self,
        record: Registration,
        network: Network,
        members: Collection[str],
        who: str,
        suspended: Container[str] = (),
    ) -> None:
        """
        Store what an operator, ``who``, fetched from the node himself, which needs no other decision.

        ``members`` and ``suspended`` are as in ``register``, the node among the members. Raises RefusedError when the
        public key is that of another member or the node was revoked, and PoolExhaustedError.
        """
        with self._store.write() as connection:
            _refuse_revoked(connection, record)
            _refuse_foreign_key(connection, record, members)
            _accept(connection, record, VOUCHED, network, members, suspended, who)
            _bump(connection)

    def announce(self, record: Rotation, salt_key: str, who: str, why: str) -> bool:
        """Store the key that a node will rotate to. Raises RefusedError when it is in use, or the node has moved on."""
        with self._store.write() as connection:
            if not _advance(connection, record, salt_key):
                return False
            _refuse_foreign_key(connection, record, (), record.next_key)
            changed = connection.execute(
                "UPDATE node SET next_key = ? WHERE (network, node, public_key, salt_key) = (?, ?, ?, ?)",
                (record.next_key, record.network, record.node, record.public_key, salt_key),
            ).rowcount
            if not changed:
                raise RefusedError(f"{record.public_key} is not the present key of {record.node}")
            details = {"public_key": record.next_key, "old_public_key": record.public_key}
            trail.write(connection, record.network, record.node, "rotating", who, why, **details)
            _bump(connection)
            return True

    def forget_announced(self, network: str, node: str) -> None:
        """Give up a rotation that did not happen."""
        with self._store.write() as connection:
            connection.execute("UPDATE node SET next_key = NULL WHERE (network, node) = (?, ?)", (network, node))
            _bump(connection)

    def note_failed_rotation(self, network: str, node: str, who: str, why: str) -> None:
        """Write into the history that a node was to get a new key and did not."""
        with self._store.write() as connection:
            trail.write(connection, network, node, "rotation_failed", who, why)

    def failed_rotations(self, since: float) -> set[NodeId]:
        """The nodes whose rotation failed since then (Unix seconds)."""
        sql = "SELECT DISTINCT network, node FROM history WHERE what = 'rotation_failed' AND time > ?"
        return {(network, node) for network, node in self._store.all(sql, [since])}

    def settle(
        self, network: Network, members: Collection[str], suspended: Container[str] = (), move: bool = False
    ) -> bool:
        """
        Bring the addresses of all registered members, and of the peers that are exported, in line with the mesh file,
        and see who is gone, whose addresses others may get once they were free for the network's quarantine. Returns
        whether any of that changed.

        Not gone are ``suspended`` nodes: those that are no members because an operator said so, who may take it back.
        Needed when the mesh file gives a node another address, or a network another subnet, or has a peer no more.
        Whose address no subnet has any more keeps it, unless nodes are to ``move``. Raises PoolExhaustedError and
        RefusedError.
        """
        with self._store.write() as connection:
            now = time.time()
            changed = pass_time(connection, now)
            ledger = Stored(connection, network.name)
            pool = Pool(network, ledger, members, suspended, now)
            registered = {
                row[0] for row in connection.execute("SELECT node FROM node WHERE network = ?", [network.name])
            }
            exported = exports.names(connection, network.name)
            dropped = {name for name in exported if network.peer(name) is None}
            exports.forget(connection, network.name, dropped)
            changed = changed or bool(dropped)
            for name in [*sorted(registered.intersection(members)), *sorted(exported - dropped)]:
                changed = pool.assign(name, move) or changed
            for name in ledger.holders():
                changed = pool.release(name) or changed
            if changed:
                _bump(connection)
            return changed

    def report(self, report: Report, salt_key: str) -> bool:
        """
        Store a verified report, and what it says was taken back into the history, once.

        Returns False when it is known already; raises RefusedError when it is old.
        """
        who = (report.network, report.node)
        with self._store.write(durable=False) as connection:  # who was not heard is asked again
            if not _advance(connection, report, salt_key):
                return False
            _see_boot(connection, report, salt_key)
            known = connection.execute("SELECT rollback FROM report WHERE (network, node) = (?, ?)", who).fetchone()
            rollback = report.rollback
            if rollback and rollback != _rollback(known and known[0]):
                trail.write(connection, *who, "rolled_back", report.node, rollback.why, digest=rollback.tried)
            connection.execute(
                "INSERT OR REPLACE INTO report VALUES (?, ?, ?, ?, ?, ?)",
                (*who, report.digest, salt_key, time.time(), json.dumps(asdict(rollback)) if rollback else None),
            )
            return True

    def settle_boots(self, nodes: Collection[str]) -> None:
        """Take the machines of these nodes for the only ones: all that have their Salt key were asked to speak."""
        with self._store.write() as connection:
            sql = "UPDATE boot SET state = 'current' WHERE state = 'fresh' AND node = ?"
            if connection.executemany(sql, [(node,) for node in nodes]).rowcount:
                _bump(connection)

    def doubt(self, nodes: Collection[str]) -> None:
        """
        Believe these nodes' last reports no more, because they are being asked to change what they reported.

        Should their answer be lost, and they be wanted as they were before, nobody takes them for in sync.
        """
        with self._store.write() as connection:
            connection.executemany(
                "UPDATE report SET digest = '' WHERE node = ? AND digest != ?", [(node, ABSENT) for node in nodes]
            )

    def refuse(self, network: str, node: str, reason: str) -> None:
        """Remember a refusal; the same one again only counts. At most MAX_REFUSALS are kept, the newest."""
        key = (network, node, reason)
        with self._store.write() as connection:
            connection.execute(
                "INSERT INTO refusal VALUES (?, ?, ?, 1, ?)"
                " ON CONFLICT DO UPDATE SET count = count + 1, last = excluded.last",
                (*key, time.time()),
            )
            if (
                connection.execute(
                    "SELECT count FROM refusal WHERE (network, node, reason) = (?, ?, ?)", key
                ).fetchone()[0]
                == 1
            ):
                trail.write_refusal(connection, network, node, reason)
            connection.execute(
                "DELETE FROM refusal WHERE (network, node, reason) IN"
                " (SELECT network, node, reason FROM refusal ORDER BY last DESC LIMIT -1 OFFSET ?)",
                [MAX_REFUSALS],
            )

    # -- peers that are not minions

    def prepare_export(
        self, network: Network, peer: str, members: Collection[str], suspended: Container[str] = ()
    ) -> Export:
        """
        Give a peer its addresses, as a node gets them; it keeps them. Raises PoolExhaustedError and RefusedError.
        """
        with self._store.write() as connection:
            exports.prepare(connection, network.name, peer)
            _pool(connection, network, members, suspended).assign(peer)
            _bump(connection)
        return self.snapshot().exports[network.name, peer]

    def export(self, before: Export, public_key: str, digest: str, who: str, why: str) -> None:
        """
        Store the key of a peer that was prepared, and the digest of what it is given. Raises RefusedError when the key
        is that of another, or the peer has changed since.
        """
        with self._store.write() as connection:
            exports.store(connection, before, public_key, digest, who, why)
            _bump(connection)

    def forget_exports(self, network: str) -> None:
        """Drop the peers of a network that is gone from the mesh file."""
        with self._store.write() as connection:
            exports.forget(connection, network, exports.names(connection, network))
            _bump(connection)

    # -- decisions of operators

    def revoke(self, network: str, node: str, who: str, why: str) -> None:
        """
        Exclude a node until ``readmit``, whatever the mesh file says.

        Of a node that is revoked already, this changes only the reason, if one is given.
        """
        with self._store.write() as connection:
            standing = _standings(connection).get((network, node))
            if standing and standing.state == REVOKED and why in ("", standing.why):
                return
            _decide(connection, network, node, REVOKED, who, why, standing.expires if standing else None)
            connection.execute("DELETE FROM waiting WHERE (network, node) = (?, ?)", (network, node))

    def readmit(self, network: str, node: str, who: str, why: str) -> None:
        """Take a revocation back. Who was let in for a time is so no longer than that."""
        with self._store.write() as connection:
            standing = _standings(connection).get((network, node))
            expires = standing.expires if standing else None
            _decide(connection, network, node, ADMITTED, who, why, expires, what="readmitted")

    def admit(
        self,
        network: Network,
        node: str,
        salt_key: str,
        members: Collection[str],
        who: str,
        expires: float | None,
        suspended: Container[str] = (),
    ) -> bool:
        """
        Let a node in, and its waiting registration, if there is one and it was signed with its present Salt key.

        Returns whether one was taken in; else the node is let in when it registers.
        """
        with self._store.write() as connection:
            waiting = connection.execute(
                "SELECT record FROM waiting WHERE (network, node, salt_key) = (?, ?, ?)", (network.name, node, salt_key)
            ).fetchone()
            _decide(connection, network.name, node, ADMITTED, who, "", expires)
            connection.execute("DELETE FROM rejected WHERE (network, node) = (?, ?)", (network.name, node))
            connection.execute("DELETE FROM waiting WHERE (network, node) = (?, ?)", (network.name, node))
            if waiting is None:
                return False
            record = Registration.from_dict(json.loads(waiting[0]))
            _refuse_foreign_key(connection, record, members)
            _accept(connection, record, salt_key, network, members, suspended, who)
            return True

    def reject(self, network: str, node: str, who: str) -> str | None:
        """Say no to the registration that waits, and from now on to the same key. Returns that key, or None."""
        with self._store.write() as connection:
            waiting = connection.execute(
                "SELECT public_key FROM waiting WHERE (network, node) = (?, ?)", (network, node)
            ).fetchone()
            if waiting is None:
                return None
            connection.execute(
                "INSERT OR REPLACE INTO rejected VALUES (?, ?, ?, ?, ?)", (network, node, waiting[0], time.time(), who)
            )
            connection.execute("DELETE FROM waiting WHERE (network, node) = (?, ?)", (network, node))
            trail.write(connection, network, node, "rejected", who, "", public_key=waiting[0])
            _bump(connection)
            return str(waiting[0])

    # -- audit trail

    def note_members(
        self, network: str, members: Collection[str], why_not: Callable[[str], str], who: str = "master"
    ) -> list[str]:
        """
        Write into the history who joined and who left the network since the last call; these by ``who``'s doing.

        Returns who left.
        """
        known = {node for (node,) in self._store.all("SELECT node FROM member WHERE network = ?", [network])}
        left: list[str] = []
        if known == set(members):
            return left
        with self._store.write() as connection:
            for node in sorted(set(members) - known):
                if connection.execute("INSERT OR IGNORE INTO member VALUES (?, ?)", (network, node)).rowcount:
                    trail.write(connection, network, node, "joined", "master", "in the mesh file, accepted, registered")
            for node in sorted(known.difference(members)):
                if connection.execute("DELETE FROM member WHERE (network, node) = (?, ?)", (network, node)).rowcount:
                    trail.write(connection, network, node, "removed", who, why_not(node))
                    left.append(node)
            _bump(connection)
        return left

    def note(self, what: str, nodes: Collection[NodeId], who: str, why: str) -> None:
        """Write into the history what an operator wants of these nodes, which changes nothing here."""
        with self._store.write() as connection:
            for network, node in sorted(nodes):
                trail.write(connection, network, node, what, who, why)

    def history(self, node: str | None = None, limit: int = 100) -> list[trail.Entry]:
        """The newest entries of the audit trail, oldest first."""
        empty: list[trail.Entry] = []
        return self._store.read(lambda connection: trail.read(connection, node, limit), empty)

    def claim_history(self) -> list[trail.Entry]:
        """The entries that nobody has announced yet; the caller announces them."""
        if not self._store.all("SELECT 1 FROM history WHERE announced = 0 LIMIT 1"):
            return []
        with self._store.write() as connection:
            return trail.claim(connection)


def _rollback(text: str | None) -> Rollback | None:
    return Rollback(**json.loads(text)) if text else None


def _addresses(connection: sqlite3.Connection) -> dict[NodeId, list[Address]]:
    addresses: dict[NodeId, list[Address]] = {}
    sql = "SELECT network, address, node FROM address WHERE freed IS NULL"
    for network, address, node in connection.execute(sql):
        addresses.setdefault((network, node), []).append(parse_address(address))
    return {node: sorted(each, key=_order) for node, each in addresses.items()}


def _rows(connection: sqlite3.Connection, addresses: Mapping[NodeId, Sequence[Address]]) -> dict[NodeId, Row]:
    rows = connection.execute(
        "SELECT network, node, public_key, endpoints, port, serial, salt_key, registered, next_key, keyed FROM node"
    )
    return {
        (network, node): Row(
            network,
            node,
            key,
            tuple(json.loads(endpoints)),
            port,
            serial,
            salt_key,
            registered,
            tuple(addresses.get((network, node), ())),
            next_key,
            keyed,
        )
        for network, node, key, endpoints, port, serial, salt_key, registered, next_key, keyed in rows
    }


def _standings(connection: sqlite3.Connection) -> dict[NodeId, Standing]:
    rows = connection.execute("SELECT network, node, state, since, who, why, expires FROM standing")
    return {(network, node): Standing(*rest) for network, node, *rest in rows}


def _waiting(connection: sqlite3.Connection) -> dict[NodeId, Waiting]:
    rows = connection.execute("SELECT network, node, question, public_key, salt_key, since FROM waiting")
    return {(row[0], row[1]): Waiting(*row) for row in rows}


def _boots(connection: sqlite3.Connection) -> dict[tuple[str, str], Boots]:
    found: dict[tuple[str, str], Boots] = {}
    sql = "SELECT node, salt_key, boot, state FROM boot WHERE state != 'replaced' ORDER BY seen"
    for node, salt_key, boot, state in connection.execute(sql):
        boots = found.get((node, salt_key), Boots())
        if state == "clone":
            found[node, salt_key] = replace(boots, clones=(*boots.clones, boot))
        else:
            found[node, salt_key] = replace(boots, current=boot, fresh=state == "fresh")
    return found


def _noted(connection: sqlite3.Connection) -> dict[str, frozenset[str]]:
    members: dict[str, set[str]] = {}
    for network, node in connection.execute("SELECT network, node FROM member"):
        members.setdefault(network, set()).add(node)
    return {network: frozenset(nodes) for network, nodes in members.items()}


def _former(connection: sqlite3.Connection) -> dict[str, tuple[Holding, ...]]:
    found: dict[str, list[Holding]] = {}
    sql = "SELECT network, address, node, freed FROM address WHERE freed IS NOT NULL"
    for network, address, node, freed in connection.execute(sql):
        found.setdefault(network, []).append(Holding(parse_address(address), node, freed))
    return {network: tuple(holdings) for network, holdings in found.items()}


def _untouched(connection: sqlite3.Connection) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for network, subnet, untouched in connection.execute("SELECT network, subnet, untouched FROM pool"):
        found.setdefault(network, {})[subnet] = int(untouched)
    return found


def _order(address: Address) -> tuple[int, int]:
    return address.version, int(address)


def _bump(connection: sqlite3.Connection) -> None:
    """The time is in it so that a registry put back from a backup does not come to a generation that others know."""
    connection.execute("UPDATE generation SET value = max(value + 1, ?)", [time.time_ns()])


def _advance(connection: sqlite3.Connection, statement: Registration | Report | Rotation, salt_key: str) -> bool:
    """
    Move the serial forward. False: this very serial was seen, so the statement came twice, which is no harm.

    Serials are kept for each Salt key, because re-installed hardware starts over with a new one, while statements
    signed with its old key must not come back to life if that key is ever accepted again.
    """
    key = (statement.KIND, statement.network, statement.node, salt_key)
    known = connection.execute(
        "SELECT value FROM serial WHERE kind = ? AND network = ? AND node = ? AND salt_key = ?", key
    ).fetchone()
    if known and known[0] == statement.serial:
        return False
    if known and known[0] > statement.serial:
        raise RefusedError(
            f"its serial {statement.serial} is not newer than {known[0]}: it came late, or somebody sent it again"
        )
    connection.execute("INSERT OR REPLACE INTO serial VALUES (?, ?, ?, ?, ?)", (*key, statement.serial))
    return True


def _see_boot(connection: sqlite3.Connection, statement: Registration | Report, salt_key: str) -> None:
    """
    Notice two machines that use one Salt key: a machine that boots does not come back as it was before the boot.

    Raises RefusedError when the statement comes from the one that appeared later. The first goes on.
    """
    if not statement.boot:
        return
    who = (statement.node, salt_key)
    states = dict(connection.execute("SELECT boot, state FROM boot WHERE (node, salt_key) = (?, ?)", who).fetchall())
    state = states.get(statement.boot)
    if state == "clone":
        raise RefusedError(
            f"a second machine uses the Salt key of {statement.node} (boot id {statement.boot}): a clone. Delete"
            " /etc/salt/pki/minion and /etc/wireguard on the clone, and give it a minion id of its own"
        )
    if state in ("current", "fresh"):
        return
    # a boot id that was replaced by another comes back: both machines run, and the other one is the later
    others = "clone" if state == "replaced" else "replaced"
    sql = "UPDATE boot SET state = ? WHERE (node, salt_key) = (?, ?) AND state IN ('current', 'fresh')"
    connection.execute(sql, (others, *who))
    now = "fresh" if states and state is None else "current"
    connection.execute("INSERT OR REPLACE INTO boot VALUES (?, ?, ?, ?, ?)", (*who, statement.boot, now, time.time()))
    _bump(connection)
    if others == "clone":
        why = "two machines use its Salt key at the same time; the one that appeared later is refused"
        trail.write(connection, statement.network, statement.node, "cloned", "master", why)


def _refuse_foreign_key(
    connection: sqlite3.Connection,
    record: Registration | Rotation,
    members: Collection[str],
    public_key: str | None = None,
) -> None:
    """
    One node, one key. A node may use its key in several networks, as it does after a network got another name.

    Whoever is no member any more has no claim: a minion that got another id keeps its key.
    """
    key = public_key or record.public_key
    exports.refuse_taken(connection, record.network, record.node, key)
    owners = connection.execute(
        "SELECT network, node FROM node WHERE (public_key = ? OR next_key = ?) AND node != ?", (key, key, record.node)
    ).fetchall()
    for network, node in owners:
        if network != record.network or node in members:
            raise RefusedError(
                f"its public key {key} is already that of {node} in network {network}: a cloned machine?"
                f" Move the key file on {record.node} away and apply again; it makes a new key"
            )
        connection.execute("DELETE FROM node WHERE network = ? AND node = ?", (network, node))


def _question(connection: sqlite3.Connection, record: Registration, network: Network) -> str | None:
    """Which decision the registration needs first. Raises RefusedError where it was made, and is no."""
    key = (record.network, record.node)
    standing = _refuse_revoked(connection, record)
    known = connection.execute("SELECT public_key, next_key FROM node WHERE (network, node) = (?, ?)", key).fetchone()
    question = policy.question(network, record.public_key, [each for each in known or () if each], standing)
    no = connection.execute(
        "SELECT who FROM rejected WHERE (network, node, public_key) = (?, ?, ?)", (*key, record.public_key)
    ).fetchone()
    if question and no:
        raise RefusedError(f"{no[0]} rejected this key; `salt-run wireguard.admit {record.node}` takes that back")
    return question


def _refuse_revoked(connection: sqlite3.Connection, record: Registration) -> Standing | None:
    """Returns what else an operator decided about the node."""
    standing = _standings(connection).get((record.network, record.node))
    if standing and standing.state == REVOKED:
        raise RefusedError(f"{record.node} was revoked by {standing.who}; `salt-run wireguard.readmit` takes that back")
    return standing


def _wait(connection: sqlite3.Connection, record: Registration, salt_key: str, question: str) -> None:
    key = (record.network, record.node)
    known = connection.execute("SELECT public_key FROM waiting WHERE (network, node) = (?, ?)", key).fetchone()
    row = (*key, question, record.public_key, json.dumps(asdict(record)), salt_key, time.time())
    connection.execute("INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    if known != (record.public_key,):
        why = f"the network's policy is {question}: manual"
        trail.write(connection, *key, "waiting", record.node, why, public_key=record.public_key)


def _decide(
    connection: sqlite3.Connection,
    network: str,
    node: str,
    state: str,
    who: str,
    why: str,
    expires: float | None,
    what: str | None = None,
) -> None:
    row = (network, node, state, time.time(), who, why, expires)
    connection.execute("INSERT OR REPLACE INTO standing VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    trail.write(connection, network, node, what or state, who, why, **({"expires": expires} if expires else {}))
    _bump(connection)


def _accept(
    connection: sqlite3.Connection,
    record: Registration,
    salt_key: str,
    network: Network,
    members: Collection[str],
    suspended: Container[str],
    who: str,
) -> None:
    """Store the registration, and what it changed into the history."""
    old = connection.execute(
        "SELECT public_key, next_key, salt_key, keyed FROM node WHERE (network, node) = (?, ?)",
        (record.network, record.node),
    ).fetchone()
    same_key = old is not None and old[0] == record.public_key
    same_machine = old is not None and old[2] == salt_key
    next_key = old[1] if same_key and same_machine else None
    _store(connection, record, salt_key, next_key, old[3] if same_key else time.time())
    _pool(connection, network, members, suspended).assign(record.node)
    connection.execute("DELETE FROM waiting WHERE (network, node) = (?, ?)", (record.network, record.node))
    what = _what_happened(old, record, same_key, same_machine, salt_key == VOUCHED)
    if what:
        details = {"public_key": record.public_key, "old_public_key": old[0] if old else None}
        trail.write(connection, record.network, record.node, what[0], who, what[1], **details)


def _what_happened(
    old: tuple[str, str | None, str, float] | None,
    record: Registration,
    same_key: bool,
    same_machine: bool,
    vouched: bool,
) -> tuple[str, str] | None:
    if vouched:
        return None if same_key and same_machine else ("enrolled", "its public key was fetched by ssh")
    if old is None:
        return "registered", "it registered for the first time"
    if old[2] == VOUCHED and same_key:
        return "registered", "its minion registered the key that had been fetched by ssh"
    if old[2] != VOUCHED and not same_machine:
        return "reinstalled", "it has a new Salt key"
    if same_key:
        return None
    if record.public_key == old[1]:
        return "rotated", "it switched to the key that it had announced"
    return "rekeyed", "it registered with another key"


def _store(
    connection: sqlite3.Connection, record: Registration, salt_key: str, next_key: str | None, keyed: float
) -> None:
    """Not `INSERT OR REPLACE`, which would silently delete another node that has the same public key."""
    connection.execute(
        "INSERT INTO node VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (network, node) DO UPDATE SET"
        " (public_key, endpoints, port, serial, salt_key, registered, next_key, keyed) ="
        " (excluded.public_key, excluded.endpoints, excluded.port, excluded.serial, excluded.salt_key,"
        " excluded.registered, excluded.next_key, excluded.keyed)",
        (
            record.network,
            record.node,
            record.public_key,
            json.dumps(record.endpoints),
            record.port,
            record.serial,
            salt_key,
            time.time(),
            next_key,
            keyed,
        ),
    )


def _pool(connection: sqlite3.Connection, network: Network, members: Container[str], suspended: Container[str]) -> Pool:
    now = time.time()
    pass_time(connection, now)
    return Pool(network, Stored(connection, network.name), members, suspended, now)
