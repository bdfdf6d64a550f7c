"""Whether packets come through between all pairs, in both directions and at both IP versions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..errors import ConfigError
from ..model.probe import MOST_PINGS, Echo, Probe
from ..observe.paths import Path, paths
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
        "paths": [_path(path) for path in sorted(found, key=_worst_first)],
        "problems": [{"node": node, "problem": why} for node, why in sorted(silent.items())],
    }


def probe(
    operator: Operator, network: str | None, node: str | None, count: int, timeout: float
) -> tuple[list[Path], dict[str, str]]:
    """
    Have the nodes ping each other.

    :return: (the paths, node -> why it says nothing)
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
    found = [path for name in names for path in paths(name, states[name], probes.get(name, {}))]
    return [path for path in found if node in (None, path.source)], silent


def unreachable(found: Collection[Path]) -> list[str]:
    """The paths that lose pings, or of which nothing is known."""
    return [f"{path.source} to {path.target}" for path in sorted(found, key=_worst_first) if path.loss != 0]


def _worst_first(path: Path) -> tuple[float, float, str, str, str]:
    loss = 2.0 if path.loss is None else path.loss
    return -loss, -(path.rtt or 0.0), path.network, path.source, path.target


def _sentence(found: Collection[Path]) -> str:
    lossless = sum(1 for path in found if path.loss == 0)
    unknown = sum(1 for path in found if path.loss is None)
    nothing = sum(1 for path in found if path.loss == 1)
    parts = [
        f"{lossless} of {len(found)} paths without loss",
        f"{nothing} without any answer" if nothing else "",
        f"{unknown} not known" if unknown else "",
    ]
    return ", ".join(part for part in parts if part)


def _path(path: Path) -> dict[str, Any]:
    echoes = path.echoes or {}
    return {
        "network": path.network,
        "from": path.source,
        "to": path.target,
        "loss": None if path.loss is None else round(path.loss, 3),
        "rtt_ms": path.rtt,
        "ipv4": _echo(echoes.get(4)),
        "ipv6": _echo(echoes.get(6)),
    }


def _echo(echo: Echo | None) -> dict[str, Any] | None:
    return {"sent": echo.sent, "received": echo.received, "rtt_ms": echo.rtt} if echo else None
