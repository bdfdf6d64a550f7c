"""
What a machine has of WireGuard, whoever set it up, and how that travels. There is no secret in it.

A hook may be any command, with a password in it: only what kind of command it is leaves the machine.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from ..errors import ViewError, WireguardError
from . import fields
from .device import Device, DevicePeer
from .fields import Fields

MAX_PEERS = 20_000
_MAX_TEXTS = 1000

_NUMBER = fields.integer(0, 2**63 - 1)
_PORT = fields.integer(0, 65535)
_TEXTS = fields.list_of(fields.short_text, _MAX_TEXTS)


@dataclass(frozen=True)
class FoundPeer:
    """
    One peer of an interface.

    ``name``: what a comment in the file calls it. ``endpoint``: ``host:port`` as the file has it, or else the device.
    ``preshared``: whether there is a preshared key. ``age``: seconds since the latest handshake, None for never, or
    where there is no device. ``is_written`` and ``is_live``: whether the file and the device have it.
    """

    public_key: str
    allowed_ips: tuple[str, ...] = ()
    endpoint: str | None = None
    keepalive: int = 0
    name: str | None = None
    preshared: bool = False
    age: int | None = None
    is_written: bool = True
    is_live: bool = False


@dataclass(frozen=True)
class Inventory:
    """
    One interface.

    ``files``: those that describe it. ``network``: ours that it belongs to, None for somebody else's. ``at_boot``: who
    brings it up then, and where that stands. ``port``: where it listens, which ``is_port_written`` says the file fixes.
    ``mtu``: that of the file, ``device_mtu`` that of the device, 0 where there is none. ``hooks``: setting and kind of
    command, such as ``PostUp: iptables (masquerading)``. ``settings``: others that a mesh file has no word for.
    ``problems``: what is wrong with it, in sentences.
    """

    interface: str
    public_key: str | None = None
    addresses: tuple[str, ...] = ()
    port: int = 0
    is_port_written: bool = False
    mtu: int | None = None
    device_mtu: int = 0
    up: bool = False
    peers: tuple[FoundPeer, ...] = ()
    files: tuple[str, ...] = ()
    network: str | None = None
    at_boot: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    error: str | None = None

    def with_device(self, device: Device, now: int) -> Inventory:
        """With what the device has. What a file fixes stays as it is there. ``now``: Unix seconds."""
        written = {peer.public_key: peer for peer in self.peers}
        live = {key: _live(written.get(key), each, now) for key, each in device.peers.items()}
        return replace(
            self,
            public_key=device.public_key,
            addresses=tuple(sorted(device.addresses)),
            port=device.port,
            device_mtu=device.mtu,
            up=device.up,
            peers=tuple({**written, **live}[key] for key in dict.fromkeys([*written, *sorted(live)])),
            problems=(*self.problems, *_differences(self, device)),
        )

    def to_dict(self) -> dict[str, Any]:
        """As it travels."""
        if self.error is not None:
            return {"result": False, "comment": self.error}
        return {name: value for name, value in asdict(self).items() if name != "error"}

    @classmethod
    def from_dict(cls, data: object, interface: str = "") -> Inventory:
        """From a job's return, of which no shape is certain: it can be forged."""
        try:
            return _inventory(data, interface)
        except (WireguardError, ValueError, RecursionError) as exc:
            return cls(interface, error=f"its answer is malformed: {exc}")


def _live(written: FoundPeer | None, peer: DevicePeer, now: int) -> FoundPeer:
    """A peer on the device; its endpoint may have roamed, so that of the file is the one that somebody chose."""
    return FoundPeer(
        public_key=peer.public_key,
        allowed_ips=tuple(sorted(peer.allowed_ips)),
        endpoint=written.endpoint if written else usable_endpoint(peer.endpoint),
        keepalive=peer.keepalive,
        name=written.name if written else None,
        preshared=peer.preshared_key is not None,
        age=max(now - peer.latest_handshake, 0) if peer.latest_handshake else None,
        is_written=written is not None,
        is_live=True,
    )


def usable_endpoint(text: str | None) -> str | None:
    """The endpoint in the form of a view; None for one that a mesh file cannot have, such as a link-local address."""
    try:
        return None if text is None else fields.endpoint(text)
    except ValueError:
        return None


def _differences(found: Inventory, device: Device) -> list[str]:
    """What would be another way after the next boot."""
    if not found.files:
        return ["no file describes it: it is gone after the next boot"]
    written = {peer.public_key for peer in found.peers}
    said = []
    if found.public_key and found.public_key != device.public_key:
        said.append(f"the device has another key than {found.files[0]}")
    if set(found.addresses) != device.addresses and found.addresses:
        said.append(f"the device has other addresses than {found.files[0]}")
    only_live, only_written = len(device.peers.keys() - written), len(written - device.peers.keys())
    if only_live:
        said.append(f"{only_live} of the device's peers are not in {found.files[0]}")
    if only_written:
        said.append(f"{only_written} of the peers in {found.files[0]} are not on the device")
    return said


def _inventory(data: object, interface: str) -> Inventory:
    given = Fields(data, "inventory: ", ViewError)
    if given.get("result", fields.boolean, None) is False:
        return Inventory(interface, error=given.get("comment", fields.short_text, "it gave no reason"))
    files, at_boot, hooks, settings, problems = (
        tuple(given.get(name, _TEXTS, [])) for name in ("files", "at_boot", "hooks", "settings", "problems")
    )
    return Inventory(
        interface=given.get("interface", fields.interface),
        public_key=given.get("public_key", fields.public_key, None),
        addresses=tuple(given.get("addresses", fields.list_of(fields.interface_address, _MAX_TEXTS), [])),
        port=given.get("port", _PORT, 0),
        is_port_written=given.get("is_port_written", fields.boolean, False),
        mtu=given.get("mtu", _PORT, None),
        device_mtu=given.get("device_mtu", _PORT, 0),
        up=given.get("up", fields.boolean, False),
        peers=_unique(given.get("peers", fields.list_of(_peer, MAX_PEERS), [])),
        network=given.get("network", fields.short_text, None),
        files=files,
        at_boot=at_boot,
        hooks=hooks,
        settings=settings,
        problems=problems,
    )


def _unique(peers: list[FoundPeer]) -> tuple[FoundPeer, ...]:
    if len({peer.public_key for peer in peers}) != len(peers):
        raise ValueError("a peer is in it twice")
    return tuple(peers)


def _peer(data: object) -> FoundPeer:
    given = Fields(data, "peer: ", ViewError)
    return FoundPeer(
        public_key=given.get("public_key", fields.public_key),
        allowed_ips=tuple(sorted(given.get("allowed_ips", fields.list_of(fields.network, MAX_PEERS), []))),
        endpoint=given.get("endpoint", fields.endpoint, None),
        keepalive=given.get("keepalive", _PORT, 0),
        name=given.get("name", fields.short_text, None),
        preshared=given.get("preshared", fields.boolean, False),
        age=given.get("age", _NUMBER, None),
        is_written=given.get("is_written", fields.boolean, True),
        is_live=given.get("is_live", fields.boolean, False),
    )
