"""What a node reports to the master once it has applied a view, or had to take it back."""

from __future__ import annotations

from ..model.statements import REPORT_TAG, UNKNOWN
from ..model.view import View
from .clones import is_news
from .minion import Minion
from .signing import Signed


def send_once(minion: Minion, view: View) -> None:
    """Report what was applied, unless the master has that report already."""
    network = str(view.network)
    rolled_back = minion.journal(view.interface).taken_back()
    if is_news(view) or rolled_back or minion.notes().read(network).get("reported") != view.digest:
        minion.send(REPORT_TAG, of_success(minion, view))


def of_success(minion: Minion, view: View) -> list[Signed]:
    """Signed, in a list, which is empty without a master. What was rolled back before is in it, and over."""
    report = _reports(minion, view, view.digest)
    minion.notes().add(str(view.network), reported=view.digest)
    minion.journal(view.interface).forget()
    return report


def of_rollback(minion: Minion, view: View) -> list[Signed]:
    """Which view its last good state came from, the node need not know: it is asked again for any other."""
    return _reports(minion, view, UNKNOWN) if view.network else []


def _reports(minion: Minion, view: View, digest: str) -> list[Signed]:
    if not minion.has_master:
        return []
    journal = minion.journal(view.interface)
    statements = minion.statements()
    return [statements.report(str(view.network), digest, view.serial, journal.taken_back(), journal.generation())]


def heed_schedule(minion: Minion, view: View) -> None:
    """
    Let the minion read the schedule in its pillar, where that comes or goes with this view. A minion reads its pillar
    when it starts and when it is told to; neither a sync nor a state run tells it.
    """
    network = str(view.network)
    if bool(minion.notes().read(network).get("scheduled")) != view.has_names:
        minion.call("saltutil.refresh_pillar")
        minion.notes().add(network, scheduled=view.has_names)
