"""One node's change of keys: announce, make everybody know, switch, forget the old one."""

from __future__ import annotations

from ..errors import RefusedError
from ..master.intake import announce
from ..master.status import statuses
from ..model.statements import FOLLOWING_TAG
from .answers import failure, hear_all
from .reconciler import Reconciler

# How long to wait for the peers to watch for the new key.
FOLLOW_SECONDS = 5.0

_OPEN = "its peers let both its keys in, and the next reconcile asks it which one it has"


class RotationFailed(Exception):
    """The node goes on with its old key, or may have changed to the new one; the message says which, and why."""


class Rotation:
    """One node's change of keys in one network; the protocol is in docs/rotation.md."""

    def __init__(self, master, bus, network, node, timeout, say, who, why):
        self._master = master
        self._bus = bus
        self._network = network
        self._node = node
        self._timeout = timeout
        self._say = say  # for progress
        self._who = who  # wants this, and why: for the history
        self._why = why

    def run(self):
        """Returns a sentence about the outcome. Raises RotationFailed."""
        self._say(f"{self._network}: {self._node} gets a new key")
        prepared, error = (None, None) if self._row().next_key else self._prepare()
        if prepared is None:  # an earlier try may have been left open, and the node may have switched in that one
            Reconciler(self._master, self._bus, [], self._timeout, self._say, suspects={self._node}).run()
            if self._row().next_key:
                raise RotationFailed(f"an earlier rotation is not over, and it does not answer; {_OPEN}")
            prepared, error = self._prepare()
        if prepared is None:
            raise RotationFailed(f"{error}; it goes on with its old key")
        self._announce(prepared)
        self._reconcile()
        row = self._row()
        self._follow(row)
        self._switch()
        if self._row().public_key != row.next_key:
            raise RotationFailed(f"the node switched, but its new registration did not arrive; {_OPEN}")
        left = self._reconcile()
        return f"new key {row.next_key}" + (f"; not yet known to {', '.join(left)}" if left else "")

    def _announce(self, prepared):
        try:
            announce(self._master, prepared, (self._network, self._node), self._who, self._why)
        except RefusedError as exc:
            raise RotationFailed(f"its announcement was refused: {exc}") from exc

    def _row(self):
        member = self._master.moment().fleet().networks[self._network].members.get(self._node)
        if member is None or member.row is None:
            raise RotationFailed("it is no member any more")
        return member.row

    def _reconcile(self):
        """Make all peers know the keys as they are now. Returns those that could not be reached."""
        rotating = (self._network, self._node)
        result = Reconciler(self._master, self._bus, [], self._timeout, self._say, rotating).run()
        left = sorted({*result["silent"], *result["failed"]})
        if self._node in left:
            self._give_up("it stopped answering")
        return left

    def _follow(self, row):
        """Let the peers watch for the new key, and wait until they do. That saves time; nothing depends on it."""
        peers = {
            status.member.node
            for status in statuses(self._master.moment())
            if status.network == self._network and status.reason is None and status.member.node != self._node
        }
        if not peers:
            return
        # by name: Salt takes what ends in "=", as these keys do, for the name of an argument
        keys = [f"current_key={row.public_key}", f"next_key={row.next_key}"]
        self._bus.publish(peers, "wireguard.rotate_follow", [f"network={self._network}", *keys])
        for tag, data in self._bus.events(FOLLOW_SECONDS):
            if tag == FOLLOWING_TAG and isinstance(data.get("id"), str):  # anybody can send it, with any id
                peers.discard(data["id"])
            if not peers:
                return

    def _switch(self):
        """A node that gives no clear answer may have switched all the same: then its next key must stay known."""
        data = self._bus.call(self._node, "wireguard.rotate_switch", [self._network], self._timeout + 10)
        if data is None:
            raise RotationFailed(f"it does not say whether it switched; {_OPEN}")
        switched = data.get("return")
        if not isinstance(switched, dict):
            raise RotationFailed(f"{failure('wireguard.rotate_switch', data)}; {_OPEN}")
        hear_all(self._master, self._node, switched)
        if not switched.get("switched"):
            self._give_up(switched.get("comment") or "it did not switch")

    def _prepare(self):
        """Returns the node's announcement, or why there is none."""
        function = "wireguard.rotate_prepare"
        data = self._bus.call(self._node, function, [self._network], self._timeout)
        if data is None:
            return None, "it does not answer"
        if not isinstance(data.get("return"), dict):
            return None, failure(function, data)
        return data["return"], None

    def _give_up(self, reason):
        """
        Forget the new key everywhere. What the node itself cannot be told now, its next sync tells it.

        A node that has switched all the same, and could not say so, registers its new key by that sync.
        """
        self._bus.publish([self._node], "wireguard.rotate_abort", [self._network])
        self._bus.publish([self._node], "wireguard.sync", [])
        self._master.registry.forget_announced(self._network, self._node)
        raise RotationFailed(f"{reason}; it goes on with its old key")
