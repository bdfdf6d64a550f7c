"""The views in the pillar: one for each network, and one for each interface described by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import NodeError, ViewError
from ..formats.foreign import is_of_formula
from ..model.view import View

# What a person may write about an interface. Everything else in a view comes from the master.
_BY_HAND = ("addresses", "port", "mtu", "peers")


def views(pillar: Mapping[str, Any]) -> dict[str, View]:
    """Network -> View. Raises NodeError or ViewError."""
    data = networks(pillar) or {}
    return {name: View.from_dict(data[name], name) for name in sorted(data)}


def valid_views(pillar: Mapping[str, Any]) -> tuple[dict[str, View], dict[str, str]]:
    """Network -> View, and network -> why it has none: a malformed view does not affect the others."""
    found: dict[str, View] = {}
    broken: dict[str, str] = {}
    for name, data in sorted((networks(pillar) or {}).items()):
        try:
            found[name] = View.from_dict(data, name)
        except ViewError as exc:
            broken[name] = str(exc)
    return found, broken


def all_views(pillar: Mapping[str, Any]) -> dict[str, View]:
    """
    Network -> View, and interface -> View for those described by hand. Raises NodeError or ViewError.

    Interfaces that another formula's pillar describes are not ours, and stop nothing.
    """
    found = views(pillar)
    taken = {view.interface: f"of network {name}" for name, view in found.items()} | dict.fromkeys(found, "a network")
    data = interfaces(pillar) or {}
    for name in sorted(data, key=str):
        if is_of_formula(data[name]):
            continue
        if name in taken:
            raise NodeError(f"the pillar of this minion has an interface {name}, which is {taken[name]}; rename one")
        found[name] = _by_hand(name, data[name])
    return found


def _by_hand(interface: str, data: object) -> View:
    where = f"wireguard:interfaces:{interface} in the pillar"
    if not isinstance(data, Mapping) or not data.get("addresses"):
        raise ViewError(f"{where}: write `addresses:`, a list such as [10.9.0.1/24]")
    unknown = sorted(str(key) for key in data if key not in _BY_HAND)
    if unknown:
        raise ViewError(f"{where}: unknown key {unknown[0]!r}; the known keys are {', '.join(_BY_HAND)}")
    try:
        return View.from_dict({**data, "interface": interface})
    except ViewError as exc:
        raise ViewError(f"{where}: {exc}") from exc


def networks(pillar: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """
    Network -> its view as data. None if the pillar says nothing about networks, for example if it has only other
    settings. An empty mapping means that the node is in no network any more. Raises NodeError.
    """
    return _mapping(pillar, "networks")


def interfaces(pillar: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Interface -> what a person wrote of it. Raises NodeError."""
    return _mapping(pillar, "interfaces")


def generation_of(pillar: Mapping[str, Any]) -> int:
    """The generation of the registry that the pillar was compiled from, for networks without a view; 0 if unknown."""
    settings = pillar.get("wireguard")
    found = settings.get("generation") if isinstance(settings, Mapping) else None
    return found if isinstance(found, int) else 0


def _mapping(pillar: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    refuse_errors(pillar)
    settings = pillar.get("wireguard")
    found = settings.get(key) if isinstance(settings, Mapping) else settings
    if found is not None and not isinstance(found, Mapping):
        raise NodeError(f"wireguard:{key} in the pillar of this minion must be a mapping; nothing was changed")
    return found


def refuse_errors(pillar: Mapping[str, Any]) -> None:
    """Raise NodeError for a pillar with errors: what is missing there must not be torn down."""
    if pillar.get("_errors"):
        raise NodeError(f"the pillar has errors, so nothing was changed: {'; '.join(pillar['_errors'])}")


def select(found: Mapping[str, View], network: str | None) -> list[View]:
    """The view of this network, or all for None. Raises NodeError for an unknown network."""
    if network is None:
        return list(found.values())
    if network not in found:
        raise NodeError(
            f"the pillar of this minion has no WireGuard network {network!r}; it has: {', '.join(found) or 'none'}."
            " Is the minion in the mesh file, and its pillar refreshed?"
        )
    return [found[network]]


def label(view: View) -> str:
    """What results call a view: its network, or its interface if that was described by hand."""
    return view.network or view.interface
