"""What this machine sees of its peers now, for the master to put together with what the others see."""

from __future__ import annotations

import time
from typing import Any

from ..errors import NodeError, WireguardError
from ..model.live import LiveInterface
from . import config_files, devices


def status() -> dict[str, Any]:
    """Network -> its interface and peers, for all networks of this machine, as data; what fails is that one's alone."""
    return {
        "networks": {
            network: _live_interface(interface).to_dict()
            for interface, network in sorted(config_files.managed().items())
            if network is not None
        }
    }


def _live_interface(interface: str) -> LiveInterface:
    try:
        device = devices.read(interface)
        if device is None:
            raise NodeError(f"{interface} is not set up")
        return LiveInterface.of(device, int(time.time()))
    except (WireguardError, OSError) as exc:
        return LiveInterface(error=str(exc))
