"""Taking over networks that are there already: what the minions have, and a mesh file for it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import Any

from ..adopt.networks import Found, FoundNetwork, Interfaces, join
from ..adopt.proposal import Proposal, propose
from ..adopt.sources import stand_in
from ..errors import ConfigError
from ..master.config import keys_dir_of
from ..model.device import SESSION_SECONDS
from ..model.inventory import Inventory
from ..registry.salt_keys import load_salt_keys
from ..system import files
from ..wording import shell, some
from . import adopt_files
from .exit_codes import FAILED, exiting
from .node_query import NodeQuery
from .operator import Operator
from .progress import Progress

FUNCTION = "wireguard.inventory"
NO_ANSWER = "no answer"

_OF_FILES = (
    "Proposed by salt-run wireguard.adopt from files. Read it before you use it. Names of hosts stand for minion ids."
    " Private keys are not in it: each host keeps its own when it is taken over."
)

# Whether others than root may read it is up to the folder: no secret is in it.
_MESH_FILE_MODE = 0o644


def adopt(operator: Operator, write: str | None, files_at: str | None, timeout: float) -> dict[str, Any]:
    """``salt-run wireguard.adopt``."""
    path = _free(write) if write else None
    minions = load_salt_keys(keys_dir_of(operator.opts))
    machines, silent = (adopt_files.read(files_at), {}) if files_at else _ask(operator, minions, timeout)
    found = join(machines)
    comments = [_OF_FILES] if files_at else _comments(len(machines), silent)
    proposal = propose(found, {*minions, *machines}, comments)
    said = _answer(found, len(machines), proposal)
    if path and proposal.text:
        files.replace(path, proposal.text, _MESH_FILE_MODE)
        said += f". The proposal is in {path}: read it, then {shell('salt-run wireguard.plan', f'mesh={path}')}"
    answer = {
        "answer": said,
        "nodes": [row for each in found.networks for row in _nodes(each)],
        "peers": [row for each in found.networks for row in _strangers(each)],
        "contradictions": [text for each in found.networks for text in each.contradictions],
        "changes": [vars(each) for each in proposal.differences],
        "left_out": [*proposal.left_out, *proposal.problems],
        "silent": [{"node": node, "problem": why} for node, why in sorted(silent.items())],
        "proposal": proposal.text.splitlines(),
    }
    return exiting(FAILED if proposal.problems else 0, answer)


def _free(write: str) -> str:
    path = os.path.abspath(write)
    if not path.endswith(".yml"):
        raise ConfigError(f"{path} does not end in .yml, as mesh files do")
    if os.path.lexists(path):
        raise ConfigError(f"{path} exists already; choose another `write=`, and compare the two")
    if not os.path.isdir(os.path.dirname(path)):
        raise ConfigError(f"{os.path.dirname(path)} is no directory: make it first")
    return path


def _ask(operator: Operator, minions: Collection[str], timeout: float) -> tuple[dict[str, Interfaces], dict[str, str]]:
    """(machine -> its interfaces, machine -> why it says nothing)."""
    if not operator.has_master():
        raise ConfigError("no salt-master runs here, so no minion can be asked")
    with operator.bus() as bus:
        query = NodeQuery(bus, timeout, Progress(operator.progress))
        answers = query.ask(FUNCTION, minions, [], Inventory.from_dict) if minions else {}
    machines: dict[str, Interfaces] = {
        node: {name: each for name, each in answer.items() if name == each.interface or each.error}
        for node, answer in answers.items()
        if not isinstance(answer, str)
    }
    silent = {node: NO_ANSWER for node in minions if node not in answers}
    silent |= {node: _why(node, answer) for node, answer in answers.items() if isinstance(answer, str)}
    return machines, silent


def _why(node: str, answer: str) -> str:
    if FUNCTION in answer and "not available" in answer:
        return f"it does not have these modules: {shell('salt', node, 'saltutil.sync_all')}"
    return answer


def _comments(machines: int, silent: Collection[str]) -> list[str]:
    said = [f"Proposed by salt-run wireguard.adopt from what {machines} minions have. Read it before you use it."]
    if silent:
        said.append(f"Of these, nothing is known, and their peers may be missing: {some(silent)}")
    return said


def _answer(found: Found, machines: int, proposal: Proposal) -> str:
    nodes = sum(len(each.nodes) for each in found.networks)
    peers = sum(len(each.strangers) for each in found.networks)
    said = f"{machines} machines: {len(found.networks)} networks with {nodes} nodes and {peers} external peers"
    if not proposal.text:
        return said
    if proposal.problems:
        return f"{said}. The proposal is not valid yet: see left_out"
    count = len(proposal.differences)
    return f"{said}. With the proposal, {f'{count} things' if count else 'nothing'} would change"


def _nodes(network: FoundNetwork) -> Iterator[dict[str, Any]]:
    for node, each in sorted(network.nodes.items()):
        yield {
            "network": network.interface,
            "node": node,
            "interface": each.interface,
            "addresses": list(each.addresses),
            "port": each.port or None,
            "public_key": None if each.public_key == stand_in(node) else each.public_key,
            "peers": len(each.peers),
            "alive": sum(peer.age is not None and peer.age < SESSION_SECONDS for peer in each.peers),
            "at_boot": list(each.at_boot),
            "hooks": [*each.hooks, *each.settings],
        }


def _strangers(network: FoundNetwork) -> Iterator[dict[str, Any]]:
    for each in network.strangers:
        yield {
            "network": network.interface,
            "peer": each.title,
            "public_key": each.public_key,
            "allowed_ips": sorted({text for peer in each.seen.values() for text in peer.allowed_ips}),
            "known_by": sorted(each.seen),
            "handshake_age": each.age,
        }
