"""
All that a fleet emits in its life, written down while it lives, and searched for secrets.

What a fleet writes into files is found there. What passes by is written down here: events, command lines and
environments, what commands answer. Secrets are taken from the nodes the moment that they exist.
"""

import contextlib
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import steps

LOOK_SECONDS = 0.03
# A process changes what it shows of itself when it executes another program, and Salt's when they get a job.
FIRST_LOOKS, LATER_LOOK_SECONDS = 6, 2.0
# What tests that run beside this one make in /tmp.
OTHERS = re.compile(r"wglab-.*|pytest-.*")

_KEY = r"([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)"
# In /etc/wireguard: a file that is a key, and the lines of a configuration that hold one.
_KEY_FILE = re.compile(rf"\s*{_KEY}\s*")
_PRIVATE = re.compile(rf"^\s*PrivateKey\s*=\s*{_KEY}", re.MULTILINE | re.IGNORECASE)
_PRESHARED = re.compile(rf"^\s*PresharedKey\s*=\s*{_KEY}", re.MULTILINE | re.IGNORECASE)
# Where a node has its secrets, if nobody else can read the file.
_KEPT = re.compile(r"etc/wireguard/wg\d+\.(conf|key|key\.next|key\.previous|key\.removed-.*)")
# Where the master has what preshared keys come from, and Salt the pillars of nodes, each with its own preshared keys.
_MASTERS = "hosts/master/var/cache/salt/master"
_SECRETS = {f"{_MASTERS}/wireguard/preshared.secret", f"{_MASTERS}/wireguard/preshared.secret.previous"}
_PILLARS = re.compile(rf"{_MASTERS}/(?:pillar/(?P<node>[^/]+)\.p|minions/(?P<minion>[^/]+)/data\.p)")


class Evidence:
    """
    Writes down what the fleet of a lab emits, from the moment that this is made.

    ``owners``: secret -> the hosts that may have it: a private key its first one, a preshared key all that have it.
    ``shared``: those that are preshared keys.
    """

    def __init__(self, lab: Any) -> None:
        self.lab = lab
        self._in_tmp = set(os.listdir("/tmp"))
        self.owners: dict[str, set[str]] = {}
        self.shared: set[str] = set()
        self._dir = lab.dir / "evidence"
        self._dir.mkdir()
        self._answers = 0
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Evidence":
        self.recorder = steps.Recorder(self.lab)
        self._run, self.lab.run = self.lab.run, self._recorded_run
        self._watcher.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.lab.run = self._run
        self._stop.set()
        self._watcher.join()

    # -- what passes by

    def _recorded_run(self, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
        done = self._run(*args, **options)
        self._answers += 1
        answer = self._dir / f"answers/{self._answers:03}"
        answer.parent.mkdir(exist_ok=True)
        answer.write_text(f"{args}\n{done.stdout}\n{done.stderr}")
        return done

    def _watch(self) -> None:
        processes, keys = _Processes(self._dir / "processes"), _Keys(self.lab.dir, self._own)
        while not self._stop.wait(LOOK_SECONDS):
            keys.look()
            processes.look()

    def _own(self, secret: str, host: str, shared: bool) -> None:
        if shared:
            self.shared.add(secret)
        if shared or secret not in self.owners:
            self.owners.setdefault(secret, set()).add(host)

    def keep_run(self, host: str) -> None:
        """Copy what a host has in /run, the commands that ran there included: it is gone when the host is off."""
        source = Path(f"/proc/{self.lab.status()[host]['init']}/root/run")
        target = self._dir / f"run/{host}-{time.time_ns()}"
        for path in source.rglob("*"):
            with contextlib.suppress(OSError):
                if path.is_file() and not path.is_symlink() and path.stat().st_size < 10**7:
                    copy = target / path.relative_to(source)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, copy)
        self._ask_devices(host)

    def _ask_devices(self, host: str) -> None:
        """The secrets that only a device has."""
        dump = subprocess.run(
            self.lab.argv("exec", host, "wg", "show", "all", "dump"), capture_output=True, text=True, check=False
        )
        for line in dump.stdout.splitlines():
            fields = line.split("\t")
            shared = len(fields) == 9
            secret = fields[2] if shared else fields[1]
            if _KEY_FILE.fullmatch(secret):
                self._own(secret, host, shared)

    def render_returns(self) -> None:
        """Show every return so far by every outputter of Salt."""
        script = str(steps.HERE / "render_returns.py")
        self.lab.must("exec", "master", "python3", script, str(self.recorder.file), str(self._dir / "outputters"))

    # -- what is searched

    def leaks(self, secrets: Iterable[str] | None = None) -> list[str]:
        """The files, other than those that it belongs in, that have one of the secrets in any form; all by default."""
        wanted = {
            secret: steps.forms(secret) for secret in (sorted(self.owners) if secrets is None else sorted(secrets))
        }
        found = []
        for path in self._files():
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # Salt cleans up behind itself
                continue
            for secret, shapes in wanted.items():
                if any(shape in content for shape in shapes) and not self._belongs(secret, path):
                    found.append(self.name(path))
                    break
        return found

    def name(self, path: Path) -> str:
        """A file as it is called in reports: by its path in the lab."""
        return str(path.relative_to(self.lab.dir)) if path.is_relative_to(self.lab.dir) else str(path)

    def _belongs(self, secret: str, path: Path) -> bool:
        if not self._is_on_disk(path) or path.stat().st_mode & 0o077:
            return False
        owners, name = self.owners.get(secret, ()), self.name(path)
        pillar = _PILLARS.fullmatch(name)
        if pillar and secret in self.shared:
            return (pillar["node"] or pillar["minion"]) in owners
        _, host, place = name.split("/", 2)
        return host in owners and (name in _SECRETS or bool(_KEPT.fullmatch(place)))

    def _is_on_disk(self, path: Path) -> bool:
        return path.is_relative_to(self.lab.dir / "hosts")

    def _files(self) -> Iterator[Path]:
        new = [name for name in set(os.listdir("/tmp")) - self._in_tmp if not OTHERS.fullmatch(name)]
        for top in [self.lab.dir, *(Path("/tmp", name) for name in sorted(new))]:
            for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
                with contextlib.suppress(OSError):
                    if path.is_file() and not path.is_symlink():
                        yield path


