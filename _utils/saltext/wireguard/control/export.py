"""
The configuration of an external peer: made here once, given to the operator, and not stored.

The return of a runner becomes an event and goes into the job cache, so it never contains a private key. That goes only
to the terminal or into a file.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from ..formats import external_peer
from ..master.external_peers import find_peer, view_with_key
from ..master.intake import membership
from ..master.master import Master
from ..meshfile.mesh import ExternalPeer, Network
from ..model.keys import PrivateKey, parse_public_key
from ..model.view import View
from ..registry.exports import Export
from ..system.keypair import generate, public_of
from .delivery import Delivery
from .operator import Operator
from .reconcile import reconcile


@dataclass(frozen=True)
class Exported:
    """What was handed out. ``has_key``: whether the private key is in it, or a placeholder."""

    view: View
    has_key: bool


@dataclass(frozen=True)
class Key:
    """
    What the operator says of the peer's key.

    ``given``: the public key, if the peer has made its key pair itself. ``rekey``: whether the key that it has may be
    dropped.
    """

    given: object = None
    rekey: bool = False


def export(
    operator: Operator,
    name: object,
    network: str | None = None,
    form: str = "wg-quick",
    public_key: object = None,
    file: object = None,
    rekey: bool = False,
    reason: object = "",
) -> dict[str, Any]:
    """``salt-run wireguard.export``."""
    _refuse_to_leak(operator.opts, file)
    delivery = Delivery(form, file)
    where, peer = find_peer(operator.master.moment(), str(name), network)
    done = hand_out(operator.master, where, peer, delivery, Key(public_key, rekey), operator.name, str(reason or ""))
    place = f"in {delivery.file}" if delivery.file else "above"
    secret = (
        "and its private key nowhere else" if done.has_key else f"without the private key: {external_peer.PLACEHOLDER}"
    )
    later = "no salt-master runs here; the nodes get the change later"
    return {
        "answer": f"the configuration of {peer.name} is {place}, {secret}",
        "network": where.name,
        "addresses": list(done.view.addresses),
        "public_key": done.view.public_key,
        "unreachable": external_peer.unreachable(done.view),
        "reconcile": reconcile(operator, contact=[]) if operator.has_master() else later,
    }


def _refuse_to_leak(opts: Mapping[str, Any], file: object) -> None:
    if opts.get("fun") != "wireguard.export" or opts.get("async"):
        raise ConfigError(
            "wireguard.export shows a private key, which must not get to the event bus or the job cache: run"
            " `salt-run wireguard.export` by hand on the master, and not with --async or --auth, by the API, a"
            " reactor or an orchestration"
        )
    if opts.get("output") and not file:
        raise ConfigError("with --out, give `file=`: the configuration would be in the middle of the data")


def hand_out(
    master: Master, network: Network, peer: ExternalPeer, delivery: Delivery, key: Key, who: str, why: str
) -> Exported:
    """
    Make a key pair unless there is a public key, hand the configuration out, and remember the public key.

    Raises WireguardError, and then the peer is as it was, unless the message says otherwise.
    """
    members = membership(master, network.name, master.accepted())
    before = master.registry.exports.prepare(members, peer.name)
    public_key, private = _key_pair(peer, before, key)
    if delivery.is_picture and private is None:
        raise ConfigError(f"format={delivery.form} is of use only with the private key, which is not known here")
    view = view_with_key(master.moment(), network.name, peer.name, public_key)
    with delivery.ready(external_peer.text(view, peer.name, private, delivery.form_of_text)) as finish:
        master.registry.exports.store(before, public_key, view.digest, who, why)
        try:
            finish()
        except OSError as exc:
            raise ConfigError(
                f"{peer.name} has a new key, and its configuration could not be handed out: {exc.strerror}. Fix the"
                " cause, and run this again with rekey=True"
            ) from exc
    return Exported(view, private is not None)


def _key_pair(peer: ExternalPeer, before: Export, key: Key) -> tuple[str, PrivateKey | None]:
    """The peer's public key, and the private one if it is made now."""
    given = parse_public_key(str(key.given)) if key.given else None
    if peer.public_key:
        if key.rekey or given not in (None, peer.public_key):
            raise ConfigError(f"the mesh file has the public key of {peer.name}: change it there")
        return peer.public_key, None
    if before.public_key and not key.rekey and given != before.public_key:
        day = time.strftime("%Y-%m-%d", time.localtime(before.exported))
        raise ConfigError(
            f"{peer.name} was exported on {day}, and its private key was not kept. `public_key={before.public_key}`"
            " shows what it must have now, with a placeholder for the private key; with `rekey=True` it gets another"
            " key, and the old one is dropped"
        )
    if given:
        return given, None
    private = generate()
    return public_of(private), PrivateKey(private)
