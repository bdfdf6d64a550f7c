"""The reconcile that operator, engine, reactor and schedule all run; and the hold that stops it."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import Any

from ..errors import ConfigError
from ..master import counters
from ..master.intake import hear as take_in
from ..master.others import note_inputs, refuse_differences
from ..master.status import calls_for_reconcile, just_booted, registered
from ..rollout.hold import current_hold, put_on_hold, release_hold
from ..rollout.staged import parse_stages
from .exit_codes import FAILED, exiting
from .operator import Operator
from .reconciler import Reconciler, Request

log = logging.getLogger(__name__)

# Seconds that a node has to answer; step by step, so that one that cannot confirm a change has time to take it back.
PATIENCE = 20.0
PATIENCE_IN_STAGES = 60.0


def hear(operator: Operator, tag: str, event: object) -> bool:
    """``salt-run wireguard.hear``."""
    news = take_in(operator.master, tag, event)
    if news and calls_for_reconcile(operator.master, tag, event):
        reconcile(operator, contact=[], wait=False)
    else:
        operator.announce()
    return news


def reconcile(
    operator: Operator,
    contact: str | Collection[str] = "*",
    wait: bool = True,
    timeout: float | None = None,
    everybody: bool = False,
    canary: object = None,
    batch: object = None,
    stop_after: object = None,
    force: bool = False,
    reason: object = "",
    suspects: Collection[str] = (),
) -> dict[str, Any]:
    """``salt-run wireguard.reconcile``. ``suspects``: nodes to ask although they are in sync for all we know."""
    master = operator.master
    forced = _forced(operator, force, reason)
    stages = parse_stages(canary, batch, stop_after, registered(master.moment()) if canary else ())
    with operator.turn(wait) as ours:
        if not ours:
            return {"queued": "another reconcile is about to start and will see this"}
        on_hold = current_hold(master.state_dir)
        if on_hold and not stages:
            return exiting(FAILED, {"held": on_hold})
        moment = master.moment()
        if master.registry.leases.is_shared:
            note_inputs(moment)
            refuse_differences(moment)
        booted = just_booted(moment)
        request = Request(
            contact=contact,
            timeout=timeout or (PATIENCE_IN_STAGES if stages else PATIENCE),
            suspects="*" if everybody else booted | set(suspects),
            stages=stages,
            forced=forced,
        )
        result = _counted(operator, request)
        master.registry.settle_boots(booted.difference(result["silent"], result.get("not_asked", ())))
    failed = _has_failed(result)
    if failed:
        log.warning("wireguard: reconcile: failed: %s; silent: %s", result["failed"], result["silent"])
    return exiting(FAILED if failed else 0, result)


def _counted(operator: Operator, request: Request) -> dict[str, Any]:
    started = time.monotonic()
    failed = 1
    try:
        result = _carry_out(operator, request)
        failed = int(_has_failed(result))
        return result
    finally:
        seconds = time.monotonic() - started
        counters.add(operator.master.state_dir, reconciles=1, reconcile_seconds=seconds, failed_reconciles=failed)


def _has_failed(result: dict[str, Any]) -> bool:
    return bool(result["failed"] or result["silent"] or result.get("stopped"))


def _carry_out(operator: Operator, request: Request) -> dict[str, Any]:
    """A reconcile in stages is a hold as well, until it gets to its end."""
    directory = operator.master.state_dir
    if request.stages:
        put_on_hold(directory, operator.name, "step by step")
    with operator.bus() as bus:
        result = Reconciler(operator.master, bus, operator.progress, request).run()
    if request.stages and not result["stopped"] and (request.stages.batch or not result["not_asked"]):
        release_hold(directory)
    return result


def _forced(operator: Operator, force: bool, reason: object) -> tuple[str, str] | None:
    """Who overrides the guards, and why; None if nobody does."""
    why = str(reason or "").strip()
    if force and not why:
        raise ConfigError("force=True needs a reason, for the history: reason='...'")
    return (operator.name, why) if force else None


def hold(operator: Operator, reason: object) -> dict[str, Any]:
    """``salt-run wireguard.hold``."""
    directory = operator.master.state_dir
    with operator.turn():  # what runs already gets to its end
        put_on_hold(directory, operator.name, " ".join(str(reason).split()))
    return {"held": current_hold(directory)}


def release(operator: Operator) -> dict[str, Any]:
    """``salt-run wireguard.release``."""
    release_hold(operator.master.state_dir)
    return reconcile(operator)
