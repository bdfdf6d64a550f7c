"""
Each test that asks for ``host`` runs in a child process with namespaces of its own; see isolation.py and hosts.py.

So such a test can create devices, fill /etc/wireguard and patch whatever it likes: it is all gone when the test ends,
and nothing on the machine, nor any other test, has seen any of it.
"""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lab"))
sys.path.insert(0, str(Path(__file__).parent))

import isolation

PROGRAMS = ("ip", "wg", "wg-quick")
TIMEOUT = 300  # only so that nothing hangs for ever: a minion without our modules loads all of Salt's to look for them


def pytest_runtest_protocol(item, nextitem):
    if "host" not in getattr(item, "fixturenames", ()) or why_not():
        return None
    warm_up()
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    with isolation.disk() as disk:
        os.environ["WG_TEST_DISK"] = disk
        try:
            data = isolation.isolated(functools.partial(run, item), disk, TIMEOUT)
        except (RuntimeError, TimeoutError) as exc:
            data = [died(item, str(exc))]
    for each in data:
        report = item.config.hook.pytest_report_from_serializable(config=item.config, data=each)
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    # What an earlier test left set up here for this one, such as its module, is of no use to tests of other folders.
    item.session._setupstate.teardown_exact(nextitem)
    return True


def run(item):
    """In the child. Its module counts as the next item, so that only what belongs to the test itself is torn down."""
    reports = runtestprotocol(item, log=False, nextitem=item.parent)
    return [item.config.hook.pytest_report_to_serializable(config=item.config, report=each) for each in reports]


def died(item, why):
    report = pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome="failed",
        longrepr=why,
        when="call",
    )
    return item.config.hook.pytest_report_to_serializable(config=item.config, report=report)


@functools.cache
def why_not():
    """Why tests with a host cannot run here, None if they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in PROGRAMS:
        if shutil.which(program) is None:
            return f"needs {program}"
    for path in ("/etc/wireguard", "/run"):
        if not os.path.isdir(path):
            return f"needs the directory {path}"
    os.makedirs("/run/wireguard", mode=0o700, exist_ok=True)
    try:
        with isolation.disk() as disk:
            return isolation.isolated(has_no_wireguard, disk, TIMEOUT)
    except RuntimeError as exc:
        return f"namespaces cannot be made here: {str(exc).strip().splitlines()[-1]}"


def has_no_wireguard():
    for argv in (["ip", "link", "add", "dev", "wg0", "type", "wireguard"], ["wireguard-go", "wg0"]):
        if shutil.which(argv[0]) and not subprocess.run(argv, capture_output=True, check=False).returncode:
            return None
    return "neither the kernel nor wireguard-go makes WireGuard devices here"


@functools.cache
def warm_up():
    """What takes long and is the same for all is done once, in the parent."""
    import hosts

    hosts.warm_up()


def pytest_unconfigure():
    """A process of pytest-xdist ends without what the interpreter does at its end, such as to remove this folder."""
    hosts = sys.modules.get("hosts")
    if hosts and hosts.served.cache_info().currsize:
        hosts.served().cleanup()


@pytest.fixture(autouse=True)
def mesh_files_are_complete(monkeypatch):
    """The mesh files of these tests are complete as soon as they are written."""
    monkeypatch.setattr("saltext.wireguard.fleet.losses.SETTLE_SECONDS", 0.0)
    monkeypatch.setattr("saltext.wireguard.fleet.losses.SETTLE_SECONDS_FOR_MANY", 0.0)


@pytest.fixture
def host():
    """A minion on a machine of its own. Looks for private keys where none belong when the test is over."""
    pytest.importorskip("salt")
    if why_not():
        pytest.skip(why_not())
    import hosts

    with hosts.Host(Path(os.environ["WG_TEST_DISK"])) as made:
        yield made
        made.assert_no_secret_is_out()
