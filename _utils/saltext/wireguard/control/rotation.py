"""The rotation of one node's key: announce it, tell all peers, switch, forget the old one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ..errors import RefusedError
from ..master.intake import announce
from ..master.master import Master
from ..master.status import statuses
from ..model.statements import FOLLOWING_TAG
from ..registry.rows import NodeId, Row
from ..wording import one_line
from .answers import failure, hear_all
from .bus import Bus, answer_of
from .progress import Say
from .reconciler import Reconciler, Request

# How long to wait for the peers to watch for the new key.
FOLLOW_SECONDS = 5.0

_OPEN = "its peers accept both its keys, and the next reconcile asks which one it uses"


class RotationFailed(Exception):
    """The node goes on with its old key, or may have changed to the new one; the message says which, and why."""


@dataclass(frozen=True)
class Rotation:
    """
    One node's change of keys in one network; the protocol is in docs/rotation.md.

    ``timeout``: seconds that a node has to answer. ``who`` wants this, and ``why``: for the history.
    """

    master: Master
    bus: Bus
    say: Say
    network: str
    node: str
    timeout: float
    who: str
    why: str

    def run(self) -> str:
        """Returns a sentence about the outcome. Raises RotationFailed."""
        self.say(f"{self.network}: {self.node} gets a new key")
        prepared, error = (None, None) if self._row().next_key else self._prepare()
        if prepared is None:  # an earlier try may have been left open, and the node may have switched in that one
            self._run_reconciler(suspects={self.node})
            if self._row().next_key:
                raise RotationFailed(f"an earlier rotation is not over, and it does not answer; {_OPEN}")
            prepared, error = self._prepare()
        if prepared is None:
            raise RotationFailed(f"{error}; it keeps its old key")
        self._announce(prepared)
        if self.node in self._reconcile():
            self._give_up("it stopped answering")
        row = self._row()
        self._follow(row)
        self._switch(row)
        if self._row().public_key != row.next_key:
            raise RotationFailed(f"the node switched, but its new registration did not arrive; {_OPEN}")
        left = self._reconcile()
        return f"new key {row.next_key}" + (f"; not yet known to {', '.join(left)}" if left else "")

    def _run_reconciler(self, rotating: NodeId | None = None, suspects: Collection[str] = ()) -> Mapping[str, Any]:
        request = Request(self.timeout, rotating=rotating, suspects=suspects)
        return Reconciler(self.master, self.bus, self.say, request).run()

    def _announce(self, prepared: Mapping[str, Any]) -> None:
        try:
            announce(self.master, prepared, (self.network, self.node), self.who, self.why)
        except RefusedError as exc:
            raise RotationFailed(f"its announcement was refused: {exc}") from exc

    def _row(self) -> Row:
        member = self.master.moment().fleet().networks[self.network].members.get(self.node)
        if member is None or member.row is None:
            raise RotationFailed("it is no member any more")
        return member.row

    def _reconcile(self) -> list[str]:
        """Make all peers know the keys as they are now. Returns those that could not be reached."""
        result = self._run_reconciler(rotating=(self.network, self.node))
        return sorted({*result["silent"], *result["failed"]})

    def _follow(self, row: Row) -> None:
        """Let the peers watch for the new key, and wait until they do. That saves time; nothing depends on it."""
        peers = {
            status.member.node
            for status in statuses(self.master.moment())
            if status.network == self.network and status.reason is None and status.member.node != self.node
        }
        if not peers:
            return
        # by name: Salt takes what ends in "=", as these keys do, for the name of an argument
        keys = [f"current_key={row.public_key}", f"next_key={row.next_key}"]
        self.bus.publish(peers, "wireguard.rotate_follow", [f"network={self.network}", *keys])
        for tag, data in self.bus.events(FOLLOW_SECONDS):
            node = data.get("id") if tag == FOLLOWING_TAG and isinstance(data, Mapping) else None
            if isinstance(node, str):  # anybody can send it, with any id
                peers.discard(node)
            if not peers:
                return

    def _switch(self, before: Row) -> None:
        """A node that gives no clear answer may have switched all the same: then its next key must stay known."""
        data = answer_of(self.bus, self.node, "wireguard.rotate_switch", [self.network], self.timeout + 10)
        if data is None:
            raise RotationFailed(f"it does not say whether it switched; {_OPEN}")
        switched = data.get("return")
        if not isinstance(switched, dict):
            raise RotationFailed(f"{failure('wireguard.rotate_switch', data)}; {_OPEN}")
        hear_all(self.master, self.node, switched)
        if not switched.get("switched"):
            self._prove_failure(before, one_line(switched.get("comment")) or "it did not switch")

    def _prove_failure(self, before: Row, reason: str) -> None:
        """
        Anybody can say that a node did not switch, while it does: peers that forgot its next key would cut it off. So
        that counts when the node has signed what it has. Raises RotationFailed unless it has switched.
        """
        self.bus.publish([self.node], "wireguard.rotate_abort", [self.network])
        self._run_reconciler(suspects={self.node})
        row = self._row()
        if row.next_key:
            raise RotationFailed(f"{reason}; {_OPEN}")
        if row.public_key == before.public_key:
            raise RotationFailed(f"{reason}; it keeps its old key")

    def _prepare(self) -> tuple[Mapping[str, Any] | None, str | None]:
        """Returns the node's announcement, or why there is none."""
        function = "wireguard.rotate_prepare"
        data = answer_of(self.bus, self.node, function, [self.network], self.timeout)
        if data is None:
            return None, "it does not answer"
        if not isinstance(data.get("return"), dict):
            return None, failure(function, data)
        return data["return"], None

    def _give_up(self, reason: str) -> NoReturn:
        """
        Forget the new key everywhere, which the node was not asked to use yet. If it cannot be reached now, it learns
        that by its next sync; so do its peers.
        """
        self.bus.publish([self.node], "wireguard.rotate_abort", [self.network])
        self.master.registry.forget_announced(self.network, self.node)
        self._run_reconciler()
        raise RotationFailed(f"{reason}; it keeps its old key")
