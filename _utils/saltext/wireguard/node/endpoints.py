"""The endpoints of peers, resolved to addresses, and those that this node offers."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence

from ..device import offered_endpoints
from ..model.addresses import usable
from ..model.device import Device
from ..model.endpoint import Endpoint
from ..model.offers import ANY, Offers
from ..model.peer import Peer
from ..model.view import View
from ..system.commands import run
from ..system.resolve import resolve_names
from ..wording import quoted
from . import config_files, devices, hosts_file

log = logging.getLogger(__name__)

# An endpoint that is a name: how long all names together may take to resolve before the rest goes on without.
RESOLVE_SECONDS = 5.0


def own(master_ip: str | None, offers: Offers = ANY) -> tuple[str, ...]:
    """
    The addresses that this node offers to its peers, best first.

    :param master_ip: the address of its Salt master
    :param offers: what the operator lets it offer
    """
    addresses = run(["ip", "-json", "address", "show"])
    route = run(["ip", "-json", "route", "get", master_ip], check=False) if master_ip else ""
    tunnels = {*devices.names(), *config_files.managed()}
    return offered_endpoints.candidates(addresses, offered_endpoints.source_address(route), tunnels, offers)


def is_own(address: str) -> bool:
    """Whether this is an address of this machine."""
    return offered_endpoints.is_own(run(["ip", "-json", "route", "get", address], check=False))


def resolve(view: View, device: Device | None) -> tuple[dict[str, str], dict[str, str]]:
    """
    ``host:port`` -> ``ip:port`` for all endpoints of the view that can be resolved in time; the log names the others.
    And the same as the files at boot have it, which adds what those that do not resolve stood for last.

    Of several addresses of a name, the device keeps the one that it uses now, or else the one that the name had last.
    The files keep the latter: a peer that is at another of its addresses by now is no reason to write them.
    """
    used = [peer.endpoint for peer in device.peers.values() if peer.endpoint] if device else []
    addresses = look_up(peer.endpoint for peer in view.peers if peer.endpoint)
    found = choose(view, addresses, used)
    for peer in view.peers:
        if peer.endpoint and peer.endpoint not in found and Endpoint.parse(peer.endpoint).host not in addresses:
            log.warning(
                "wireguard: %s: the endpoint %s of %s does not resolve", view.interface, peer.endpoint, peer.name
            )
    names = {peer.endpoint for peer in view.peers if peer.endpoint and peer.has_name_as_endpoint}
    moved = (found.keys() & names) - unmoved(view.interface, addresses)
    return found, {**known(view), **{text: found[text] for text in moved}}


def unmoved(interface: str, addresses: Mapping[str, Sequence[str]]) -> set[str]:
    """The endpoints whose address in the files is still one that their name has."""
    last = config_files.last_addresses(interface)
    return {text for text, address in last.items() if Endpoint.parse(address).host in addresses.get(_host(text), ())}


def _host(text: str) -> str:
    return Endpoint.parse(text).host


def known(view: View) -> dict[str, str]:
    """``host:port`` -> ``ip:port`` without a resolver: of a name, what it stood for last, if that is known."""
    addresses = {peer.endpoint for peer in view.peers if peer.endpoint and not peer.has_name_as_endpoint}
    return {**config_files.last_addresses(view.interface), **{each: each for each in addresses}}


def look_up(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """
    Host -> addresses, which may be anything, of those among these endpoints that are names and resolve in time.

    A name that leads into the tunnel is not looked up: that it became an endpoint takes it out of the hosts file soon.
    """
    hosts = {each.host for each in map(Endpoint.parse, texts) if not each.address}
    ours = hosts_file.managed() if hosts else set()
    return resolve_names((host for host in hosts if host.lower() not in ours), RESOLVE_SECONDS)


def choose(
    view: View, addresses: Mapping[str, Sequence[str]], used: Iterable[str], unanswered: Collection[str] = ()
) -> dict[str, str]:
    """
    ``host:port`` -> ``ip:port`` of the view's endpoints. Of several addresses, the first that the device has ``used``
    counts, or else the one that the name had last.

    ``unanswered``: the public keys of peers that do not answer there. For these, the next address counts that there is
    a route to.

    A name of which no address can be used is left out, and the log says why.
    """
    used = [*used]
    preferred = [*used, *config_files.last_addresses(view.interface).values()]
    places = {text: place for place, text in enumerate(reversed(preferred))}
    found = {}
    for peer, text in ((peer, peer.endpoint) for peer in view.peers if peer.endpoint):
        endpoint = Endpoint.parse(text)
        good = [text, *peer.others] if endpoint.address else _usable(view, peer, endpoint, addresses)
        if good:
            best = max(good, key=lambda each: places.get(each, -1))
            found[text] = _after(best, good) if peer.public_key in unanswered and best in used else best
    return found


def _usable(view: View, peer: Peer, endpoint: Endpoint, addresses: Mapping[str, Sequence[str]]) -> list[str]:
    """``ip:port`` of an endpoint that is a name."""
    if endpoint.host not in addresses:
        return []
    given = addresses[endpoint.host]
    reachable = usable(given)
    good = [str(Endpoint(each, endpoint.port)) for each in reachable if not view.leads_to(peer, each)]
    if not good:
        where = "inside the tunnel that it is to open" if reachable else "where no machine can be reached"
        said = (view.interface, endpoint.host, quoted(", ".join(given)), where, peer.name)
        log.warning("wireguard: %s: %s resolves to %s, %s; give %s another endpoint", *said)
    return good


def _after(used: str, addresses: Sequence[str]) -> str:
    """The next one in an order that is always the same; a resolver may change its own."""
    others = [each for each in sorted(addresses) if each != used and has_route(each)]
    return next((each for each in others if each > used), others[0] if others else used)


def has_route(endpoint: str) -> bool:
    """Whether this machine has a route to the address of an endpoint."""
    return offered_endpoints.device(run(["ip", "-json", "route", "get", _host(endpoint)], check=False)) is not None
