"""
Shows what the ``wireguard`` runner and the execution module return as plain text with tables. ``--out=json`` shows it
as data instead.
"""

import os
import sys

try:
    from saltext.wireguard.control import text as _text
except ImportError:  # with module_dirs, `salt` finds this file and does not look for libraries, as `salt-run` does
    sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "_utils"))
    from saltext.wireguard.control import text as _text

__virtualname__ = "wireguard"


def __virtual__():
    return __virtualname__


def output(data, **kwargs):
    """
    Render the return of a runner function, or what minions returned.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.nodes --out=wireguard
        salt --static --out=wireguard '*' wireguard.ping
    """
    return _text.render_return(data)
