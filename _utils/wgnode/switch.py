"""
A node's side of a key rotation, its own or that of a peer; docs/rotation.md tells the whole protocol.

Whoever calls a function that changes something holds the interface's lock.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

try:
    from saltext.wireguard.utils.wgmesh import rotation
    from saltext.wireguard.utils.wgmesh.errors import NodeError
    from saltext.wireguard.utils.wgmesh.view import View
except ImportError:  # synced from _utils/
    from wgmesh import rotation
    from wgmesh.errors import NodeError
    from wgmesh.view import View

from . import devices, files, keys, reach
from .commands import run
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
    path = files.next_key_file(interface)
    if not os.path.exists(path):
        refuse_while_switched(interface)
    return keys.existing(files.key_file(interface)), keys.ensure(path)


def switch(view: View, wait: float) -> Switch:
    """
    Use the next key: in the files, on the device, in new handshakes. Goes back where no live peer follows in time.

    Raises NodeError.
    """
    interface = view.interface
    _refuse_unless_set_up(view)
    if not _has_next_key(interface) and not has_switched(interface):
        return Switch([], [], f"{interface} has no next key: wireguard.rotate_prepare makes one")
    live = _live_peers_of_an_earlier_second(interface)
    _adopt_next_key(interface)
    if not _use_key_file(interface):  # an earlier call did all this, and its answer was lost
        return Switch([], [])
    back = _await_peers(interface, live, wait)
    if live and not back:
        return Switch([], [], _go_back(interface, wait))
    names = files.applied(interface).names
    return Switch(
        sorted(names.get(key, key) for key in back), sorted(names.get(key, key) for key in live if key not in back)
    )


def abort(interface: str) -> bool:
    """Drop the next key. Returns whether there was one that is not in use."""
    _forget_adopted_key(interface)
    if not _has_next_key(interface):
        return False
    files.remove(files.next_key_file(interface))
    return True


def has_switched(interface: str) -> bool:
    """Whether the key is a new one that the master may not know yet."""
    return _is_another_key(files.previous_key_file(interface), interface)


def _has_next_key(interface: str) -> bool:
    """Whether there is a next key other than the key: a power cut while going back leaves one under both names."""
    return _is_another_key(files.next_key_file(interface), interface)


def _is_another_key(path: str, interface: str) -> bool:
    private = files.read(path).strip()
    return bool(private) and private != files.read(files.key_file(interface)).strip()


def _forget_adopted_key(interface: str) -> None:
    if not _has_next_key(interface):
        files.remove(files.next_key_file(interface))


def _refuse_unless_set_up(view: View) -> None:
    """A rotation changes the key of a working interface and nothing else."""
    key_file = files.key_file(view.interface)
    refuse_foreign(view, key_file)
    for path in (key_file, files.config_file(view.interface), devices.place(view.interface)):
        if not os.path.exists(path):
            raise NodeError(f"{view.interface} is not set up: {path} is missing. wireguard.apply sets it up")


def refuse_while_switched(interface: str) -> None:
    """Raise NodeError as long as the master may not know the key of this interface."""
    if has_switched(interface):
        raise NodeError(
            f"the last rotation of {interface} is not over: wireguard.sync completes it once the master knows the key"
        )


# -- the files


def _adopt_next_key(interface: str) -> None:
    """
    Make the next key the key, durably: a power cut at any point leaves one whole key in each file.

    The key file goes first. Should the configuration file keep the old key, the node comes up with that, as its peers
    still know it, and the next apply registers the new key and repairs the configuration file.
    """
    if _has_next_key(interface):
        files.replace(files.previous_key_file(interface), files.read(files.key_file(interface)))
        files.supersede(files.next_key_file(interface), files.key_file(interface))
    _write_key_into_config(interface)


def _go_back(interface: str, wait: float) -> str:
    """Back to the previous key, in the same order. The next key is kept as such: another try may go better."""
    files.replace(files.next_key_file(interface), files.read(files.key_file(interface)))
    files.supersede(files.previous_key_file(interface), files.key_file(interface))
    _write_key_into_config(interface)
    _use_key_file(interface)
    return f"no peer came back within {wait:g} s; {interface} has its old key again"


def _write_key_into_config(interface: str) -> None:
    """Only the key: the rest of the file stays what was applied last."""
    path = files.config_file(interface)
    line = f"PrivateKey = {files.read(files.key_file(interface)).strip()}"
    text = re.sub(r"^PrivateKey = .*$", line, files.read(path), count=1, flags=re.MULTILINE)
    if not files.is_written(path, text):
        files.replace(path, text)


# -- the device


def _use_key_file(interface: str) -> bool:
    """
    Let the device use its key file, and greet all peers: a session with the new key begins as one has something to say.

    Returns whether that changed the device.
    """
    device = devices.read(interface)
    if device is None or device.public_key == keys.public_key(files.key_file(interface)):
        return False
    run(["wg", "set", interface, "private-key", files.key_file(interface)])
    for address in rotation.greeting_addresses(device.peers.values()):
        reach.greet(interface, address)
    return True


def _live_peers_of_an_earlier_second(interface: str) -> dict[str, int]:
    """
    Public key to latest handshake of the peers that this node has sessions with.

    Handshake times are in whole seconds. So this waits until the second of the last one is over: a later handshake can
    be told from it then.
    """
    live: dict[str, int] = {}

    def is_over() -> bool:
        device = devices.read(interface)
        live.update(rotation.live(device, int(time.time())) if device else {})
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
