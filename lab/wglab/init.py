"""PID 1 of a lab host: gives it its own files, starts its daemons, reaps its orphans.

Started as a script by ``wglab.host``, inside fresh mount, PID, UTS and network namespaces, with a JSON specification as
its only argument. It prints warnings, then ``ready``, on stdout. It stands alone so that it starts quickly.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RESPAWN_SECONDS = 1.0
WG_QUICK_SECONDS = 60


def mount(*args: str) -> None:
    """Mount, and end the boot with mount's own words when that fails."""
    done = subprocess.run(["mount", *args], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"mount {' '.join(args)}: {done.stderr.strip()}")


def make_host(spec: dict[str, Any]) -> None:
    """Give the host its own /run, /etc/wireguard, /etc/hosts, name and boot id; all else it shares with the machine."""
    subprocess.run(["umount", "--lazy", "--recursive", "/run/netns"], capture_output=True, check=False)
    mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
    for name, mode in (("wireguard", 0o700), ("lock", 0o755), ("salt", 0o755)):
        Path("/run", name).mkdir(mode=mode)
    Path("/etc/wireguard").mkdir(mode=0o700, exist_ok=True)
    for source, target in spec["binds"].items():
        if Path(target).exists():
            mount("--bind", source, target)
    boot_id = Path("/run/boot_id")
    boot_id.write_text(spec["boot_id"] + "\n")
    mount("--bind", str(boot_id), "/proc/sys/kernel/random/boot_id")
    socket.sethostname(spec["name"])


def bring_up_tunnels() -> None:
    """Do what a service manager does at boot: ``wg-quick up`` for every configuration file. A failure is a warning."""
    for conf in sorted(Path("/etc/wireguard").glob("*.conf")):
        try:
            done = subprocess.run(
                ["wg-quick", "up", conf.stem],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=WG_QUICK_SECONDS,
            )
        except subprocess.TimeoutExpired:
            print(f"wg-quick up {conf.stem}: no end after {WG_QUICK_SECONDS} s")
            continue
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            print(f"wg-quick up {conf.stem}: exit code {done.returncode}: {last}")


def to_log(path: str) -> None:
    """Let go of the terminal or pipe that the lab was started from."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)


def spawn(command: list[str], env: dict[str, str]) -> int:
    """Start a daemon in a session of its own, without the signal mask of this process."""
    return os.posix_spawn(command[0], command, env, setsid=True, setsigmask=[])


def supervise(commands: list[list[str]], env: dict[str, str]) -> None:
    """Reap everything that dies, and start a daemon again a moment after it ended, for ever."""
    running: dict[int, list[str]] = {}
    waiting: list[tuple[float, list[str]]] = [(0.0, command) for command in commands]
    while True:
        now = time.monotonic()
        for due, command in [entry for entry in waiting if entry[0] <= now]:
            waiting.remove((due, command))
            running[spawn(command, env)] = command
        signal.sigtimedwait([signal.SIGCHLD], RESPAWN_SECONDS / 2)
        for pid, status in reap():
            if pid in running:
                command = running.pop(pid)
                code = os.waitstatus_to_exitcode(status)
                print(f"init: {command[0]} ended with {code}, starting it again", flush=True)
                waiting.append((time.monotonic() + RESPAWN_SECONDS, command))


def reap() -> list[tuple[int, int]]:
    """Collect every process that has ended."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if not pid:
            return ended
        ended.append((pid, status))


def main() -> None:
    """Boot the host and never return."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    make_host(spec)
    if spec["tunnels"]:
        bring_up_tunnels()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    os.chdir("/")
    print("ready", flush=True)
    to_log(spec["log"])
    supervise(spec["commands"], dict(os.environ))


if __name__ == "__main__":
    main()
