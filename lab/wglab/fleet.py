"""A lab as a whole: which hosts it has, and how they come and go."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from . import netns, saltconf
from .daemons import Daemons
from .host import Host
from .places import MASTER, SWITCH, check_host_name, state_dir
from .report import LabError, progress
from .segment import Forward, Segment, Site, internet

FIRST_SITE, LAST_SITE = 2, 9
FIRST_NODE, LAST_NODE = 11, 254


@dataclass
class Lab:
    """One lab. Only what the kernel cannot tell is stored: which hosts exist, their numbers, and their Salt."""

    name: str
    root: Path
    salt_bin: Path
    trigger: str = "none"
    synced: bool = False
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    sites: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """What the names of all our namespaces begin with."""
        return f"wglab-{self.name}--"

    @property
    def internet(self) -> Segment:
        """What the master and the routers of sites are plugged into, and every host that is at no site."""
        return internet(self.prefix + SWITCH)

    @property
    def mesh_file(self) -> Path:
        """The mesh file that the master reads. Edit it in place."""
        return saltconf.mesh_file(self.root)

    @property
    def master(self) -> Host:
        """The host with the salt-master."""
        return Host(MASTER, 1, self.prefix, self.root, self.salt_bin, MASTER, self.internet)

    @cached_property
    def _daemons(self) -> Daemons:
        return Daemons(self.master, self.host)

    def host(self, name: str) -> Host:
        """Return a host of this lab, the master included."""
        if name == MASTER:
            return self.master
        if name not in self.nodes:
            raise LabError(f"lab {self.name} has no host '{name}'; it has {', '.join([MASTER, *self.nodes])}")
        node = self.nodes[name]
        salt_bin, minion_id = Path(node["salt_bin"]), node.get("id", name)
        segment = self.site(node["site"]).segment if node.get("site") else self.internet
        has_salt = not node.get("plain")
        return Host(name, node["number"], self.prefix, self.root, salt_bin, minion_id, segment, has_salt)

    def site(self, name: str) -> Site:
        """Return a site of this lab."""
        if name not in self.sites:
            raise LabError(f"lab {self.name} has no site '{name}'; make it with 'site {name}'")
        site = self.sites[name]
        forwards = [Forward(port, self.nodes[host]["number"], inside) for port, host, inside in site["forwards"]]
        return Site(self.prefix + name, site["number"], IPv4Network(site["lan"]), site["ipv6"], forwards)

    def hosts(self) -> list[Host]:
        """Return the nodes, without the master."""
        return [self.host(name) for name in self.nodes]

    # Stored state

    @classmethod
    def load(cls, name: str) -> "Lab":
        """Read a lab's state."""
        root = state_dir(name)
        try:
            stored = json.loads((root / "lab.json").read_text())
        except FileNotFoundError:
            raise LabError(f"there is no lab '{name}' in {root}; make one with 'up N'") from None
        except (OSError, ValueError) as error:
            raise LabError(f"cannot read {root}/lab.json ({error}); clean up with 'down'") from error
        if stored["name"] != name:
            raise LabError(f"{root} holds the lab '{stored['name']}'; say --name {stored['name']}, or change WGLAB_DIR")
        parts = (stored.get(part, {}) for part in ("nodes", "sites", "names"))
        return cls(name, root, Path(stored["salt_bin"]), stored["trigger"], stored.get("synced", False), *parts)

    def save(self) -> None:
        """Write the state, before the things that it names are made: what crashed can then be found and cleared."""
        stored: dict[str, Any] = {"name": self.name, "salt_bin": str(self.salt_bin), "trigger": self.trigger}
        stored |= {"synced": self.synced, "nodes": self.nodes, "sites": self.sites, "names": self.names}
        new = self.root / "lab.json.new"
        new.write_text(json.dumps(stored, indent=1))
        new.replace(self.root / "lab.json")
        lines = [f"{address} {name}\n" for name, addresses in self._resolved().items() for address in addresses]
        (self.root / "names").write_text("127.0.0.1 localhost\n::1 localhost\n" + "".join(lines))
        for host in [self.master, *self.hosts()]:
            if host.disk.exists():
                host.learn_names()
        (self.root / "etc-resolv.conf").write_text("")

    def _resolved(self) -> dict[str, list[str]]:
        """Name -> addresses, of all that have an address on the Internet, and of what was named by hand."""
        hosts = {host.name: host for host in [self.master, *self.hosts()] if not host.segment.has_router}
        found = {name: [host.address4, host.address6] for name, host in hosts.items()}
        found |= {name: [self.internet.address4(site["number"])] for name, site in self.sites.items()}
        return {name: [each for each in addresses if each] for name, addresses in (found | self.names).items()}

    # What the commands do

    def up(self, count: int, mesh: Path | None) -> None:
        """Make the lab, with its master and as many nodes as asked for."""
        mesh_text = saltconf.mesh_text(mesh)
        for number in range(1, count + 1):
            self._add_node(f"node{number}")
        self.save()
        self.mesh_file.write_text(mesh_text)
        saltconf.file_root(self.root).mkdir()
        netns.run_ip("netns", "add", self.internet.namespace)
        self.internet.make_bridge()
        self.master.make_disk()
        missing = saltconf.write_master(self.master, self.trigger)
        if missing:
            progress(f"the master goes without {', '.join(missing)}: no such file")
        progress(f"starting the master and {count} minions with {self.salt_bin}")
        self._power_on(self.master)
        for host in self.hosts():
            self._install(host)
            self._power_on(host)
        self._daemons.wait_master()
        self._daemons.accept(list(self.nodes))
        self._daemons.wait_minions(list(self.nodes))

    def add(self, places: Sequence[str], plain: bool = False) -> None:
        """Add hosts, each NAME or NAME@SITE; done when their minions answer. Plain ones have no Salt."""
        hosts = dict(place.partition("@")[::2] for place in places)
        for name, site in hosts.items():
            self._check_new(name)
            if site:
                self.site(site)
        if not plain:
            self._need_master("accept the key of a new host")
        for name, site in hosts.items():
            self._add_node(name, os.environ.get("WGLAB_SALT_BIN"), site)
            if plain:
                self.nodes[name]["plain"] = True
        self.save()
        self._first_boot([self.host(name) for name in hosts])

    def add_site(self, name: str, lan: IPv4Network, ipv6: bool) -> None:
        """Add a LAN behind a router with NAT."""
        self._check_new(name)
        free = _free(FIRST_SITE, LAST_SITE, self.sites.values())
        if free is None:
            raise LabError(f"a lab has at most {LAST_SITE - FIRST_SITE + 1} sites")
        self.sites[name] = {"number": free, "lan": str(lan), "ipv6": ipv6, "forwards": []}
        self.save()
        self.site(name).make(self.internet)

    def forward(self, site: str, outside: int, name: str, inside: int) -> None:
        """Let UDP in at a site: what comes to this port of its router goes to that port of one of its hosts."""
        self.site(site)
        if self._node(name).segment != self.site(site).segment:
            raise LabError(f"{name} is not at {site}; add hosts to it with 'add NAME@{site}'")
        others = [each for each in self.sites[site]["forwards"] if each[0] != outside]
        self.sites[site]["forwards"] = [*others, [outside, name, inside]]
        self.save()
        self.site(site).filter()

    def point(self, name: str, addresses: Sequence[str]) -> None:
        """Let a name stand for these addresses, and for no others, on all hosts. A host or site means its own."""
        known = self._resolved()
        self.names[name] = [found for each in addresses for found in known.get(each, [each])]
        self.save()

    def clone(self, name: str, new: str) -> None:
        """Start a second machine with a copy of a host's disk: same minion id, same keys, another address."""
        original = self._node(name)
        self._check_new(new)
        self._add_node(new, self.nodes[name]["salt_bin"], self.nodes[name].get("site"))
        self.nodes[new] |= {"id": original.minion_id, "plain": not original.has_salt}
        self.save()
        host = self.host(new)
        host.copy_disk(original)
        saltconf.write_minion(host, self.master)  # for the paths in it
        self.on(new)

    def off(self, name: str) -> None:
        """Cut a host's power."""
        self.host(name).power_off()

    def on(self, name: str, tunnels: bool = False, salt: bool = True) -> None:
        """Boot a host; done when its minion answers, or for the master, when all running minions do."""
        host = self.host(name)
        if host.is_on():
            raise LabError(f"{name} is on already; cut its power with 'off {name}'")
        self._power_on(host, tunnels, salt)
        if not (salt and host.has_salt):
            return
        if name == MASTER:
            self._daemons.wait_master()
            running = [node.name for node in self.hosts() if node.has_salt and node.is_on()]
        else:
            running = [name]
        if not self.master.is_on():
            progress(f"{name} has power; the master is off, so nobody can ask its minion whether it is up")
            return
        accepted = [node for node in running if self._daemons.key_state(self.host(node).minion_id) == "minions"]
        if left := sorted(set(running) - set(accepted)):
            progress(f"not waiting for {', '.join(left)}: the master has not accepted the key")
        self._daemons.wait_minions(accepted)

    def reinstall(self, name: str) -> None:
        """Give a host an empty disk and so a new Salt key and new WireGuard keys, under its old name."""
        host = self._node(name)
        if host.has_salt:
            self._need_master("change the key of a host")
        host.power_off()
        self._daemons.delete_key(name)
        host.wipe_disk()
        self.nodes[name].pop("id", None)
        if os.environ.get("WGLAB_SALT_BIN"):
            self.nodes[name]["salt_bin"] = str(saltconf.find_salt_bin())
        self.save()
        self._first_boot([self.host(name)])

    def remove(self, name: str) -> None:
        """Take a host out: key deleted, power off, disk gone."""
        host = self._node(name)
        if host.has_salt:
            self._need_master("delete the key of a host")
        self._daemons.delete_key(name)
        host.power_off()
        host.wipe_disk()
        place = self.nodes.pop(name).get("site")
        if place:
            forwards = self.sites[place]["forwards"]
            self.sites[place]["forwards"] = [each for each in forwards if each[1] != name]
            self.site(place).filter()
        self.save()

    def status(self) -> list[dict[str, Any]]:
        """Return what every host is and does."""
        rows = []
        for host in [self.master, *self.hosts()]:
            pids = netns.pids(host.namespace)
            init = host.init_pid()
            key = None if host.name == MASTER else self._daemons.key_state(host.minion_id)
            rows.append(
                {
                    "host": host.name,
                    "power": "off" if init is None else "up",
                    "init": init,
                    "pids": sorted(pids),
                    "address": host.address4,
                    "site": self.nodes.get(host.name, {}).get("site"),
                    "key": {"minions": "accepted", "minions_pre": "pending", None: None}.get(key, key),
                }
            )
        return rows

    # Steps

    def _node(self, name: str) -> Host:
        if name == MASTER:
            raise LabError("the master cannot be copied, reinstalled or removed; use 'off' and 'on', or 'down'")
        return self.host(name)

    def _check_new(self, name: str) -> None:
        check_host_name(name)
        if name in self.nodes:
            raise LabError(f"there is a host '{name}' already; use 'on', 'reinstall' or 'remove'")
        if name in self.sites:
            raise LabError(f"there is a site '{name}' already; choose another name")

    def _need_master(self, why: str) -> None:
        if not self.master.is_on():
            raise LabError(f"the master is off and has to {why}; boot it with 'on {MASTER}'")

    def _add_node(self, name: str, salt_bin: str | None = None, site: str | None = None) -> None:
        here = [node for node in self.nodes.values() if node.get("site") == (site or None)]
        free = _free(FIRST_NODE, LAST_NODE, here)
        if free is None:
            raise LabError(f"a lab has at most {LAST_NODE - FIRST_NODE + 1} nodes; remove one, or make a second lab")
        self.nodes[name] = {"number": free, "salt_bin": str(saltconf.find_salt_bin() if salt_bin else self.salt_bin)}
        if site:
            self.nodes[name]["site"] = site

    def _install(self, host: Host) -> None:
        host.wipe_disk()
        host.make_disk()
        saltconf.write_minion(host, self.master)
        if self.synced and host.has_salt:
            saltconf.sync_modules(host)

    def _power_on(self, host: Host, tunnels: bool = False, salt: bool = True) -> None:
        daemon = "salt-master" if host.name == MASTER else "salt-minion"
        commands = [[str(host.salt_bin / daemon), "-c", str(host.conf_dir)]] if salt and host.has_salt else []
        host.power_on(commands, tunnels)

    def _first_boot(self, hosts: Sequence[Host]) -> None:
        progress(f"starting {', '.join(host.name for host in hosts)}")
        for host in hosts:
            self._install(host)
            self._power_on(host)
        minions = [host.name for host in hosts if host.has_salt]
        self._daemons.accept(minions)
        self._daemons.wait_minions(minions)


