"""Shows what the ``wireguard`` runner returns as plain text with tables. ``--out=json`` shows it as data instead."""

from saltext.wireguard.control.text import render

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
    if isinstance(data, dict) and set(data) == {"suffix", "event"}:  # progress, as salt-run wraps it
        data = data["event"].get("message", "")
    # the exit code is for the shell, which has it already
    shown = {name: value for name, value in data.items() if name != "retcode"} if isinstance(data, dict) else data
    return render(shown)
