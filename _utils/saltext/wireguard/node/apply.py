"""Applies the pillar, or explicit arguments: registers if necessary, converges the interfaces, reports."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from typing import Any

from ..errors import NodeError, RolledBackError
from ..model.changes import Change, Kind
from ..model.statements import REGISTER_TAG, REPORT_TAG
from ..model.view import REGISTER, View
from . import config_files, converge, keys, preflight, registration, renaming, reports, teardown
from .clones import refuse_clone
from .minion import Minion
from .outcome import Outcome
from .ownership import refuse_foreign
from .pillar import all_views, label, select, views
from .trial import Safety
from .withdrawal import is_outdated

log = logging.getLogger(__name__)


def apply(
    minion: Minion, network: str | None, test: bool, wait: float, force: bool, reason: str | None
) -> dict[str, dict[str, Any]]:
    """
    Network, or interface described by hand -> Salt's ``result``, ``changes`` and ``comment``.

    :param network: only this one; None for all
    :param wait: seconds that a registration may take
    :raises WireguardError: or OSError
    """
    safety = minion.safety(force, reason)
    results = {}
    for view in _newest(minion, network):
        if test:
            registration.refuse_waiting(minion, view)
            outcome = preview(minion, view, safety)
        else:
            view, outcome = _register_and_converge(minion, view, wait, safety)
        results[label(view)] = outcome.to_salt()
        if view.network and not outcome.pending and not test:
            reports.send_once(minion, view, outcome.obstacles)
            reports.refresh_schedule(minion, view)
    return results


def _newest(minion: Minion, network: str | None) -> list[View]:
    """
    The views of the pillar in memory, or of a fresh one if that is older than what was applied here. A minion fetches
    its pillar when it starts and for a state run; the one that a sync fetches does not get into memory.
    """
    found = select(all_views(minion.pillar), network)
    if minion.has_master and any(is_outdated(view, minion.journal(view.interface)) for view in found):
        return select(all_views(minion.fresh_pillar()), network)
    return found


def apply_interface(
    minion: Minion, data: Mapping[str, Any], private_key_file: str | None, test: bool, safety: Safety
) -> dict[str, Any]:
    """Make one interface what ``data``, a view written by hand, says. Raises WireguardError or OSError."""
    view = View.from_dict(data)
    if private_key_file and not os.path.exists(private_key_file):
        raise NodeError(f"private_key_file {private_key_file} does not exist on this minion")
    if not private_key_file and not test:
        minion.keypair(view.interface)
    key_file = private_key_file or config_files.key_file(view.interface)
    return converge_locked(minion, view, key_file, test, safety).to_salt()


def remove(minion: Minion, interface: str, test: bool) -> Outcome:
    """Take an interface of ours down. Raises WireguardError or OSError."""
    with minion.lock(interface):
        return teardown.remove(interface, minion.boot(), test)


def differences(minion: Minion, network: str | None) -> dict[str, Any]:
    """What ``apply`` would do to the devices, as data."""
    return {label(view): converge.difference(view) for view in _newest(minion, network)}


def preview(minion: Minion, view: View, safety: Safety) -> Outcome:
    """What applying the view would change. Raises WireguardError or OSError where applying it would."""
    refuse_clone(minion, view, test=True)
    key_file = renaming.key_file(view)
    own_key = keys.public_key(key_file)
    if view.network and (own_key is None or view.public_key != own_key):
        preflight.refuse_impossible(minion, view)
        if not minion.has_master:
            refuse_unregistered(minion, view, own_key)
        changes = (Change(Kind.INTERFACE, view.interface, None, "present"),)
        return Outcome(changes, f"{view.interface} would be registered and set up", pending=True)
    return converge_locked(minion, view, key_file, True, safety)


def _register_and_converge(minion: Minion, view: View, wait: float, safety: Safety) -> tuple[View, Outcome]:
    """Returns the view that was applied, a fresh one after a registration, and the outcome."""
    refuse_clone(minion, view)
    refuse_foreign(view, renaming.key_file(view))
    own_key = minion.keypair_of(view)
    if view.network and not minion.has_master:
        refuse_unregistered(minion, view, own_key)
    elif view.network and view.public_key != own_key:
        preflight.refuse_impossible(minion, view)
        minion.send(REGISTER_TAG, [minion.statements().registration(view)])
        view = registration.await_view(view, own_key, minion.id, wait, lambda: views(minion.fresh_pillar()))
    elif view.waiting == REGISTER or registration.offers_others(minion, view):
        minion.send(REGISTER_TAG, [minion.statements().registration(view)])
    try:
        return view, converge_locked(minion, view, renaming.key_file(view), False, safety)
    except RolledBackError:
        minion.send(REPORT_TAG, reports.of_rollback(minion, view))
        raise


def refuse_unregistered(minion: Minion, view: View, own_key: str | None) -> None:
    """
    Raise NodeError for a node without a master to register with: by ``salt-call --local``, and by salt-ssh.

    :param own_key: None in a test run on a machine that has no key yet
    """
    if own_key is None or view.public_key != own_key:
        raise NodeError(registration.by_hand(view, own_key, minion.id))


def converge_locked(
    minion: Minion, view: View, key_file: str, test: bool, safety: Safety, takes_over: bool = False
) -> Outcome:
    """``converge`` under the lock of the interface, and of a former one. Raises WireguardError or OSError."""
    if safety.forced and not test:
        log.warning("wireguard: %s is applied by force: %s", view.interface, safety.forced)
    with contextlib.ExitStack() as locks:
        for interface in sorted({view.interface, renaming.former(view) or view.interface}):
            locks.enter_context(minion.lock(interface))
        former = renaming.former(view)
        return converge.converge(view, key_file, minion.boot(), test, safety, former, takes_over)
