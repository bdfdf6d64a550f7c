"""The tables of the registry, read."""

import json
from dataclasses import asdict
from ipaddress import ip_address

import pytest

from databases import BACKENDS
from factories import membership, network, registration
from saltext.wireguard.model.statements import Rollback
from saltext.wireguard.registry import queries
from saltext.wireguard.registry.rows import Boots


@pytest.fixture(params=BACKENDS)
def registry(request, tmp_path):
    return request.param(tmp_path)


def execute(registry, sql, *rows):
    registry.audit.refuse("net", "a", "makes the file")
    with registry._store.write() as connection:
        connection.executemany(sql, rows)


def read(registry, query):
    return registry._store.read(query, None)


def test_the_addresses_of_a_node_are_ipv4_first_and_in_numerical_order(registry):
    texts = ("fd42::1", "10.42.0.10", "10.42.0.9")
    execute(
        registry, "INSERT INTO address (network, address, node) VALUES ('net', ?, 'a')", *([each] for each in texts)
    )
    assert [str(each) for each in read(registry, queries.read_addresses)["net", "a"]] == [
        *("10.42.0.9", "10.42.0.10", "fd42::1")
    ]


def test_an_address_that_was_freed_is_a_former_one_and_nobodys(registry):
    sql = "INSERT INTO address (network, address, node, freed) VALUES ('net', '10.42.0.9', 'a', 5.0)"
    execute(registry, sql, [])
    assert read(registry, queries.read_addresses) == {}
    ((holding,),) = read(registry, queries.read_former).values()
    assert (holding.address, holding.node, holding.freed) == (ip_address("10.42.0.9"), "a", 5.0)


def test_numbers_of_ipv6_addresses_are_larger_than_what_a_column_of_sqlite_holds(registry):
    net = network(subnets="'fd42::/64'")
    registry.register(registration("a"), "salt key of a", membership(net, "a"))
    assert read(registry, queries.read_untouched) == {"net": {"fd42::/64": int(ip_address("fd42::2"))}}


def test_of_the_boots_of_a_machine_those_that_were_replaced_do_not_count(registry):
    sql = "INSERT INTO boot (node, salt_key, boot, state, seen) VALUES ('a', 'key', ?, ?, ?)"
    execute(registry, sql, ("1", "replaced", 1), ("2", "clone", 2), ("3", "fresh", 3), ("4", "clone", 4))
    assert read(registry, queries.read_boots) == {("a", "key"): Boots("3", ("2", "4"), fresh=True)}


def test_a_rollback_comes_back_as_it_was_stored():
    rollback = Rollback("digest", "no handshake", 5.0)
    assert queries.parse_rollback(json.dumps(asdict(rollback))) == rollback
    assert queries.parse_rollback(None) is None