def _free(first: int, last: int, taken: Iterable[dict[str, Any]]) -> int | None:
    numbers = {each["number"] for each in taken}
    return next((number for number in range(first, last + 1) if number not in numbers), None)


def create(name: str, trigger: str, synced: bool) -> Lab:
    """Return a new lab in the directory that the lock made."""
    root = state_dir(name)
    if (root / "lab.json").exists():
        lab = Lab.load(name)
        raise LabError(f"lab {name} is there already with {len(lab.nodes)} nodes; use 'add', or 'down' first")
    if netns.names(f"wglab-{name}--"):
        raise LabError(f"namespaces of an earlier lab {name} are left; clean up with 'down'")
    return Lab(name, root, saltconf.find_salt_bin(), trigger, synced)


def down(name: str) -> None:
    """Remove everything that bears the lab's name, whatever state a crash left it in. Idempotent."""
    root = state_dir(name)
    marked = (root / "lab.json").exists()
    if marked and "WGLAB_DIR" in os.environ:
        Lab.load(name)  # refuses when the directory is another lab's
    for namespace in netns.names(f"wglab-{name}--"):
        netns.kill_init(namespace)
        netns.delete(namespace)
    if root.exists():
        strange = {entry.name for entry in root.iterdir()} - {"lock"}
        if strange and not marked and "WGLAB_DIR" in os.environ:
            raise LabError(f"WGLAB_DIR={root} does not look like a lab's: it holds {', '.join(sorted(strange)[:3])}")
        shutil.rmtree(root)


def run_salt(lab: Lab, command: str, args: list[str]) -> None:
    """Become a Salt command on the master: its exit code and output are the lab's."""
    become(lab.master, [str(lab.salt_bin / command), "-c", str(lab.master.conf_dir), *args])


def become(host: Host, command: list[str]) -> None:
    """Replace this process by a command on a host."""
    argv = host.enter_argv(command)
    try:
        os.execvpe(argv[0], argv, host.environment())  # noqa: S606
    except OSError as error:
        raise LabError(f"cannot run {argv[0]}: {error.strerror}; install util-linux") from error


def tools_missing() -> list[str]:
    """Return the commands that the lab needs and this machine lacks."""
    return [tool for tool in ("ip", "nsenter", "unshare", "mount", "wg", "ping", "nft") if shutil.which(tool) is None]


def has_tun_or_kernel() -> bool:
    """Say whether WireGuard can run here at all: as a kernel module or in userspace over /dev/net/tun."""
    return (
        Path("/dev/net/tun").exists() or subprocess.run(["modinfo", "wireguard"], capture_output=True).returncode == 0
    )
