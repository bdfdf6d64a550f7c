"""
The configuration file of an interface: a complete wg-quick file, written from a view and read back.

wg-quick reads it at boot. We read it to learn what was applied last (``applied``). The private key is not known here:
the file has a placeholder, which the execution module replaces as it writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .diff import Applied, needed_routes
from .errors import ViewError
from .view import Peer, View

PRIVATE_KEY = "@PRIVATE_KEY@"

_MARKER = re.compile(
    r"# Managed by Salt \(saltext-wireguard\)(?:, network (?P<network>.+))?\. Changes made here are lost\."
)


def render(view: View) -> str:
    """
    Return the file's text, with ``PRIVATE_KEY`` where the key belongs. Equal views make equal texts.

    :raises ViewError: where a value would break its line: wg-quick runs what a ``PostUp`` line says, as root
    """
    lines = [*_interface(view)]
    for peer in sorted(view.peers, key=lambda peer: peer.name):
        lines += ["", *_peer(peer)]
    for line in lines:
        if not line.isprintable():
            raise ViewError(f"{view.interface}: a control character or unprintable character in {line!r}")
    return "\n".join(lines) + "\n"


def is_managed(text: str) -> bool:
    """Tell whether a file is ours."""
    return _marker(text) is not None


def managed_network(text: str) -> str | None:
    """Return the network that our file belongs to; None for a file without one, or not ours."""
    marker = _marker(text)
    return marker["network"] if marker else None


def applied(text: str) -> Applied:
    """Return what our file says was applied; nothing for a file that is not ours, or that we cannot make sense of."""
    if not is_managed(text):
        return Applied()
    addresses: list[str] = []
    allowed_ips: list[str] = []
    endpoints: dict[str, str] = {}
    names: dict[str, str] = {}
    for section in text.split("\n\n"):
        settings = dict(_settings(section))
        addresses += _list(settings.get("Address"))
        allowed_ips += _list(settings.get("AllowedIPs"))
        key = settings.get("PublicKey")
        if key is None:
            continue
        title = section.partition("\n")[0]
        if title.startswith("# "):
            names[key] = title[2:]
        if "Endpoint" in settings:
            endpoints[key] = settings["Endpoint"]
    try:
        return Applied(endpoints, needed_routes(addresses, allowed_ips), names)
    except ValueError:
        # Somebody edited it. It is replaced soon, and a wrong record is worse than none.
        return Applied()


def _interface(view: View) -> Iterator[str]:
    network = f", network {view.network}" if view.network is not None else ""
    yield f"# Managed by Salt (saltext-wireguard){network}. Changes made here are lost."
    yield "[Interface]"
    yield f"PrivateKey = {PRIVATE_KEY}"
    if view.port is not None:
        yield f"ListenPort = {view.port}"
    if view.addresses:
        yield f"Address = {', '.join(view.addresses)}"
    if view.mtu is not None:
        yield f"MTU = {view.mtu}"


def _peer(peer: Peer) -> Iterator[str]:
    yield f"# {peer.name}"
    yield "[Peer]"
    yield f"PublicKey = {peer.public_key}"
    if peer.allowed_ips:
        yield f"AllowedIPs = {', '.join(peer.allowed_ips)}"
    if peer.endpoint is not None:
        yield f"Endpoint = {peer.endpoint}"
    if peer.keepalive:
        yield f"PersistentKeepalive = {peer.keepalive}"


def _marker(text: str) -> re.Match[str] | None:
    return _MARKER.fullmatch(text.partition("\n")[0])


def _settings(section: str) -> Iterator[tuple[str, str]]:
    for line in section.splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.startswith("#"):
            yield key.strip(), value.strip()


def _list(value: str | None) -> list[str]:
    return [item.strip() for item in value.split(",")] if value else []
