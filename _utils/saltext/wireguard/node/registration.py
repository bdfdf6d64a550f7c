"""What this node tells the master of itself, signed with the minion's Salt key."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import NodeError
from ..model import statements
from ..model.statements import REGISTER_TAG
from ..model.view import REGISTER, View
from . import config_files, endpoints, keys
from .notes import Notes


def await_view(
    view: View, public_key: str, node: str, seconds: float, fresh_views: Callable[[], Mapping[str, View]]
) -> View:
    """
    Look into fresh pillars until one bears our key, and return its view.

    :param view: as it was before the registration
    :param node: the minion id
    :param fresh_views: fetches a pillar and returns what it has for each network
    :raises NodeError: where that takes longer than ``seconds``, or an operator has to decide
    """
    deadline = time.monotonic() + seconds
    pause = 0.3
    while True:
        time.sleep(pause)
        fresh = fresh_views().get(str(view.network))
        if fresh and fresh.public_key == public_key:
            return fresh
        if fresh and fresh.waiting not in (None, REGISTER):
            raise NodeError(_awaits_decision(fresh, node))
        if time.monotonic() + pause > deadline:
            raise NodeError(_unanswered(view, seconds))
        pause = min(pause * 1.5, 3.0)


def _awaits_decision(view: View, node: str) -> str:
    kept = "this node keeps what it has" if view.public_key else "nothing was set up yet"
    return (
        f"network {view.network} lets an operator decide ({view.waiting}: manual); {kept}. On the master:"
        f" `salt-run wireguard.admit {node}` or `salt-run wireguard.reject {node}`"
    )


def _unanswered(view: View, seconds: float) -> str:
    return (
        f"the master did not take in this node's registration for network {view.network} within {seconds:g} s; nothing"
        f" was changed. Something on the master must handle the event {REGISTER_TAG}: configure the engine"
        " (`engines: [{wireguard: {}}]`) or the reactor as in the examples, restart salt-master, and look at"
        " `salt-run wireguard.nodes` for refusals"
    )


def by_hand(view: View, public_key: str, node: str) -> str:
    """What a person must do with our key where there is no master to register with."""
    known = f"its public key is {view.public_key} there, but" if view.public_key else "there is no `public_key` of it;"
    return (
        f"{node} cannot register for network {view.network}, as it runs without a master: {known} this machine has"
        f" {public_key}. Nothing else was changed. Write this key into the mesh file, under `nodes` of {view.network}:"
        f" `{node}: {{public_key: {public_key}, addresses: [...]}}`, on all nodes; or, if salt-ssh runs this, run"
        f" `salt-run wireguard.enroll {node}` on the master. Then apply again"
    )


Signed = dict[str, str]


class Statements:
    """
    Signs for one node. Every method returns ``{"statement": text, "signature": base64}``, with nothing secret in it.

    :param node: the minion id
    :param pem_file: the minion's private Salt key; it is read each time
    :param passphrase: of that key, if it has one
    :param notes: where serials are remembered
    :param master_ip: the address of the Salt master, if known
    """

    def __init__(self, node: str, pem_file: str, passphrase: str | None, notes: Notes, master_ip: str | None) -> None:
        self._node = node
        self._pem_file = pem_file
        self._passphrase = passphrase
        self._notes = notes
        self._master_ip = master_ip

    def registration(self, view: View) -> Signed:
        """With the interface's key, which is made if there is none."""
        network = _network(view)
        statement = statements.Registration(
            node=self._node,
            network=network,
            public_key=keys.ensure(config_files.key_file(view.interface)),
            endpoints=endpoints.own(self._master_ip),
            port=view.port or 0,  # the master gives one, or refuses this
            serial=self._notes.next_serial(network, view.serial),
            boot=config_files.boot_id(),
        )
        return self._sign(statement)

    def report(
        self, network: str, digest: str, last_serial: int = 0, taken_back: Mapping[str, Any] | None = None
    ) -> Signed:
        """
        That this was applied; ``last_serial``: the last one that the master knows of this node. ``taken_back``: what
        the journal of the interface has of a change that was not.
        """
        serial = self._notes.next_serial(network, last_serial)
        return self._sign(
            statements.Report(self._node, network, digest, serial, config_files.boot_id(), _rollback(taken_back))
        )

    def rotation(self, view: View, public_key: str, next_key: str) -> Signed:
        """The announcement of a next key."""
        network = _network(view)
        serial = self._notes.next_serial(network, view.serial)
        return self._sign(statements.Rotation(self._node, network, public_key, next_key, serial))

    def _sign(self, statement: statements.Registration | statements.Report | statements.Rotation) -> Signed:
        with open(self._pem_file, "rb") as handle:
            pem = handle.read()
        return statements.sign(statement, pem, self._passphrase.encode() if self._passphrase else None)


def _network(view: View) -> str:
    assert view.network is not None, "views from the pillar have one"
    return view.network


def _rollback(taken_back: Mapping[str, Any] | None) -> statements.Rollback | None:
    """Errors of other programs may be in the reason: it is made to fit what the master takes in."""
    if not taken_back:
        return None
    why = "".join(char if char.isprintable() else " " for char in taken_back["why"])[: statements.MAX_TEXT]
    return statements.Rollback(taken_back["tried"], why, taken_back["at"])
