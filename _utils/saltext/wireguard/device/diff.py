"""
What must change about a device so that it equals a view: the operations, in order, and the commands for them.

Pure: nothing here runs a command, resolves a name, or sees a private key. What is already correct yields no operation,
and an operation sets only what differs, so that other sessions lose no packet.

Order of operations: the device, its key, port, MTU and addresses; link up; new and changed peers; routes; and then
removals. So the networks of a rekeyed node have moved to its new key before the old key is removed. A default route
into the tunnel is the last route to be added and the first to be removed. The interface's own packets are marked before
it is added and until it is gone, so they never go into the tunnel themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..model.addresses import LEAST_MTU
from ..model.changes import Change, Kind
from ..model.device import Device
from ..model.view import View
from . import forwarding, link
from .addresses import addresses_added, addresses_removed
from .check import check
from .default_route import DefaultRoute
from .exits import NO_POLICY, Policy
from .limits import NO_LIMITS, Limits
from .operations import Applied, Operation
from .peers import peers_removed, peers_set
from .routes import routes_added, routes_removed


def diff(
    view: View,
    device: Device | None,
    *,
    key_file: str,
    public_key: str,
    endpoints: Mapping[str, str],
    applied: Applied,
    now: int,
    forwarded: Collection[int] = (),
    policy: Policy = NO_POLICY,
    limits: Limits = NO_LIMITS,
) -> tuple[Operation, ...]:
    """
    Return the operations that make the device equal to the view, in order; none if it already is.

    :param device: None if the interface does not exist yet
    :param key_file: path of the private key that belongs to ``public_key``
    :param endpoints: endpoint in the view to ``ip:port``. A peer whose endpoint did not resolve is set without one, so
        that it delays nothing else
    :param applied: the last applied configuration
    :param now: Unix seconds
    :param forwarded: the IP versions that the machine forwards already
    :param policy: the rules and routes for a default route through an exit that the machine has
    :param limits: what the machine cannot have
    :raises ViewError: see ``check``
    """
    check(view, public_key)
    current = device or Device(view.interface, False, None, 0, 0, frozenset(), frozenset(), {})
    default_route = DefaultRoute(view, current, applied, policy, limits.is_filter_fixed())
    return (
        *([] if device else [link.created(view)]),
        *_interface_set(view, current, key_file, public_key),
        *((*default_route.removed(), *link.mark_removed(view, current)) if view.via is None else ()),
        *peers_set(view, current, endpoints, applied, now),
        *routes_added(view, current, limits.taken),
        *_forwarding(view, limits.unforwarded().union(forwarded)),
        *default_route.added(),
        *(default_route.removed() if view.via is not None else ()),
        *_others_removed(view, current, applied),
    )


def _interface_set(view: View, device: Device, key_file: str, public_key: str) -> list[Operation]:
    return [
        *link.key_and_port(view, device, key_file, public_key),
        *link.mark_set(view, device),
        *([] if _is_mtu_last(view) else link.mtu_set(view, device)),
        *addresses_added(view, device),
        *link.brought_up(view, device),
    ]


def _others_removed(view: View, device: Device, applied: Applied) -> list[Operation]:
    return [
        *routes_removed(view, device, applied),
        *peers_removed(view, device, applied),
        *addresses_removed(view, device, applied),
        *(link.mtu_set(view, device) if _is_mtu_last(view) else []),
    ]


def _is_mtu_last(view: View) -> bool:
    """Below IPv6's minimum, the kernel drops IPv6 addresses by itself; removing them afterwards would fail."""
    return view.effective_mtu is not None and view.effective_mtu < LEAST_MTU[6]


def _forwarding(view: View, forwarded: Collection[int]) -> list[Operation]:
    return [
        Operation(Change(Kind.FORWARDING, f"IPv{version}", "off", "on"), ("sh", "-c", forwarding.COMMANDS[version]))
        for version in forwarding.versions(view.addresses)
        if view.forwarding and version not in forwarded
    ]
