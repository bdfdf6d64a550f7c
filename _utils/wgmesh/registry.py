"""
The registry: what nodes said of themselves, and which addresses they were given.

An SQLite file, readable by its owner only, one transaction a change. Unique constraints, not locks, keep an address or
a public key from being given twice. Readers keep a copy in memory and look only at a generation number, which every
change of the rows that views are made from increases.

A second backend would offer the public methods of ``Registry`` and pass ``tests/unit/wgmesh/test_registry.py``.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from .errors import PoolExhaustedError, RefusedError, RegistryError
from .model import Network
from .record import Registration, Report

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network
NodeId = tuple[str, str]  # (network, node)
T = TypeVar("T")

SCHEMA_VERSION = 1
MAX_REFUSALS = 500
BUSY_SECONDS = 30.0

_SCHEMA = """
CREATE TABLE generation (value INTEGER NOT NULL);
INSERT INTO generation VALUES (1);
CREATE TABLE node (
    network TEXT NOT NULL, node TEXT NOT NULL,
    public_key TEXT NOT NULL, endpoints TEXT NOT NULL, port INTEGER NOT NULL,
    serial INTEGER NOT NULL, salt_key TEXT NOT NULL, registered REAL NOT NULL,
    PRIMARY KEY (network, node), UNIQUE (network, public_key)
) WITHOUT ROWID;
CREATE TABLE address (
    network TEXT NOT NULL, address TEXT NOT NULL, node TEXT NOT NULL,
    PRIMARY KEY (network, address)
) WITHOUT ROWID;
CREATE INDEX address_of_node ON address (network, node);
CREATE TABLE serial (
    kind TEXT NOT NULL, network TEXT NOT NULL, node TEXT NOT NULL, salt_key TEXT NOT NULL, value INTEGER NOT NULL,
    PRIMARY KEY (kind, network, node, salt_key)
) WITHOUT ROWID;
CREATE TABLE report (
    network TEXT NOT NULL, node TEXT NOT NULL, digest TEXT NOT NULL, salt_key TEXT NOT NULL, reported REAL NOT NULL,
    PRIMARY KEY (network, node)
) WITHOUT ROWID;
CREATE TABLE refusal (
    network TEXT NOT NULL, node TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL, last REAL NOT NULL,
    PRIMARY KEY (network, node, reason)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Row:
    """One node's accepted registration. ``salt_key`` is the fingerprint of the Salt key that signed it."""

    network: str
    node: str
    public_key: str
    endpoints: tuple[str, ...]
    port: int
    serial: int
    salt_key: str
    registered: float
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True)
class Applied:
    """The last view that a node reported as applied, by digest, at which time (Unix seconds), under which Salt key."""

    digest: str
    salt_key: str
    reported: float


@dataclass(frozen=True)
class Refusal:
    """A statement about ``node`` that was not believed; ``last`` is in Unix seconds."""

    network: str
    node: str
    reason: str
    count: int
    last: float


@dataclass(frozen=True)
class Snapshot:
    """All rows at one generation. Two snapshots of one generation are the same object within a process."""

    generation: int = 0
    rows: Mapping[NodeId, Row] = field(default_factory=dict)


EMPTY = Snapshot()
_snapshots: dict[str, tuple[int, Snapshot]] = {}


