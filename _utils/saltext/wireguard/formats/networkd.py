"""
The files from which systemd-networkd makes an interface at boot: ``.netdev`` and ``.network``, written from a view.

The ``.netdev`` file names the file of the private key, and contains the preshared keys. It sets up what wg-quick does
and ``diff`` compares with: the same addresses, and routes of protocol boot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..device import exits
from ..model.addresses import is_address
from ..model.peer import Peer
from ..model.view import View
from .wg_quick import is_managed, managed_text


def netdev(view: View, key_file: str, endpoints: Mapping[str, str]) -> str:
    """
    Return the text of the ``.netdev`` file: the device and its peers.

    :param endpoints: endpoint in the view to ``ip:port``, for those that are known. Never a name: networkd keeps
        resolving names after boot, and then sets all peers as in the file at boot, even those removed since
    :raises ViewError: where a value would break its line
    """
    return managed_text(view, device_lines(view, f"PrivateKeyFile={key_file}", endpoints))


def device_lines(view: View, private_key: str, endpoints: Mapping[str, str]) -> list[str]:
    """The lines of a ``.netdev`` file. ``private_key``: the whole line with the private key, or its file."""
    lines = [*_device(view, private_key)]
    for peer in sorted(view.peers, key=lambda peer: peer.name):
        lines += ["", *_peer(peer, endpoints.get(peer.endpoint) if peer.endpoint else None)]
    return lines


def network(view: View) -> str:
    """Return the text of the ``.network`` file: addresses and routes. Raises ViewError as ``netdev`` does."""
    return managed_text(view, network_lines(view))


def network_lines(view: View) -> list[str]:
    """The lines of a ``.network`` file."""
    lines = ["[Match]", f"Name={view.interface}", "", "[Link]", "RequiredForOnline=no", "", "[Network]"]
    lines += ["LinkLocalAddressing=no", "IPv6AcceptRA=no", *(f"Address={address}" for address in view.all_addresses)]
    lines += [f"{'DNS' if is_address(each) else 'Domains'}={each}" for each in view.dns]
    if view.forwarding:
        lines.append("IPForward=yes")
    for destination in sorted(view.routes):
        lines += ["", "[Route]", f"Destination={destination}", "Protocol=boot"]
        if ":" not in destination:
            lines.append("Scope=link")
    lines += [line for item in exits.items(view) for line in ("", *exits.networkd(item))]
    return lines


def key_file_of(text: str) -> str | None:
    """Return the path of the private key in our ``.netdev`` file; None for a file that is not ours."""
    for line in text.splitlines() if is_managed(text) else ():
        setting, _, value = line.partition("=")
        if setting == "PrivateKeyFile":
            return value
    return None


def _device(view: View, private_key: str) -> Iterator[str]:
    yield "[NetDev]"
    yield f"Name={view.interface}"
    yield "Kind=wireguard"
    if view.effective_mtu is not None:
        yield f"MTUBytes={view.effective_mtu}"
    yield ""
    yield "[WireGuard]"
    yield private_key
    if view.port is not None:
        yield f"ListenPort={view.port}"
    if view.via is not None:
        yield f"FirewallMark={exits.mark(view)}"


def _peer(peer: Peer, endpoint: str | None) -> Iterator[str]:
    yield f"# {peer.name}"
    yield "[WireGuardPeer]"
    yield f"PublicKey={peer.public_key}"
    if peer.preshared_key:
        yield f"PresharedKey={peer.preshared_key}"
    if peer.allowed_ips:
        yield f"AllowedIPs={','.join(peer.allowed_ips)}"
    if endpoint is not None:
        yield f"Endpoint={endpoint}"
    if peer.effective_keepalive:
        yield f"PersistentKeepalive={peer.effective_keepalive}"
