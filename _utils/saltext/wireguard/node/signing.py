"""A node's statements about itself, signed with the minion's Salt key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..model import fields, statements
from ..model.view import View
from . import config_files, endpoints, keys, renaming
from .notes import Notes

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
            public_key=keys.ensure(renaming.key_file(view)),
            endpoints=endpoints.own(self._master_ip, view.offers),
            port=view.port or 0,  # the master gives one, or refuses this
            serial=self._notes.next_serial(network, view.serial),
            boot=config_files.boot_name(),
        )
        return self._sign(statement)

    def report(
        self,
        network: str,
        digest: str,
        last_serial: int = 0,
        rollback: Mapping[str, Any] | None = None,
        generation: int = 0,
        obstacles: Sequence[str] = (),
        drift: Sequence[str] = (),
    ) -> Signed:
        """
        That the view with this digest was applied. ``last_serial``: the last one of this node that the master knows.
        ``rollback`` and ``generation``: as the interface's journal has them. ``obstacles``: what it was applied
        without. ``drift``: what others changed since.
        """
        statement = statements.Report(
            self._node,
            network,
            digest,
            serial=self._notes.next_serial(network, last_serial),
            boot=config_files.boot_name(),
            rollback=_rollback(rollback),
            generation=generation,
            obstacles=tuple(obstacles[: statements.MAX_OBSTACLES]),
            drift=tuple(drift),
        )
        return self._sign(statement)

    def rotation(self, view: View, public_key: str, next_key: str) -> Signed:
        """The announcement of a next key."""
        network = _network(view)
        serial = self._notes.next_serial(network, view.serial)
        return self._sign(statements.Rotation(self._node, network, public_key, next_key, serial))

    def reached(self, network: str, question: str, reached: Sequence[str]) -> Signed:
        """What a question about its peers found."""
        return self._sign(statements.Reached(self._node, network, question, tuple(reached)))

    def _sign(
        self, statement: statements.Registration | statements.Report | statements.Rotation | statements.Reached
    ) -> Signed:
        with open(self._pem_file, "rb") as handle:
            pem = handle.read()
        return statements.sign(statement, pem, self._passphrase.encode() if self._passphrase else None)


def _network(view: View) -> str:
    assert view.network is not None, "views from the pillar have one"
    return view.network


def _rollback(noted: Mapping[str, Any] | None) -> statements.Rollback | None:
    """The reason may quote other programs' errors; the master accepts only printable text of a limited length."""
    if not noted:
        return None
    reason = "".join(char if char.isprintable() else " " for char in noted["reason"])[: fields.MAX_TEXT]
    return statements.Rollback(noted["digest"], reason, noted["at"])
