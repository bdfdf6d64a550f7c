"""The tables of the registry, read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..model.addresses import Address, ipv4_first, parse_address
from ..model.statements import Rollback
from .database import Connection
from .pool import Holding
from .rows import Boots, NodeId, Row, Waiting


def parse_rollback(text: str | None) -> Rollback | None:
    return Rollback(**json.loads(text)) if text else None


def read_addresses(connection: Connection) -> dict[NodeId, list[Address]]:
    addresses: dict[NodeId, list[Address]] = {}
    sql = "SELECT network, address, node FROM address WHERE freed IS NULL"
    for network, address, node in connection.execute(sql):
        addresses.setdefault((network, node), []).append(parse_address(address))
    return {node: ipv4_first(each) for node, each in addresses.items()}


def read_rows(connection: Connection, addresses: Mapping[NodeId, Sequence[Address]]) -> dict[NodeId, Row]:
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
