"""Operations on the default route through an exit node."""

from __future__ import annotations

from ..model.addresses import DEFAULTS
from ..model.changes import Change, Facts, Kind
from ..model.device import Device
from ..model.view import View
from . import exits
from .exits import Policy
from .operations import Applied, Operation


class DefaultRoute:
    """The default route through an exit node, as it is and as the view wants it."""

    def __init__(
        self, view: View, device: Device, applied: Applied, policy: Policy, is_filter_fixed: bool = False
    ) -> None:
        self._view = view
        names = {**applied.names, **{peer.public_key: peer.name for peer in view.peers}}
        self._owners = {network: names.get(key, key) for key, network in _defaults(device)}
        self._policy = policy
        self._loosens = policy.strict and not is_filter_fixed
        self._wanted = exits.items(view)

    def added(self) -> list[Operation]:
        via = f"via {self._view.via}"
        operations = [
            Operation(_change(item, None, via if item.bypass is None else "yes"), item.added())
            for item in self._wanted
            if item not in self._policy.items
        ]
        if self._loosens and 4 in exits.versions(self._view):
            loosened = Change(Kind.PATH_FILTER, "", "strict", "loose")
            operations.insert(0, Operation(loosened, ("sh", "-c", exits.LOOSEN_PATH_FILTER)))
        return operations + self._moved()

    def _moved(self) -> list[Operation]:
        """Of a change of the exit node: the new allowed IPs of the two peers move the route."""
        wanted = ((version, DEFAULTS[version]) for version in exits.versions(self._view))
        return [
            Operation(_default_route(version, f"via {self._owners[network]}", f"via {self._view.via}"), ())
            for version, network in wanted
            if self._owners.get(network, self._view.via) != self._view.via
        ]

    def removed(self) -> list[Operation]:
        """Rules before routes; the rule that leads into the tunnel is the first."""
        stale = sorted(self._policy.items.difference(self._wanted), key=lambda item: (item.kind, item.arguments))
        return [
            Operation(_change(item, "into the tunnel" if item.bypass is None else "yes", None), item.deleted())
            for item in reversed(stale)
        ]


def _defaults(device: Device) -> list[tuple[str, str]]:
    return [(key, text) for key, peer in device.peers.items() for text in peer.allowed_ips if text.endswith("/0")]


def _change(item: exits.Item, old: Facts, new: Facts) -> Change:
    if item.bypass is None:
        return _default_route(item.version, old, new)
    return Change(Kind.BYPASS, item.bypass, old, new)


def _default_route(version: int, old: Facts, new: Facts) -> Change:
    return Change(Kind.DEFAULT_ROUTE, f"IPv{version}", old, new)
