"""
The registry as a whole: functions of the runner ``wireguard``, in a file of their own.

.. code-block:: bash

    salt-run wireguard.registry
    salt-run wireguard.backup file=/root/registry-2026-11-25
    salt-run wireguard.restore file=/root/registry-2026-11-25
"""

import functools
from typing import TYPE_CHECKING, Any

# Of functions of our own, only those of this module may have a name here: Salt offers all that it finds.
from saltext.wireguard.control import operator as _operator
from saltext.wireguard.control import upkeep as _upkeep

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
def registry(copy_to=None):
    """
    What the registry is: file or database, generation, size, and how long it takes to answer.

    copy_to
        Move the registry there first, while the master runs: ``postgresql://`` or the absolute path of a file, where no
        registry is yet. An ``sdb://`` URI keeps a password out of the job; without one, PostgreSQL's ``.pgpass`` does.
        From then on, the old one can be read, and not changed, until ``registry`` in the master's configuration is the
        new one and salt-master was restarted.

    Returns ``answer`` (a sentence), ``place``, ``software``, ``format``, ``generation`` and ``generation_at``,
    ``nodes``, ``history_entries``, ``size_bytes``, ``answer_ms`` and ``moved_to``.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.registry
        salt-run wireguard.registry copy_to=postgresql://wireguard@db.example.com/wireguard
    """
    return _run(_upkeep.registry, copy_to)


@_operator.command
def backup(file, secret=False):
    """
    Write the registry as it is at this moment, and the list of those who are shut out, into a new file for root only.

    file
        An absolute path where nothing is yet.

    secret
        Take along the secret of preshared keys, if it is in a file of ours: who has it knows all preshared keys.

    Returns ``answer`` (a sentence), ``file``, ``has_secret`` and ``left_out``.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.backup file=/root/registry-2026-11-25
    """
    return _run(_upkeep.backup, file, secret)


@_operator.command
def restore(file, force=False):
    """
    Replace the registry by a backup while the master runs: file or database, whichever the backup came from.

    What was heard stays heard: serials and the generation do not go back, and who was revoked since stays out.

    file
        A backup, or a copy of ``registry.db`` that SQLite made.

    force
        Do it; else only say what differs.

    Returns ``answer`` (a sentence), ``differ`` (rows of network and node: another key or address than in the registry
    now, or in only one of them) and ``next`` (what to do).

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.restore file=/root/registry-2026-11-25
        salt-run wireguard.restore file=/root/registry-2026-11-25 force=True
    """
    return _run(_upkeep.restore, file, force)
