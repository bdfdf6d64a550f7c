"""Fetches registrations by salt-ssh, from hosts whose minion is missing or cannot reach the master."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import salt.exceptions

from ..errors import ConfigError, RefusedError
from ..meshfile.mesh import Network
from ..model.statements import Registration
from ..wording import one_line
from .answers import failure


class Ssh:
    """Runs functions on hosts of the roster."""

    def __init__(self, opts: Mapping[str, Any]) -> None:
        # Not at the top: every call of our runner, of which the reactor makes many, would import it.
        import salt.client.ssh.client

        self._client = salt.client.ssh.client.SSHClient(mopts=dict(opts))

    def registrations(self, node: str, networks: Sequence[Network]) -> list[Registration]:
        """
        Have the host make its keys, and return what it would register in each of the networks.

        Nothing is signed: what the host says is as good as its ssh host key, and the operator's word for it. Raises
        ConfigError where it cannot be reached, and RefusedError for an answer that makes no sense.
        """
        self._run(node, "state.single", ["saltutil.sync_all", "wireguard", "refresh=True"])
        interfaces = json.dumps([network.interface for network in networks])
        said = self._run(node, "wireguard.enrollment", [interfaces])  # salt-ssh takes words only, and parses them
        return [_registration(node, network, said) for network in networks]

    def _run(self, node: str, function: str, arguments: Sequence[str]) -> Any:
        try:
            answers = self._client.cmd(node, function, arguments)
        except (salt.exceptions.SaltException, SystemExit) as exc:
            raise ConfigError(f"salt-ssh cannot run {function} on {node}: {one_line(str(exc), 500)}") from exc
        data = answers.get(node) if isinstance(answers, dict) else None
        if data is None:
            raise ConfigError(f"salt-ssh has no {node} in its roster; write it into /etc/salt/roster first")
        if not isinstance(data, dict) or data.get("retcode") or "return" not in data:
            raise ConfigError(f"salt-ssh cannot run {function} on {node}: {_why(function, data)}")
        return data["return"]


def _why(function: str, data: object) -> str | None:
    """salt-ssh has many ways to say that something went wrong."""
    if not isinstance(data, dict):
        return one_line(data, 500) or "it gave no reason"
    said = [one_line(data.get(name), 500) for name in ("_error", "stderr", "stdout")]
    return "; ".join(filter(None, said)) or failure(function, {**data, "success": False})


def _registration(node: str, network: Network, said: Any) -> Registration:
    """As a minion would sign it. A host that lies can but harm itself: who it is, the operator says."""
    keys = said.get("public_keys") if isinstance(said, dict) else None
    if not isinstance(keys, dict):
        raise RefusedError(f"the answer of {node} is malformed: {one_line(said) or 'no public keys are in it'}")
    settings = network.settings(node)
    return Registration.from_dict(
        {
            "node": node,
            "network": network.name,
            "public_key": keys.get(network.interface),
            "endpoints": said.get("endpoints"),
            "port": settings and settings.port,
            "serial": time.time_ns(),
        }
    )
