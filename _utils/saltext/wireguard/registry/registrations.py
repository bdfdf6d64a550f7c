"""The changes that a node's registration makes in the registry, within a transaction of the caller."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace

from ..errors import RefusedError
from ..meshfile.mesh import Network
from ..model.statements import Registration
from ..wording import shell
from . import admission, refusals
from . import history as trail
from .admission import Membership
from .budget import changes, spend
from .database import Connection, upsert
from .decisions import Decisions
from .ledger import Stored, pass_time
from .pool import Pool
from .public_keys import refuse_foreign_key, take_over
from .refusals import Refused
from .rows import VOUCHED

_STORE = upsert("node", "network, node", "public_key, endpoints, port, serial, salt_key, registered, next_key, keyed")
_LET_WAIT = upsert("waiting", "network, node", "question, public_key, record, salt_key, since")


def question_of(connection: Connection, decisions: Decisions, record: Registration, network: Network) -> str | None:
    """Which decision the registration needs first. Raises RefusedError if an operator has rejected it."""
    key = (record.network, record.node)
    standing = decisions.refuse_revoked(record)
    known = connection.execute("SELECT public_key, next_key FROM node WHERE (network, node) = (?, ?)", key).fetchone()
    question = admission.question(network, record.public_key, [each for each in known or () if each], standing)
    no = connection.execute(
        "SELECT who FROM rejected WHERE (network, node, public_key) = (?, ?, ?)", (*key, record.public_key)
    ).fetchone()
    if question and no:
        raise RefusedError(
            f"{no[0]} rejected this key; {shell('salt-run wireguard.admit', record.node)} takes that back",
            "rejected",
        )
    return question


def take_in(
    connection: Connection,
    decisions: Decisions,
    record: Registration,
    salt_key: str,
    membership: Membership,
) -> bool:
    """
    Store a registration, or let it wait for an operator or for the node's budget. Returns whether anything changed
    that others see. Raises RefusedError.
    """
    refuse_foreign_key(connection, record, salt_key, membership)
    question = question_of(connection, decisions, record, membership.network)
    if _is_known(connection, record, salt_key, question):
        _touch(connection, record, question)
        return not question and pool_of(connection, membership).assign(record.node)
    if not _is_free(connection, record, salt_key) and not spend(
        connection, changes(connection), record.node, time.time()
    ):
        _defer(connection, record, salt_key)
        return False
    if question:
        let_wait(connection, record, salt_key, question)
    else:
        accept(connection, record, salt_key, membership, who=record.node)
    return True


def _is_known(connection: Connection, record: Registration, salt_key: str, question: str | None) -> bool:
    """Whether the same registration is already stored, or waits for an operator."""
    waiting = connection.execute(
        "SELECT question, record, salt_key FROM waiting WHERE (network, node) = (?, ?)", (record.network, record.node)
    ).fetchone()
    if question or waiting:
        same = waiting and replace(Registration.from_dict(json.loads(waiting[1])), serial=record.serial) == record
        return bool(same and (waiting[0], waiting[2]) == (question, salt_key))
    row = connection.execute(
        "SELECT public_key, endpoints, port, salt_key FROM node WHERE (network, node) = (?, ?)",
        (record.network, record.node),
    ).fetchone()
    return bool(row == (record.public_key, json.dumps(record.endpoints), record.port, salt_key))


def _touch(connection: Connection, record: Registration, question: str | None) -> None:
    """Note the time of a registration without news, and drop one that waited: the node has returned to what it had."""
    who = (record.network, record.node)
    connection.execute("DELETE FROM deferred WHERE (network, node) = (?, ?)", who)
    if question:
        sql = "UPDATE waiting SET record = ? WHERE (network, node) = (?, ?)"
        connection.execute(sql, (json.dumps(asdict(record)), *who))
    else:
        sql = "UPDATE node SET serial = ?, registered = ? WHERE (network, node) = (?, ?)"
        connection.execute(sql, (record.serial, time.time(), *who))


def _is_free(connection: Connection, record: Registration, salt_key: str) -> bool:
    """A node's first registration costs it nothing, and neither does one that an operator has asked for."""
    who = (record.network, record.node)
    row = connection.execute("SELECT next_key, salt_key FROM node WHERE (network, node) = (?, ?)", who).fetchone()
    if row:
        return bool(row == (record.public_key, salt_key))
    waits = "SELECT 1 FROM {} WHERE (network, node) = (?, ?)"
    return not any(connection.execute(waits.format(table), who).fetchone() for table in ("waiting", "deferred"))


