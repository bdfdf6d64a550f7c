"""A node's reports to the master, after it has applied a view or rolled it back."""

from __future__ import annotations

from collections.abc import Sequence

from ..model.statements import MISSING, REPORT_TAG, UNKNOWN
from ..model.view import View
from . import config_files, devices
from .clones import has_other_boot
from .minion import Minion
from .signing import Signed


def send_once(minion: Minion, view: View, obstacles: Sequence[str]) -> None:
    """Report what was applied, and the obstacles that were in the way, unless the master has that report already."""
    rollback = minion.journal(view.interface).rollback()
    noted = minion.notes().read(str(view.network))
    is_known = noted.get("reported") == view.digest and noted.get("obstacles", []) == [*obstacles]
    if has_other_boot(view) or rollback or not is_known:
        minion.send(REPORT_TAG, of_success(minion, view, obstacles))


def of_success(minion: Minion, view: View, obstacles: Sequence[str]) -> list[Signed]:
    """The signed report; an empty list without a master. It mentions an earlier rollback for the last time."""
    report = _reports(minion, view, view.digest, obstacles)
    minion.notes().add(str(view.network), reported=view.digest, obstacles=[*obstacles])
    minion.journal(view.interface).forget_rollback()
    return report


def of_rollback(minion: Minion, view: View) -> list[Signed]:
    """The signed report of a rollback. Its digest is unknown, so the master asks this node again for any view."""
    return _reports(minion, view, UNKNOWN) if view.network else []


def _reports(minion: Minion, view: View, digest: str, obstacles: Sequence[str] = ()) -> list[Signed]:
    if not minion.has_master:
        return []
    journal = minion.journal(view.interface)
    noted = journal.rollback(), journal.generation()
    return [minion.statements().report(str(view.network), digest, view.serial, *noted, obstacles)]


def send_missing(minion: Minion) -> list[str]:
    """
    Report the devices of networks that are gone, so that the master has them made again. Returns their names.

    :raises WireguardError: or OSError
    """
    missing = []
    for interface, network in config_files.managed().items():
        with minion.lock(interface):
            if network and config_files.written(interface) and not devices.exists(interface):
                missing.append(interface)
                minion.send(REPORT_TAG, _reports(minion, View(interface, (), network=network), MISSING))
                minion.notes().add(network, reported=MISSING)
    return missing


def refresh_schedule(minion: Minion, view: View) -> None:
    """
    Let the minion read the schedule in its pillar if this view adds or removes one. A minion reads its pillar's
    schedule when it starts and on ``refresh_pillar``; neither a sync nor a state run triggers that.
    """
    network = str(view.network)
    if bool(minion.notes().read(network).get("scheduled")) != view.has_names:
        minion.call("saltutil.refresh_pillar")
        minion.notes().add(network, scheduled=view.has_names)
