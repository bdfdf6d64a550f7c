"""
What a minion has of WireGuard that somebody else set up: functions of the execution module ``wireguard``, in a file of
their own.

The master puts together what all have: ``salt-run wireguard.adopt``.
"""

import functools as _functools
from typing import Any

# Imports have private names, because Salt offers every public function that it finds here.
from saltext.wireguard.node import inventory as _inventory
from saltext.wireguard.node import leaving as _leaving
from saltext.wireguard.node import sync as _sync
from saltext.wireguard.node import takeover as _takeover
from saltext.wireguard.node.minion import judged_in as _judged_in
from saltext.wireguard.node.minion import minion_of as _minion_of

__virtualname__ = "wireguard"

_minion = _functools.partial(_minion_of, globals())
_judged = _functools.partial(_judged_in, globals())


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


def adopt(
    network: str | None = None,
    announce: bool = False,
    signed: bool = False,
    test: bool = False,
    force: bool = False,
    reason: str | None = None,
) -> dict[str, Any]:
    """
    Take over the interfaces that the mesh file gives to this minion and somebody else set up. The device stays up, with
    its key and its sessions, and only what differs from the mesh file is changed. ``salt-run wireguard.adopt take=...``
    calls this, after it had all nodes announce their keys.

    Each old file stays beside the new one, as ``NAME.adopted-TIME``. Hooks, ``DNS``, ``FwMark`` and preshared keys are
    kept. It is refused if the mesh file lacks a peer that the interface has, if another program would go on bringing it
    up, and if something in the old file would get lost that matters to packets.

    network
        Only this one.

    announce
        Only put the key where these modules have theirs, and register with it.

    signed
        Return the node's signed statements, rather than send them to the master as events.

    test
        Only say what would change.

    force, reason
        Do it whatever speaks against it. The reason goes into the log.

    Returns ``{"networks": {network: {"result", "changed", "comment"}}}``.

    CLI Example:

    .. code-block:: bash

        salt web1 wireguard.adopt test=True
    """
    with _minion() as minion:
        if announce:
            return _judged(_takeover.announce(minion, network, signed), _sync.succeeded)
        return _judged(_takeover.take(minion, network, signed, test, force, reason), _sync.succeeded)


def unadopt(interface: str = "wg0", test: bool = False, force: bool = False, reason: str | None = None) -> str:
    """
    Put the files back that an interface had before it was taken over. The device stays as it is: the old files count
    from its next start on. Returns what was done, in a sentence.

    Take the node out of the mesh file as well, or the next apply tells you that the interface is not ours. Peers that
    joined since are not in the old files.

    interface
        The interface.

    test
        Only say what would be done.

    force, reason
        Even if the interface has got another key since. The reason goes into the log.

    CLI Example:

    .. code-block:: bash

        salt web1 wireguard.unadopt wg0
    """
    with _minion() as minion:
        return _takeover.unadopt(minion, interface, test, force, reason)


def leave(network: str | None = None, test: bool = False) -> dict[str, Any]:
    """
    Let go of this minion's interfaces. Devices stay up, with their keys, peers and sessions, and come up at boot as
    before, by files that are nobody's: plain wg-quick files, or those of systemd-networkd. Names in the hosts file go.
    From then on, these modules leave the interfaces alone; ``adopt`` takes them over again.

    network
        Only the interface of this one.

    test
        Only say what would be done.

    Returns ``{"networks": {interface: {"result", "comment"}}}``.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.leave
    """
    with _minion() as minion:
        return _judged(_leaving.leave(minion, network, test), _sync.succeeded)
