"""Packets that flow between machines while something happens to one of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from .nodes import Node, Nodes

SETTLE_SECONDS = 1.0


def measure(nodes: Nodes, work: Callable[[Node], Any], seconds: float) -> dict[str, Any]:
    """Do something to node1 while packets flow. Returns the gaps, and how many packets others lost."""
    node, peer, other = nodes.all[:3]
    streams = [
        node.begin("echoes", peer.address, seconds),
        peer.begin("echoes", node.address, seconds),
        peer.begin("echoes", other.address, seconds),
    ]
    time.sleep(SETTLE_SECONDS)
    result: list[Any] = []
    worker = threading.Thread(target=lambda: result.append(work(node)))
    worker.start()
    outgoing, incoming, unconcerned = (stream.result(seconds + 30) for stream in streams)
    worker.join()
    return {
        "gap": max(outgoing["gap"], incoming["gap"]),
        "lost": outgoing["sent"] - outgoing["received"] + incoming["sent"] - incoming["received"],
        "lost_by_others": unconcerned["sent"] - unconcerned["received"],
        "gap_of_others": unconcerned["gap"],
        "result": result[0] if result else None,
    }
