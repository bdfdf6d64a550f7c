"""The program on one machine: the execution module as it is loaded here, with stand-ins for Salt's parts."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from saltext.wireguard.formats import wg_quick
from saltext.wireguard.model.keys import PrivateKey
from saltext.wireguard.model.view import View
from saltext.wireguard.node import config_files, endpoints, rotation
from saltext.wireguard.node.minion import Minion
from saltext.wireguard.system import files

from . import INTERFACE, NETWORK, REPO, STATE_DIR, UDP_ECHO
from .commands import run


def _module(name: str) -> Any:
    """A file of ``_modules``, as Salt's loader executes it."""
    spec = importlib.util.spec_from_file_location(f"{name}_module", REPO / "_modules" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Machine:
    """What a request may ask for. It works with the module as it is loaded here, with stand-ins for Salt's parts."""

    def __init__(self, name: str, answer: Any) -> None:
        self._answer = answer
        for path in ("/etc/wireguard", "/run/wireguard"):
            os.makedirs(path, exist_ok=True)
            run(["mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", path])
        run(["mount", "-t", "sysfs", "sysfs", "/sys"])
        run(["ip", "link", "set", "lo", "up"])
        self.module, self._adopting = _module("wireguard"), _module("wireguard_adopt")
        self._pillar: dict[str, Any] = {"wireguard": {"networks": {}}}
        master = "tcp://192.0.2.254:4506"  # where it has a master, which is played by ``Nodes``
        self.module.__opts__ = {"id": name, "cachedir": STATE_DIR, "pki_dir": STATE_DIR, "master_uri": master}
        self.module.__pillar__ = self._pillar
        self.module.__context__ = {}
        self.module.__grains__ = {}
        self._settings: dict[str, Any] = {}
        self.module.__salt__ = {"event.send": self._send, "config.get": self._settings.get}
        for name in ("opts", "pillar", "context", "grains", "salt"):
            setattr(self._adopting, f"__{name}__", getattr(self.module, f"__{name}__"))
        Minion.fresh_pillar = lambda _: self._pillar
        os.mkdir(STATE_DIR)
        Path(STATE_DIR, "minion.pem").write_bytes(_salt_key())
        self._echo = subprocess.Popen([sys.executable, str(UDP_ECHO), "serve"])

    def _send(self, tag: str, data: Any) -> bool:
        self._answer({"event": [tag, data]})
        return True

    def call(self, function: str, args: list[Any], kwargs: dict[str, Any], delay: float) -> Any:
        time.sleep(delay)
        module = self.module if hasattr(self.module, function) else self._adopting
        return getattr(module, function)(*args, **kwargs)

    def run(self, *argv: str, seconds: float) -> str:
        return run(list(argv), seconds)

    def configure(self, settings: dict[str, Any], **opts: Any) -> None:
        """Settings as ``config.get`` finds them, and options of the minion."""
        self._settings.update(settings)
        self.module.__opts__.update(opts)

    def listen(self, port: int) -> None:
        """Accept TCP connections, as a Salt master does."""
        listener = socket.create_server(("", port))
        threading.Thread(target=lambda: [listener.accept()[0].close() for _ in itertools.count()], daemon=True).start()

    def set_view(self, view: dict[str, Any]) -> None:
        self._pillar["wireguard"]["networks"][NETWORK] = view

    def files(self) -> list[str]:
        return sorted(os.listdir("/etc/wireguard"))

    def key_of_config(self) -> str:
        """The public key with which this machine would come up after a power cut."""
        text = files.read(config_files.config_file(INTERFACE))
        (line,) = [line for line in text.splitlines() if line.startswith("PrivateKey = ")]
        done = subprocess.run(["wg", "pubkey"], input=line[13:], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def replace_key(self) -> str:
        """What a rotation without any protocol does. Returns the public key."""
        path = config_files.key_file(INTERFACE)
        files.replace(path, run(["wg", "genkey"]))
        run(["wg", "set", INTERFACE, "private-key", path])
        return str(self.module.public_key(INTERFACE))

    def syncconf(self, view: dict[str, Any]) -> None:
        """What scripts do: write the whole configuration, and let ``wg`` make the device like it."""
        self._write_config(view)
        path = f"{STATE_DIR}/stripped"
        Path(path).write_text(run(["wg-quick", "strip", INTERFACE]))
        run(["wg", "syncconf", INTERFACE, path])

    def restart(self, view: dict[str, Any]) -> None:
        """What others do."""
        run(["wg-quick", "down", INTERFACE])
        self._write_config(view)
        run(["wg-quick", "up", INTERFACE])

    def _write_config(self, view: dict[str, Any]) -> None:
        private = files.read(config_files.key_file(INTERFACE)).strip()
        wanted = View.from_dict(view, NETWORK)
        text = wg_quick.render(wanted, PrivateKey(private), endpoints.known(wanted))
        files.replace(config_files.config_file(INTERFACE), text)

    def lose_power_before(self, function: str) -> None:
        """The next call of this step of a switch raises, once: what comes after it in the code never happens."""
        real = getattr(rotation, function)

        def die(*_args: Any, **_kwargs: Any) -> None:
            setattr(rotation, function, real)
            raise RuntimeError("power cut")

        setattr(rotation, function, die)

    def boot(self) -> None:
        """Everything that is not in a file is gone; wg-quick brings the interface up from its file."""
        run(["ip", "link", "delete", "dev", INTERFACE])
        run(["wg-quick", "up", INTERFACE])

    def echoes(self, address: str, seconds: float, rate: int = 1000, size: int = 64) -> dict[str, Any]:
        """
        Send numbered packets of so many bytes to a machine that sends them back; see udp_echo.py.

        Returns how many were ``sent`` and ``received``, and the ``gap``: the longest time without an answer in seconds.
        """
        words = ["stream", address, str(seconds), str(rate), str(size)]
        return dict(json.loads(run([sys.executable, str(UDP_ECHO), *words])))


def _salt_key() -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def main(name: str) -> None:
    """Be a machine until the other side goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what anything else prints must not get between the answers
    lock = threading.Lock()

    def answer(data: dict[str, Any]) -> None:
        with lock:
            output.write(json.dumps(data) + "\n")

    machine = Machine(name, answer)
    output.write("ready\n")

    def work(request: dict[str, Any]) -> None:
        try:
            result = getattr(machine, request["do"])(*request["args"], **request["kwargs"])
            answer({"id": request["id"], "result": result})
        except BaseException:
            answer({"id": request["id"], "error": traceback.format_exc()})

    for line in sys.stdin:
        threading.Thread(target=work, args=(json.loads(line),), daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1])
