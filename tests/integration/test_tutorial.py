"""A reader follows the tutorials: each command of a page but `make setup` runs, and prints what the page shows."""

import html
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import steps

pytestmark = pytest.mark.slow

REPO = Path(__file__).parents[2]
URL = "URL-OF-THIS-REPOSITORY"
# What a page tells the reader to repeat until it is so.
LOOKS = re.compile(r"test\.ping|wireguard\.(nodes|matrix)|lab/lab ping")
# What differs from one mesh to the next.
VARIABLE = [
    (r"[A-Za-z0-9+/]{43}=", "KEY"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d", "TIME"),
    (r"\b10\.42\.0\.\d+|fd42:42::\w+", "ADDRESS"),
    (r"\d+\.\d+ s\b", "SECONDS"),
    (r"-{3,}|\s+", " "),
]


# What a host of the lab has in the place of systemd: its first process starts a daemon again that ends.
SYSTEMCTL = """#!/bin/sh -e
[ "$*" = "restart salt-master" ]
of_master() {
    for process in /proc/[0-9]*; do
        if tr '\\0' ' ' <$process/cmdline 2>/dev/null | grep -q bin/salt-master; then echo ${process#/proc/}; fi
    done
}
# Stopped first: one that is still running may start another meanwhile, which would keep a port.
stopped=
while found=$(of_master); [ "$found" != "$stopped" ]; do kill -STOP $found || true; stopped=$found; done
kill -9 $stopped || true
sleep 1
until ss --tcp --listening --numeric | grep -q ':4506 '; do sleep 0.5; done
"""


@dataclass(frozen=True)
class Step:
    """A command of a page, and what it prints there."""

    command: str
    output: tuple[str, ...]


def steps_of(page: Path) -> list[Step]:
    """Of a page of the site."""
    found = []
    for block in re.findall(r'<div class="highlight-console.*?<pre>(.*?)</pre>', page.read_text(), re.DOTALL):
        text = html.unescape(re.sub(r"<[^>]+>", "", block))
        for part in re.split(r"^# ", text, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            typed = lines.index("EOF") + 1 if "<<'EOF'" in lines[0] else 1
            found.append(Step("\n".join(lines[:typed]), tuple(lines[typed:])))
    return found


def plain(line: str) -> str:
    for pattern, name in VARIABLE:
        line = re.sub(pattern, name, line)
    return line.strip()


def missing(wanted: tuple[str, ...], printed: str) -> str | None:
    """The first line of the page that was not printed, in the order of the page; minions answer in any order."""
    lines = [plain(line) for line in printed.splitlines()]
    if lines and any(re.fullmatch(r"\w+:", line) for line in wanted):
        return next((line for line in wanted if line != "..." and not any(says(line, each) for each in lines)), None)
    rest = iter(lines)
    return next((line for line in wanted if line != "..." and not any(says(line, each) for each in rest)), None)


def says(wanted: str, line: str) -> bool:
    pattern = ".*".join(re.escape(plain(part)) for part in wanted.split("..."))
    return re.fullmatch(pattern.replace(r"\ .*", r"\ ?.*").replace(r".*\ ", r".*\ ?"), line) is not None


class Reader:
    """Types what a page says into one shell, and compares."""

    def __init__(self, argv: list[str], cwd: Path, **replaced: str) -> None:
        environ = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self.shell = subprocess.Popen(argv, cwd=cwd, env=environ, **pipes)
        self.replaced = replaced

    def run(self, command: str) -> tuple[int, str]:
        self.shell.stdin.write(f"{{\n{command}\n}} </dev/null\ncode=$?; echo; echo end of command: $code\n")
        self.shell.stdin.flush()
        lines = []
        for line in self.shell.stdout:
            if line.startswith("end of command: "):
                return int(line.split()[-1]), "".join(lines)
            lines.append(line)
        pytest.fail(f"the shell ended at: {command}\n{''.join(lines)}")

    def take(self, step: Step) -> None:
        command, output = step.command, step.output
        is_look = LOOKS.search(command)
        for said, meant in self.replaced.items():
            command = command.replace(said, meant)
            output = tuple(line.replace(said, meant) for line in output)
        deadline = time.monotonic() + (steps.PATIENCE if is_look else 0)
        while True:
            code, printed = self.run(command)
            # Some of what is shown is a failure, with its exit code.
            wrong = missing(output, printed) if output else code and f"exit code {code}"
            if not wrong:
                return
            assert time.monotonic() < deadline, f"{command}\n--- lacks: {wrong}\n{printed}"
            time.sleep(1)

    def leave(self) -> None:
        self.shell.stdin.close()
        self.shell.wait(timeout=60)
        self.shell.stdout.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built tutorials, where a reader copies commands from."""
    built = tmp_path_factory.mktemp("site")
    argv = [sys.executable, "-m", "sphinx", "--quiet", "--conf-dir", str(REPO / "docs"), str(REPO), str(built)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return built / "docs/tutorial"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """What the reader clones: these files, committed or not."""
    git = ["git", "-c", "safe.directory=*", "-C", str(REPO)]
    listed = subprocess.run(
        [*git, "ls-files", "-zco", "--exclude-standard"], capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (REPO / name).is_file():
            (tmp_path / "repository" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPO / name, tmp_path / "repository" / name)
    author = ["-c", "user.name=tests", "-c", "user.email=tests@example.com"]
    for words in (["init", "--quiet"], ["add", "--all"], [*author, "commit", "--quiet", "--message", "all"]):
        subprocess.run(["git", *words], cwd=tmp_path / "repository", check=True)
    return tmp_path / "repository"


@pytest.fixture
def reader() -> Iterator[Callable[..., Reader]]:
    made: list[Reader] = []

    def make(*args: object, **replaced: str) -> Reader:
        made.append(Reader(*args, **replaced))
        return made[-1]

    yield make
    for each in made:
        each.leave()


def test_a_new_user_comes_from_nothing_to_a_mesh_in_the_lab(lab, site, repository, reader, tmp_path):
    here = reader(["bash"], tmp_path, **{URL: str(repository), "/tmp/wglab-lab": str(lab.dir)})
    here.replaced["python lab/lab"] = f"python lab/lab --name {lab.name}"
    clone, into, setup, *rest = steps_of(site / "lab.html")
    assert setup.command == "make setup"
    here.take(clone)
    here.take(into)
    # It would install anew what this test runs with.
    (tmp_path / "saltext-wireguard" / ".venv").symlink_to(sys.prefix)
    for step in rest:
        here.take(step)
    assert not lab.dir.exists()


@pytest.fixture
def etc_salt() -> Iterator[Path]:
    """Where a master has its configuration. The lab's master has its own in this place, for itself alone."""
    place = Path("/etc/salt")
    is_new = not place.exists()
    place.mkdir(exist_ok=True)
    yield place
    if is_new:
        place.rmdir()


def test_a_new_user_comes_from_a_fleet_without_wireguard_to_a_mesh(labs, site, repository, reader, etc_salt):
    """The fleet is one of namespaces; its master has its files where Salt's packages have them."""
    lab = labs()
    lab.up(3, synced=False)
    disk = lab.dir / "hosts/master"
    for file in (disk / "etc/salt/master.d").iterdir():
        file.unlink()
    lab.must("exec", "master", "mount", "--bind", str(disk / "etc/salt"), str(etc_salt))
    lab.must("exec", "master", "mount", "-t", "tmpfs", "tmpfs", "/srv")
    write = "mkdir /run/bin; cat >/run/bin/systemctl; chmod +x /run/bin/*"
    lab.must("exec", "master", "sh", "-c", write, input=SYSTEMCTL)
    on_master = reader(lab.argv("exec", "master", "bash"), REPO, **{URL: str(repository)})
    on_master.run("cd /; export PATH=/run/bin:$PATH; systemctl restart salt-master")
    assert "wireguard" not in on_master.run("salt-run --out=json doc.runner")[1]
    for step in steps_of(site / "fleet.html"):
        on_master.take(step)
    on_master.leave()
    lab.down()