class _Processes:
    """The command lines and environments of all processes of this machine, and so of all hosts."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._looks: dict[str, tuple[int, float]] = {}
        self._seen: set[bytes] = set()

    def look(self) -> None:
        now = time.monotonic()
        present = {name for name in os.listdir("/proc") if name.isdigit()}
        self._looks = {pid: looks for pid, looks in self._looks.items() if pid in present}
        with self._file.open("ab") as out:
            for pid in present:
                count, last = self._looks.get(pid, (0, 0.0))
                if count < FIRST_LOOKS or now > last + LATER_LOOK_SECONDS:
                    self._looks[pid] = (count + 1, now)
                    self._write_new(out, pid)

    def _write_new(self, out: Any, pid: str) -> None:
        for what in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                text = Path("/proc", pid, what).read_bytes()
                if text and text not in self._seen:
                    self._seen.add(text)
                    out.write(text.replace(b"\0", b" ") + b"\n")


class _Keys:
    """
    The secrets in the files of /etc/wireguard of all hosts, also of such as are there for a moment only, and the one of
    the master.
    """

    def __init__(self, lab_dir: Path, own: Any) -> None:
        self._lab_dir = lab_dir
        self._own = own
        self._seen: set[tuple[str, int, int, int]] = set()

    def look(self) -> None:
        for path in [*self._lab_dir.glob("hosts/*/etc/wireguard/*"), *(self._lab_dir / name for name in _SECRETS)]:
            with contextlib.suppress(OSError):
                stat = path.stat()
                version = (str(path), stat.st_ino, stat.st_mtime_ns, stat.st_size)
                if version not in self._seen and path.is_file():
                    self._seen.add(version)
                    self._read(path.read_text(errors="replace"), path.relative_to(self._lab_dir).parts[1])

    def _read(self, text: str, host: str) -> None:
        alone = _KEY_FILE.fullmatch(text)
        for secret in [alone[1]] if alone else _PRIVATE.findall(text):
            self._own(secret, host, False)
        for secret in _PRESHARED.findall(text):
            self._own(secret, host, True)
