"""
What every command of an operator has: the master, the bus, the turn, and a person who waits.

Here, and nowhere else, the master is opened, its events are announced, and our errors become Salt's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import salt.exceptions
import salt.utils.user

from ..errors import WireguardError
from ..master.master import Master
from ..rollout.lock import reconcile_lock
from .bus import Bus, SaltBus, fire, has_master
from .progress import Say

Answer = TypeVar("Answer")


def run(verb: Callable[..., Answer], operator: Operator, *args: Any, **kwargs: Any) -> Answer:
    """Run a verb, and translate our errors into the only one that ``salt-run`` prints as a message, not a traceback."""
    try:
        return verb(operator, *args, **kwargs)
    except WireguardError as exc:
        raise salt.exceptions.NotImplemented(str(exc)) from exc


def shown(data: Mapping[str, Any], retcode: int = 0) -> dict[str, Any]:
    """As ``salt-run`` prints it, and exits."""
    return {"outputter": "wireguard", "data": {**data, "retcode": retcode} if retcode else data}


@dataclass(frozen=True)
class Operator:
    """``opts`` are the Salt master's; ``progress`` takes a line about what goes on."""

    opts: Mapping[str, Any]
    progress: Say

    @cached_property
    def master(self) -> Master:
        """Raises ConfigError where none is configured."""
        return Master.from_opts(self.opts)

    @cached_property
    def name(self) -> str:
        """Who runs this: the person behind sudo, if any."""
        return str(salt.utils.user.get_specific_user()).removeprefix("sudo_")

    def has_master(self) -> bool:
        """Whether a salt-master runs here, so that nodes can be asked."""
        return has_master(self.opts)

    def bus(self) -> AbstractContextManager[Bus]:
        """The way to the nodes."""
        return SaltBus(self.opts)

    @contextlib.contextmanager
    def turn(self, wait: bool = True) -> Iterator[bool]:
        """
        Be the only one that changes nodes; what has happened until then is announced at the end.

        Yields as ``reconcile_lock`` does.
        """
        try:
            with reconcile_lock(self.master.state_dir, wait) as ours:
                yield ours
        finally:
            self.announce()

    def announce(self) -> None:
        """Fire an event for everything in the history that nobody has fired one for."""
        fire(self.opts, self.master.registry.audit.claim_history())


def teller(opts: Mapping[str, Any], jid_event: Any) -> Say:
    """
    Progress for the person who waits.

    ``jid_event`` is Salt's, which only a runner has that was started as a job. Progress among JSON would spoil it.
    """

    def tell(text: str) -> None:
        if jid_event and not opts.get("output"):
            jid_event.fire_event({"message": text, "outputter": "wireguard"}, "progress")

    return tell
