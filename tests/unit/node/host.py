"""
A minion on a machine that is made up: the execution module as Salt loads it, without Salt's loader, devices and root.

It offers what ``tests/functional/hosts.Host`` offers, so that a test of a decision can stand in either place.
"""

import functools
import importlib.util
import json
import re
from pathlib import Path

import salt.utils.systemd
from salt.exceptions import CommandExecutionError

from factories import salt_key
from saltext.wireguard.errors import WireguardError
from saltext.wireguard.master.intake import hear
from saltext.wireguard.master.master import Master
from saltext.wireguard.node import config_files, devices, hosts_file, lock
from saltext.wireguard.node.boot import networkd
from saltext.wireguard.node.minion import Minion
from saltext.wireguard.node.pillar import refuse_errors
from saltext.wireguard.registry.salt_keys import load_salt_keys
from saltext.wireguard.system import machine
from unit.node.fake_machine import FakeMachine

REPO = Path(__file__).resolve().parents[3]
NODE = "node1"
CACHE = "var/cache/salt/minion"
_KEYS = re.compile(r"^(?:PrivateKey = |PresharedKey = )?([A-Za-z0-9+/]{43}=)$", re.MULTILINE)


@functools.cache
def load(folder, name="wireguard"):
    """A file of ``_modules`` or ``_states``, executed once: what Salt puts into it is put in by each host."""
    spec = importlib.util.spec_from_file_location(f"{name}{folder}", REPO / folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Host:
    def __init__(self, disk, monkeypatch):
        self.disk = disk
        self.etc = disk / "etc" / "wireguard"
        self.etc.mkdir(parents=True)
        self.config = self.etc / "wg0.conf"
        self.pki = disk / "pki"
        (self.pki / "minions").mkdir(parents=True)
        (self.pki / "minion.pem").write_bytes(salt_key(NODE).private_pem)
        (self.pki / "minions" / NODE).write_bytes(salt_key(NODE).public_pem)
        self.machine = FakeMachine()
        self.events = []
        self.settings = {"wireguard:confirm_seconds": 0}  # trials look at real packets
        self.opts = {
            "id": NODE,
            "cachedir": str(disk / CACHE),
            "pki_dir": str(self.pki),
            "master_uri": "tcp://192.0.2.254:4506",
            "test": False,
        }
        self.functions = {
            "config.get": lambda name, default: self.settings.get(name, default),
            "event.send": self._send,
            "saltutil.refresh_pillar": lambda: self.events.append(("refresh_pillar", None)),
        }
        self._said = []
        self._pillar = {}
        self._compile = lambda: self._pillar
        self._patch = monkeypatch
        self._put_in(monkeypatch)
        self.set_pillar({})

    def _put_in(self, monkeypatch):
        monkeypatch.setattr(machine, "here", self.machine)
        monkeypatch.setattr(config_files, "CONFIG_DIR", str(self.etc))
        monkeypatch.setattr(hosts_file, "HOSTS_FILE", str(self.disk / "hosts"))
        monkeypatch.setattr(networkd, "CONFIG_DIR", str(self.disk / "networkd"))
        monkeypatch.setattr(salt.utils.systemd, "booted", lambda context=None: False)
        monkeypatch.setattr(Minion, "fresh_pillar", lambda _: self._fresh())
        self.module, self.states = load("_modules"), load("_states")
        self.others = self.observing, _ = [load("_modules", f"wireguard_{name}") for name in ("observe", "adopt")]
        for name, value in (("context", {}), ("grains", {}), ("opts", self.opts), ("salt", self.functions)):
            monkeypatch.setattr(self.module, f"__{name}__", value, raising=False)
            for other in self.others:
                monkeypatch.setattr(other, f"__{name}__", value, raising=False)
        for other in self.others:
            monkeypatch.setattr(other, "__pillar__", {}, raising=False)
        known = {
            f"wireguard.{name}": getattr(self.module, name) for name in ("remove", "gone", "clean", "apply_interface")
        }
        monkeypatch.setattr(self.states, "__salt__", {**known, "wireguard.apply": self.module.apply_}, raising=False)
        monkeypatch.setattr(self.states, "__opts__", self.opts, raising=False)

    # -- the minion

    def configure(self, **changes):
        """Other minion options; those under ``wireguard`` are settings."""
        ours = changes.pop("wireguard", {})
        self.settings.update({f"wireguard:{name}": value for name, value in ours.items()})
        self.opts.update(changes)

    def set_pillar(self, data):
        """What the minion has as its pillar, and gets when it fetches it anew."""
        self.set_fresh_pillar(data)
        self.module.__pillar__ = data

    def set_fresh_pillar(self, data):
        """What the minion gets when it fetches its pillar anew; it does not know this yet."""
        self._compile = lambda: data

    def set_networks(self, *views):
        self.set_pillar({"wireguard": {"networks": {view.network: view.to_dict() for view in views}}})

    def _fresh(self):
        pillar = json.loads(json.dumps(self._compile()))
        refuse_errors(pillar)
        return pillar

    def be_master(self, mesh_text):
        """From now on the pillar comes from this mesh file, and events arrive."""
        self.write_mesh(mesh_text)
        source = {"wireguard": {"mesh": str(self.disk / "mesh.yml")}}
        opts = {
            "__role": "master",
            "ext_pillar": [source],
            "pki_dir": str(self.pki),
            "cachedir": str(self.disk / "master"),
        }
        self.ext_pillar = load("_pillar")
        self._patch.setattr(self.ext_pillar, "__opts__", opts, raising=False)
        self.master = Master.from_opts(opts)
        self.on_event = lambda tag, data: hear(self.master, tag, {"id": NODE, "data": data}) or True
        self._compile = self._compiled
        self.refresh_pillar()

    def write_mesh(self, text):
        (self.disk / "mesh.yml").write_text(text)

    def _compiled(self):
        try:
            return self.ext_pillar.ext_pillar(NODE, {}, str(self.disk / "mesh.yml"))
        except WireguardError as exc:
            return {"_errors": [str(exc)]}

    def refresh_pillar(self):
        self.module.__pillar__ = self._compile()

    def _send(self, tag, data=None):
        self.events.append((tag, data))
        return self.on_event(tag, data)

    def on_event(self, tag, data):
        """Replaced by tests that have a master."""
        return True

    def lock(self, interface):
        """What a run holds that works on an interface."""
        return lock.hold(self.opts["cachedir"], interface)

    def call(self, name, *args, **kwargs):
        known = {name: each for module in (*self.others, self.module) for name, each in vars(module).items()}
        function = known[{"apply": "apply_", "record": "record_"}.get(name, name)]
        try:
            result = function(*args, **kwargs)
        except CommandExecutionError as exc:
            self._said.append(str(exc))
            raise
        self._said.append(json.dumps(result))
        return result

    def error(self, name, *args, **kwargs):
        """The message of the CommandExecutionError that this call raises."""
        try:
            result = self.call(name, *args, **kwargs)
        except CommandExecutionError as exc:
            return str(exc)
        raise AssertionError(f"no error but {result}")

    def state(self, name, *args, test=False, **kwargs):
        self.opts["test"] = test
        return getattr(self.states, name)(*args, **kwargs)

    # -- the machine

    @property
    def commands(self):
        return self.machine.commands

    def run(self, *argv, text=None):
        """A command of the test's own."""
        return self.machine.run([word for word in argv if word != "dev" or argv[0] != "ip"], text)

    def device(self, interface="wg0"):
        """The device as it is; None where there is none."""
        before = [*self.machine.commands]
        found = devices.read(interface)
        self.machine.commands[:] = before
        return found

    def forget_commands(self):
        self.machine.commands.clear()

    def writing_commands(self):
        return self.machine.writing_commands()

    device_commands = writing_commands

    def picture(self):
        """All that a run could change: the devices and the files."""
        return repr(self.machine.devices), files(self.etc), files(self.disk / "networkd")

    def accepted_keys(self):
        return load_salt_keys(str(self.pki / "minions"))

    def assert_no_secret_is_out(self, log):
        """No key that a file of the interface has in anything returned, raised, logged, sent or executed."""
        public = {key for device in self.machine.devices.values() for key in device.peers}
        text = "\n".join(path.read_text(errors="replace") for path in self.etc.rglob("*") if path.is_file())
        said = "\n".join([*self._said, repr(self.events), repr(self.machine.commands), log])
        assert not [key for key in _KEYS.findall(text) if key not in public and key in said]


def files(folder):
    """Path -> (mode, inode, time, content) of everything in a folder."""
    return {
        path.name: (path.stat().st_mode, path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.glob("*"))
    }
