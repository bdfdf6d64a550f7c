"""Having nodes take over interfaces that somebody else set up: all announce their keys, and then some let us in."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ..errors import ConfigError
from ..wording import one_line, quoted
from .answers import MAX_REASON, hear_all
from .asking import NO_ANSWER, members
from .bus import KEYWORDS
from .exit_codes import FAILED, exiting
from .node_query import NodeQuery
from .operator import Operator
from .progress import Progress

FUNCTION = "wireguard.adopt"


@dataclass(frozen=True)
class Part:
    """What a node says of one of its networks."""

    succeeded: bool
    comment: str

    @classmethod
    def from_dict(cls, data: object) -> Part:
        """From a job's return, which can be forged."""
        given = data if isinstance(data, Mapping) else {}
        return cls(given.get("result") is True, one_line(given.get("comment"), MAX_REASON) or "it gave no reason")


Answers = Mapping[str, Mapping[str, Part] | str]


def take(operator: Operator, target: str, force: bool, reason: str, timeout: float) -> dict[str, Any]:
    """``salt-run wireguard.adopt take=...``."""
    if force and not reason.strip():
        raise ConfigError("force=True needs a reason=..., which goes into the logs of the nodes")
    if not operator.has_master():
        raise ConfigError("no salt-master runs here, so no minion can be asked")
    with operator.turn():
        moment = operator.master.moment()
        nodes = {each.member.node for each in members(operator, moment, None, None)} & moment.keys.keys()
        wanted = {node for node in nodes if any(fnmatchcase(node, each.strip()) for each in target.split(","))}
        if not wanted:
            raise ConfigError(f"the mesh file has no accepted minion {quoted(target)}: see `salt-run wireguard.nodes`")
        # All of them: a node that nobody knows would be no peer of those that are taken over.
        announced = _ask(operator, nodes, {"announce": True}, timeout)
        how = {"force": True, "reason": reason} if force else {}
        taken = _ask(operator, wanted, how, timeout)
    failed = [*_failures(nodes, announced, "was not announced"), *_failures(wanted, taken, "")]
    done = {node for node in wanted if node not in {row["node"] for row in _failures(wanted, taken, "")}}
    said = f"{len(done)} of {len(wanted)} nodes are taken over" + (f"; {len(failed)} problems" if failed else "")
    rows = [
        {"network": network, "node": node, "comment": part.comment}
        for node, answer in sorted(taken.items())
        if not isinstance(answer, str)
        for network, part in sorted(answer.items())
        if part.succeeded
    ]
    return exiting(FAILED if failed else 0, {"answer": said, "taken": rows, "failed": failed})


def _ask(operator: Operator, nodes: Collection[str], how: Mapping[str, Any], timeout: float) -> Answers:
    """
    What each says. The signed statements in their answers are taken in. Where Salt itself failed, as it does for a
    pillar now and then on a busy master, the node is asked once more: what was done is not done again.
    """
    arguments = [{**KEYWORDS, "signed": True, **how}]
    master = operator.master

    def ask(some_nodes: Collection[str]) -> Answers:
        query = NodeQuery(bus, timeout, Progress(operator.progress))
        hear = functools.partial(hear_all, master)
        return query.ask(FUNCTION, some_nodes, arguments, Part.from_dict, hear)

    with operator.bus() as bus:
        answers = ask(nodes)
        again = [node for node, answer in answers.items() if isinstance(answer, str)]
        return {**answers, **ask(again)} if again else answers


def _failures(nodes: Collection[str], answers: Answers, what: str) -> list[dict[str, Any]]:
    rows = []
    for node in sorted(nodes):
        answer = answers.get(node, NO_ANSWER)
        if isinstance(answer, str):
            rows.append({"network": None, "node": node, "problem": _with(what, answer)})
            continue
        bad = {network: part for network, part in answer.items() if not part.succeeded}
        rows += [
            {"network": name, "node": node, "problem": _with(what, part.comment)} for name, part in sorted(bad.items())
        ]
    return rows


def _with(what: str, why: str) -> str:
    return f"{what}: {why}" if what else why
