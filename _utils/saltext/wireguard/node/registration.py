"""How a node registers with the master, and what to do without one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import NodeError
from ..model import fields
from ..model.statements import REGISTER_TAG
from ..model.view import REGISTER, View
from ..wording import shell
from . import endpoints, keys, renaming
from .arguments import argument
from .minion import Minion
from .pillar import select, views
from .signing import Signed


def registration(minion: Minion, network: str) -> Signed:
    """This node's signed registration for a network. Raises WireguardError or OSError."""
    (view,) = select(views(minion.pillar), network)
    return minion.statements().registration(view)


def offers_others(minion: Minion, view: View) -> bool:
    """Whether this node offers other addresses by now than the master knows. Raises NodeError or DeviceError."""
    return view.offered is not None and view.offered != endpoints.own(minion.master_ip, view.offers)


def enrollment(minion: Minion, interfaces: object) -> dict[str, Any]:
    """What an operator needs to know about a host that cannot register. Raises WireguardError or OSError."""
    wanted = argument("interfaces", interfaces, fields.list_of(fields.interface))
    public_keys = {interface: minion.keypair(interface) for interface in wanted}
    return {"public_keys": public_keys, "endpoints": list(endpoints.own(minion.route_target))}


def await_view(
    view: View, public_key: str, node: str, seconds: float, fresh_views: Callable[[], Mapping[str, View]]
) -> View:
    """
    Fetch pillars until one has our key, and return its view.

    :param view: as it was before the registration
    :param node: the minion id
    :param fresh_views: fetches a pillar and returns what it has for each network
    :raises NodeError: if that takes longer than ``seconds``, or an operator has to decide
    """
    deadline = time.monotonic() + seconds
    pause = 0.3
    while True:
        time.sleep(pause)
        fresh = fresh_views().get(str(view.network))
        if fresh and fresh.public_key == public_key:
            return fresh
        if fresh and fresh.waiting not in (None, REGISTER):
            raise NodeError(_awaits_decision(fresh, node))
        if time.monotonic() + pause > deadline:
            raise NodeError(_unanswered(view, seconds))
        pause = min(pause * 1.5, 3.0)


def _awaits_decision(view: View, node: str) -> str:
    kept = "this node keeps what it has" if view.public_key else "nothing was set up yet"
    return (
        f"network {view.network} lets an operator decide ({view.waiting}: manual); {kept}. On the master:"
        f" {shell('salt-run wireguard.admit', node)} or {shell('salt-run wireguard.reject', node)}"
    )


def _unanswered(view: View, seconds: float) -> str:
    return (
        f"the master did not accept this node's registration for network {view.network} within {seconds:g} s; nothing"
        f" was changed. Something on the master must handle the event {REGISTER_TAG}: configure the engine"
        " (`engines: [{wireguard: {}}]`) or the reactor as in the examples, restart salt-master, and look at"
        " `salt-run wireguard.nodes` for refusals"
    )


def refuse_waiting(minion: Minion, view: View) -> None:
    """Raise NodeError where this node's key waits for an operator's decision: applying would, too."""
    own_key = keys.public_key(renaming.key_file(view))
    is_known = own_key is not None and own_key == view.public_key
    if minion.has_master and not is_known and view.waiting not in (None, REGISTER):
        raise NodeError(_awaits_decision(view, minion.id))


def by_hand(view: View, public_key: str | None, node: str) -> str:
    """The message for a node without a master: what a person must do with its key, which is None if not made yet."""
    if public_key is None:
        return (
            f"{node} cannot register for network {view.network}, as it runs without a master, and it has no key yet. To"
            " apply this makes one, and says what to write into the mesh file"
        )
    known = f"its public key is {view.public_key} there, but" if view.public_key else "there is no `public_key` of it;"
    return (
        f"{node} cannot register for network {view.network}, as it runs without a master: {known} this machine has"
        f" {public_key}. Nothing else was changed. Write this key into the mesh file, under `nodes` of {view.network}:"
        f" `{node}: {{public_key: {public_key}, addresses: [...]}}`, on all nodes; or, if salt-ssh runs this, run"
        f" {shell('salt-run wireguard.enroll', node)} on the master. Then apply again"
    )
