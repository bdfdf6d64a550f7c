"""A PostgreSQL server of one's own: in a new directory, on a socket in it, as a user without rights."""

import contextlib
import ctypes
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

START_SECONDS = 60
PR_SET_PDEATHSIG = 1
# Nothing of the machine's own configuration; and no loss of tests' time for what only a power cut could lose.
OPTIONS = {"listen_addresses": "", "max_connections": "100", "shared_buffers": "16MB", "timezone": "UTC"}


def programs():
    """The folder of the newest server that is installed as Debian does it; None if there is none."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(Path(path).parts[-3]))
    return Path(found[-1]).parent if found else None


def _end_with_me():
    """Nobody ends the server of a test run that was killed."""
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


class Server:
    """One that runs from ``start`` to ``stop``, which ends it by its process id. Its data survive until ``remove``."""

    def __init__(self, durable=False):
        self.directory = Path(tempfile.mkdtemp(prefix="wg-pg-"))
        self._options = {**OPTIONS, "unix_socket_directories": str(self.directory), "fsync": "on" if durable else "off"}
        self._process = None
        self._user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
        if self._user:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.directory, nobody.pw_uid, nobody.pw_gid)
        command = [
            "initdb",
            "-D",
            self.directory / "data",
            "-U",
            "wireguard",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
        ]
        self._run([*command, "--no-sync"])

    def _run(self, command):
        path = [str(programs() / command[0]), *map(str, command[1:])]
        done = subprocess.run(path, capture_output=True, text=True, cwd="/", check=False, **self._user)
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stdout}{done.stderr}")

    def uri(self, schema="public", user="wireguard"):
        """Of the database ``postgres``, in which each schema can be a registry of its own."""
        return f"postgresql://{user}@/postgres?host={self.directory}&options=-csearch_path%3D{schema}"

    def start(self):
        command = [programs() / "postgres", "-D", self.directory / "data"]
        settings = [part for name, value in self._options.items() for part in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("a") as log:
            self._process = subprocess.Popen(
                [*map(str, command), *settings], stdout=log, stderr=log, cwd="/", preexec_fn=_end_with_me, **self._user
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(self.directory / 'log').read_text()}")
            time.sleep(0.05)
        return self

    def _answers(self):
        import psycopg

        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.uri()):
            return True
        return False

    def stop(self, how=signal.SIGINT):
        """SIGINT: the fast shutdown, which ends all sessions. SIGQUIT: as a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def remove(self):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory)
