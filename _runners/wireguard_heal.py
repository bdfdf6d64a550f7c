"""
Moving nodes off a hub, a node with networks behind it, or an exit: functions of the runner ``wireguard``, in a file of
their own.

.. code-block:: bash

    salt-run wireguard.drill off=hub1
    salt-run wireguard.drain hub1 reason='new disks'
    salt-run wireguard.undrain hub1
"""

import functools
from typing import TYPE_CHECKING, Any

# Of functions of our own, only those of this module may have a name here: Salt offers all that it finds.
from saltext.wireguard.control import drain as _drain
from saltext.wireguard.control import drill as _drill
from saltext.wireguard.control import operator as _operator

if TYPE_CHECKING:
    # Salt's loader puts this here.
    __context__: dict[str, Any] = {}
    __opts__: dict[str, Any] = {}

__virtualname__ = "wireguard"


def __virtual__():
    return __virtualname__


# What every function below comes down to.
_run = functools.partial(_operator.run_job, globals())


@_operator.command
def drain(node, network=None, reason="", timeout=20, force=False):
    """
    Move everything off a node before maintenance: it is the last of the hubs, and of those with the same network behind
    them or the same users as an exit, until ``undrain``. It stays a member, and a peer of those that it is linked with.

    All nodes move at the same moment, three seconds after they are asked, and lose no packet. Refused where what is to
    take over is not in sync, or does not answer.

    node
        The node.

    network
        Only in this one.

    reason
        For the history.

    timeout
        Seconds that a node has to answer.

    force
        Drain it even if what is to take over may not work.

    Returns ``answer`` (a sentence), ``moved`` (rows of network, behind, to and nodes: these nodes reach these networks
    through that node now), ``stays`` (rows of the same, which no other node has) and ``missing`` (nodes that are not in
    sync). Exit code 1 where something stays, or a node is missing.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.drain hub1 reason='new disks'
    """
    return _run(_drain.drain, node, network, reason, timeout, force)


@_operator.command
def undrain(node, network=None, reason="", timeout=20):
    """
    Move back to a node what was moved off it, by ``drain`` or by a failover. All nodes move at the same moment.

    node, network, reason, timeout
        As for ``drain``.

    Returns what ``drain`` returns. Exit code 1 where a node is missing.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.undrain hub1
    """
    return _run(_drain.undrain, node, network, reason, timeout)


@_operator.command
def drill(off, network=None, really=None, timeout=20):
    """
    Who would lose whom without a node, and what would take over. Touches nothing, unless it is to be done really.

    off
        The node.

    network
        Only in this one.

    really
        A duration, from ``5s`` to ``1h``: move everything off the node, as ``drain`` does, and back after that time. If
        this command is interrupted, or the master dies, the move ends by itself a little later.

    timeout
        Seconds that a node has to answer.

    Returns ``answer`` (a sentence), ``takes_over`` (rows of network, behind, to and nodes: these nodes would reach
    these networks through that node), ``lost`` (rows of network, behind and nodes, for which there is no other way),
    and with ``really`` also ``moved`` and ``moved_back`` (sentences). Exit code 1 where a node did not move.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.drill off=hub1
        salt-run wireguard.drill off=hub1 really=60s
    """
    return _run(_drill.drill, off, network, really, timeout)