class Registry:
    """The registry in the file at ``path``. Holds no connection, so it may be shared by processes and threads."""

    def __init__(self, path: str) -> None:
        self.path = path

    # -- reading

    def snapshot(self) -> Snapshot:
        """All registrations. Cheap when nothing changed since this process's last call. Never creates the file."""
        return self._read(self._snapshot, EMPTY)

    def _snapshot(self, connection: sqlite3.Connection) -> Snapshot:
        inode = os.stat(self.path).st_ino
        generation = connection.execute("SELECT value FROM generation").fetchone()[0]
        known = _snapshots.get(self.path)
        if known and known[0] == inode and known[1].generation == generation:
            return known[1]
        snapshot = Snapshot(generation, _rows(connection))
        _snapshots[self.path] = (inode, snapshot)
        return snapshot

    def applied(self) -> dict[NodeId, Applied]:
        """What every node last reported as applied."""
        sql = "SELECT network, node, digest, salt_key, reported FROM report"
        return {(network, node): Applied(*rest) for network, node, *rest in self._all(sql)}

    def refusals(self) -> list[Refusal]:
        """Refused statements, the newest first."""
        sql = "SELECT network, node, reason, count, last FROM refusal ORDER BY last DESC"
        return [Refusal(*row) for row in self._all(sql)]

    # -- writing

    def register(self, record: Registration, salt_key: str, network: Network, members: Collection[str]) -> bool:
        """
        Store a verified registration and give the node its addresses, in one transaction.

        ``members`` are the minions that are now members of the network; addresses that the mesh file gives to one node
        may be taken from another only when that one is no member any more. Returns False when this very record is
        known already. Raises RefusedError when the serial is not newer or the public key is that of another member, and
        PoolExhaustedError.
        """
        with self._write() as connection:
            if not _advance(connection, record, salt_key):
                return False
            _refuse_foreign_key(connection, record, members)
            _store(connection, record, salt_key)
            _assign(connection, network, [record.node], members)
            _bump(connection)
            return True

    def settle(self, network: Network, members: Collection[str]) -> bool:
        """
        Bring the addresses of all registered members in line with the mesh file. Returns whether any changed.

        Needed when the mesh file gives a node another address, or a network another subnet.
        """
        with self._write() as connection:
            registered = {
                row[0] for row in connection.execute("SELECT node FROM node WHERE network = ?", [network.name])
            }
            changed = _assign(connection, network, sorted(registered.intersection(members)), members)
            if changed:
                _bump(connection)
            return changed

    def report(self, report: Report, salt_key: str) -> bool:
        """Store a verified report. Returns False when it is known already; raises RefusedError when it is old."""
        with self._write() as connection:
            if not _advance(connection, report, salt_key):
                return False
            connection.execute(
                "INSERT OR REPLACE INTO report VALUES (?, ?, ?, ?, ?)",
                (report.network, report.node, report.digest, salt_key, time.time()),
            )
            return True

    def refuse(self, network: str, node: str, reason: str) -> None:
        """Remember a refusal; the same one again only counts. At most MAX_REFUSALS are kept, the newest."""
        with self._write() as connection:
            connection.execute(
                "INSERT INTO refusal VALUES (?, ?, ?, 1, ?)"
                " ON CONFLICT DO UPDATE SET count = count + 1, last = excluded.last",
                (network, node, reason, time.time()),
            )
            connection.execute(
                "DELETE FROM refusal WHERE (network, node, reason) IN"
                " (SELECT network, node, reason FROM refusal ORDER BY last DESC LIMIT -1 OFFSET ?)",
                [MAX_REFUSALS],
            )

    # -- connections

    def _read(self, query: Callable[[sqlite3.Connection], T], empty: T) -> T:
        """The answer of ``query``, or ``empty`` while nobody has registered yet."""
        with self._errors():
            if not _exists(self.path):
                return empty
            connection = sqlite3.connect(f"{Path(self.path).as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
            try:
                # one transaction, so that the generation and the rows read after it belong together
                connection.execute("BEGIN")
                _check_version(connection)
                return query(connection)
            finally:
                connection.close()

    def _all(self, sql: str) -> list[Any]:
        empty: list[Any] = []
        return self._read(lambda connection: connection.execute(sql).fetchall(), empty)

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._errors():
            if not _exists(self.path):
                _create(self.path)
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
            try:
                connection.execute("PRAGMA synchronous = FULL")  # an acknowledged registration survives a power cut
                connection.execute("BEGIN IMMEDIATE")
                _check_version(connection)
                yield connection
                connection.execute("COMMIT")
            finally:
                connection.close()  # without COMMIT this rolls back

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            raise RegistryError(
                f"the registry {self.path} is not usable: {exc}. Check its owner, its mode and the free disk space;"
                " nothing was changed"
            ) from exc


def _exists(path: str) -> bool:
    """Unlike os.path.exists, no answer is no "no": whoever may not look must not take the registry for an empty one."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    return True


def _create(path: str) -> None:
    """
    Make an empty registry that is complete from the moment that others can see it. Whoever comes second is no error.

    Switching a file to WAL takes an exclusive lock for which SQLite does not wait, so processes must not meet there.
    """
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".registry-", dir=directory)  # 0600
    os.close(descriptor)
    try:
        connection = sqlite3.connect(temporary, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        finally:
            connection.close()
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.unlink(temporary)


def _check_version(connection: sqlite3.Connection) -> None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version == 0:
        raise RegistryError(
            "the registry is an empty file: restore it from a backup, or delete it, and every node registers anew when"
            " it next runs state.apply"
        )
    if version != SCHEMA_VERSION:
        raise RegistryError(
            f"the registry has format {version}, this software knows {SCHEMA_VERSION}: update saltext-wireguard on the"
            " master, or restore the registry from a backup"
        )


def _rows(connection: sqlite3.Connection) -> dict[NodeId, Row]:
    addresses: dict[NodeId, list[Address]] = {}
    for network, address, node in connection.execute("SELECT network, address, node FROM address"):
        addresses.setdefault((network, node), []).append(_parse_address(address))
    rows = connection.execute(
        "SELECT network, node, public_key, endpoints, port, serial, salt_key, registered FROM node"
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
            tuple(sorted(addresses.get((network, node), []), key=_order)),
        )
        for network, node, key, endpoints, port, serial, salt_key, registered in rows
    }


# Parsing is most of the work of reading a large registry, which is read again after every change.
@functools.lru_cache(maxsize=1 << 17)
def _parse_address(text: str) -> Address:
    return ipaddress.ip_address(text)


def _order(address: Address) -> tuple[int, int]:
    return address.version, int(address)


def _bump(connection: sqlite3.Connection) -> None:
    """The time is in it so that a registry put back from a backup does not come to a generation that others know."""
    connection.execute("UPDATE generation SET value = max(value + 1, ?)", [time.time_ns()])


def _advance(connection: sqlite3.Connection, statement: Registration | Report, salt_key: str) -> bool:
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
            f"its serial {statement.serial} is not newer than {known[0]}: an old statement, played again"
        )
    connection.execute("INSERT OR REPLACE INTO serial VALUES (?, ?, ?, ?, ?)", (*key, statement.serial))
    return True


def _refuse_foreign_key(connection: sqlite3.Connection, record: Registration, members: Collection[str]) -> None:
    """
    One node, one key. A node may use its key in several networks, as it does after a network got another name.

    Whoever is no member any more has no claim: a minion that got another id keeps its key.
    """
    owners = connection.execute(
        "SELECT network, node FROM node WHERE public_key = ? AND node != ?", (record.public_key, record.node)
    ).fetchall()
    for network, node in owners:
        if network != record.network or node in members:
            raise RefusedError(
                f"its public key {record.public_key} is already that of {node} in network {network}: a cloned machine?"
                f" Move the key file on {record.node} away and apply again; it makes a new key"
            )
        connection.execute("DELETE FROM node WHERE network = ? AND node = ?", (network, node))


def _store(connection: sqlite3.Connection, record: Registration, salt_key: str) -> None:
    """Not `INSERT OR REPLACE`, which would silently delete another node that has the same public key."""
    connection.execute(
        "INSERT INTO node VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (network, node) DO UPDATE SET (public_key, endpoints, port, serial, salt_key, registered) ="
        " (excluded.public_key, excluded.endpoints, excluded.port, excluded.serial, excluded.salt_key,"
        " excluded.registered)",
        (
            record.network,
            record.node,
            record.public_key,
            json.dumps(record.endpoints),
            record.port,
            record.serial,
            salt_key,
            time.time(),
        ),
    )


def _assign(connection: sqlite3.Connection, network: Network, nodes: Collection[str], members: Collection[str]) -> bool:
    """Give each of ``nodes`` the addresses that it must have, and take away the others. Returns whether any changed."""
    held: dict[str, set[Address]] = {}
    owner: dict[Address, str] = {}
    for text, node in connection.execute("SELECT address, node FROM address WHERE network = ?", [network.name]):
        address = _parse_address(text)
        held.setdefault(node, set()).add(address)
        owner[address] = node
    pool = _Pool(network, owner)
    changed = False
    for node in nodes:
        mine = held.get(node, set())
        settings = network.settings(node)
        wanted = pool.choose(node, mine, settings.addresses if settings else ())
        for address in wanted - mine:
            _refuse_taking(network, address, node, owner.get(address), members)
            row = (network.name, str(address), node)
            connection.execute("INSERT OR REPLACE INTO address VALUES (?, ?, ?)", row)
        for address in mine - wanted:
            row = (network.name, str(address), node)
            connection.execute("DELETE FROM address WHERE (network, address, node) = (?, ?, ?)", row)
        changed = changed or wanted != mine
    return changed


def _refuse_taking(network: Network, address: Address, node: str, holder: str | None, members: Collection[str]) -> None:
    """A member keeps the address that it was given, unless the mesh file gives that member another one as well."""
    if holder is None or holder not in members:
        return
    settings = network.settings(holder)
    if settings and any(other.version == address.version for other in settings.addresses):
        return
    raise RefusedError(
        f"the mesh file gives {address} to {node}, but {holder} has it. Give {node} another address in the mesh file"
    )


class _Pool:
    """
    The addresses of one network, handed out lowest first, one of each IP version to a node.

    Addresses that the mesh file names are reserved for whom it names, and an address once given stays with its node.
    """

    def __init__(self, network: Network, owner: Mapping[Address, str]) -> None:
        self._network = network
        self._reserved = reserved(network)
        self._taken = self._reserved.union(owner)
        self._iterators = {subnet: subnet.hosts() for subnet in network.subnets}

    def choose(self, node: str, held: Collection[Address], static: Collection[Address]) -> set[Address]:
        wanted = set(static)
        for version in sorted({subnet.version for subnet in self._network.subnets}):
            if not any(address.version == version for address in static):
                wanted |= self._keep(held, version) or {self._next(node, version)}
        return wanted

    def _keep(self, held: Collection[Address], version: int) -> set[Address]:
        """The address that the node has already, unless the mesh file took it away."""
        good = [
            address
            for address in held
            if address.version == version
            and address not in self._reserved
            and _is_host(address, self._network.subnet_of(address))
        ]
        return {min(good, key=int)} if good else set()

    def _next(self, node: str, version: int) -> Address:
        for subnet, hosts in self._iterators.items():
            if subnet.version != version:
                continue
            for address in hosts:
                if address not in self._taken:
                    self._taken.add(address)
                    return address
        raise PoolExhaustedError(
            f"network {self._network.name} has no free IPv{version} address for {node}: add a subnet to the mesh file"
        )


def _is_host(address: Address, subnet: Subnet | None) -> bool:
    """Whether ``subnet.hosts()`` has it: in another subnet, an address may come to be the broadcast address."""
    if subnet is None:
        return False
    if subnet.num_addresses <= 2:
        return True
    return address != subnet.network_address and (address.version == 6 or address != subnet.broadcast_address)


def reserved(network: Network) -> set[Address]:
    """All addresses that the mesh file gives by name."""
    named = [entry.addresses for entry in network.nodes] + [peer.addresses for peer in network.peers]
    return {address for addresses in named for address in addresses}
