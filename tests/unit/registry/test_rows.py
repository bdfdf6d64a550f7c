"""What is in the registry, as values."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from factories import public_key, row, snapshot
from saltext.wireguard.registry.exports import Export
from saltext.wireguard.registry.pool import Holding
from saltext.wireguard.registry.rows import VOUCHED

ONE, TWO, THREE, FOUR = (ip_address(f"10.42.0.{number}") for number in range(1, 5))


@pytest.mark.parametrize("next_key", [None, public_key("next")])
def test_a_node_has_its_public_key_and_the_one_that_it_announced(next_key):
    assert row("a", next_key=next_key).keys == (public_key("a"), *([next_key] if next_key else []))


def test_a_row_without_a_salt_key_is_one_that_an_operator_vouches_for():
    assert row("a", salt_key=VOUCHED).is_vouched
    assert not row("a").is_vouched


def test_the_addresses_of_a_network_are_those_of_nodes_and_exported_peers_and_former_ones():
    former = Holding(FOUR, "gone", 5.0)
    known = replace(
        snapshot(row("a", ONE), row("b", TWO, network="other")),
        exports={("net", "phone"): Export("net", "phone", None, "", 0.0, (THREE,))},
        former={"net": (former,), "other": (Holding(ONE, "x", 1.0),)},
    )
    assert known.holdings("net") == [Holding(ONE, "a"), Holding(THREE, "phone"), former]
