"""
Makes a device, a configuration file and a service for boot what a view says.

Callers of functions that change something hold the interface's lock.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ..device import diff, disruption, exits, guard, limits, rotation
from ..device.operations import Applied, Operation, changes_of, command_lines, preshared_keys
from ..device.rollback import RollbackState, rollback_target
from ..errors import GuardError, NamesError, NodeError, RolledBackError, WireguardError
from ..model.answers import MAX_TEXT
from ..model.changes import Change, Changes, Kind, Subject, as_salt, removal, united
from ..model.device import Device
from ..model.peer import Peer
from ..model.view import View
from ..system import files
from ..system.commands import run_with_secrets
from ..wording import one_line
from . import config_files, devices, endpoints, keys, local_facts, pause, ports, renaming, withdrawal
from . import trial as node_trial
from .boot.managers import Manager, Setup
from .kept import applied_before, with_kept
from .outcome import Outcome, outcome_of, summary
from .ownership import refuse_foreign
from .trial import Safety, Trial


def converge(
    view: View,
    key_file: str,
    boot: Manager | None,
    test: bool,
    safety: Safety,
    former: str | None = None,
    takes_over: bool = False,
) -> Outcome:
    """
    Make the machine what the view says, or only say what would change.

    :param key_file: path of the private key; without a key, this can only be a test run
    :param boot: what brings interfaces up at boot, if we may use it
    :param former: the interface that this one follows
    :param takes_over: whether the interface may be one that somebody else set up
    :raises GuardError: before anything is changed, if the change needs force
    :raises RolledBackError: if the change was rolled back, now or a short time ago
    :raises WireguardError: or OSError, if anything else fails
    """
    if not takes_over:
        refuse_foreign(view, key_file)
    view = with_kept(view, former)
    for each in filter(None, (former, view.interface)):
        withdrawal.refuse_outdated(view, safety.journal(each))
    withdrawn = [] if test else _withdraw(view, former, boot, safety)
    if former and not test:
        key_file = renaming.take_key(view)
    public_key = keys.public_key(key_file)
    if public_key is None:
        changes: Changes = (Change(Kind.DEVICE, "", None, view.interface),)
        return Outcome(changes, f"{view.interface} would be set up with a new key", pending=True)
    localize = partial(local_facts.with_local_facts, master=safety.master, caller=safety.caller)
    applied = applied_before(view.interface)
    convergence = Convergence(view, key_file, public_key, boot, applied, localize, former)
    changes = united((*map(_removed, withdrawn), *convergence.changes()))
    objections = convergence.objections(safety)
    if objections and not safety.forced:
        raise GuardError(_refusal(view, objections))
    if convergence.commands():
        node_trial.refuse_retry(safety, view)
    if not test:
        convergence.apply(safety)
        changes = convergence.without_failed(changes)
    disturbs = convergence.disturbs() if test else {}
    forced = f". Forced ({safety.forced}), as otherwise refused: it would {'; it would '.join(objections)}"
    return outcome_of(view, changes, test, disturbs, convergence.obstacles(), forced if objections else "")


def _withdraw(view: View, former: str | None, boot: Manager | None, safety: Safety) -> list[Peer]:
    """From the interface, and from the one before a rename."""
    interfaces = filter(None, (former, view.interface))
    views = [dataclasses.replace(view, interface=each) for each in interfaces]
    return [
        peer for each in views for peer in withdrawal.withdraw(each, safety.journal(each.interface), boot, safety.share)
    ]


def _removed(peer: Peer) -> Change:
    return Change(Kind.PEER, peer.name, {"public_key": peer.public_key, "allowed_ips": [*peer.allowed_ips]}, None)


def _refusal(view: View, objections: Sequence[str]) -> str:
    by_master = "`salt-run wireguard.reconcile force=True reason=...`, or " if view.network else ""
    return (
        f"{view.interface}: refused, and nothing was changed: it would {'; it would '.join(objections)}. If that is"
        f" meant: {by_master}`force=True reason=...` for the function or state that applies it on this minion"
    )


def roll_back(interface: str, key_file: str, state: RollbackState) -> bool:
    """
    Return the device to the last good state, which is what its configuration file says; without a file, remove it,
    and bring back the one that it should have followed.

    Returns whether there was anything to do. Raises WireguardError or OSError.
    """
    before = config_files.written(interface)
    if before is None:
        path = config_files.config_file(interface)
        if os.path.exists(path):
            raise NodeError(f"{path} was changed by something else, so the change cannot be rolled back")
        existed = devices.exists(interface)
        devices.delete(interface)
        return bool(state.former and _bring_back(state.former, key_file)) or existed
    view, applied = rollback_target(before, state)
    convergence = Convergence(view, key_file, keys.existing(key_file), applied=applied)
    convergence.change_device()
    return bool(convergence.commands())


def _bring_back(former: str, copied_key: str) -> bool:
    key_file, view = config_files.key_file(former), config_files.written(former)
    if view is None:
        return False
    convergence = Convergence(view, key_file, keys.existing(key_file), applied=Applied())
    convergence.change_device()
    files.remove(copied_key)
    return True


def difference(view: View) -> dict[str, object]:
    """What ``converge`` would do to the device, as data: ``commands`` and ``changes``, ``comment`` if not yet."""
    key_file = renaming.key_file(view)
    public_key = keys.public_key(key_file)
    if public_key is None or (view.network and view.public_key != public_key):
        return {"commands": [], "changes": {}, "comment": "not registered yet; applying registers first"}
    localize = partial(local_facts.with_local_facts, master=None)
    convergence = Convergence(with_kept(view), key_file, public_key, localize=localize)
    return {
        "commands": [" ".join(command) for command in convergence.commands()],
        "changes": as_salt(convergence.device_changes()),
    }


class Convergence:
    """
    The difference between the machine as it is and the view.

    ``_view`` is written into files, which must work at boot with and without IPv6. ``_possible`` is what the device can
    have of it now.

    Everything is read once, at construction: names are not resolved twice, and a handshake in between does not change
    which key of a rotating peer gets its addresses.
    """

    def __init__(
        self,
        view: View,
        key_file: str,
        public_key: str,
        boot: Manager | None = None,
        applied: Applied | None = None,
        localize: Callable[[View, Mapping[str, str]], View] | None = None,
        former: str | None = None,
    ) -> None:
        """
        ``applied``: what counts as applied last, if that is not what the configuration file says. ``localize``: adds
        what only this node knows to the view, given its resolved endpoints; None if the view has that already.
        ``former``: the interface that this one follows.
        """
        self._device = devices.read(view.interface)
        self._former = former
        self._device_before = devices.read(former) if former else self._device
        self._view = rotation.expand(view, self._device)
        self._digest = view.digest
        self._interface = view.interface
        self._key_file = key_file
        self._public_key = public_key
        self._boot = boot
        resolved, self._known_endpoints = endpoints.resolve(self._view, self._device)
        # A new device starts with what the files at boot have. Of one that is there, peers may have moved since.
        self._endpoints = resolved if self._device else self._known_endpoints
        if localize:
            self._view = localize(self._view, self._endpoints)
        self._applied = config_files.applied(view.interface) if applied is None else applied
        self._possible = devices.possible(self._view)
        self._limits = devices.limits_of(self._possible, self._device, former)
        self._failed: dict[Subject, str] = {}
        self._operations = self._diff(self._device, self._applied)

    def commands(self) -> list[tuple[str, ...]]:
        """The commands to run, in order."""
        return command_lines(self._operations, self._interface)

    def device_changes(self) -> Changes:
        """What differs on the device alone."""
        return changes_of(self._operations)

    def obstacles(self) -> tuple[str, ...]:
        """What is left out of the view, and what failed alone."""
        known = self._limits.obstacles(self._possible, devices.forwarded(), devices.is_strict())
        failed = (
            f"{Kind.HOST_NAMES.value if subject.kind == Kind.HOST_NAMES else subject} ({reason})"
            for subject, reason in self._failed.items()
        )
        return tuple(dict.fromkeys(one_line(text, MAX_TEXT) for text in (*map(str, known), *failed)))

    def without_failed(self, changes: Changes) -> Changes:
        """Those of the changes that were made."""
        return tuple(change for change in changes if change.subject not in self._failed)

    def disturbs(self) -> dict[Subject, int]:
        """Subject of a difference to the number of live sessions that the change cuts off."""
        changes = self.device_changes() + self._renaming()
        return disruption.disturbed(changes, self._view.peers, self._device_before, int(time.time()))

    def objections(self, safety: Safety) -> tuple[str, ...]:
        """What the guard has against the change."""
        before, now = config_files.written(self._former or self._interface), int(time.time())
        has_master = bool(self._view.via and safety.master and endpoints.is_own(safety.master[0]))
        return guard.objections(before, self._device_before, self._view, now, safety.share, has_master)

    def changes(self) -> Changes:
        """Everything that differs, on the device and in files."""
        changes = self.device_changes() + self._renaming()
        if not self._is_written():
            changes += (Change(Kind.FILE, config_files.config_file(self._interface), None, "written"),)
        changes += self._missing_at_boot
        if self._has_outdated_key():
            path = config_files.previous_key_file(self._interface)
            changes += (Change(Kind.FILE, path, "kept for a rollback", None),)
        return changes

    def _renaming(self) -> Changes:
        return removal(self._former) if self._former else ()

    def apply(self, safety: Safety) -> None:
        """Device, then file, then service. What does not work on the device never gets into the file."""
        if not self._operations and not self._former and not safety.journal(self._interface).trial():
            return self._save()
        if not safety.confirm_seconds:
            self._change_without_trial(safety.at)
            return self._save()
        what = self._possible, self._digest, self._key_file, self._operations
        trial = Trial(safety, *what, self._device_before, self._former)
        trial.begin()
        self._apply_on_trial(trial, safety.at)
        try:
            self._save()
        finally:
            trial.succeed()

    def _change_without_trial(self, at: float) -> None:
        try:
            self.change_device(at)
        except (WireguardError, OSError):
            if self._former:  # nothing else would bring it back
                roll_back(self._interface, self._key_file, RollbackState(former=self._former))
            raise

    def _apply_on_trial(self, trial: Trial, at: float) -> None:
        """Raises RolledBackError if that did not work; then everything is as before."""
        try:
            self.change_device(at)
            failure, retry_seconds = trial.failure(), node_trial.RETRY_SECONDS
        except (WireguardError, OSError) as exc:
            failure, retry_seconds = str(exc), 0
        if failure is None:
            return
        try:
            roll_back(self._interface, self._key_file, trial.rollback_state)
        except (WireguardError, OSError) as exc:
            raise NodeError(
                f"{self._interface}: {failure}. The change could not be rolled back ({exc}); that is tried again in a"
                " moment"
            ) from exc
        trial.roll_back(failure, retry_seconds)
        raise RolledBackError(f"{self._interface} was rolled back, and is as it was before: {failure}")

    def change_device(self, at: float = 0.0) -> None:
        """The device alone, ``at`` a moment in Unix seconds or at once. Raises WireguardError or OSError."""
        if self._former:
            devices.delete(self._former)
        if self._operations:
            with pause.together(at, self._interface, self._possible.addresses):
                self._execute()
            self._verify()

    def _save(self) -> None:
        """Make what is on the device now the last good state."""
        if not self._is_written():
            files.replace(config_files.config_file(self._interface), self._config)
        if self._has_outdated_key():
            files.remove(config_files.previous_key_file(self._interface))
        if self._boot and self._missing_at_boot:
            try:
                self._boot.enable(self._setup)
            except NamesError as exc:
                names = [each.subject for each in self._missing_at_boot if each.kind == Kind.HOST_NAMES]
                self._failed |= dict.fromkeys(names, str(exc))
        if self._former:
            renaming.finish(self._interface, self._former, self._boot)

    def _execute(self) -> None:
        keys_of_peers = {peer.public_key: peer.preshared_key for peer in self._view.peers if peer.preshared_key}
        alone = {operation.argv: operation.change for operation in self._operations if limits.fails_alone(operation)}
        for command in self.commands():
            try:
                if command[:3] == ("ip", "link", "add"):
                    devices.create(self._interface, command)
                else:
                    run_with_secrets(command, preshared_keys(command, keys_of_peers))
            except NodeError as exc:
                if command not in alone:
                    raise ports.explained(exc, self._interface, self._view.port) from exc
                self._failed[alone[command].subject] = str(exc)

    def _verify(self) -> None:
        """Read the device again: what still differs is an error, whatever the commands returned."""
        # With the same resolved endpoints, and with these as applied: a live peer may have roamed meanwhile.
        set_now = {peer.public_key: peer.endpoint for peer in self._view.peers if peer.endpoint}
        applied = dataclasses.replace(self._applied, endpoints=set_now)
        left = self.without_failed(changes_of(self._diff(devices.read(self._interface), applied)))
        if left:
            raise NodeError(
                f"{self._interface} is still not what it should be after applying: {summary(left)}."
                " Does something else on this machine change it?"
            )

    def _diff(self, device: Device | None, applied: Applied) -> tuple[Operation, ...]:
        return diff.diff(
            self._possible,
            device,
            key_file=self._key_file,
            public_key=self._public_key,
            endpoints=self._endpoints,
            applied=applied,
            now=int(time.time()),
            forwarded=devices.forwarded(),
            policy=devices.policy(exits.mark(self._possible), applied.mark, device.mark if device else 0),
            limits=self._limits,
        )

    @functools.cached_property
    def _config(self) -> str:
        return config_files.config_text(self._view, self._key_file, self._known_endpoints)

    def _is_written(self) -> bool:
        return files.is_written(config_files.config_file(self._interface), self._config)

    @functools.cached_property
    def _missing_at_boot(self) -> Changes:
        return self._boot.missing(self._setup) if self._boot else ()

    @property
    def _setup(self) -> Setup:
        return Setup(self._view, self._key_file, self._known_endpoints)

    def _has_outdated_key(self) -> bool:
        """Whether the key from before a rotation can go: the pillar shows that the master knows the new one."""
        known = self._view.public_key == self._public_key
        return known and os.path.exists(config_files.previous_key_file(self._interface))
