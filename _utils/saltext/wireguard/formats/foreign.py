"""
Configuration files that others wrote: of wg-quick, and of systemd-networkd (``.netdev`` and ``.network``).

Whatever the text, this returns what could be understood of it, and sentences about the rest. Secrets are in fields that
no ``repr`` shows; ``Config.inventory`` has none of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_interface, ip_network

from ..errors import KeyFormatError
from ..model.fields import MAX_TEXT
from ..model.inventory import FoundPeer, Inventory, usable_endpoint
from ..model.keys import parse_public_key
from ..wording import one_line, quoted, without_keys
from . import wg_quick

# The settings of wg-quick whose values are commands.
HOOKS = ("PreUp", "PostUp", "PreDown", "PostDown")

# Between words, or at an end of the line: a comment that names a peer, as people and installers write them.
_TITLE = re.compile(
    r"^#+\s*(?:(?:BEGIN_PEER|friendly_name|name|client|peer|host|node|id)\b\s*[=:]?\s*)?(?P<name>.+)$", re.I
)
_SETTING = re.compile(r"^#+\s*\w+\s*=\s*\S+$")


@dataclass(frozen=True)
class Config:
    """
    One interface, as its files have it.

    ``key_file``: the file with the private key, if that is not in this one. ``preshared_keys``: public key of a peer to
    the secret. ``hooks``: (setting, command) in order. ``others``: setting to value, of the settings of wg-quick that a
    view has no word for: ``DNS``, ``Table``, ``FwMark``, ``SaveConfig``.
    """

    private_key: str | None = field(default=None, repr=False)
    key_file: str | None = None
    addresses: tuple[str, ...] = ()
    port: int | None = None
    mtu: int | None = None
    peers: tuple[FoundPeer, ...] = ()
    preshared_keys: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    hooks: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    others: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()

    def inventory(self, interface: str, files: Iterable[str], public_key: str | None) -> Inventory:
        """What may leave the machine."""
        known = {peer.public_key for peer in self.peers}
        return Inventory(
            interface=interface,
            public_key=public_key,
            addresses=self.addresses,
            port=self.port or 0,
            is_port_written=self.port is not None,
            mtu=self.mtu,
            peers=self.peers,
            files=tuple(files),
            hooks=tuple(one_line(f"{name}: {kind_of_hook(command)}", MAX_TEXT) for name, command in self.hooks),
            settings=tuple(one_line(f"{name}: {without_keys(value)}", MAX_TEXT) for name, value in self.others),
            problems=tuple(one_line(without_keys(text, known), MAX_TEXT) for text in self.problems),
        )


def kind_of_hook(command: str) -> str:
    """What kind of command it is, in words that cannot have a secret in them."""
    programs = re.findall(r"(?:^|[;&|]\s*|\bsudo\s+)([\w./-]+)", command)
    names = list(dict.fromkeys(one_line(name.rpartition("/")[2], 30) for name in programs if not name.startswith("-")))
    kinds = [kind for pattern, kind in _KINDS if re.search(pattern, command, re.I)]
    shown = ", ".join(names[:4]) or "a command"
    return f"{shown} ({', '.join(kinds)})" if kinds else shown


_KINDS = (
    (r"\bmasquerade\b|\bsnat\b", "masquerading"),
    (r"ip_forward|\bforwarding\b|-[AID] FORWARD|\bforward\b.*\baccept\b", "forwarding"),
    (r"\bip(?: -[46])? (?:route|rule)\b", "routes"),
    (r"resolvectl|resolvconf", "DNS"),
)


def is_of_formula(described: object) -> bool:
    """
    Whether an interface of ``wireguard:interfaces`` in a pillar is described as MEschenbacher's formula reads it, or
    that of saltstack-formulas, and not as we do.
    """
    if not isinstance(described, Mapping):
        return False
    return isinstance(described.get("peers"), list) or not _OF_FORMULAS.isdisjoint(described)


_OF_FORMULAS = {"Interface", "Peers", "listen_port", "private_key", "preshared_key", "fwmark"}


def is_netdev(text: str) -> bool:
    """Whether a ``.netdev`` file describes a WireGuard device."""
    return any(name == "kind" and value.lower() == "wireguard" for _, name, value, _ in _lines(text, ";#"))


def name_in(text: str) -> str | None:
    """The device that a ``.netdev`` file makes, or that a ``.network`` file is about."""
    named = (value for _, name, value, _ in _lines(text, ";#") if name == "name")
    return next(named, None)


def parse_wg_quick(text: str) -> Config:
    """A file as ``wg-quick`` reads it: names of settings in any case, each list also in several lines."""
    whole = wg_quick.without_own_hooks(text)
    return _Reader("interface", "peer").read(_lines(whole, "#"), _titles(whole))


def parse_networkd(netdev: str, network: str = "") -> Config:
    """The files of a device of systemd-networkd."""
    own = _Reader("wireguard", "wireguardpeer").read(_lines(netdev, ";#"), _titles(netdev))
    addresses = _Reader("network", "").read(_lines(network, ";#"), {})
    dns = (each for each in addresses.others if each[0] == "DNS")
    problems = (*own.problems, *addresses.problems)
    return replace(own, addresses=addresses.addresses, others=(*own.others, *dns), problems=problems)


def _lines(text: str, comments: str) -> Iterator[tuple[int, str, str, str]]:
    """(number, setting in lower case, value, name as written). A heading is the setting ``[]``, its name the value."""
    for number, line in enumerate(text.splitlines(), 1):
        if comments == "#":
            line = line.partition("#")[0]
        line = line.strip()
        if not line or line[0] in comments:
            continue
        heading = re.fullmatch(r"\[(\w+)\]", line)
        if heading:
            yield number, "[]", heading[1].lower(), heading[1]
            continue
        name, _, value = line.partition("=")
        yield number, name.strip().lower(), value.strip(), name.strip()


def _titles(text: str) -> dict[int, str]:
    """Number of a line with a heading -> the name in the comment directly above or below it."""
    lines = [line.strip() for line in text.splitlines()]
    found = {}
    for index, line in enumerate(lines):
        if re.fullmatch(r"\[\w+\]", line.partition("#")[0].strip()):
            around = [lines[index - 1] if index else "", *lines[index + 1 : index + 2], "#" + line.partition("#")[2]]
            names = (_name(comment) for comment in around)
            name = next((each for each in names if each), None)
            if name:
                found[index + 1] = name
    return found


def _name(comment: str) -> str | None:
    match = _TITLE.match(comment)
    if not match or (_SETTING.match(comment) and not re.match(r"^#+\s*(?:friendly_)?name\b", comment, re.I)):
        return None
    name = one_line(without_keys(match["name"]), 60).strip(" #-=:")
    return name or None


class _Reader:
    """Reads the lines of one file."""

    def __init__(self, interface: str, peer: str) -> None:
        """The headings of what is about the interface, and about a peer, in lower case."""
        self._sections = {interface, "address", "netdev"}
        self._peer = peer
        self._problems: list[str] = []
        self._found = Config()
        self._peers: list[FoundPeer] = []
        self._keys: list[str | None] = []  # the peers' preshared keys
        self._addresses: list[str] = []

    def read(self, lines: Iterable[tuple[int, str, str, str]], titles: dict[int, str]) -> Config:
        section = ""
        for number, name, value, written in lines:
            if name == "[]":
                section = value
                if section == self._peer:
                    self._peers.append(FoundPeer("", name=titles.get(number)))
                    self._keys.append(None)
                continue
            try:
                if section == self._peer:
                    self._read_peer(name, value)
                elif section in self._sections:
                    self._read_interface(name, value, written)
            except (ValueError, KeyFormatError) as exc:
                self._problems.append(without_keys(f"line {number}: {written}: {exc}"))
        return self._finished()

    def _finished(self) -> Config:
        whole: dict[str, tuple[FoundPeer, str | None]] = {}
        for peer, key in zip(self._peers, self._keys, strict=True):
            if not peer.public_key:
                self._problems.append(f"the peer {quoted(peer.name or '')} has no usable public key")
            elif peer.public_key in whole:
                self._problems.append(f"the peer {peer.public_key} is there twice")
            else:
                whole[peer.public_key] = replace(peer, preshared=key is not None), key
        return replace(
            self._found,
            addresses=tuple(self._addresses),
            peers=tuple(peer for peer, _ in whole.values()),
            preshared_keys=tuple((name, key) for name, (_, key) in whole.items() if key is not None),
            problems=tuple(self._problems),
        )

    def _read_interface(self, name: str, value: str, written: str) -> None:
        simple: dict[str, tuple[str, Callable[[str], object]]] = {
            "privatekey": ("private_key", str),
            "privatekeyfile": ("key_file", str),
            "listenport": ("port", _port),
            "mtu": ("mtu", int),
            "mtubytes": ("mtu", int),
        }
        if name in simple:
            attribute, convert = simple[name]
            self._found = replace(self._found, **{attribute: convert(value)})  # type: ignore[arg-type]
        elif name == "address":
            self._addresses += [str(ip_interface(each)) for each in _items(value)]
        elif name in {hook.lower() for hook in HOOKS}:
            hook = next(each for each in HOOKS if each.lower() == name)
            self._found = replace(self._found, hooks=(*self._found.hooks, (hook, value)))
        elif name in _OTHERS:
            self._found = replace(self._found, others=(*self._found.others, (_OTHERS[name], value)))
        elif name not in ("name", "kind", "description"):
            self._found = replace(self._found, others=(*self._found.others, (written, value)))

    def _read_peer(self, name: str, value: str) -> None:
        peer = self._peers[-1]
        if name == "publickey":
            peer = replace(peer, public_key=parse_public_key(value))
        elif name == "presharedkey":
            self._keys[-1] = value
        elif name == "presharedkeyfile":
            raise ValueError("a preshared key in a file of its own is not kept: write it into this file")
        elif name == "allowedips":
            networks = {*peer.allowed_ips, *(str(ip_network(each, strict=False)) for each in _items(value))}
            peer = replace(peer, allowed_ips=tuple(sorted(networks)))
        elif name == "endpoint":
            peer = replace(peer, endpoint=usable_endpoint(value))
            if peer.endpoint is None:
                raise ValueError(f"{quoted(value)} is no endpoint that a mesh file can have")
        elif name == "persistentkeepalive":
            peer = replace(peer, keepalive=0 if value.lower() == "off" else _port(value))
        self._peers[-1] = peer


_OTHERS = {
    **{name.lower(): name for name in ("DNS", "Table", "FwMark", "SaveConfig")},
    "firewallmark": "FwMark",
    "routetable": "Table",
}


def _items(value: str) -> list[str]:
    return [each.strip() for each in value.split(",") if each.strip()]


def _port(value: str) -> int:
    number = int(value)
    if not 0 <= number <= 65535:
        raise ValueError(f"{number} is not a number from 0 to 65535")
    return number
