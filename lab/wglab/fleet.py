"""A lab as a whole: which hosts it has, and how they come and go."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from . import netns, saltconf
from .host import Host
from .report import LabError, progress
from .segment import Forward, Segment, Site, internet

MASTER = "master"
SWITCH = "switch"
FIRST_SITE, LAST_SITE = 2, 9
FIRST_NODE, LAST_NODE = 11, 254
PUBLISH_PORT, REQUEST_PORT = 4505, 4506
ESTABLISHED, LISTEN = "01", "0A"
LAB_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


def check_lab_name(name: str) -> str:
    """Accept 1 to 12 of [a-z0-9-]. Single dashes inside only: the double one ends the name in that of a namespace."""
    if len(name) > 12 or not LAB_NAME.fullmatch(name):
        raise LabError(f"'{name}' is no name for a lab: use 1 to 12 of a-z, 0-9 and single dashes inside")
    return name


def check_host_name(name: str) -> str:
    """Accept what is both a host name and a minion id without glob characters."""
    if not HOST_NAME.fullmatch(name) or name in (MASTER, SWITCH):
        raise LabError(f"'{name}' is no name for a new host: use a-z, 0-9, dots and dashes; not {MASTER} or {SWITCH}")
    return name


def state_dir(name: str) -> Path:
    """Return where the lab of this name keeps its state."""
    return Path(os.environ.get("WGLAB_DIR") or f"/tmp/wglab-{name}").absolute()  # noqa: S108 - sockets need short paths


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

    @property
    def pki(self) -> Path:
        """The master's key store."""
        return self.master.conf_dir / "pki" / MASTER

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
        self._wait_master()
        self._accept(list(self.nodes))
        self._wait_minions(list(self.nodes))

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
            self._wait_master()
            running = [node.name for node in self.hosts() if node.has_salt and node.is_on()]
        else:
            running = [name]
        if not self.master.is_on():
            progress(f"{name} has power; the master is off, so nobody can ask its minion whether it is up")
            return
        accepted = [node for node in running if self._key_state(self.host(node).minion_id) == "minions"]
        if left := sorted(set(running) - set(accepted)):
            progress(f"not waiting for {', '.join(left)}: the master has not accepted the key")
        self._wait_minions(accepted)

    def reinstall(self, name: str) -> None:
        """Give a host an empty disk and so a new Salt key and new WireGuard keys, under its old name."""
        host = self._node(name)
        if host.has_salt:
            self._need_master("change the key of a host")
        host.power_off()
        self._delete_key(name)
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
        self._delete_key(name)
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
            key = None if host.name == MASTER else self._key_state(host.minion_id)
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
        self._accept(minions)
        self._wait_minions(minions)

    def _key_state(self, name: str) -> str | None:
        """Return the directory of the key store with the node's key: looking is 100 times faster than asking Salt."""
        states = ("minions", "minions_pre", "minions_rejected", "minions_denied")
        return next((state for state in states if (self.pki / state / name).exists()), None)

    def _accept(self, names: list[str]) -> None:
        """Wait until the keys of all these nodes are pending, and accept them together."""
        if not names:
            return
        progress(f"waiting for the keys of {len(names)} minions")
        self._wait(lambda: [name for name in names if self._key_state(name) is None], "no key has come from")
        self._wait(lambda: self._pending_still(names), "no key could be accepted of")

    def _pending_still(self, names: list[str]) -> list[str]:
        """Accept what is pending, and look again: a key that the master is just writing may stay pending."""
        pending = [name for name in names if self._key_state(name) == "minions_pre"]
        if pending:
            self._salt_key("-y", "-a", ",".join(pending))
        return [name for name in pending if self._key_state(name) == "minions_pre"]

    def _delete_key(self, name: str) -> None:
        if self._key_state(name) is not None:
            self._salt_key("-y", "-d", name)

    def _salt_key(self, *args: str) -> None:
        done = self.master.run([str(self.salt_bin / "salt-key"), "-c", str(self.master.conf_dir), *args])
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())
            raise LabError(f"salt-key {' '.join(args)} failed with {done.returncode}: {said}")

    def _wait_master(self) -> None:
        """Wait until the master takes requests and publishes jobs."""
        ports = [PUBLISH_PORT, REQUEST_PORT]
        self._wait(
            lambda: [MASTER] if any(_sockets(self.master, port, LISTEN, "local") == 0 for port in ports) else [],
            f"no open ports {PUBLISH_PORT} and {REQUEST_PORT} at",
        )

    def _wait_minions(self, names: list[str]) -> None:
        """Wait until minions answer. Asking one that does not listen yet costs seconds: look at its sockets first."""
        if not names:
            return
        progress(f"waiting for {len(names)} minions to connect and answer")
        self._wait(lambda: [name for name in names if not self._subscribed(name)], "no connection to the master from")
        self._wait(lambda: self._silent(names), "no answer to test.ping from")

    def _subscribed(self, name: str) -> bool:
        return _sockets(self.host(name), PUBLISH_PORT, ESTABLISHED, "remote") > 0

    def _silent(self, names: list[str]) -> list[str]:
        """Return the minions that do not answer test.ping. Of two with one id, either may answer for both."""
        ids = {name: self.host(name).minion_id for name in names}
        command = [str(self.salt_bin / "salt"), "-c", str(self.master.conf_dir), "--out=json", "--static"]
        done = self.master.run([*command, "--timeout=10", "-L", ",".join(ids.values()), "test.ping"])
        try:
            answers = json.loads(done.stdout)
        except ValueError:
            return names
        return [name for name, minion_id in ids.items() if answers.get(minion_id) is not True]

    def _wait(self, missing: Callable[[], list[str]], problem: str) -> None:
        """Poll until nobody is missing; who still is when the time is over gets named, with the log to read."""
        seconds = float(os.environ.get("WGLAB_TIMEOUT", "180"))
        deadline = time.monotonic() + seconds
        while left := missing():
            if off := [name for name in left if not self.host(name).is_on()]:
                raise LabError(f"{', '.join(off)} lost power meanwhile; see {self.host(off[0]).console_log}")
            if time.monotonic() > deadline:
                log = self.host(left[0]).disk / "var/log"
                raise LabError(f"{problem} {', '.join(left)} in {seconds:g} s (WGLAB_TIMEOUT); read the logs in {log}")
            time.sleep(0.1)


