"""Asking the members of networks what they see: whom, and why one says nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from ..errors import ConfigError
from ..master.master import Moment
from ..master.status import Status, statuses
from ..wording import one_line
from . import tables
from .node_query import NodeQuery
from .operator import Operator
from .progress import Progress

T = TypeVar("T")

# Why a node says nothing.
NO_ANSWER = "no answer"
NOT_ASKED = "cannot be asked: no salt-master runs here"
NO_MINION = "cannot be asked: it has no minion"


def members(operator: Operator, moment: Moment, network: str | None, node: str | None) -> list[Status]:
    """The members of all networks, or of one, or one node alone. Raises ConfigError if there is none such."""
    tables.refuse_unknown(operator, network)
    known = [each for each in statuses(moment) if network in (None, each.network)]
    found = [each for each in known if node in (None, each.member.node)]
    if node is not None and not found:
        where = f"network {network}" if network else "any network"
        raise ConfigError(f"{one_line(node)!r} is no member of {where}; see `salt-run wireguard.nodes`")
    return sorted(found, key=lambda each: (each.network, each.member.node))


def ask_nodes(
    operator: Operator,
    moment: Moment,
    nodes: Collection[str],
    function: str,
    arguments: Sequence[Any],
    convert: Callable[[object], T],
    timeout: float,
) -> tuple[dict[str, dict[str, T]], dict[str, str]]:
    """Return (network -> node -> what it says, node -> why it says nothing). See ``NodeQuery.ask``."""
    asked = {node for node in nodes if node in moment.keys}
    silent = {node: NO_MINION for node in nodes if node not in asked}
    if not operator.has_master():
        return {}, silent | dict.fromkeys(asked, NOT_ASKED)
    with operator.bus() as bus:
        query = NodeQuery(bus, timeout, Progress(operator.progress))
        answers = query.ask(function, asked, arguments, convert) if asked else {}
    silent |= dict.fromkeys(asked - answers.keys(), NO_ANSWER)
    found: dict[str, dict[str, T]] = {}
    for node, answer in answers.items():
        if isinstance(answer, str):
            silent[node] = answer
            continue
        for network, each in answer.items():
            found.setdefault(network, {})[node] = each
    return found, silent
