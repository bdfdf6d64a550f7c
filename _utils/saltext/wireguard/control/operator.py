"""
What every command of an operator has: the master, the bus, the turn, and a person who waits.

Here, and nowhere else, the master is opened, its events are announced, and our errors become Salt's.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar, cast

import salt.exceptions
import salt.utils.user

from ..errors import WireguardError
from ..master.master import Master
from ..rollout.lock import reconcile_lock
from .arguments import fitting, offered
from .bus import Bus
from .exit_codes import FAILED, INTERRUPTED, exiting
from .interruption import interrupted
from .key_cache import key_store_of
from .progress import Say
from .salt_bus import SaltBus, fire, has_master

Function = TypeVar("Function", bound=Callable[..., Any])

# What Salt calls somebody whose name it does not know.
UNKNOWN = "UNKNOWN"


def run(verb: Callable[..., Any], operator: Operator, context: MutableMapping[str, Any], *args: Any, **kw: Any) -> Any:
    """
    Run a verb, and return what Salt makes the right thing of: text, exit code, and whether the job succeeded.

    Our errors become the only one that ``salt-run`` prints as a message, not a traceback.

    :param context: Salt's; a failure that stood in it would be that of the next run as well
    """
    try:
        answer = _carry_out(verb, operator, *args, **kw)
    except WireguardError as exc:
        raise salt.exceptions.NotImplemented(str(exc)) from exc
    if not isinstance(answer, dict):
        context["retcode"] = 0
        return answer
    context["retcode"] = int(answer.get("retcode") in (FAILED, INTERRUPTED))
    # Salt judges what stands below `data` as if it were the results of states, so nothing does.
    return {"outputter": "wireguard", **answer} if operator.has_terminal else answer


def _carry_out(verb: Callable[..., Any], operator: Operator, *args: Any, **kw: Any) -> Any:
    started = time.time()
    try:
        return verb(operator, *args, **kw)
    except (KeyboardInterrupt, SystemExit):  # the latter is what Salt makes of Ctrl-C, and prints with a traceback
        if not operator.is_salt_run:
            raise
        return exiting(INTERRUPTED, interrupted(operator.master, operator.name, started))


def run_job(module: Mapping[str, Any], verb: Callable[..., Any], *args: Any, **kw: Any) -> Any:
    """
    What a function of a runner module comes down to. ``module``: the module's globals, where Salt's loader puts what is
    Salt's.

    Where a runner was started as a job, Salt puts ``__jid_event__`` and ``__user__`` into the globals of the first
    function that it finds of ``wireguard``. These are the globals of this module, because of ``command``.
    """
    say = teller(module["__opts__"], globals().get("__jid_event__"))
    operator = Operator(module["__opts__"], say, globals().get("__user__", UNKNOWN))
    return run(verb, operator, module["__context__"], *args, **kw)


def command(function: Function) -> Function:
    """A function of a runner, with arguments that fit; see ``arguments``."""

    def checked(*args: Any, **kw: Any) -> Any:
        return function(**fitting(function, args, kw))

    return cast("Function", offered(checked, function))


@dataclass(frozen=True)
class Operator:
    """
    ``opts`` are the Salt master's; ``progress`` takes a line about what goes on; ``user`` is who Salt says has started
    this, a person or a part of Salt.
    """

    opts: Mapping[str, Any]
    progress: Say
    user: str = UNKNOWN

    @cached_property
    def master(self) -> Master:
        """Raises ConfigError where none is configured."""
        return Master.from_opts(self.opts, key_store_of(self.opts))

    @cached_property
    def name(self) -> str:
        """Who runs this: who came by API or orchestration, or is behind sudo, if any."""
        user = salt.utils.user.get_specific_user() if self.user == UNKNOWN else self.user
        return str(user).removeprefix("sudo_")

    @property
    def is_salt_run(self) -> bool:
        """Whether ``salt-run`` is there for this alone, not a daemon that runs other things."""
        return str(self.opts.get("fun")).startswith("wireguard.")

    @property
    def has_terminal(self) -> bool:
        """Whether that prints the answer for people, not as data."""
        return self.is_salt_run and not self.opts.get("output")

    def has_master(self) -> bool:
        """Whether a salt-master runs here, so that nodes can be asked."""
        return has_master(self.opts)

    def bus(self) -> AbstractContextManager[Bus]:
        """The way to the nodes."""
        return SaltBus(self.opts)

    @contextlib.contextmanager
    def turn(self, wait: bool = True) -> Iterator[bool]:
        """
        Be the only one that changes nodes, on all masters; what has happened until then is announced at the end.

        Yields as ``reconcile_lock`` does.
        """
        try:
            with reconcile_lock(self.master.state_dir, wait) as ours, self._lease(ours):
                yield ours
        finally:
            self.announce()

    def _lease(self, needed: bool) -> AbstractContextManager[None]:
        leases = self.master.registry.leases
        return leases.held(self.master.name) if needed and leases.is_shared else contextlib.nullcontext()

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
