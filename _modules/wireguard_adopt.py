"""
What a minion has of WireGuard that somebody else set up: functions of the execution module ``wireguard``, in a file of
their own.

The master puts together what all have: ``salt-run wireguard.adopt``.
"""

import functools as _functools
from typing import Any

# Imports have private names, because Salt offers every public function that it finds here.
from saltext.wireguard.node import inventory as _inventory
from saltext.wireguard.node.minion import minion_of as _minion_of

__virtualname__ = "wireguard"

_minion = _functools.partial(_minion_of, globals())


def __virtual__() -> str:
    return __virtualname__


def inventory() -> dict[str, Any]:
    """
    All WireGuard interfaces of this minion, whoever set them up: by device, by files of wg-quick and of
    systemd-networkd. Touches nothing. Private and preshared keys are left out, and so are the commands of hooks: only
    the kind of a command is there, such as ``PostUp: iptables (masquerading)``.

    Returns ``{"interfaces": {interface: ...}}``: public_key, addresses, port, mtu, peers (each with its allowed_ips,
    endpoint, keepalive, name from a comment, whether it has a preshared key, and the age of its latest handshake in
    seconds), the files, who brings it up at boot, hooks, other settings, and problems.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.inventory
    """
    with _minion():
        return _inventory.inventories()
