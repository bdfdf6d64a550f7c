"""Labs for integration tests: unique names, teardown in every case, logs kept where a test failed."""

import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "lab"))

COMMAND = [sys.executable, str(REPO / "lab" / "lab")]
# t, the pid of this pytest, a number: no two runs meet, and what a killed run left can be told from a living one's.
NAME = re.compile(r"wglab-(t(\d+)-\d+)(--.*)?")
KEPT = Path(tempfile.gettempdir()) / f"wglab-kept-{os.getpid()}"
LOGS_KEPT = "logs of lab"
TIMEOUT = 300

_numbers = itertools.count(1)
_living: "list[Lab]" = []


class Lab:
    """One lab, by its command line: what works here works by hand."""

    def __init__(self) -> None:
        self.name = f"t{os.getpid()}-{next(_numbers)}"
        self.dir = Path("/tmp") / f"wglab-{self.name}"
        self.mesh_file = self.dir / "mesh.yml"
        _living.append(self)

    def argv(self, *args: str) -> list[str]:
        """Return the command line for a command of this lab."""
        return [*COMMAND, "--name", self.name, *args]

    def run(self, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command of the lab, whatever comes of it."""
        env = {key: value for key, value in os.environ.items() if key != "WGLAB_DIR"} | options.pop("env", {})
        return subprocess.run(
            self.argv(*args), env=env, capture_output=True, text=True, check=False, timeout=TIMEOUT, **options
        )

    def must(self, *args: str, **options: Any) -> str:
        """Run a command of the lab that has to succeed; return its output."""
        done = self.run(*args, **options)
        assert done.returncode == 0, f"lab {' '.join(args)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def up(self, count: int, mesh: str | Path | None = None, trigger: str = "none", synced: bool = True) -> None:
        """Make the lab; the mesh is a file's path, or the text of one. With ``synced``, minions have our modules."""
        options = ["--trigger", trigger, *(["--synced"] if synced else [])]
        with tempfile.TemporaryDirectory() as scratch:
            if isinstance(mesh, str):
                text, mesh = mesh, Path(scratch) / "mesh.yml"
                mesh.write_text(text)
            self.must("up", str(count), *options, *(["--mesh", str(mesh)] if mesh else []))

    def add(self, *names: str) -> None:
        """Add hosts."""
        self.must("add", *names)

    def clone(self, name: str, new: str) -> None:
        """Start a second machine with a copy of a host's disk."""
        self.must("clone", name, new)

    def off(self, name: str) -> None:
        """Cut a host's power."""
        self.must("off", name)

    def on(self, name: str, boot: bool = False, salt: bool = True) -> None:
        """Boot a host, with its tunnels if so asked, and Salt unless not."""
        self.must("on", name, *(["--boot"] if boot else []), *([] if salt else ["--no-salt"]))

    def reinstall(self, name: str) -> None:
        """Give a host an empty disk."""
        self.must("reinstall", name)

    def remove(self, name: str) -> None:
        """Take a host out."""
        self.must("remove", name)

    def salt(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run salt on the master."""
        return self.run("salt", *args)

    def salt_json(self, *args: str) -> dict[str, Any]:
        """Run salt on the master; return what the minions said."""
        return self._parsed(self.salt("--out=json", "--static", *args))

    def salt_run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run a runner on the master."""
        return self.run("salt-run", *args)

    def salt_run_json(self, *args: str) -> Any:
        """Run a runner on the master; return its result."""
        return self._parsed(self.salt_run("--out=json", *args))

    def salt_key(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run salt-key on the master."""
        return self.run("salt-key", *args)

    def exec(self, name: str, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command on a host."""
        return self.run("exec", name, *command, **options)

    def ping(self, wait: float = 20) -> bool:
        """Say whether every node reaches every other through the mesh."""
        return self.run("ping", "--wait", str(wait)).returncode == 0

    def ping_json(self, wait: float = 20) -> dict[str, Any]:
        """Ping through the mesh; return pair by pair what came of it."""
        return json.loads(self.run("ping", "--json", "--wait", str(wait)).stdout)

    def status(self) -> dict[str, dict[str, Any]]:
        """Return the status of every host by its name."""
        return {row["host"]: row for row in json.loads(self.must("status", "--json"))["hosts"]}

    def sites(self) -> dict[str, str]:
        """Return the outside address of every site by its name."""
        return json.loads(self.must("status", "--json"))["sites"]

    def log(self, host: str) -> str:
        """Return the Salt log of a host."""
        return (self.dir / "hosts" / host / "var/log/salt" / ("master" if host == "master" else "minion")).read_text()

    def keep_logs(self, where: Path) -> Path | None:
        """Copy all logs, for after the lab is gone."""
        target = where / self.name
        for log in self.dir.glob("hosts/*/var/log"):
            host = log.parents[1].name
            shutil.copytree(log, target / host, dirs_exist_ok=True)
        return target if target.exists() else None

    def down(self) -> None:
        """Remove the lab. What a test left half done is no reason to fail here; what cannot be removed is."""
        self.must("down")
        if self in _living:
            _living.remove(self)

    @staticmethod
    def _parsed(done: subprocess.CompletedProcess[str]) -> Any:
        try:
            return json.loads(done.stdout)
        except ValueError:
            pytest.fail(f"no JSON, exit code {done.returncode}:\n{done.stdout}\n{done.stderr}")


def _why_not() -> str | None:
    """Say what this machine lacks for a lab."""
    if os.geteuid() != 0:
        return "the lab needs root"
    missing = [tool for tool in ("ip", "nsenter", "unshare", "wg", "ping", "nft") if shutil.which(tool) is None]
    return f"the lab needs {', '.join(missing)}" if missing else None


def _clear_leftovers() -> None:
    """Remove labs of test runs that are no more."""
    places = [*Path("/tmp").glob("wglab-t*"), *Path("/run/netns").glob("wglab-t*")]
    for match in filter(None, (NAME.fullmatch(place.name) for place in places)):
        if not Path("/proc", match[2]).exists():
            subprocess.run([*COMMAND, "--name", match[1], "down"], capture_output=True, check=False, timeout=TIMEOUT)


@pytest.fixture(scope="session")
def labs() -> Iterator[Callable[[], Lab]]:
    """A maker of labs that are not up yet. Whatever of them is left at the end of the session is removed."""
    if reason := _why_not():
        pytest.skip(reason)
    _clear_leftovers()
    try:
        yield Lab
    finally:
        for lab in list(_living):
            lab.down()


@pytest.fixture(scope="module")
def lab(labs: Callable[[], Lab]) -> Iterator[Lab]:
    """A lab for a module, not up yet: the module says with how many nodes, which mesh and which trigger."""
    made = labs()
    try:
        yield made
    finally:
        made.down()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Copy the logs of all living labs the moment that a test fails, and say in its report where they are."""
    report = yield
    if report.failed:
        where = KEPT / re.sub(r"[^\w.-]+", "_", item.name)
        for living in list(_living):
            with contextlib.suppress(OSError, shutil.Error):
                if kept := living.keep_logs(where):
                    report.sections.append((f"{LOGS_KEPT} {living.name}", str(kept)))
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name the logs that were kept once more, where they are not overlooked. Other processes may have run the tests."""
    reports = [*terminalreporter.getreports("failed"), *terminalreporter.getreports("error")]
    for title, kept in (section for report in reports for section in report.sections):
        if title.startswith(LOGS_KEPT):
            terminalreporter.write_line(f"{title}: {kept}")
