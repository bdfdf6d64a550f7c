"""A node's reports to the master, after it has applied a view or rolled it back."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..errors import NodeError
from ..model.answers import MAX_TEXT
from ..model.changes import Kind
from ..model.statements import MAX_OBSTACLES, MISSING, REPORT_TAG, UNKNOWN
from ..model.view import View
from ..wording import one_line, some
from . import config_files, devices, drift
from .clones import has_other_boot
from .minion import Minion
from .signing import Signed

log = logging.getLogger(__name__)


def send_once(minion: Minion, view: View, obstacles: Sequence[str]) -> None:
    """Report what was applied, and the obstacles that were in the way, unless the master has that report already."""
    rollback = minion.journal(view.interface).rollback()
    noted = minion.notes().read(str(view.network))
    is_known = noted.get("reported") == view.digest and noted.get("obstacles", []) == [*obstacles]
    is_known = is_known and not noted.get("drift")
    if has_other_boot(view) or rollback or not is_known:
        minion.send(REPORT_TAG, of_success(minion, view, obstacles))


def of_success(minion: Minion, view: View, obstacles: Sequence[str]) -> list[Signed]:
    """The signed report; an empty list without a master. It mentions an earlier rollback for the last time."""
    report = _reports(minion, view, view.digest, obstacles)
    minion.notes().add(str(view.network), reported=view.digest, obstacles=[*obstacles], drift=[])
    minion.journal(view.interface).forget_rollback()
    return report


def of_rollback(minion: Minion, view: View) -> list[Signed]:
    """The signed report of a rollback. Its digest is unknown, so the master asks this node again for any view."""
    return _reports(minion, view, UNKNOWN) if view.network else []


def _reports(
    minion: Minion, view: View, digest: str, obstacles: Sequence[str] = (), drifted: Sequence[str] = ()
) -> list[Signed]:
    if not minion.has_master:
        return []
    journal = minion.journal(view.interface)
    noted = journal.rollback(), journal.generation()
    return [minion.statements().report(str(view.network), digest, view.serial, *noted, obstacles, drifted)]


def send_drift(minion: Minion) -> dict[str, list[str]]:
    """
    Report what others have changed since the networks were applied here, and once that it is as it was again. Returns
    interface -> what differs.

    :raises WireguardError: or OSError
    """
    found = {}
    for interface, network in config_files.managed().items():
        if network is not None:
            with minion.lock(interface):
                digest, differing = _look(minion, interface, network)
            if differing:
                found[interface] = differing
                log.warning("wireguard: %s was changed by others: %s", interface, some(differing))
            view = View(interface, (), network=network)
            if digest and (differing or minion.notes().read(network).get("drift")):
                obstacles = minion.notes().read(network).get("obstacles", [])
                minion.send(REPORT_TAG, _reports(minion, view, digest, obstacles, differing))
                minion.notes().add(network, reported=digest, drift=differing)
    return found


def _look(minion: Minion, interface: str, network: str) -> tuple[str | None, list[str]]:
    """
    The digest of what was applied last, and what differs from it now. There is no digest while nothing can be said:
    during a rotation, and before a first apply is through.
    """
    if config_files.written(interface) is None:
        return UNKNOWN, [config_files.config_file(interface)]
    if not devices.exists(interface):
        return MISSING, [f"{Kind.DEVICE.value} {interface}"]
    try:
        digest, convergence = drift.compare(interface, minion.boot())
    except NodeError as exc:
        log.debug("wireguard: nothing can be said about %s: %s", interface, exc)
        return None, []
    subjects = {str(change.subject) for change in convergence.changes() if drift.was_changed(change)}
    return digest, [one_line(each, MAX_TEXT) for each in sorted(subjects)[:MAX_OBSTACLES]]


def refresh_schedule(minion: Minion, view: View) -> None:
    """
    Let the minion read the schedule in its pillar if this view adds or removes one. A minion reads its pillar's
    schedule when it starts and on ``refresh_pillar``; neither a sync nor a state run triggers that.
    """
    network = str(view.network)
    if bool(minion.notes().read(network).get("scheduled")) != view.has_names:
        minion.call("saltutil.refresh_pillar")
        minion.notes().add(network, scheduled=view.has_names)
