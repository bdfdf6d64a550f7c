"""Operations on the interface itself: device, key, port, mark, MTU, and link state."""

from __future__ import annotations

from collections.abc import Iterator

from ..model.changes import Change, Facts, Kind
from ..model.device import Device
from ..model.view import View
from . import exits
from .operations import Operation


def created(view: View) -> Operation:
    argv = ("ip", "link", "add", "dev", view.interface, "type", "wireguard")
    return Operation(Change(Kind.DEVICE, "", None, view.interface), argv)


def key_and_port(view: View, device: Device, key_file: str, public_key: str) -> Iterator[Operation]:
    if device.public_key != public_key:
        old: Facts = {"public_key": device.public_key} if device.public_key else None
        yield _set(view, Kind.PRIVATE_KEY, old, {"public_key": public_key}, "private-key", key_file)
    if view.port not in (None, device.port):
        yield _set(view, Kind.LISTEN_PORT, _text(device.port), str(view.port), "listen-port", str(view.port))


def mark_set(view: View, device: Device) -> Iterator[Operation]:
    if exits.mark(view) not in (0, device.mark):
        yield _mark(view, device)


def mark_removed(view: View, device: Device) -> Iterator[Operation]:
    """A mark that somebody else set stays."""
    if not exits.mark(view) and exits.is_ours(device.mark):
        yield _mark(view, device)


def _mark(view: View, device: Device) -> Operation:
    mark = exits.mark(view)
    old, new = (f"{number:#x}" if number else None for number in (device.mark, mark))
    return _set(view, Kind.MARK, old, new, "fwmark", str(mark))


def _set(view: View, kind: Kind, old: Facts, new: Facts, *words: str) -> Operation:
    return Operation(Change(kind, "", old, new), ("wg", "set", view.interface, *words))


def mtu_set(view: View, device: Device) -> Iterator[Operation]:
    mtu = view.effective_mtu
    if mtu not in (None, device.mtu):
        argv = ("ip", "link", "set", "dev", view.interface, "mtu", str(mtu))
        yield Operation(Change(Kind.MTU, "", _text(device.mtu), str(mtu)), argv)


def brought_up(view: View, device: Device) -> Iterator[Operation]:
    if not device.up:
        yield Operation(Change(Kind.LINK, "", "down", "up"), ("ip", "link", "set", "dev", view.interface, "up"))


def _text(value: int) -> str | None:
    return str(value) if value else None
