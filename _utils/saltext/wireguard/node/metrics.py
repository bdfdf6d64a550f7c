"""The metrics of this machine's interfaces."""

from __future__ import annotations

import time

from ..errors import WireguardError
from ..formats.node_metrics import Interface, node_metrics
from ..formats.prometheus import render
from ..model import fields
from . import config_files, devices
from .arguments import argument


def metrics(peers: int) -> str:
    """As text. An interface that cannot be read is down, and the others are there all the same."""
    most = argument("peers", peers, fields.integer(0, 1_000_000))
    found = [_interface(name, network) for name, network in sorted(config_files.managed().items())]
    return render(node_metrics(found, most, int(time.time())))


def _interface(name: str, network: str | None) -> Interface:
    try:
        device = devices.read(name)
    except (WireguardError, OSError):
        device = None
    view = config_files.written(name)
    names = {key: peer.name for peer in (view.peers if view else ()) for key in (peer.public_key, peer.next_key) if key}
    return Interface(name, network, device, names)
