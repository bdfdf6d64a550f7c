"""
What an operator sees of a living mesh: functions of the runner ``wireguard``, in a file of their own.

.. code-block:: bash

    salt-run wireguard.status
    salt-run wireguard.wait
"""

import functools
from typing import TYPE_CHECKING, Any

# Of functions of our own, only those of this module may have a name here: Salt offers all that it finds.
from saltext.wireguard.control import operator as _operator
from saltext.wireguard.control import status as _status

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
def status(network=None, node=None, timeout=10):
    """
    What the nodes should have, what they proved to have, and what they see of each other now.

    Asks the nodes to look at their devices. A pair is ``up`` if there is a session, ``idle`` if there is none and
    nothing asks for one, ``stale`` if a session that is kept alive was not renewed for 3 minutes, and ``down`` after 5,
    or if handshakes are tried and never answered, or if an end lacks the peer. It is ``unknown`` if neither end
    says anything. If the two ends differ, the worse state counts, and ``disagree`` is true where one has a session that
    the other one does not know of. Returns of jobs can be forged: this is for looking, and nothing is decided by it.

    network
        Only this one.

    node
        Only this node: it and its peers are asked.

    timeout
        Seconds that a node has to answer.

    Returns ``answer`` (a sentence), ``nodes`` (rows of network, node, in_sync, why, interface_up, mtu, the number of
    its pairs in each state, and ``problem``: why it says nothing) and ``pairs`` (rows of network, a, b, state,
    disagree, handshake_age in seconds, kept_alive, and what a_sees and b_sees: state, lacks_peer, handshake_age,
    endpoint, roamed, received and sent in bytes), the worst ones first. Null is for what is not known, or never was.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.status
        salt-run wireguard.status node=web1
        salt-run wireguard.status network=backbone --out=json
    """
    return _run(_status.status, network, node, timeout)


@_operator.command
def wait(network=None, node=None, until="in_sync", timeout=300):
    """
    Wait until all nodes are in sync. For scripts and orchestration.

    network, node
        Only these.

    until
        ``in_sync``: every node read the wanted configuration back from its device and signed that.

    timeout
        Seconds.

    Returns ``answer`` (a sentence), ``seconds`` and ``missing`` (names of what is not yet so). Exit code 1 when the
    time is over.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.wait
        salt-run wireguard.wait node=web1 timeout=60
    """
    return _run(_status.wait, network, node, until, timeout)