def _defer(connection: Connection, record: Registration, salt_key: str) -> None:
    """The last registration counts, as soon as the node's budget allows."""
    connection.execute(
        "INSERT INTO deferred VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (network, node) DO UPDATE SET (record, salt_key) = (excluded.record, excluded.salt_key)",
        (record.network, record.node, json.dumps(asdict(record)), salt_key, time.time()),
    )


def take_deferred(connection: Connection, decisions: Decisions, membership: Membership) -> bool:
    """Take in the registrations that waited, as far as the nodes' budgets allow. Returns whether any changed."""
    changed = False
    network = membership.network.name
    sql = "SELECT node, record, salt_key FROM deferred WHERE network = ? ORDER BY since, node"
    for node, text, salt_key in connection.execute(sql, [network]).fetchall():
        connection.execute("SAVEPOINT deferred")
        connection.execute("DELETE FROM deferred WHERE (network, node) = (?, ?)", (network, node))
        record = Registration.from_dict(json.loads(text))
        try:
            if node in membership:
                changed = take_in(connection, decisions, record, salt_key, membership) or changed
        except RefusedError as exc:
            connection.execute("ROLLBACK TO deferred")
            connection.execute("DELETE FROM deferred WHERE (network, node) = (?, ?)", (network, node))
            refusals.write(connection, Refused(network, node, exc.kind), str(exc), 1, time.time())
        connection.execute("RELEASE deferred")
    return changed


def let_wait(connection: Connection, record: Registration, salt_key: str, question: str) -> None:
    key = (record.network, record.node)
    known = connection.execute("SELECT public_key FROM waiting WHERE (network, node) = (?, ?)", key).fetchone()
    row = (*key, question, record.public_key, json.dumps(asdict(record)), salt_key, time.time())
    connection.execute(_LET_WAIT, row)
    _note_asked(connection, record)
    if known != (record.public_key,):
        why = f"the network's policy is {question}: manual"
        trail.write(connection, *key, "waiting", record.node, why, public_key=record.public_key)


def _note_asked(connection: Connection, record: Registration) -> None:
    """Until an operator decides, also while nothing waits meanwhile: whether the key is the one that waited first."""
    connection.execute(
        "INSERT INTO asked VALUES (?, ?, ?, 0, NULL)"
        " ON CONFLICT (network, node) DO UPDATE"
        " SET changed = CASE WHEN asked.first = excluded.first THEN asked.changed ELSE 1 END",
        (record.network, record.node, record.public_key),
    )


def accept(connection: Connection, record: Registration, salt_key: str, membership: Membership, who: str) -> None:
    """Store a registration that nothing speaks against any more, and what it changed into the history."""
    take_over(connection, record, who)
    old = connection.execute(
        "SELECT public_key, next_key, salt_key, keyed, endpoints, port FROM node WHERE (network, node) = (?, ?)",
        (record.network, record.node),
    ).fetchone()
    same_key = old is not None and old[0] == record.public_key
    same_machine = old is not None and old[2] == salt_key
    next_key = old[1] if same_key and same_machine else None
    _store(connection, record, salt_key, next_key, old[3] if same_key else time.time())
    pool_of(connection, membership).assign(record.node)
    for table in ("waiting", "deferred"):
        connection.execute(f"DELETE FROM {table} WHERE (network, node) = (?, ?)", (record.network, record.node))  # noqa: S608
    what = _what_happened(old, record, same_key, same_machine, salt_key == VOUCHED)
    if what:
        details = {"public_key": record.public_key, "old_public_key": old[0] if old else None}
        trail.write(connection, record.network, record.node, what[0], who, what[1], **details)
    elif old and (json.loads(old[4]), old[5]) != ([*record.endpoints], record.port):
        where = {"endpoints": record.endpoints, "port": record.port}
        trail.write(connection, record.network, record.node, "moved", who, "it is reached at other endpoints", **where)


def _what_happened(
    old: tuple[str, str | None, str, float, str, int] | None,
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


def _store(connection: Connection, record: Registration, salt_key: str, next_key: str | None, keyed: float) -> None:
    """In place of the row of this node only: another node that has the same public key must not go in silence."""
    connection.execute(
        _STORE,
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


def pool_of(connection: Connection, membership: Membership) -> Pool:
    now = time.time()
    pass_time(connection, now)
    return Pool(membership, Stored(connection, membership.network.name), now)
