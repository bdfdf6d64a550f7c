"""
Taking over WireGuard networks that are there already: functions of the runner ``wireguard``, in a file of their own.

.. code-block:: bash

    salt-run wireguard.adopt
    salt-run wireguard.adopt write=/srv/wireguard/mesh.yml
    salt-run wireguard.adopt take='web*'
"""

import functools
from typing import TYPE_CHECKING, Any

# Of functions of our own, only those of this module may have a name here: Salt offers all that it finds.
from saltext.wireguard.control import adopt as _adopt
from saltext.wireguard.control import operator as _operator
from saltext.wireguard.control import takeover as _takeover

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
def adopt(write=None, files=None, take=None, force=False, reason="", timeout=30):
    """
    Which WireGuard networks the minions are in already, whoever set them up, a mesh file for them, and the take-over.

    Asks all minions for their ``wireguard.inventory``; no secret leaves them. Interfaces that have each other's public
    keys are one network; peers that are no minions are external peers. Touches nothing. Returns of jobs can be forged,
    and files can be wrong: this is for looking, and for a proposal that a person reads before using it.

    write
        The path of a mesh file to propose, which ends in ``.yml``. It must not exist yet, and no node is changed.

    files
        Ask no minion, and read files on the master instead: a directory with a wg-quick file for each host
        (``HOST.conf`` or ``HOST/wg0.conf``), or with a pillar of a Salt formula for each host (``HOST.sls``); a table
        of wg-meshconf (``database.csv``); or an inventory of the Ansible role ``githubixx.ansible_role_wireguard``, a
        YAML file or the directory with it.

    take
        Minion ids or globs, with commas between. With the proposal in the place of the mesh file, these nodes make
        their interfaces ours; the others stay their peers. First, all nodes of the mesh file register with the keys
        that their interfaces have. Then the nodes named take over: devices stay up, keys and sessions stay, the old
        files stay beside ours. A node refuses where something would get lost. See ``wireguard.adopt`` and
        ``wireguard.unadopt`` of the execution module.

    force, reason
        With ``take``: refuse nothing. The reason goes into the logs of the nodes.

    timeout
        Seconds that a minion has to answer.

    With ``take``, returns ``answer`` (a sentence), ``taken`` (rows of network, node and comment) and ``failed`` (rows
    of network, node and problem). Exit code 1 if anything failed.

    Otherwise returns ``answer`` (a sentence), ``nodes`` (rows of network, node, interface, addresses, port, public_key,
    peers, alive: how many of these had a handshake within 3 minutes, at_boot, hooks and settings), ``peers`` (rows of
    network, peer, public_key, allowed_ips, known_by and handshake_age in seconds), ``changes`` (rows of network, node,
    peer, what, old and new: what would be another way with the proposal), ``contradictions`` and ``left_out``
    (sentences), ``silent`` (rows of node and problem), and ``proposal`` (the lines of the mesh file). Exit code 1 if
    there is nothing to propose, or the proposal needs a person's hand to be a valid mesh file.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.adopt
        salt-run wireguard.adopt write=/srv/wireguard/mesh.yml
        salt-run wireguard.adopt files=/root/old-mesh write=/srv/wireguard/mesh.yml
        salt-run wireguard.adopt take='web*'
    """
    if take:
        return _run(_takeover.take, take, force, reason, timeout)
    return _run(_adopt.adopt, write, files, timeout)
