"""One host of the lab: its address on the underlay, its disk, its power switch, and the way in."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from . import netns
from .report import LabError, progress
from .segment import Segment

# In a hosts file: what follows is the host's own.
END_OF_NAMES = "# -- so far the lab\n"
LOG_LINES = 5
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What must not leak from the caller's shell into a host: a way to the machine's service manager, other Pythons, and a
# setting by which every job compiles all that it imports.
DROPPED_ENV = (
    "NOTIFY_SOCKET",
    "DBUS_SESSION_BUS_ADDRESS",
    "XDG_RUNTIME_DIR",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONDONTWRITEBYTECODE",
    "VIRTUAL_ENV",
)


@dataclass(frozen=True)
class Host:
    """What names one host, and where its things are. Whether it is on, the kernel is asked."""

    name: str
    number: int
    prefix: str
    root: Path
    salt_bin: Path
    minion_id: str
    segment: Segment
    has_salt: bool = True

    @property
    def namespace(self) -> str:
        """The network namespace that holds the host while it is on."""
        return self.prefix + self.name

    @property
    def disk(self) -> Path:
        """What a power cut leaves in place: Salt's root directory and ``etc/wireguard``."""
        return self.root / "hosts" / self.name

    @property
    def conf_dir(self) -> Path:
        """Salt's configuration directory of this host."""
        return self.disk / "etc" / "salt"

    @property
    def console_log(self) -> Path:
        """What PID 1 and the daemons print."""
        return self.disk / "var" / "log" / "console"

    @property
    def address4(self) -> str:
        """IPv4 address on the underlay."""
        return self.segment.address4(self.number)

    @property
    def address6(self) -> str | None:
        """IPv6 address on the underlay, None where it has none."""
        return self.segment.address6(self.number)

    def init_pid(self) -> int | None:
        """Return PID 1 of the host as the machine sees it, or None when the power is off."""
        return netns.init_pid(self.namespace)

    def is_on(self) -> bool:
        """Say whether the host has power."""
        return self.init_pid() is not None

    def make_disk(self) -> None:
        """Lay out an empty disk."""
        for part in ("etc/salt", "etc/wireguard", "var/log/salt", "var/cache/salt"):
            (self.disk / part).mkdir(parents=True, mode=0o700)

    def copy_disk(self, source: "Host") -> None:
        """Copy another host's disk. That host may run, so a file may be gone by the time that its turn comes."""

        def copy(path: str, target: str) -> None:
            if os.path.isfile(path):  # and no socket
                with contextlib.suppress(FileNotFoundError):
                    shutil.copy2(path, target)

        shutil.copytree(source.disk, self.disk, symlinks=True, copy_function=copy)

    def wipe_disk(self) -> None:
        """Throw the disk away."""
        shutil.rmtree(self.disk, ignore_errors=True)

    def power_on(self, commands: list[list[str]], tunnels: bool = False) -> None:
        """Plug the host in, boot it, and return when its daemons are being started."""
        if netns.exists(self.namespace):
            self.power_off()
        self.segment.plug_in(self.namespace, self.number)
        self.learn_names()
        spec = self.disk / "boot.json"
        binds = {
            str(self.disk / "etc/wireguard"): "/etc/wireguard",
            str(self._hosts_file): "/etc/hosts",
            str(self.root / "etc-resolv.conf"): "/etc/resolv.conf",
        }
        boot = {"name": self.name, "boot_id": str(uuid.uuid4()), "binds": binds, "tunnels": tunnels}
        boot["commands"] = commands
        spec.write_text(json.dumps(boot | {"log": str(self.console_log)}))
        self._boot(spec)

    @property
    def _hosts_file(self) -> Path:
        return self.disk / "etc/hosts"

    def learn_names(self) -> None:
        """Write the names of the lab into the host's own hosts file, before what the host itself has added there."""
        own = ""
        with contextlib.suppress(FileNotFoundError):
            own = self._hosts_file.read_text().partition(END_OF_NAMES)[2]
        # in place: a host that runs has this very file for its /etc/hosts
        self._hosts_file.write_text((self.root / "names").read_text() + END_OF_NAMES + own)

    def power_off(self) -> None:
        """Cut the power: processes and devices are gone at once, the disk stays."""
        netns.kill_init(self.namespace)
        netns.delete(self.namespace)

    def kill_salt(self) -> None:
        """End the Salt daemon with all of its processes: PID 1 starts it again a moment later."""
        for pid in netns.pids(self.namespace):
            with contextlib.suppress(OSError):
                if b"bin/salt-" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    netns.kill(pid, self.namespace)

    def end_of_log(self) -> str:
        """The last lines of the Salt log, or of the console where there is none yet, in one line."""
        logs = [*self.disk.glob("var/log/salt/*"), self.console_log]
        lines = next(
            (lines for log in logs if log.exists() and (lines := log.read_text(errors="replace").splitlines())), []
        )
        return " | ".join(line.strip()[:200] for line in lines[-LOG_LINES:]) or "nothing"

    def enter_argv(self, command: list[str]) -> list[str]:
        """Return the command line that runs a command on this host."""
        init = self.init_pid()
        if init is None:
            raise LabError(f"{self.name} is off; boot it with 'on {self.name}'")
        return ["nsenter", "--target", str(init), "--net", "--mount", "--pid", "--uts", "--", *command]

    def environment(self) -> dict[str, str]:
        """Return what a shell on this host would have: the caller's, less what would lead out of the lab."""
        env = {key: value for key, value in os.environ.items() if key not in DROPPED_ENV}
        path = ":".join([str(self.salt_bin), SYSTEM_PATH, env.get("PATH", "")]).rstrip(":")
        return env | {"PATH": path, "HOME": "/root", "SALT_CONFIG_DIR": str(self.conf_dir)}

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command on the host and capture what it prints."""
        return subprocess.run(
            self.enter_argv(command), env=self.environment(), capture_output=True, text=True, check=False
        )

    def _boot(self, spec: Path) -> None:
        """Start PID 1 in namespaces of its own and wait for its word. Mounts made later still reach it to be undone."""
        unshare = ["unshare", "--mount", "--propagation", "slave", "--uts", "--pid", "--fork", "--kill-child"]
        init = [sys.executable, "-I", "-S", str(Path(__file__).with_name("init.py")), str(spec)]
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, *unshare, "--mount-proc", "--", *init],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": f"{self.salt_bin}:{SYSTEM_PATH}", "HOME": "/root", "LANG": "C.UTF-8"},
            start_new_session=True,
        )
        said: list[str] = []
        with process.stdout as lines:  # type: ignore[union-attr]
            for line in lines:
                if line == "ready\n":
                    process.returncode = 0  # it runs on without us: nothing here will wait for it
                    for warning in said:
                        progress(f"{self.name}: {warning}")
                    return
                said.append(line.strip())
        process.wait()
        raise LabError(f"{self.name} does not boot: {'; '.join(said) or 'its init says nothing'}")
