"""Shows what the ``wireguard`` runner returns as plain text with tables. ``--out=json`` shows it as data instead."""

from saltext.wireguard.control import text as _text

__virtualname__ = "wireguard"


def __virtual__():
    return __virtualname__


def output(data, **kwargs):
    """
    Render the return of a runner function.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.nodes --out=wireguard
    """
    return _text.render_return(data)
