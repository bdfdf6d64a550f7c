"""What the pillar wants of this node: a view for each network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

try:
    from saltext.wireguard.utils.wgmesh.errors import NodeError
    from saltext.wireguard.utils.wgmesh.view import View
except ImportError:  # synced from _utils/
    from wgmesh.errors import NodeError
    from wgmesh.view import View


def views(pillar: Mapping[str, Any]) -> dict[str, View]:
    """Network -> View. Raises NodeError or ViewError."""
    data = networks(pillar) or {}
    return {name: View.from_dict(data[name], name) for name in sorted(data)}


def networks(pillar: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """
    Network -> its view as data. None where the pillar does not speak of networks, as when it has other settings only:
    no network at all, by which a node learns that it was removed, is an empty mapping. Raises NodeError.
    """
    refuse_errors(pillar)
    settings = pillar.get("wireguard")
    found = settings.get("networks") if isinstance(settings, Mapping) else settings
    if found is not None and not isinstance(found, Mapping):
        raise NodeError("wireguard:networks in the pillar of this minion must be a mapping; nothing was changed")
    return found


def refuse_errors(pillar: Mapping[str, Any]) -> None:
    """Raise NodeError for a pillar with errors: what it lacks must not be torn down."""
    if pillar.get("_errors"):
        raise NodeError(f"the pillar has errors, nothing was changed: {'; '.join(pillar['_errors'])}")


def chosen(found: Mapping[str, View], network: str | None) -> list[View]:
    """The view of this network, or all for None. Raises NodeError for one that there is not."""
    if network is None:
        return list(found.values())
    if network not in found:
        raise NodeError(
            f"the pillar of this minion has no WireGuard network {network!r}; it has: {', '.join(found) or 'none'}."
            " Is the minion in the mesh file, and its pillar refreshed?"
        )
    return [found[network]]