def _free(first: int, last: int, taken: Iterable[dict[str, Any]]) -> int | None:
    numbers = {each["number"] for each in taken}
    return next((number for number in range(first, last + 1) if number not in numbers), None)


def _sockets(host: Host, port: int, state: str, end: str) -> int:
    """Count the host's TCP sockets in a state with this port at one end, from /proc: it costs no process."""
    init = host.init_pid()
    if init is None:
        return 0
    try:
        lines = Path(f"/proc/{init}/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return 0
    column = 1 if end == "local" else 2
    rows = [line.split() for line in lines]
    return sum(row[3] == state and row[column].endswith(f":{port:04X}") for row in rows)


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


@contextmanager
def locked(name: str, make: bool = False) -> Iterator[None]:
    """Let one command at a time change a lab. The lock is a file in the state directory and goes away with it."""
    root = state_dir(name)
    if make:
        _make_root(root)
    path = root / "lock"
    while root.is_dir():
        with path.open("a+") as lock:
            _flock(lock.fileno(), name)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(lock.fileno())):
                yield
                return
        if make:
            _make_root(root)
    yield  # no directory, nothing to change: the command itself says so


def _make_root(root: Path) -> None:
    if root.resolve().is_relative_to(saltconf.CHECKOUT):
        raise LabError(f"WGLAB_DIR={root} is inside the checkout, which minions are served; choose one outside")
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if root.stat().st_uid != os.geteuid() or root.is_symlink():
        raise LabError(f"{root} belongs to somebody else; choose another directory with WGLAB_DIR")
    known = (root / "lab.json").exists() or not {entry.name for entry in root.iterdir()} - {"lock"}
    if not known:
        raise LabError(f"{root} has other things in it; remove them ('down'), or choose an empty WGLAB_DIR")


def _flock(descriptor: int, name: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        progress(f"another command is changing lab {name}; waiting for it")
        fcntl.flock(descriptor, fcntl.LOCK_EX)


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
