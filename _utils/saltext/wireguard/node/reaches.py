"""Says, signed, whether packets come back: the master asks before it moves all nodes off a hub or a gateway."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..device.echo import SMALL
from ..errors import NodeError, WireguardError
from ..model import fields
from ..model.statements import MAX_REACHED, REACHED
from . import config_files, devices, echo_sockets
from .arguments import argument
from .minion import Minion

# How often and for how long packets are sent to those that do not answer.
SECONDS = 2.0
AGAIN_SECONDS = 0.4


def reaches(minion: Minion, network: str, question: str, targets: object, by: object) -> dict[str, Any]:
    """
    Network -> whom it reached, and the signed statement.

    :param targets: name -> addresses, of which one must answer; those of this machine do not count
    :param by: name -> peer: of its addresses, only those count that are reached through this peer
    :raises NodeError: if the arguments are no such thing
    """
    name = argument("network", network, fields.short_text)
    asked = argument("question", question, fields.short_text)
    groups = argument("targets", targets, _groups)
    carriers = argument("by", by, _names)
    try:
        interface = config_files.interface_of(name)
        reached = _reached(interface, _counting(interface, groups, carriers))
    except (WireguardError, OSError) as exc:
        return {"networks": {name: {"result": False, "comment": str(exc)}}, REACHED: []}
    signed = minion.statements().reached(name, asked, reached)
    return {"networks": {name: {"reached": reached}}, REACHED: [signed]}


def _groups(value: object) -> dict[str, list[str]]:
    groups = fields.mapping(value)
    if len(groups) > MAX_REACHED:
        raise ValueError(f"must have at most {MAX_REACHED} names")
    return {fields.short_text(name): fields.list_of(fields.address)(each) for name, each in groups.items()}


def _names(value: object) -> dict[str, str]:
    return {name: fields.short_text(peer) for name, peer in fields.mapping(value).items()}


def _counting(interface: str, groups: Mapping[str, list[str]], by: Mapping[str, str]) -> dict[str, set[str]]:
    """The addresses that count. Raises NodeError where there are none of a name: this machine cannot say, then."""
    device = devices.read(interface)
    if device is None:
        raise NodeError(f"{interface} is not set up")
    own = {address.partition("/")[0] for address in device.addresses}
    names = config_files.applied(interface).names
    found = {}
    for name, addresses in groups.items():
        counting = {
            each
            for each in addresses
            if each not in own and (name not in by or names.get(device.carrier(each) or "") == by[name])
        }
        if not counting:
            raise NodeError(f"{interface} does not reach any of {', '.join(addresses)} that way")
        found[name] = counting
    return found


def _reached(interface: str, groups: Mapping[str, set[str]]) -> list[str]:
    left = dict(groups)
    deadline = time.monotonic() + SECONDS
    with echo_sockets.opened(interface) as sockets:
        while left:
            sockets.send({address: SMALL for each in left.values() for address in each}, 1)
            for address, _, _ in sockets.replies(AGAIN_SECONDS):
                left = {name: each for name, each in left.items() if address not in each}
                if not left:
                    break
            if time.monotonic() >= deadline:
                break
    return sorted(groups.keys() - left.keys())
