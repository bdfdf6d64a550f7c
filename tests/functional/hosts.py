"""A minion whose modules Salt's own loaders load from the checkout, on a machine that belongs to one test alone."""

import contextlib
import functools
import importlib
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import salt.config
import salt.crypt
import salt.loader
import salt.pillar
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from salt.exceptions import CommandExecutionError
from views import PEERS, in_words, key, peer, preshared, registered, view

from saltext.wireguard.device import parse
from saltext.wireguard.master.intake import hear
from saltext.wireguard.master.master import Master
from saltext.wireguard.registry.salt_keys import load_salt_keys

__all__ = ["PEERS", "in_words", "key", "peer", "preshared", "registered", "view"]

REPO = Path(__file__).resolve().parents[2]
ETC = Path("/etc/wireguard")
NODE = "node1"

_KEY = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=(?![A-Za-z0-9+/=])")

# Commands that change nothing: all that a run may execute which finds nothing to do.
_READING = (
    ("wg", "show"),
    ("wg", "pubkey"),
    ("ip", "-json", "address", "show"),
    ("ip", "-json", "route", "get"),
    *(("ip", family, "-json", "-force", "-batch") for family in ("-4", "-6")),  # only ever asked for routes
    *(("ip", "-json", family, what, "show") for family in ("-4", "-6") for what in ("rule", "route")),
    ("git", "version"),  # Salt's own, when it compiles a pillar
)


