"""
A node's side of a key rotation, its own or that of a peer; docs/rotation.md tells the whole protocol.

Whoever calls a function that changes something holds the interface's lock.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ..device import rotation
from ..device.operations import PEERS_PER_COMMAND, PresharedKeyOf
from ..device.operations import preshared_keys as secrets_of
from ..errors import NodeError
from ..formats.preshared import rewrite
from ..model import preshared
from ..model.view import View
from ..system import files
from ..system.commands import run, run_with_secrets
from . import config_files, devices, keys, reach
from .boot import networkd
from .converge import refuse_foreign


@dataclass(frozen=True)
class Switch:
    """How a switch went: the names of the peers that had a session before, or ``kept``: why the old key is in use."""

    back: list[str]
    missing: list[str]
    kept: str | None = None


# -- one's own rotation


def prepare(view: View) -> tuple[str, str]:
    """Make the next key unless there is one. Returns the public key and the next one. Raises NodeError."""
    interface = view.interface
    _refuse_unless_set_up(view)
    _forget_adopted_key(interface)
    path = config_files.next_key_file(interface)
    if not os.path.exists(path):
        refuse_while_switched(interface)
    return keys.existing(config_files.key_file(interface)), keys.ensure(path)


def switch(view: View, wait: float) -> Switch:
    """
    Use the next key: in the files, on the device, in new handshakes. Goes back where no live peer follows in time.

    :param view: from a fresh pillar, which has the preshared keys for the next key, if there are any
    :raises NodeError: where it cannot be done
    """
    interface = view.interface
    _refuse_unless_set_up(view)
    if not _has_next_key(interface) and not has_switched(interface):
        return Switch([], [], f"{interface} has no next key: wireguard.rotate_prepare makes one")
    if _lacks_preshared_keys(view):
        return Switch([], [], f"the pillar has no preshared keys for the next key of {interface}: announce it first")
    live = _live_peers_of_an_earlier_second(interface)
    _adopt_next_key(view)
    if not _use_key_file(view):  # an earlier call did all this, and its answer was lost
        return Switch([], [])
    back = _await_peers(interface, live, wait)
    if live and not back:
        return Switch([], [], _go_back(view, wait))
    names = config_files.applied(interface).names
    return Switch(
        sorted(names.get(key, key) for key in back), sorted(names.get(key, key) for key in live if key not in back)
    )


def abort(interface: str) -> bool:
    """Drop the next key. Returns whether there was one that is not in use."""
    _forget_adopted_key(interface)
    if not _has_next_key(interface):
        return False
    files.remove(config_files.next_key_file(interface))
    return True


def has_switched(interface: str) -> bool:
    """Whether the key is a new one that the master may not know yet."""
    return _is_another_key(config_files.previous_key_file(interface), interface)


def _has_next_key(interface: str) -> bool:
    """Whether there is a next key other than the key: a power cut while going back leaves one under both names."""
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


def refuse_while_switched(interface: str) -> None:
    """Raise NodeError as long as the master may not know the key of this interface."""
    if has_switched(interface):
        raise NodeError(
            f"the last rotation of {interface} is not over: wireguard.sync completes it once the master knows the key"
        )


# -- the files


def _adopt_next_key(view: View) -> None:
    """
    Make the next key the key, durably: a power cut at any point leaves one whole key in each file.

    The key file goes first. Should the configuration file keep the old key, the node comes up with that, as its peers
    still know it, and the next apply registers the new key and repairs the configuration file.
    """
    interface = view.interface
    if _has_next_key(interface):
        files.replace(config_files.previous_key_file(interface), files.read(config_files.key_file(interface)))
        files.supersede(config_files.next_key_file(interface), config_files.key_file(interface))
    _write_key_into_config(view)


def _go_back(view: View, wait: float) -> str:
    """Back to the previous key, in the same order. The next key is kept as such: another try may go better."""
    interface = view.interface
    files.replace(config_files.next_key_file(interface), files.read(config_files.key_file(interface)))
    files.supersede(config_files.previous_key_file(interface), config_files.key_file(interface))
    _write_key_into_config(view)
    _use_key_file(view)
    return f"no peer came back within {wait:g} s; {interface} has its old key again"


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
    Let the device use its key file, and greet all peers: a session with the new key begins as one has something to say.

    Returns whether that changed the device.
    """
    interface = view.interface
    device = devices.read(interface)
    if device is None or device.public_key == keys.public_key(config_files.key_file(interface)):
        return False
    _set_preshared_keys(
        interface, _preshared_keys(view), [key for key, peer in device.peers.items() if peer.preshared_key]
    )
    run(["wg", "set", interface, "private-key", config_files.key_file(interface)])
    for address in rotation.greeting_addresses(device.peers.values()):
        reach.greet(interface, address)
    return True


def _set_preshared_keys(interface: str, preshared_keys: Mapping[str, str], peers: Collection[str]) -> None:
    """
    Of these peers, which have other ones. Before the private key: sessions that live do not need them, and handshakes
    with the new key do.
    """
    wanted = sorted(key for key in preshared_keys if key in peers)
    for start in range(0, len(wanted), PEERS_PER_COMMAND):
        chunk = wanted[start : start + PEERS_PER_COMMAND]
        words = [word for key in chunk for word in ("peer", key, "preshared-key", PresharedKeyOf(key))]
        command = ["wg", "set", interface, *words]
        run_with_secrets(command, secrets_of(command, preshared_keys))


def _live_peers_of_an_earlier_second(interface: str) -> dict[str, int]:
    """
    Public key to latest handshake of the peers that this node has sessions with.

    Handshake times are in whole seconds. So this waits until the second of the last one is over: a later handshake can
    be told from it then.
    """
    live: dict[str, int] = {}

    def is_over() -> bool:
        device = devices.read(interface)
        live.update(device.sessions(int(time.time())) if device else {})
        return max(live.values(), default=0) < int(time.time())

    reach.await_(is_over, 2)
    return live


def _await_peers(interface: str, live: Mapping[str, int], seconds: float) -> frozenset[str]:
    """Those of the live peers that handshake again in time."""
    reach.await_(lambda: len(rotation.back(live, devices.handshakes(interface))) == len(live), seconds)
    return rotation.back(live, devices.handshakes(interface))


# -- the rotation of a peer


def await_next_key(interface: str, current_key: str, next_key: str, seconds: float) -> bool:
    """Whether a peer that has two keys used the next one in time."""

    def holds() -> bool:
        handshakes = devices.handshakes(interface)
        return rotation.next_key_holds(handshakes.get(current_key, 0), handshakes.get(next_key, 0))

    return reach.await_(holds, seconds)


def follow(interface: str, current_key: str, next_key: str) -> None:
    """Let the addresses of a peer move to its next key."""
    command = rotation.move(interface, devices.peers(interface), current_key, next_key)
    if command:
        run(command)
