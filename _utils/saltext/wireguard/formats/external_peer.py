"""
The configuration of an external peer, in the format that its machine reads. It is made from a view, like a node's.

``wg-quick`` is the whole file, ``openwrt`` a section of ``/etc/config/network``, ``mikrotik`` a list of RouterOS 7
commands, and ``networkd`` the content of a ``.netdev`` and a ``.network`` file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from ..model.addresses import is_address
from ..model.endpoint import Endpoint
from ..model.keys import PrivateKey
from ..model.peer import Peer
from ..model.view import View
from . import networkd, wg_quick

# Stands in for a private key that is not known here.
PLACEHOLDER = "PUT-THE-PRIVATE-KEY-HERE"

# These formats have no simple way to route everything into the tunnel except the tunnel's own packets.
_NO_DEFAULT_ROUTE = "# This peer may send all its traffic into the tunnel. Add the default route for that yourself."

# Every other character of a minion id could mean something in one of the formats.
_UNSAFE = re.compile(r"[^A-Za-z0-9_.:@+-]")


def text(view: View, peer: str, private_key: PrivateKey | None, form: str) -> str:
    """
    Return the configuration of the peer whose view this is.

    :param private_key: None for a placeholder
    :param form: one of ``FORMS``
    :raises ViewError: where a value would break its line
    """
    title = f"# {peer} in network {view.network}, made by saltext-wireguard"
    lines = wg_quick.checked(view, [title, *FORMS[form](view, private_key or PrivateKey(PLACEHOLDER))])
    return "\n".join(lines) + "\n"


def without_comments(config: str) -> str:
    """Return a wg-quick configuration without comments and empty lines: a QR code has little room."""
    lines = [line for line in config.splitlines() if line and not line.startswith("#")]
    return "\n".join(lines) + "\n"


def unreachable(view: View) -> list[str]:
    """The peers that this one can never connect to, because neither side has an endpoint."""
    return [] if view.port else [peer.name for peer in view.peers if peer.endpoint is None]


def _wg_quick(view: View, private_key: PrivateKey) -> Sequence[str]:
    return ["", *wg_quick.lines(view, private_key)]


def _networkd(view: View, private_key: PrivateKey) -> Sequence[str]:
    endpoints = {peer.endpoint: peer.endpoint for peer in view.peers if peer.endpoint}
    device = networkd.device_lines(view, f"PrivateKey={private_key.text}", endpoints)
    path = f"/etc/systemd/network/50-{view.interface}"
    files = [f"# {path}.netdev", *device, "", f"# {path}.network", *networkd.network_lines(view)]
    return ["", *_default_route_note(view), *files]


def _openwrt(view: View, private_key: PrivateKey) -> Iterator[str]:
    yield ""
    yield f"config interface '{view.interface}'"
    yield "\toption proto 'wireguard'"
    yield f"\toption private_key '{private_key.text}'"
    if view.port:
        yield f"\toption listen_port '{view.port}'"
    yield from (f"\tlist addresses '{address}'" for address in view.all_addresses)
    yield from (f"\tlist {'dns' if is_address(each) else 'dns_search'} '{each}'" for each in view.dns)
    if view.mtu:
        yield f"\toption mtu '{view.mtu}'"
    for peer in view.peers:
        yield ""
        yield f"config wireguard_{view.interface}"
        yield f"\toption description '{_safe(peer.name)}'"
        yield f"\toption public_key '{peer.public_key}'"
        if peer.preshared_key:
            yield f"\toption preshared_key '{peer.preshared_key}'"
        yield from (f"\tlist allowed_ips '{network}'" for network in peer.allowed_ips)
        yield f"\toption route_allowed_ips '{0 if view.dynamic_routing else 1}'"
        if peer.endpoint:
            endpoint = Endpoint.parse(peer.endpoint)
            yield f"\toption endpoint_host '{endpoint.host}'"
            yield f"\toption endpoint_port '{endpoint.port}'"
        if peer.keepalive:
            yield f"\toption persistent_keepalive '{peer.keepalive}'"


def _mikrotik(view: View, private_key: PrivateKey) -> Iterator[str]:
    interface = f'"{view.interface}"'
    yield from _default_route_note(view)
    if view.dns:
        yield f"# RouterOS has name servers for the whole router. To use these, add them: {', '.join(view.dns)}"
    settings = {"listen-port": view.port, "mtu": view.mtu}
    yield f'/interface/wireguard/add name={interface} private-key="{private_key.text}"{_arguments(settings)}'
    for address in view.all_addresses:
        is_v6 = ":" in address
        advertise = " advertise=no" if is_v6 else ""
        yield f"/{'ipv6' if is_v6 else 'ip'}/address/add address={address} interface={interface}{advertise}"
    for peer in view.peers:
        yield f"/interface/wireguard/peers/add interface={interface}{_arguments(_mikrotik_peer(peer))}"
    for network in sorted(view.routes):
        yield f"/{'ipv6' if ':' in network else 'ip'}/route/add dst-address={network} gateway={interface}"


def _mikrotik_peer(peer: Peer) -> dict[str, object]:
    endpoint = Endpoint.parse(peer.endpoint) if peer.endpoint else None
    return {
        "comment": f'"{_safe(peer.name)}"',
        "public-key": f'"{peer.public_key}"',
        "preshared-key": f'"{peer.preshared_key}"' if peer.preshared_key else None,
        "allowed-address": ",".join(peer.allowed_ips),
        "endpoint-address": endpoint.host if endpoint else None,
        "endpoint-port": endpoint.port if endpoint else None,
        "persistent-keepalive": f"{peer.keepalive}s" if peer.keepalive else None,
    }


def _default_route_note(view: View) -> list[str]:
    everything = any(network.endswith("/0") for peer in view.peers for network in peer.allowed_ips)
    return [_NO_DEFAULT_ROUTE] if everything and not view.dynamic_routing else []


def _arguments(settings: Mapping[str, object]) -> str:
    return "".join(f" {name}={value}" for name, value in settings.items() if value)


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name)


FORMS: Mapping[str, Callable[[View, PrivateKey], Sequence[str] | Iterator[str]]] = {
    "wg-quick": _wg_quick,
    "networkd": _networkd,
    "openwrt": _openwrt,
    "mikrotik": _mikrotik,
}