@functools.cache
def pem():
    """A Salt key pair, made once: (private, public)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, public


@functools.cache
def served():
    """
    The checkout as a clone of it would be. Salt walks through all of its file roots when it compiles a pillar, and
    virtual environments have tens of thousands of files.
    """
    root = tempfile.TemporaryDirectory(prefix="wg-served-")
    for path in REPO.glob("[!.]*"):
        Path(root.name, path.name).symlink_to(path)
    return root


def options(root, **changes):
    """Of a minion that is its own file server and compiles its own pillar."""
    settings = {
        "id": NODE,
        "root_dir": str(root),
        "file_client": "local",
        "master_uri": "tcp://192.0.2.254:4506",  # where it has a master that it cannot reach
        "module_dirs": [str(REPO)],
        "file_roots": {"base": [served().name, str(REPO / "salt")]},
        "pillar_roots": {"base": [str(root / "pillar")]},
        "enable_fqdns_grains": False,
        "enable_gpu_grains": False,
        "__role": "minion",
    }
    opts = salt.config.apply_minion_config({**settings, **changes})
    opts["grains"] = {**grains()}
    opts["pillar"] = {}
    return opts


@functools.cache
def grains():
    with tempfile.TemporaryDirectory() as root:
        opts = salt.config.apply_minion_config(
            {"root_dir": root, "id": NODE, "enable_fqdns_grains": False, "enable_gpu_grains": False}
        )
        return salt.loader.grains(opts)


def warm_up():
    """Load once what every test loads, so that its children find it imported."""
    pem()
    served()
    with tempfile.TemporaryDirectory() as root:
        opts = options(Path(root))
        functions = salt.loader.minion_mods(opts, utils=salt.loader.utils(opts))
        for name in ("wireguard.version", "config.get", "state.show_sls", "saltutil.sync_all", "no.such"):
            functions.get(name)


class Host:
    """
    One machine with one minion.

    ``call`` and its relatives remember everything that the modules return, raise, log and execute, so that all of it
    can be searched for private keys afterwards. ``events`` are what the minion sent to the master.
    """

    def __init__(self, disk):
        self.disk = disk
        self.secrets = set()
        self.shared_secrets = set()
        self.events = []
        self.commands = []
        self._said = []
        self._quiet = False
        self._pillar = {}
        self.opts = options(disk)
        self.pki = Path(self.opts["pki_dir"])
        self.pki.mkdir(parents=True)
        (self.pki / "minion.pem").write_bytes(pem()[0])
        (self.pki / "minions").mkdir()
        (self.pki / "minions" / NODE).write_bytes(pem()[1])
        self.pillar_dir = disk / "pillar"
        self.pillar_dir.mkdir()
        (self.pillar_dir / "top.sls").write_text("base: {'*': [data]}")
        self.load()
        self.set_pillar({})

    def __enter__(self):
        self.run("ip", "link", "set", "lo", "up")
        self._log = _Log(self._said)
        logging.getLogger().addHandler(self._log)
        logging.getLogger().setLevel(1)
        sys.addaudithook(self._audit)  # for the rest of this process, which is this test's alone
        return self

    def __exit__(self, *_):
        logging.getLogger().removeHandler(self._log)

    def _audit(self, event, args):
        if event == "subprocess.Popen" and not self._quiet:
            self.commands.append([os.fsdecode(word) for word in args[1]])
            self._said.append(repr((args[1], args[3])))

    # -- the minion

    def configure(self, **changes):
        """Load the modules anew with other minion options."""
        self.opts.update(changes)
        self.load()

    def set_pillar(self, data):
        """What the minion has as its pillar, and gets when it fetches it anew."""
        self.set_fresh_pillar(data)
        self.hold_pillar(data)

    def hold_pillar(self, data):
        """What the modules see as `__pillar__`. Not in the options, from where Salt would mix it into a fresh one."""
        self._pillar = data
        self.functions.pack["__pillar__"] = data

    def set_fresh_pillar(self, data):
        """What the minion gets when it fetches its pillar anew; it does not know this yet."""
        (self.pillar_dir / "data.sls").write_text("#!json\n" + json.dumps(data))

    def set_networks(self, *views):
        self.set_pillar({"wireguard": {"networks": {view.network: view.to_dict() for view in views}}})

    def be_master(self, mesh_text):
        """
        From now on the pillar comes from this mesh file, and events arrive: the master on the minion's own machine.

        Only the way in between is left out, which the tests in tests/integration have.
        """
        self.write_mesh(mesh_text)
        self.configure(ext_pillar=[{"wireguard": {"mesh": str(self.disk / "mesh.yml")}}], __role="master")
        self.on_event = lambda tag, data: hear(self.master, tag, {"id": NODE, "data": data}) or True
        self.refresh_pillar()

    def write_mesh(self, text):
        (self.disk / "mesh.yml").write_text(text)

    @property
    def master(self):
        return Master.from_opts(self.opts)

    def refresh_pillar(self):
        """As the minion does by `saltutil.refresh_pillar` and when it starts."""
        compiled = salt.pillar.get_pillar(self.opts, self.opts["grains"], self.opts["id"]).compile_pillar()
        self.hold_pillar(compiled)
        return compiled

    def load(self):
        self.utils = salt.loader.utils(self.opts)
        self.functions = salt.loader.minion_mods(self.opts, utils=self.utils)
        self.functions.pack["__pillar__"] = self._pillar
        self.functions["event.send"] = self._send
        self.states = salt.loader.states(self.opts, self.functions, self.utils, {})

    def _send(self, tag, data=None, **_):
        self.events.append((tag, data))
        self._said.append(repr(data))
        return self.on_event(tag, data)

    def on_event(self, tag, data):
        """Replaced by tests that have a master."""
        return True

    def library(self, name):
        """A module of the package that the loaded execution module works with, to patch something in it."""
        return importlib.import_module(f"saltext.wireguard.{name}")

    def lock(self, interface):
        """What a run holds that works on an interface."""
        return self.library("node.lock").hold(self.opts["cachedir"], interface)

    def call(self, name, *args, **kwargs):
        return self._heard(self.functions[f"wireguard.{name}"], args, kwargs)

    def error(self, name, *args, **kwargs):
        """The message of the CommandExecutionError that this call raises."""
        try:
            result = self.call(name, *args, **kwargs)
        except CommandExecutionError as exc:
            return str(exc)
        raise AssertionError(f"no error but {result}")

    def state(self, name, *args, test=False, **kwargs):
        self.opts["test"] = test
        states = salt.loader.states(self.opts, self.functions, self.utils, {})
        return self._heard(states[f"wireguard.{name}"], args, kwargs)

    def salt(self, name, *args, **kwargs):
        """A function of Salt itself."""
        return self._heard(self.functions[name], args, kwargs)

    def _heard(self, function, args, kwargs):
        try:
            result = function(*args, **kwargs)
        except BaseException:
            self._said.append(traceback.format_exc())
            raise
        finally:
            self._note_secrets()
        self._said.append(json.dumps(result, default=repr))
        return result

    # -- the machine

    def run(self, *argv, text=None):
        """A command of the test's own."""
        with self.quiet():
            done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    def delete_device(self, name="wg0"):
        """By hand; returns when wireguard-go, which notices a moment later, has made room for another one."""
        self.run("ip", "link", "delete", "dev", name)
        wait_until(lambda: not os.path.exists(f"/sys/class/net/{name}") and not os.path.exists(socket_of(name)), 60)

    @contextlib.contextmanager
    def quiet(self):
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def device(self, interface="wg0"):
        """The device as it is, read without the module's help; None where there is none."""
        if not os.path.exists(f"/sys/class/net/{interface}"):
            return None
        show = ("route", "show", "dev", interface, "table", "main")
        return parse.parse(
            interface,
            self.run("wg", "show", interface, "dump"),
            self.run("ip", "-json", "address", "show", "dev", interface),
            *(self.run("ip", "-json", family, *show) for family in ("-4", "-6")),
        )

    def forget_commands(self):
        self.commands.clear()

    def writing_commands(self):
        """Those since the last ``forget_commands`` that could have changed anything."""
        return [argv for argv in self.commands if not any(argv[: len(head)] == [*head] for head in _READING)]

    def device_commands(self):
        """Of these, the ones that change the device: a shell starts the watchdog of a change."""
        return [argv for argv in self.writing_commands() if argv[0] != "/bin/sh"]

    def picture(self):
        """All that a run could change: the devices with their links, and the files with content, owner and times."""
        with self.quiet():
            names = sorted(os.listdir("/sys/class/net"))
            links = json.loads(self.run("ip", "-json", "address", "show"))
            ours = self.run("wg", "show", "interfaces").split()
            dumps = [(name, self.run("wg", "show", name, "dump").splitlines()) for name in ours]
            routes = [self.run("ip", family, "route", "show", "table", "all") for family in ("-4", "-6")]
        devices = [(name, lines[0], sorted(_lasting(line) for line in lines[1:])) for name, lines in dumps]
        return names, links, devices, routes, files()

    def put_program(self, name, script):
        """A shell script that comes before the real program of this name; ``$real`` is the real one."""
        folder = self.disk / "bin"
        folder.mkdir(exist_ok=True)
        real = next(
            f"{each}/{name}"
            for each in os.environ["PATH"].split(":")
            if each != str(folder) and os.path.exists(f"{each}/{name}")
        )
        (folder / name).write_text(f"#!/bin/sh\nreal={real}\n{script}\n")
        (folder / name).chmod(0o755)
        if str(folder) not in os.environ["PATH"].split(":"):
            os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"
        return folder / name

    # -- what must stay secret

    def _note_secrets(self):
        for path in ETC.iterdir():
            if ".key" in path.name and path.is_file():
                self.secrets.update(_KEY.findall(path.read_text(errors="replace")))
            elif path.name.endswith(".conf"):
                text = path.read_text(errors="replace")
                self.secrets.update(re.findall(r"PrivateKey = (\S{44})", text))
                self.shared_secrets.update(re.findall(r"PresharedKey = (\S{44})", text))

    def assert_no_secret_is_out(self):
        """
        No private key in any return, error, log record, command line, environment, event, or file of the minion; and no
        preshared key, but for the pillar that it comes from.
        """
        self._note_secrets()
        said = self._said
        for path in self.disk.rglob("*"):
            if path.is_file():
                text = path.read_bytes().decode(errors="replace")
                for secret in self.shared_secrets if path.is_relative_to(self.pillar_dir) else ():
                    text = text.replace(secret, "")
                said.append(text)
        for secret in self.secrets | self.shared_secrets:
            found = [text for text in said if secret.rstrip("=") in text]
            assert not found, f"{secret[:6]}... is in {found[0].replace(secret, '(here)')[:1000]}"


def _lasting(line):
    """A peer's line of `wg show dump` without what its packets change, and in one order."""
    public_key, preshared_key, endpoint, allowed_ips, _handshake, _received, _sent, keepalive = line.split("\t")
    return public_key, preshared_key, endpoint, sorted(allowed_ips.split(",")), keepalive


class _Log(logging.Handler):
    def __init__(self, said):
        super().__init__(0)
        self._said = said
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record):
        self._said.append(self.format(record))

    @property
    def text(self):
        return "\n".join(self._said)


def files(root=ETC):
    """Path -> (mode, size, inode, time, content) of everything below ``root``."""
    return {
        str(path.relative_to(root)): (
            path.lstat().st_mode,
            path.lstat().st_ino,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else None,
        )
        for path in sorted(root.rglob("*"))
    }


def accepted_keys(host):
    return load_salt_keys(str(host.pki / "minions"))


def socket_of(name):
    """Where wireguard-go is configured; the kernel's devices have none."""
    return f"/run/wireguard/{name}.sock"


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
