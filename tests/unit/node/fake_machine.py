"""
A machine that is made up: what ``wg`` and ``ip`` make of commands, and print, as far as our code uses them.

``tests/functional/test_fake_machine.py`` holds it to what the real programs do.
"""

import base64
import fnmatch
import json
import os
import subprocess
from dataclasses import dataclass, field
from ipaddress import ip_interface, ip_network

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

NO_KEY = "(none)"
_READING = (("wg", "show"), ("wg", "pubkey"), ("wg", "genkey"))
_READERS = ("ss", "nft", "iptables", "timedatectl")  # as far as our code uses them


@dataclass
class FakePeer:
    preshared_key: str = NO_KEY
    endpoint: str = NO_KEY
    allowed_ips: list = field(default_factory=list)
    handshake: int = 0
    received: int = 0
    sent: int = 0
    keepalive: int = 0


@dataclass
class FakeDevice:
    private_key: str = ""
    port: int = 40000
    mark: int = 0
    mtu: int = 1420
    up: bool = False
    addresses: list = field(default_factory=list)
    routes: dict = field(default_factory=dict)  # network -> protocol
    peers: dict = field(default_factory=dict)


class Refused(Exception):
    """What a program says when it fails."""


class FakeMachine:
    """
    ``devices``: those of WireGuard. ``commands``: what was executed. ``failing``: patterns of command lines to what
    they say on standard error instead of doing anything; ``ignored``: those that do nothing and say so to nobody.
    ``ways``: address to the device that its route leads through.
    ``others``: routes that lead elsewhere, as ``ip -json`` prints them. ``read_only``: files that cannot be written.
    ``handlers``: further programs, and what they do with the words of their command line and print.
    ``ipv6``: whether it is on. ``links``: network devices of others, and ``rules``: IP version to rules of others, as
    ``ip -json`` prints them. ``defaults``: tables with a default route. ``module``: what is known of the kernel's
    WireGuard. ``capable``: whether devices can be made.
    """

    def __init__(self):
        self.devices = {}
        self.commands = []
        self.programs = {"wg", "ip", "sh", "wireguard-go"}
        self.failing = {}
        self.ways = {}
        self.ignored = []
        self.others = []
        self.read_only = set()
        self.handlers = {}
        self.ipv6 = True
        self.links = []
        self.rules = {4: [], 6: []}
        self.defaults = set()
        self.module = True
        self.capable = True

    # -- as code of ours sees it

    def execute(self, command, stdin, files):
        words = [os.path.basename(command[0]), *command[1:]]
        if words[0] not in self.programs:
            raise FileNotFoundError(words[0])
        self.commands.append(words)
        line = " ".join(words)
        for pattern, said in self.failing.items():
            if fnmatch.fnmatch(line, pattern):
                return subprocess.CompletedProcess(words, 7, "", said)
        if any(fnmatch.fnmatch(line, pattern) for pattern in self.ignored):
            return subprocess.CompletedProcess(words, 0, "", "")
        try:
            return subprocess.CompletedProcess(words, 0, self.run(words, stdin), "")
        except Refused as exc:
            return subprocess.CompletedProcess(words, 2, "", str(exc))

    def program(self, name):
        return f"/usr/bin/{name}" if name in self.programs else None

    def has_device(self, name):
        return name in self.devices or name == "lo"

    def mtu(self, device):
        return self.devices[device].mtu if device in self.devices else None

    def has_ipv6(self, device):
        return self.ipv6

    def is_writable(self, path):
        return path not in self.read_only

    def has_module(self, name):
        return self.module

    def may_make_devices(self):
        return self.capable

    # -- programs

    def run(self, words, stdin=None):
        """What the program prints. Raises Refused where it fails."""
        if words[0] == "wg":
            return getattr(self, f"_wg_{words[1]}")(words[2:], stdin)
        if words[0] == "ip":
            return self._ip([word for word in words[1:] if word != "dev"], stdin)
        if words[0] == "wireguard-go":
            return self._ip_link("add", words[1])
        if words[0] in self.handlers:
            return self.handlers[words[0]](words) or ""
        return ""

    def _wg_genkey(self, _words, _stdin):
        return base64.b64encode(_clamped(os.urandom(32))).decode() + "\n"

    def _wg_pubkey(self, _words, stdin):
        return _public(stdin.strip()) + "\n"

    def _wg_show(self, words, _stdin):
        if words == ["all", "listen-port"]:
            return "".join(f"{name}\t{device.port}\n" for name, device in self.devices.items())
        if words[0] == "interfaces":
            return " ".join(sorted(self.devices)) + "\n"
        device = self._device(words[0])
        return getattr(self, f"_{words[1].replace('-', '_')}")(device)

    def _dump(self, device):
        own = [device.private_key, _public(device.private_key)] if device.private_key else [NO_KEY, NO_KEY]
        lines = [[*own, device.port, hex(device.mark) if device.mark else "off"]]
        for key, peer in device.peers.items():
            allowed_ips = ",".join(peer.allowed_ips) or NO_KEY
            facts = [peer.preshared_key, peer.endpoint, allowed_ips, peer.handshake, peer.received, peer.sent]
            lines.append([key, *facts, peer.keepalive or "off"])
        return "".join("\t".join(map(str, line)) + "\n" for line in lines)

    def _private_key(self, device):
        return f"{device.private_key or NO_KEY}\n"

    def _latest_handshakes(self, device):
        return "".join(f"{key}\t{peer.handshake}\n" for key, peer in device.peers.items())

    def _preshared_keys(self, device):
        return "".join(f"{key}\t{peer.preshared_key}\n" for key, peer in device.peers.items())

    def _wg_set(self, words, _stdin):
        device, words = self._device(words[0]), list(words[1:])
        key = None
        while words:
            word = words.pop(0)
            if word == "peer":
                key = words.pop(0)
                device.peers.setdefault(key, FakePeer())
            elif word == "remove":
                del device.peers[key]
            elif key is None:
                self._set(device, word, words.pop(0))
            else:
                self._set_peer(device, device.peers[key], word, words.pop(0))
        device.peers.pop(_public(device.private_key) if device.private_key else None, None)
        return ""

    def _set(self, device, word, value):
        if word == "private-key":
            device.private_key = _secret_in(value)
        elif word == "listen-port":
            device.port = int(value)
        else:
            device.mark = int(value, 0)

    def _set_peer(self, device, peer, word, value):
        if word == "allowed-ips":
            networks = [str(ip_network(text)) for text in filter(None, value.split(","))]
            for other in device.peers.values():
                other.allowed_ips = [network for network in other.allowed_ips if network not in networks]
            peer.allowed_ips = networks
        elif word == "persistent-keepalive":
            peer.keepalive = int(value)
        elif word == "preshared-key":
            peer.preshared_key = _secret_in(value) or NO_KEY
        else:
            peer.endpoint = value

    def _ip(self, words, stdin):
        if "-batch" in words:
            exact = {line.split()[-1] for line in stdin.splitlines() if " exact " in line}
            return "\n".join(json.dumps([route]) for route in self._main() if _network(route) in exact)
        if "-json" in words:
            return json.dumps(self._shown([word for word in words if word != "-json"]))
        if words[0] in ("-4", "-6"):
            return self._ip_route(words[0], *words[2:])
        return getattr(self, f"_ip_{words[0]}")(*words[1:])

    def _shown(self, words):
        if words[:2] == ["route", "get"]:
            return [{"dst": words[2], "dev": self.ways[words[2]]}] if words[2] in self.ways else []
        if words[:2] == ["address", "show"]:
            return [self._link(name) for name in words[2:]] or [*map(self._link, self.devices), *self.links]
        if words[1:] == ["rule", "show"]:
            return self.rules[int(words[0].strip("-"))]
        if words[1:4] == ["route", "show", "table"] and words[-1] == "default":
            return [{"dst": "default"}] if words[4] in self.defaults else []
        if words[1:3] == ["route", "show"] and words[-1] == "main":
            routes = self._device(words[3]).routes.items()
            return [_route(*each) for each in routes if (":" in each[0]) == (words[0] == "-6")]
        return []

    def _link(self, name):
        device = self._device(name)
        addresses = [ip_interface(text) for text in device.addresses]
        return {
            "ifname": name,
            "flags": ["POINTOPOINT", "NOARP", *(["UP", "LOWER_UP"] if device.up else [])],
            "mtu": device.mtu,
            "addr_info": [
                {"family": f"inet{'6' if each.version == 6 else ''}", "local": str(each.ip), "scope": "global",
                 "prefixlen": each.network.prefixlen} for each in addresses
            ],
        }  # fmt: skip

    def _ip_link(self, verb, name, *words):
        if verb == "add":
            if name in self.devices:
                raise Refused("RTNETLINK answers: File exists")
            self.devices[name] = FakeDevice()
            return ""
        device = self._device(name)
        if verb == "delete":
            del self.devices[name]
        elif words[0] == "mtu":
            device.mtu = int(words[1])
        else:
            self._set_up(device, words[0] == "up")
        return ""

    def _set_up(self, device, up):
        device.up = up
        device.routes = device.routes if up else {}
        for address in device.addresses if up else ():
            self._connect(device, address)

    def _connect(self, device, address):
        network = ip_interface(address).network
        if network.prefixlen < network.max_prefixlen or ":" in address:
            device.routes.setdefault(str(network), "kernel")

    def _ip_address(self, verb, address, name):
        device = self._device(name)
        if ":" in address and not self.ipv6:
            raise Refused("RTNETLINK answers: Permission denied")
        if verb == "del":
            self._take_address(device, address)
        elif address not in device.addresses:
            if ":" in address and any(ip_interface(each).ip == ip_interface(address).ip for each in device.addresses):
                raise Refused("Error: ipv6: address already assigned.")
            device.addresses.append(address)
            if device.up:
                self._connect(device, address)
        elif verb == "add":
            raise Refused("Error: ipv4: Address already assigned.")
        return ""

    def _take_address(self, device, address):
        if address not in device.addresses:
            raise Refused("Error: ipv4: Address not found.")
        network = ip_interface(address).network
        alike = [each for each in device.addresses if ip_interface(each).network == network]
        for gone in alike if ":" not in address and alike[0] == address else [address]:
            device.addresses.remove(gone)
        if not any(ip_interface(each).network == network for each in device.addresses):
            device.routes.pop(str(network), None)
        if not any(":" not in each for each in device.addresses):
            device.routes = {route: by for route, by in device.routes.items() if ":" in route}

    def _ip_route(self, _version, verb, network, name, *words):
        device = self._device(name)
        if not device.up:
            raise Refused("Error: Device for nexthop is not up.")
        if ":" in network and not self.ipv6:
            raise Refused("RTNETLINK answers: Permission denied")
        if "kernel" in words:  # one that is held while addresses are exchanged; see device/addresses.py
            return ""
        alike = [route for route in self._main() if _network(route) == network and "metric" not in route]
        if verb == "add" and alike:
            raise Refused("RTNETLINK answers: File exists")
        if verb == "del":
            if device.routes.get(network) != "boot":
                raise Refused("RTNETLINK answers: No such process")
            del device.routes[network]
        else:
            device.routes[network] = "boot"
        return ""

    def _main(self):
        """All routes of the main table."""
        ours = [{**_route(*each), "dev": name} for name in self.devices for each in self.devices[name].routes.items()]
        return [*self.others, *ours]

    def _device(self, name):
        if name not in self.devices:
            raise Refused(f"Unable to access interface: No such device: {name}")
        return self.devices[name]

    # -- for tests

    def writing_commands(self):
        """Those that could have changed anything."""
        writing = [words for words in self.commands if words[:2] not in map(list, _READING) and "-json" not in words]
        return [words for words in writing if words[0] not in _READERS]


def _route(network, protocol):
    by = {} if protocol == "boot" else {"protocol": protocol}
    host = ip_network(network).prefixlen == ip_network(network).max_prefixlen
    return {"dst": network.partition("/")[0] if host else network, **by}


def _network(route):
    return str(ip_network(route["dst"]))


def _secret_in(path):
    """Of a file, which may be a descriptor of a pipe; nothing where it is empty."""
    with open(path, encoding="ascii") as handle:
        return handle.read().strip()


def _clamped(raw):
    octets = bytearray(raw)
    octets[0] &= 248
    octets[31] = (octets[31] & 127) | 64
    return bytes(octets)


def _public(private):
    key = X25519PrivateKey.from_private_bytes(base64.b64decode(private))
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode()
