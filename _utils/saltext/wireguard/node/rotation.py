"""
A node's side of a key rotation, its own or a peer's. docs/rotation.md describes the whole protocol.

Callers of functions that change something hold the interface's lock.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from ..device import rotation
from ..device.operations import PresharedKeyOf, wg_set
from ..device.operations import preshared_keys as secrets_of
from ..errors import NodeError
from ..formats.preshared import rewrite
from ..model import preshared
from ..model.view import View
from ..system import files
from ..system.commands import run, run_with_secrets
from . import config_files, devices, keys, reach
from .boot import networkd
from .ownership import refuse_foreign


@dataclass(frozen=True)
class SwitchResult:
    """The names of the peers that had a session before the switch, or ``failure``: why the old key is in use."""

    peers_back: list[str]
    peers_missing: list[str]
    failure: str | None = None


# -- one's own rotation


def prepare(view: View) -> tuple[str, str]:
    """Make the next key unless there is one. Returns the public key and the next one. Raises NodeError."""
    interface = view.interface
    _refuse_unless_set_up(view)
    _forget_adopted_key(interface)
    path = config_files.next_key_file(interface)
    if not os.path.exists(path):
        refuse_unfinished(interface)
    return keys.existing(config_files.key_file(interface)), keys.ensure(path)


def switch(view: View, wait: float) -> SwitchResult:
    """
    Use the next key: in the files, on the device, in new handshakes. Restores the old key if no live peer follows in
    time.

    :param view: from a fresh pillar, which has the preshared keys for the next key, if there are any
    :raises NodeError: if it cannot be done
    """
    interface = view.interface
    _refuse_unless_set_up(view)
    if not _has_next_key(interface) and not is_unfinished(interface):
        return SwitchResult([], [], f"{interface} has no next key: wireguard.rotate_prepare makes one")
    if _lacks_preshared_keys(view):
        failure = f"the pillar has no preshared keys for the next key of {interface}: announce it first"
        return SwitchResult([], [], failure)
    live = _live_peers_of_an_earlier_second(interface)
    _adopt_next_key(view)
    if not _use_key_file(view):  # an earlier call did all this, and its answer was lost
        return SwitchResult([], [])
    back = _await_peers(interface, live, wait)
    if live and not back:
        _restore_previous_key(view)
        return SwitchResult([], [], f"no peer came back within {wait:g} s; {interface} has its old key again")
    names = config_files.applied(interface).names
    missing = live.keys() - back
    return SwitchResult(sorted(names.get(key, key) for key in back), sorted(names.get(key, key) for key in missing))


def abort(interface: str) -> bool:
    """Drop the next key. Returns whether there was one that is not in use."""
    _forget_adopted_key(interface)
    if not _has_next_key(interface):
        return False
    files.remove(config_files.next_key_file(interface))
    return True


def is_unfinished(interface: str) -> bool:
    """Whether the key is a new one that the master may not know yet."""
    return _is_another_key(config_files.previous_key_file(interface), interface)


def _has_next_key(interface: str) -> bool:
    """Whether there is a next key other than the key: a power cut while restoring leaves one under both names."""
    return _is_another_key(config_files.next_key_file(interface), interface)


def _lacks_preshared_keys(view: View) -> bool:
    file = config_files.next_key_file if _has_next_key(view.interface) else config_files.key_file
    own_key = keys.existing(file(view.interface))
    return any(peer.preshared for peer in view.peers) and not preshared.known(view, own_key)


def _is_another_key(path: str, interface: str) -> bool:
    private = files.read(path).strip()
    return bool(private) and private != files.read(config_files.key_file(interface)).strip()


def _forget_adopted_key(interface: str) -> None:
    if not _has_next_key(interface):
        files.remove(config_files.next_key_file(interface))


def _refuse_unless_set_up(view: View) -> None:
    """A rotation changes the key of a working interface and nothing else."""
    key_file = config_files.key_file(view.interface)
    refuse_foreign(view, key_file)
    paths = (key_file, config_files.config_file(view.interface))
    missing = [path for path in paths if not os.path.exists(path)]
    if not devices.exists(view.interface):
        missing.append("the device")
    if missing:
        raise NodeError(f"{view.interface} is not set up: {missing[0]} is missing. wireguard.apply sets it up")


def refuse_unfinished(interface: str) -> None:
    """Raise NodeError as long as the master may not know the key of this interface."""
    if is_unfinished(interface):
        raise NodeError(
            f"the last rotation of {interface} is not over: wireguard.sync completes it once the master knows the key"
        )


# -- the files


def _adopt_next_key(view: View) -> None:
    """
    Make the next key the key, durably: a power cut at any point leaves one whole key in each file.

    The key file comes first. If the configuration file keeps the old key, the node boots with that; its peers still
    know it, and the next apply registers the new key and repairs the configuration file.
    """
    interface = view.interface
    if _has_next_key(interface):
        files.replace(config_files.previous_key_file(interface), files.read(config_files.key_file(interface)))
        files.supersede(config_files.next_key_file(interface), config_files.key_file(interface))
    _write_key_into_config(view)


def _restore_previous_key(view: View) -> None:
    """In the same order. The next key stays the next key, for another attempt."""
    interface = view.interface
    files.replace(config_files.next_key_file(interface), files.read(config_files.key_file(interface)))
    files.supersede(config_files.previous_key_file(interface), config_files.key_file(interface))
    _write_key_into_config(view)
    _use_key_file(view)


def _write_key_into_config(view: View) -> None:
    """Only the key, and the preshared keys that belong to it: the rest of the file stays what was applied last."""
    path = config_files.config_file(view.interface)
    line = f"PrivateKey = {files.read(config_files.key_file(view.interface)).strip()}"
    text = re.sub(r"^PrivateKey = .*$", lambda _: line, files.read(path), count=1, flags=re.MULTILINE)
    preshared_keys = _preshared_keys(view)
    text = rewrite(text, preshared_keys)
    if not files.is_written(path, text):
        files.replace(path, text)
    networkd.rewrite(view.interface, preshared_keys)


def _preshared_keys(view: View) -> Mapping[str, str]:
    """Public key of a peer -> the preshared key that belongs to it and to the key file."""
    return preshared.known(view, keys.existing(config_files.key_file(view.interface)))


# -- the device


def _use_key_file(view: View) -> bool:
    """
    Let the device use its key file, and send all peers an echo request, which starts sessions with the new key.

    Returns whether that changed the device.
    """
    interface = view.interface
    device = devices.read(interface)
    if device is None or device.public_key == keys.public_key(config_files.key_file(interface)):
        return False
    # First: live sessions do not need them, and handshakes with the new key do.
    wanted = _preshared_keys(view)
    changed = sorted(key for key, peer in device.peers.items() if peer.preshared_key and key in wanted)
    for command in wg_set(interface, [("peer", key, "preshared-key", PresharedKeyOf(key)) for key in changed]):
        run_with_secrets(command, secrets_of(command, wanted))
    run(["wg", "set", interface, "private-key", config_files.key_file(interface)])
    for address in rotation.echo_addresses(device.peers.values()):
        reach.send_echo(interface, address)
    return True


def _live_peers_of_an_earlier_second(interface: str) -> dict[str, int]:
    """
    Public key to latest handshake of the peers that this node has sessions with.

    Handshake times are in whole seconds, so this waits until the second of the last one is over: from then on, a later
    handshake can be told apart.
    """
    live: dict[str, int] = {}

    def is_over() -> bool:
        device = devices.read(interface)
        live.update(device.sessions(int(time.time())) if device else {})
        return max(live.values(), default=0) < int(time.time())

    reach.wait_until(is_over, 2)
    return live


def _await_peers(interface: str, live: Mapping[str, int], seconds: float) -> frozenset[str]:
    """Those of the live peers that handshake again in time."""
    reach.wait_until(lambda: len(rotation.handshaken_again(live, devices.handshakes(interface))) == len(live), seconds)
    return rotation.handshaken_again(live, devices.handshakes(interface))


# -- the rotation of a peer


def await_next_key(interface: str, current_key: str, next_key: str, seconds: float) -> bool:
    """Whether a peer that has two keys used the next one in time."""

    def holds() -> bool:
        handshakes = devices.handshakes(interface)
        return rotation.next_key_is_in_use(handshakes.get(current_key, 0), handshakes.get(next_key, 0))

    return reach.wait_until(holds, seconds)


def follow(interface: str, current_key: str, next_key: str) -> None:
    """Let the addresses of a peer move to its next key."""
    command = rotation.move(interface, devices.peers(interface), current_key, next_key)
    if command:
        run(command)
