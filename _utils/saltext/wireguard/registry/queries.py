"""The tables of the registry, read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Generic, TypeVar

from ..model.addresses import Address, ipv4_first, parse_address
from ..model.statements import Rollback
from .database import Connection
from .pool import Holding
from .rows import Applied, Boots, NodeId, Row, Waiting

T = TypeVar("T")


def parse_rollback(text: str | None) -> Rollback | None:
    return Rollback(**json.loads(text)) if text else None


class Kept(Generic[T]):
    """
    Values of rows, which begin with network and node. Those of rows that are as they were when they were read last are
    the same objects: to make thousands of them takes most of the time after a change of one.
    """

    def __init__(self, make: Callable[..., T]) -> None:
        self._make = make
        self._known: dict[NodeId, tuple[tuple[Any, ...], T]] = {}

    def of(self, rows: Iterable[tuple[Any, ...]]) -> dict[NodeId, T]:
        known, fresh = self._known, {}
        for row in rows:
            node = row[0], row[1]
            had = known.get(node)
            fresh[node] = had if had and had[0] == row else (row, self._make(*row))
        self._known = fresh
        return {node: value for node, (_, value) in fresh.items()}


def read_addresses(connection: Connection) -> dict[NodeId, tuple[Address, ...]]:
    texts: dict[NodeId, list[str]] = {}
    sql = "SELECT network, address, node FROM address WHERE freed IS NULL"
    for network, address, node in connection.execute(sql):
        texts.setdefault((network, node), []).append(address)
    return {node: _addresses(*each) for node, each in texts.items()}


@lru_cache(maxsize=1 << 16)
def _addresses(*texts: str) -> tuple[Address, ...]:
    return tuple(ipv4_first(map(parse_address, texts)))


def read_rows(connection: Connection, addresses: Mapping[NodeId, tuple[Address, ...]]) -> dict[NodeId, Row]:
    rows = connection.execute(
        "SELECT network, node, public_key, endpoints, port, serial, salt_key, registered, next_key, keyed FROM node"
    )
    return _rows.of((*row, addresses.get((row[0], row[1]), ())) for row in rows)


def _row(*columns: Any) -> Row:
    network, node, key, endpoints, port, serial, salt_key, registered, next_key, keyed, addresses = columns
    given = tuple(json.loads(endpoints))
    return Row(network, node, key, given, port, serial, salt_key, registered, addresses, next_key, keyed)


def read_applied(rows: Iterable[tuple[Any, ...]]) -> dict[NodeId, Applied]:
    """The last reports."""
    return _applied.of(rows)


def _report(_network: str, _node: str, *columns: Any) -> Applied:
    digest, salt_key, reported, rollback, *lists = columns
    return Applied(digest, salt_key, reported, parse_rollback(rollback), *(tuple(json.loads(each)) for each in lists))


_rows = Kept(_row)
_applied = Kept(_report)


def read_waiting(connection: Connection) -> dict[NodeId, Waiting]:
    rows = connection.execute("SELECT network, node, question, public_key, salt_key, since FROM waiting")
    return {(row[0], row[1]): Waiting(*row) for row in rows}


def read_boots(connection: Connection) -> dict[tuple[str, str], Boots]:
    machines: dict[tuple[str, str], Boots] = {}
    sql = "SELECT node, salt_key, boot, state FROM boot WHERE state != 'replaced' ORDER BY seen"
    for node, salt_key, boot, state in connection.execute(sql):
        boots = machines.get((node, salt_key), Boots())
        if state == "clone":
            machines[node, salt_key] = replace(boots, clones=(*boots.clones, boot))
        else:
            machines[node, salt_key] = replace(boots, current=boot, fresh=state == "fresh")
    return machines


def read_noted(connection: Connection) -> dict[str, frozenset[str]]:
    members: dict[str, set[str]] = {}
    for network, node in connection.execute("SELECT network, node FROM member"):
        members.setdefault(network, set()).add(node)
    return {network: frozenset(nodes) for network, nodes in members.items()}


def read_former(connection: Connection) -> dict[str, tuple[Holding, ...]]:
    former: dict[str, list[Holding]] = {}
    sql = "SELECT network, address, node, freed FROM address WHERE freed IS NOT NULL"
    for network, address, node, freed in connection.execute(sql):
        former.setdefault(network, []).append(Holding(parse_address(address), node, freed))
    return {network: tuple(holdings) for network, holdings in former.items()}


def read_untouched(connection: Connection) -> dict[str, dict[str, int]]:
    pools: dict[str, dict[str, int]] = {}
    for network, subnet, untouched in connection.execute("SELECT network, subnet, untouched FROM pool"):
        pools.setdefault(network, {})[subnet] = int(untouched)
    return pools
