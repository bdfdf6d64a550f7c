"""
What of a view this machine cannot have. It is left out and named, so that the rest can be applied.

Pure: ``node.devices`` looks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from ..model.changes import Kind
from ..model.view import View
from . import exits, forwarding
from .findings import Finding
from .ip_json import answers, parsing
from .operations import Operation

_COMMAND = "`ip route show exact`"

# What fails alone: everything else works without it.
_ON_THEIR_OWN = {Kind.ROUTE, Kind.FORWARDING, Kind.PATH_FILTER}


@dataclass(frozen=True)
class Limits:
    """
    ``taken``: network of a route to what this machine has there already, in words. ``fixed``: files that cannot be
    written. ``shared``: what it can have, and has elsewhere as well.
    """

    taken: Mapping[str, str] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    shared: tuple[Finding, ...] = ()

    def unforwarded(self) -> set[int]:
        """The IP versions whose forwarding cannot be turned on."""
        return {version for version, path in forwarding.FILES.items() if path in self.fixed}

    def is_filter_fixed(self) -> bool:
        """Whether the reverse path filter stays as it is."""
        return exits.PATH_FILTER_OF_ALL in self.fixed

    def obstacles(self, view: View, forwarded: Collection[int], is_strict: bool) -> Iterator[Finding]:
        """
        What is left out, and why.

        :param forwarded: the IP versions that the machine forwards already
        :param is_strict: whether the reverse path filter would have to be loosened
        """
        if not view.has_ipv6:
            yield IPV6_OFF
        for network in sorted(self.taken):
            yield taken_route(network, self.taken[network])
        for version in forwarding.versions(view.addresses) if view.forwarding else ():
            if version in self.unforwarded().difference(forwarded):
                yield _fixed(f"IPv{version} forwarding", forwarding.FILES[version])
        if is_strict and self.is_filter_fixed() and 4 in exits.versions(view):
            yield _fixed("a loose reverse path filter", exits.PATH_FILTER_OF_ALL)
        yield from self.shared


NO_LIMITS = Limits()

IPV6_OFF = Finding(
    "IPv6",
    "it is off on this machine",
    "Turn it on (sysctl net.ipv6.conf.all.disable_ipv6), or write `ip_versions: [4]` for this node",
)


def taken_route(network: str, way: str) -> Finding:
    """For a route that others have. ``way``: where it leads, in the words of ``ip``."""
    advice = "If the mesh's route is meant, remove the other one, and apply again; else do nothing"
    return Finding(f"route {network}", f"this machine has one {way}", advice)


def _fixed(subject: str, path: str) -> Finding:
    return Finding(
        subject, f"{path} cannot be written", "Set it on the host of this container, or from where it is set"
    )


def fails_alone(operation: Operation) -> bool:
    """Whether a step may fail without the others. One that only serves others may not."""
    return operation.change.kind in _ON_THEIR_OWN and operation.change.old != operation.change.new


# -- routes of others


def questions(networks: Iterable[str]) -> list[str]:
    """What to ask ``ip -json -batch`` about routes to these networks, which are of one IP version."""
    return [f"route show table main exact {network}" for network in sorted(networks)]


def routes_of_others(text: str, ours: Collection[str]) -> dict[str, str]:
    """Return network to how it is reached, in words, of what leads into none of these. Raises DeviceError."""
    return {_network(route): _way(route) for route in answers(text, _COMMAND) if route.get("dev") not in ours}


def _network(route: Mapping[str, Any]) -> str:
    with parsing(_COMMAND):
        return str(ip_network(str(route["dst"])))


def _way(route: Mapping[str, Any]) -> str:
    words = [("type", "of type"), ("gateway", "via"), ("dev", "dev"), ("metric", "metric")]
    return " ".join(f"{word} {route[name]}" for name, word in words if name in route) or "by several ways"
