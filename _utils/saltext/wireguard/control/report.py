"""A mesh drawn, and the page of all that is known of it."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ConfigError, NodeError, ViewError
from ..master.external_peers import peer_statuses
from ..master.master import Moment
from ..master.warnings import usage, warnings
from ..observe.paths import Path
from ..report.changes import Memory, changes
from ..report.drawing import draw
from ..report.page import page, recall
from ..report.values import BAD, Part, Report, Standing
from ..review.context import Known
from ..review.graph import Graph, graph
from ..system import files
from . import tables
from .matrix import probe
from .operator import Operator
from .status import NO_INTERFACE, LiveFleet, look

# So many entries of the history are shown.
HISTORY = 300

# How pings of a report are sent.
PINGS = 3


def drawn(operator: Operator, network: str | None, form: str) -> str:
    """``salt-run wireguard.graph``."""
    tables.refuse_unknown(operator, network)
    return draw(_graphs(operator.master.moment(), network), form)


def _graphs(moment: Moment, network: str | None) -> list[Graph]:
    found = graph(moment.mesh, moment.now, Known(moment.snapshot, moment.keys))
    return [each for each in found if network in (None, each.network)]


def report(operator: Operator, file: str, network: str | None, ping: bool, timeout: float) -> dict[str, Any]:
    """``salt-run wireguard.report``."""
    path = os.path.abspath(file)
    before = _previous(path)
    live = look(operator, network, None, timeout)
    paths = probe(operator, network, None, PINGS, timeout)[0] if ping else None
    made = gather(live, network, paths)
    text = page(made, before)
    _write(path, text)
    bad = sum(part.states[state] for part in made.parts for state in BAD)
    return {
        "answer": f"{path} has {sum(len(part.boxes) for part in made.parts)} nodes, {bad} pairs to look at and"
        f" {len(made.warnings)} warnings",
        "file": path,
        "bytes": len(text.encode()),
        "changes": changes(before, made) if before else [],
    }


def gather(live: LiveFleet, network: str | None = None, paths: Sequence[Path] | None = None) -> Report:
    """
    All that a report shows. ``network``: only this one.

    :param paths: how pings came back; None if nobody was to send any
    """
    moment = live.moment
    parts = tuple(_part(each, live, paths) for each in _graphs(moment, network))
    return Report(
        moment.now,
        parts,
        tuple(pool for name, each in usage(moment).items() if network in (None, name) for pool in each.pools()),
        tuple(warnings(moment)),
        tuple(each for each in moment.master.registry.audit.history(None, HISTORY) if network in (None, each.network)),
    )


def _part(drawing: Graph, live: LiveFleet, paths: Sequence[Path] | None) -> Part:
    name, boxes = drawing.network, {box.name for box in drawing.boxes}
    # The nodes pinged each other a moment later; some may be new.
    known = [each for each in paths or () if each.network == name and {each.source, each.target} <= boxes]
    return Part(
        drawing,
        {**_others(drawing, live.moment), **_members(name, live), **_peers(live.moment, name)},
        tuple(pair for pair in live.pairs if pair.network == name),
        None if paths is None else tuple(known),
    )


def _others(drawing: Graph, moment: Moment) -> Mapping[str, Standing]:
    """The nodes that the mesh file names and that are no members."""
    membership = moment.unguarded.networks[drawing.network].membership
    reasons = {box.name: membership.why_not(box.name) for box in drawing.boxes if not box.is_peer}
    return {name: Standing((), why=f"no member: {why}") for name, why in reasons.items() if why}


def _members(network: str, live: LiveFleet) -> Mapping[str, Standing]:
    found = {}
    for status in live.statuses:
        if status.network == network:
            member = status.member
            interface = live.interfaces.get(network, {}).get(member.node)
            error = NO_INTERFACE if interface is None else interface.error
            found[member.node] = Standing(
                tuple(map(str, member.addresses)),
                tables.endpoint(member),
                member.row.public_key if member.row else None,
                status.reason,
                live.silent.get(member.node) or error,
                status.seen,
                interface.mtu if interface and error is None else None,
            )
    return found


def _peers(moment: Moment, network: str) -> Mapping[str, Standing]:
    peers = (each.peer for each in peer_statuses(moment) if each.network == network)
    return {
        peer.name: Standing(
            tuple(map(str, peer.addresses)), ", ".join(map(str, peer.endpoint or ())) or None, peer.public_key
        )
        for peer in peers
    }


# -- the file


def _previous(path: str) -> Memory | None:
    """What the report there remembers; None if there is no file. Raises ConfigError for what is no place for one."""
    if not path.endswith(".html"):  # who may make reports must not make other files by them
        raise ConfigError("file must end with .html, such as /root/mesh.html")
    if not os.path.lexists(path):
        return None
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise ViewError("it is no regular file")
        return recall(files.read(path))
    except ViewError as exc:
        raise ConfigError(f"{path} is not overwritten: {exc}. Remove it, or choose another `file=`") from exc


def _write(path: str, text: str) -> None:
    """
    A new file is for its owner alone. Later reports keep the mode and group that its owner gave it since; in a folder
    where others can make files, one of theirs must not decide who reads ours.
    """
    mode, group = files.SECRET, None
    with contextlib.suppress(FileNotFoundError):
        status = os.lstat(path)
        if status.st_uid == os.geteuid():
            mode, group = stat.S_IMODE(status.st_mode), status.st_gid
    try:
        files.remove_leftovers(path)
        files.replace(path, text, mode, group)
    except NodeError as exc:
        raise ConfigError(str(exc)) from exc
