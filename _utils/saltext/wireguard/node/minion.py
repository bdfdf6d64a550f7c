"""What Salt gives to its modules on a minion, and what follows from that. Here alone the node meets Salt itself."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import salt.pillar
import salt.utils.systemd
from salt.exceptions import CommandExecutionError

from ..device import guard
from ..errors import NodeError, WireguardError
from ..model import fields
from ..model.view import View
from . import config_files, hosts_file, keys, lock, renaming
from . import pillar as node_pillar
from .arguments import argument
from .boot.managers import Functions, Manager, Managers, Replacement
from .boot.networkd import Networkd
from .boot.systemd import Systemd
from .notes import Journal, Notes
from .signing import Signed, Statements
from .trial import CONFIRM_SECONDS, Safety

log = logging.getLogger(__name__)

_TEMPLATE = re.compile(r"[A-Za-z0-9_.-]+")

# What may bring interfaces up at boot.
BACKENDS = ("wg-quick", "systemd-networkd")


@dataclass(frozen=True)
class Minion:
    """
    One minion, by what its Salt modules have: ``__opts__``, ``__grains__``, ``__pillar__`` as it was fetched last,
    ``__context__`` and ``__salt__``.
    """

    opts: Mapping[str, Any]
    grains: Mapping[str, Any]
    pillar: Mapping[str, Any]
    context: Mapping[str, Any]
    functions: Functions

    # -- who it is

    @property
    def id(self) -> str:
        """The minion id."""
        return str(self.opts["id"])

    @property
    def cachedir(self) -> str:
        """Where it keeps what it may lose."""
        return str(self.opts["cachedir"])

    @property
    def has_master(self) -> bool:
        """A minion that talks to a master knows its address; by ``salt-call --local`` and salt-ssh, there is none."""
        return bool(self.opts.get("master_uri"))

    @property
    def master_ip(self) -> str:
        """Salt writes IPv6 addresses in brackets, as in URLs. Empty where there is no master."""
        return str(self.opts.get("master_ip") or "").strip("[]")

    @property
    def route_target(self) -> str:
        """The address that the host's own best address leads to: that of the master, or from where ssh came."""
        return self.master_ip or _ssh_client()

    # -- Salt

    def call(self, function: str, *args: Any) -> Any:
        """A function of Salt. Raises NodeError where Salt says that it failed."""
        try:
            return self.functions[function](*args)
        except CommandExecutionError as exc:
            raise NodeError(str(exc)) from exc

    def config(self, name: str, default: Any) -> Any:
        """A setting of ours in the minion's configuration or pillar."""
        return self.call("config.get", f"wireguard:{name}", default)

    def fresh_pillar(self) -> Mapping[str, Any]:
        """Compiled now, by the master. Raises NodeError rather than return one with errors."""
        compiled: Mapping[str, Any] = salt.pillar.get_pillar(
            self.opts,
            dict(self.grains),
            self.id,
            self.opts.get("saltenv"),
            pillarenv=self.opts.get("pillarenv"),
            clean_cache=True,
        ).compile_pillar()
        node_pillar.refuse_errors(compiled)
        return compiled

    def send(self, tag: str, statements: Iterable[Signed]) -> None:
        """Each as an event to the master. If one gets lost, the next reconcile asks."""
        for signed in statements:
            if not self.call("event.send", tag, {"signed": signed}):
                log.warning("wireguard: the event %s could not be sent to the master", tag)

    # -- what our own code works with

    def notes(self) -> Notes:
        """What it remembers of each network."""
        return Notes(self.cachedir)

    def journal(self, interface: str) -> Journal:
        """What it remembers of its changes of an interface."""
        return Journal(self.cachedir, interface)

    def lock(self, interface: str) -> AbstractContextManager[None]:
        """One at a time changes an interface."""
        return lock.hold(self.cachedir, interface)

    def statements(self) -> Statements:
        """What it says of itself, signed."""
        return Statements(
            node=self.id,
            pem_file=os.path.join(self.opts["pki_dir"], "minion.pem"),
            passphrase=self.opts.get("key_pass"),
            notes=self.notes(),
            master_ip=self.master_ip,
        )

    def public_key(self, interface: str) -> str | None:
        """The public key of an interface; None if it has no key pair yet. Raises NodeError."""
        return keys.public_key(config_files.key_file(argument("interface", interface, fields.interface)))

    def keypair(self, interface: str) -> str:
        """The public key of an interface, whose key pair is made if there is none."""
        argument("interface", interface, fields.interface)
        with self.lock(interface):
            return keys.ensure(config_files.key_file(interface))

    def keypair_of(self, view: View) -> str:
        """The same for the interface of a view, which may be about to get another name."""
        with self.lock(view.interface):
            return keys.ensure(renaming.key_file(view))

    def safety(self, force: bool, reason: str | None) -> Safety:
        """How careful to be. Raises NodeError for settings that mean nothing."""
        if force and not (isinstance(reason, str) and reason.strip()):
            raise NodeError("force=True needs a reason=..., which goes into the log")
        return Safety(
            cachedir=self.cachedir,
            confirm_seconds=self._number("confirm_seconds", CONFIRM_SECONDS, 3600),
            share=self._number("guard_share", guard.DEFAULT_SHARE, 1),
            master=(self.master_ip, int(self.opts["master_port"])) if self.master_ip else None,
            forced=reason.strip() if force and reason else None,
            caller=_ssh_client(),
        )

    def _number(self, name: str, default: float, most: float) -> float:
        value = self.config(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise NodeError(f"wireguard:{name} in the minion's configuration must be a number from 0 to {most}")
        return value

    def boot(self) -> Manager:
        """What follows an interface that works: the machines' names, and what brings it up at boot."""
        at_boot = self._at_boot()
        return Managers((at_boot, self.names()) if at_boot else (self.names(),))

    def names(self) -> Manager:
        """What keeps the machines' names."""
        return hosts_file.HostsFile(self.cachedir, self._names_of_masters())

    def _names_of_masters(self) -> set[str]:
        """Without a port. These must not lead into the mesh, or nobody could repair it."""
        masters = self.opts.get("master") or ()
        return {str(each).partition(":")[0] for each in ([masters] if isinstance(masters, str) else masters)}

    def _at_boot(self) -> Manager | None:
        """None where there is nothing that we know, or that we may use."""
        backend = self.config("backend", "wg-quick")
        if backend not in BACKENDS:
            raise NodeError(f"wireguard:backend is {backend!r}; it can be {' or '.join(BACKENDS)}")
        has_systemd = salt.utils.systemd.booted(self.context)
        if backend == "systemd-networkd" and not has_systemd:
            raise NodeError("wireguard:backend is systemd-networkd, but this machine does not run systemd")
        if not self.config("enable_service", True) or not has_systemd:
            return None
        by_wg_quick, by_networkd = Systemd(self.call, self._template()), Networkd(self.call)
        return Replacement(by_wg_quick, by_networkd) if backend == "wg-quick" else Replacement(by_networkd, by_wg_quick)

    def _template(self) -> str:
        """Of the units that bring interfaces up by wg-quick."""
        services = self.config("lookup:services", {})
        name = services.get("wg-quick", "wg-quick") if isinstance(services, Mapping) else None
        if isinstance(name, str) and _TEMPLATE.fullmatch(name):
            return name
        raise NodeError(
            "wireguard:lookup:services must be a mapping, such as {wg-quick: NAME} for the unit NAME@.service"
        )


def _ssh_client() -> str:
    return os.environ.get("SSH_CONNECTION", "").partition(" ")[0]


@contextlib.contextmanager
def minion_of(module: Mapping[str, Any]) -> Iterator[Minion]:
    """
    The minion of an execution module, by the module's globals, where Salt's loader puts what is Salt's. Our errors
    become the one that Salt prints without a traceback.
    """
    try:
        yield Minion(*(module[f"__{name}__"] for name in ("opts", "grains", "pillar", "context", "salt")))
    except (WireguardError, OSError) as exc:
        raise CommandExecutionError(str(exc)) from exc


def judged_in(module: Mapping[str, Any], answer: dict[str, Any], succeeded: Callable[[Any], object]) -> dict[str, Any]:
    """With an exit code for what failed inside of the answer, which Salt takes for a success otherwise."""
    if not succeeded(answer):
        module["__context__"]["retcode"] = 1
    return answer
