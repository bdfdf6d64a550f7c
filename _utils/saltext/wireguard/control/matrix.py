"""Whether packets come through between all pairs, in both directions and at both IP versions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..errors import ConfigError
from ..model.probe import MOST_PINGS, Echo, Probe
from ..observe.ways import Way, ways
from .asking import ask_nodes, members
from .bus import KEYWORDS
from .operator import Operator


def matrix(operator: Operator, network: str | None, count: int, timeout: float) -> dict[str, Any]:
    """``salt-run wireguard.matrix``."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_PINGS:
        raise ConfigError(f"count must be a whole number from 1 to {MOST_PINGS}")
    found, silent = probe(operator, network, None, count, timeout)
    return {
        "answer": _sentence(found),
        "ways": [_way(way) for way in sorted(found, key=_worst_first)],
        "problems": [{"node": node, "problem": why} for node, why in sorted(silent.items())],
    }


def probe(
    operator: Operator, network: str | None, node: str | None, count: int, timeout: float
) -> tuple[list[Way], dict[str, str]]:
    """
    Have the nodes ping each other.

    :return: (the ways, node -> why it says nothing)
    :raises ConfigError: if there is no such network or node
    """
    moment = operator.master.moment()
    chosen = members(operator, moment, network, node)
    nodes = {each.member.node for each in chosen if each.member.row}
    arguments = [{**KEYWORDS, "count": count, **({"network": network} if network else {})}]
    probes, silent = ask_nodes(operator, moment, nodes, "wireguard.probe", arguments, Probe.from_dict, timeout)
    for said in probes.values():
        silent |= {who: each.error for who, each in said.items() if each.error is not None}
    names = sorted({each.network for each in chosen})
    states = moment.unguarded.networks
    found = [way for name in names for way in ways(name, states[name], probes.get(name, {}))]
    return [way for way in found if node in (None, way.source)], silent


def unreachable(found: Collection[Way]) -> list[str]:
    """The ways that lose pings, or of which nothing is known."""
    return [f"{way.source} to {way.target}" for way in sorted(found, key=_worst_first) if way.loss != 0]


def _worst_first(way: Way) -> tuple[float, float, str, str, str]:
    loss = 2.0 if way.loss is None else way.loss
    return -loss, -(way.rtt or 0.0), way.network, way.source, way.target


def _sentence(found: Collection[Way]) -> str:
    lossless = sum(1 for way in found if way.loss == 0)
    unknown = sum(1 for way in found if way.loss is None)
    nothing = sum(1 for way in found if way.loss == 1)
    parts = [
        f"{lossless} of {len(found)} ways without loss",
        f"{nothing} on which nothing comes back" if nothing else "",
        f"{unknown} not known" if unknown else "",
    ]
    return ", ".join(part for part in parts if part)


def _way(way: Way) -> dict[str, Any]:
    echoes = way.echoes or {}
    return {
        "network": way.network,
        "from": way.source,
        "to": way.target,
        "loss": None if way.loss is None else round(way.loss, 3),
        "rtt_ms": way.rtt,
        "ipv4": _echo(echoes.get(4)),
        "ipv6": _echo(echoes.get(6)),
    }


def _echo(echo: Echo | None) -> dict[str, Any] | None:
    return {"sent": echo.sent, "received": echo.received, "rtt_ms": echo.rtt} if echo else None
