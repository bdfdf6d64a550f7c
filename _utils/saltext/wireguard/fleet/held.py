"""The addresses that anybody has in any network of the mesh."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterable

from ..meshfile.mesh import Network
from ..model.addresses import Address
from ..registry.rows import NodeId, Snapshot


class HeldAddresses(Container[str]):
    """By the mesh file and the registry."""

    def __init__(self, networks: Iterable[Network], snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        rows, exports = snapshot.rows.values(), snapshot.exports.values()
        held = [*(each.addresses for each in rows), *(each.addresses for each in exports)]
        for network in networks:
            held += [*(each.addresses for each in network.nodes), *(each.addresses for each in network.peers)]
        self._count = Counter(map(str, _all(held)))

    def __contains__(self, text: object) -> bool:
        return self._count[text] > 0 if isinstance(text, str) else False

    def changed(self, snapshot: Snapshot, rows: Iterable[NodeId]) -> tuple[HeldAddresses, frozenset[str]]:
        """The same after a change of these rows, and the addresses that only one of the two has."""
        new = HeldAddresses((), Snapshot())
        new._snapshot = snapshot
        new._count = self._count.copy()
        known = [(self._snapshot.rows.get(each), snapshot.rows.get(each)) for each in rows]
        gone = [*map(str, _all(old.addresses for old, _ in known if old))]
        given = [*map(str, _all(row.addresses for _, row in known if row))]
        new._count.subtract(gone)
        new._count.update(given)
        return new, frozenset(text for text in (*gone, *given) if (text in self) != (text in new))


def _all(groups: Iterable[Collection[Address]]) -> Iterable[Address]:
    return (address for addresses in groups for address in addresses)
