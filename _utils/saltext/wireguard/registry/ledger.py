"""Which node has each address: in the registry's file, or in a copy, to compute what would happen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..model.addresses import Address, Subnet, parse_address
from .database import Connection, upsert
from .pool import Holding

# At most a day between two checks for former nodes counts, and a check is written down at most once an hour.
_DAY = 86_400.0
_HOUR = 3600.0

_GIVE = upsert("address", "network, address", "node, freed")
_TOUCH = upsert("pool", "network, subnet", "untouched")


class Stored:
    """The addresses of one network in the registry's file, within a transaction."""

    def __init__(self, connection: Connection, network: str) -> None:
        self._connection = connection
        self._network = network

    def _find(self, condition: str, *values: object) -> Iterator[Holding]:
        sql = f"SELECT address, node, freed FROM address WHERE network = ? AND {condition}"  # noqa: S608 - fixed words
        for address, node, freed in self._connection.execute(sql, (self._network, *values)):
            yield Holding(parse_address(address), node, freed)

    def holder(self, address: Address) -> Holding | None:
        return next(self._find("address = ?", str(address)), None)

    def holdings(self, node: str) -> list[Holding]:
        return list(self._find("node = ?", node))

    def freed_until(self, moment: float) -> Iterator[Holding]:
        return self._find("freed <= ? ORDER BY freed, address", moment)

    def give(self, address: Address, node: str) -> None:
        values = (self._network, str(address), node, None)
        self._connection.execute(_GIVE, values)

    def free(self, address: Address, moment: float) -> None:
        sql = "UPDATE address SET freed = ? WHERE (network, address) = (?, ?)"
        self._connection.execute(sql, (moment, self._network, str(address)))

    def untouched(self, subnet: Subnet) -> int:
        sql = "SELECT untouched FROM pool WHERE (network, subnet) = (?, ?)"
        found = self._connection.execute(sql, (self._network, str(subnet))).fetchone()
        return int(found[0]) if found else 0  # as text, as numbers of IPv6 addresses are too large for SQLite

    def touch(self, subnet: Subnet, untouched: int) -> None:
        values = (self._network, str(subnet), str(untouched))
        self._connection.execute(_TOUCH, values)

    def holders(self) -> set[str]:
        """The nodes that have an address, and have not been found to be gone."""
        sql = "SELECT DISTINCT node FROM address WHERE network = ? AND freed IS NULL"
        return {node for (node,) in self._connection.execute(sql, [self._network])}


class OnPaper:
    """A copy from a snapshot. Giving and freeing addresses there changes nothing else. ``untouched`` is by subnet."""

    def __init__(self, holdings: Iterable[Holding], untouched: Mapping[str, int]) -> None:
        self._holdings: dict[Address, Holding] = {}
        self._by_node: dict[str, dict[Address, None]] = {}
        self._untouched = dict(untouched)
        for each in holdings:
            self._put(each)

    def _put(self, holding: Holding) -> None:
        before = self._holdings.get(holding.address)
        if before:
            del self._by_node[before.node][holding.address]
        self._holdings[holding.address] = holding
        self._by_node.setdefault(holding.node, {})[holding.address] = None

    def holder(self, address: Address) -> Holding | None:
        return self._holdings.get(address)

    def holdings(self, node: str) -> list[Holding]:
        return [self._holdings[address] for address in self._by_node.get(node, ())]

    def freed_until(self, moment: float) -> Iterator[Holding]:
        free = [(each.freed, str(each.address), each) for each in self._holdings.values() if each.freed is not None]
        return (each for freed, _, each in sorted(free, key=lambda each: each[:2]) if freed <= moment)

    def give(self, address: Address, node: str) -> None:
        self._put(Holding(address, node))

    def free(self, address: Address, moment: float) -> None:
        self._put(Holding(address, self._holdings[address].node, moment))

    def untouched(self, subnet: Subnet) -> int:
        return self._untouched.get(str(subnet), 0)

    def touch(self, subnet: Subnet, untouched: int) -> None:
        self._untouched[str(subnet)] = untouched


def pass_time(connection: Connection, now: float) -> bool:
    """
    Advance the quarantines; to be called with each check for former nodes. Returns whether any was extended.

    Time counts only while checks happen at least daily: not while the master is off, not for a registry restored from a
    backup, and not when a clock is set. Time that does not count is added to the beginning of each quarantine.
    """
    looked = connection.execute("SELECT time FROM looked").fetchone()[0]
    skipped = (now - looked) - min(max(now - looked, 0.0), _DAY)
    if skipped or now - looked > _HOUR:
        connection.execute("UPDATE looked SET time = ?", [now])
    if not skipped:
        return False
    return connection.execute("UPDATE address SET freed = freed + ? WHERE freed IS NOT NULL", [skipped]).rowcount > 0
