#!/usr/bin/env python3
"""
What a mesh change costs tunnels that it does not concern: ours, ``wg syncconf``, and a restart by ``wg-quick``.

Three machines with real WireGuard devices, and a node with some forty more peers, none of which answers. Random changes
come and go among those: peers that join, leave, change keys, move addresses, endpoints, keepalives and networks.
Meanwhile 1,000 packets a second go from the node to a peer that no change concerns and back, and from another such peer
to the node and back. In turns and on the same machines: nothing at all ("idle"), which tells what the load of this
machine loses by itself; ``wireguard.sync``; ``wg syncconf`` with the whole configuration; and ``wg-quick down`` and
``up``. Needs root.

    bench/hitless.py --json --changes 200
"""

from __future__ import annotations

import base64
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from report import BenchError, Comparison, Measured, Size, run
from saltext.wireguard.model.view import Peer, View
from wgmachines.nodes import Node, Nodes, why_not

# At its beginning and its end, only packets flow: the last change is over when the last packet is sent.
MARGIN_SECONDS = 0.5
PEERS = 40


# -- mesh changes


class Mesh:
    """The view of node1, which changes among peers that do not answer."""

    def __init__(self, nodes: Nodes, chance: random.Random) -> None:
        self._bare = nodes.view(nodes.all[0])
        self._chance = chance
        self._count = 0
        self._others: dict[str, Peer] = {}
        while len(self._others) < PEERS:
            self._join()

    @property
    def view(self) -> View:
        """Its peers are in the order of their names, as the master sends them: that is part of the digest."""
        peers = (*self._bare.peers, *self._others.values())
        return replace(self._bare, peers=tuple(sorted(peers, key=lambda peer: peer.name)))

    def change(self) -> View:
        """Something happens."""
        changes = (
            self._join,
            self._leave,
            self._rekey,
            self._move,
            self._call_elsewhere,
            self._keep_alive,
            self._route,
        )
        self._chance.choice(changes)()
        return self.view

    def _key(self) -> str:
        raw = bytearray(self._chance.randbytes(32))
        raw[31] &= 0x3F  # well below 2^255 - 19
        return base64.b64encode(bytes(raw)).decode()

    def _some(self) -> Peer:
        return self._others[self._chance.choice(sorted(self._others))]

    def _put(self, peer: Peer) -> None:
        self._others[peer.name] = peer

    def _join(self) -> None:
        number = self._count = self._count + 1
        address = f"10.42.{number // 200 + 1}.{number % 200 + 1}/32"
        self._put(Peer(f"other{number}", self._key(), (address,), f"192.0.2.{number % 100 + 100}:51820"))

    def _leave(self) -> None:
        if len(self._others) > 2:
            del self._others[self._some().name]

    def _rekey(self) -> None:
        self._put(replace(self._some(), public_key=self._key()))

    def _move(self) -> None:
        """All that one peer has goes to another."""
        one = self._some()
        other = self._some()
        if one is not other:
            self._put(replace(one, allowed_ips=()))
            self._put(replace(other, allowed_ips=tuple(sorted({*other.allowed_ips, *one.allowed_ips}))))

    def _call_elsewhere(self) -> None:
        self._put(replace(self._some(), endpoint=f"192.0.2.{self._chance.randrange(100, 200)}:51821"))

    def _keep_alive(self) -> None:
        self._put(replace(self._some(), keepalive=self._chance.choice((0, 600, 900))))

    def _route(self) -> None:
        """A network that the kernel has to route comes to a peer, or goes."""
        self._count += 1
        peer = self._some()
        hosts = tuple(network for network in peer.allowed_ips if network.endswith("/32"))
        more = (f"10.{self._count // 250 + 100}.{self._count % 250}.0/24",) if hosts == peer.allowed_ips else ()
        self._put(replace(peer, allowed_ips=tuple(sorted((*hosts, *more)))))


# -- ways to apply them


@dataclass
class Way:
    """``sent`` and ``lost`` are packets there and back, ``seconds`` what each change took."""

    apply: Callable[[Node, View], Any] | None
    sent: int = 0
    lost: int = 0
    gap: float = 0.0
    seconds: list[float] | None = None

    def row(self) -> dict[str, Any]:
        took = self.seconds or []
        return {
            "changes": len(took),
            "sent": self.sent,
            "lost": self.lost,
            "lost_a_change": round(self.lost / len(took), 3) if took else None,
            "longest_gap_seconds": round(self.gap, 3),
            "seconds_a_change": round(statistics.median(took), 3) if took else None,
        }


def by_sync(node: Node, view: View) -> None:
    """Ours, with everything that a minion does: from the pillar to the signed report."""
    node.do("set_view", view.to_dict())
    (result,) = node.call("sync", signed=True)["networks"].values()
    assert result["result"], result


def by_syncconf(node: Node, view: View) -> None:
    node.do("syncconf", view.to_dict())


def by_restart(node: Node, view: View) -> None:
    node.do("restart", view.to_dict())


def window(nodes: Nodes, mesh: Mesh, way: Way, limit: int, seconds: float) -> None:
    """Let packets flow for some seconds, and apply as many changes, up to a limit, as there is time for."""
    node, one, other = nodes.all
    by_sync(node, mesh.view)  # another way may have left routes or a file behind
    nodes.ping(node, one, 30)
    nodes.ping(other, node, 30)
    streams = [
        node.begin("echoes", one.address, seconds),
        other.begin("echoes", node.address, seconds),
    ]
    started = time.monotonic()
    time.sleep(MARGIN_SECONDS)
    way.seconds = way.seconds or []
    while way.apply and limit and time.monotonic() < started + seconds - 2 * MARGIN_SECONDS:
        view = mesh.change()
        began = time.monotonic()
        way.apply(node, view)
        way.seconds.append(time.monotonic() - began)
        limit -= 1
    for stream in streams:
        result = stream.result(seconds + 60)
        way.sent += result["sent"]
        way.lost += result["sent"] - result["received"]
        way.gap = max(way.gap, result["gap"])


def compare(changes: int, seed: int, seconds: float) -> Measured:
    """All ways in turns, until two of them have done so many changes, and the restart a tenth of that."""
    if reason := why_not():
        raise BenchError(reason)
    ways = {"idle": Way(None), "sync": Way(by_sync), "syncconf": Way(by_syncconf), "restart": Way(by_restart)}
    counts = {"sync": changes, "syncconf": changes, "restart": max(changes // 10, 1)}
    with Nodes(3) as nodes:
        nodes.set_up()
        mesh = Mesh(nodes, random.Random(seed))  # noqa: S311
        while any(len(ways[name].seconds or []) < count for name, count in counts.items()):
            window(nodes, mesh, ways["idle"], 0, seconds)
            for name, count in counts.items():
                if left := count - len(ways[name].seconds or []):
                    window(nodes, mesh, ways[name], left, seconds)
    rows = {name: way.row() for name, way in ways.items()}
    comparisons = [
        Comparison(f"{what} a change", rows["sync"][field], rows[other][field], against, unit)
        for what, field, unit in (("packets lost", "lost_a_change", ""), ("time", "seconds_a_change", "s"))
        for other, against in (("syncconf", "`wg syncconf`"), ("restart", "`wg-quick down` and `up`"))
    ]
    return {f"{name}_{what}": value for name, row in rows.items() for what, value in row.items()}, comparisons


if __name__ == "__main__":
    sys.exit(
        run(
            __doc__,
            compare,
            changes=Size(200, 3, "of each way but the restart"),
            seed=Size(1, 1, "of the random changes"),
            seconds=Size(4.0, 2.0, "how long packets flow at a time"),
        )
    )
