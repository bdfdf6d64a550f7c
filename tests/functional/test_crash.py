"""A kill, a power cut, a failing disk at every point of a change: what is left is whole, and the next run finishes."""

import errno
import os
import re
import stat

import pytest

import faults

pytest.importorskip("salt")

from hosts import ETC, PEERS, key, peer, registered, wait_until

pytestmark = pytest.mark.skipif(faults.why_not() is not None, reason=str(faults.why_not()))

CONFIG, KEY = ETC / "wg0.conf", ETC / "wg0.key"

# A change of everything: node2 as it was, node3 with a new key, node4 gone, node5 new; another address, another route.
OLD = PEERS
NEW = (
    PEERS[0],
    peer("node3", "10.42.0.3/32", "fd42::3/128", "fd98::/64", public_key=key("node3 rekeyed")),
    peer("node5", "10.42.0.5/32", endpoint="127.0.0.1:4445"),
)

# How each kind of call fails in the field: a disk that was remounted read-only, or is dying; no memory. A full disk is
# tried for real in test_module_apply.
ERRORS = {
    "mkdir": "EROFS",
    "chmod": "EROFS",
    "chown": "EROFS",
    "fchmod": "EIO",
    "fsync": "EIO",
    "link": "EROFS",
    "rename": "EROFS",
    "unlink": "EROFS",
    "vfork": "ENOMEM",
}


class Change:
    """One thing that a run does: how the machine is before, what is run, and how it is afterwards."""

    keeps_all_keys = True

    def __init__(self, host):
        self.host = host

    def prepare(self):
        """Bring the machine to where the run starts, from wherever the last one left it."""
        raise NotImplementedError

    def run(self):
        """The run."""
        raise NotImplementedError

    def apply(self, *peers):
        registered(self.host, *peers)
        result = self.host.call("apply")["backbone"]
        assert result["result"] is True, result

    def wipe(self):
        if os.path.exists("/sys/class/net/wg0"):
            self.host.delete_device()
        for path in (*ETC.iterdir(), *self.host.disk.rglob("*.journal")):
            path.unlink()


class SetUp(Change):
    """The key pair and the interface of a node that has neither."""

    prepare = Change.wipe

    def run(self):
        self.apply(*NEW)


class Update(Change):
    """Peers that are added, rekeyed and removed."""

    def prepare(self):
        self.apply(*OLD)

    def run(self):
        self.apply(*NEW)


class Switch(Change):
    """A new key of the node's own. The old one goes when the master has taken in the new one."""

    keeps_all_keys = False

    def prepare(self):
        self.apply(*OLD)
        self.host.call("rotate_prepare", "backbone")

    def run(self):
        self.host.call("rotate_switch", "backbone", wait=0)
        self.apply(*OLD)


class Removal(Change):
    """The end of an interface."""

    def prepare(self):
        self.wipe()
        self.apply(*OLD)

    def run(self):
        self.host.call("remove", "wg0")


def picture(host):
    """What there is, but for what differs from one run to the next: names of keys put aside, keys, and packets."""
    device = host.device()
    names = {re.sub(r"\d{8}-\d{6}", "DATE", name): mode for name, mode in modes().items()}
    if device is None:
        return names, None
    peers = {each.public_key: (each.allowed_ips, each.keepalive) for each in device.peers.values()}
    return names, (device.up, device.port, device.mtu, device.addresses, device.routes, peers)


def modes():
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in ETC.iterdir()}


def config():
    """The configuration without its key; None where there is none."""
    return re.sub("PrivateKey = .*", "", CONFIG.read_text()) if CONFIG.exists() else None


def private_keys():
    """All that the files hold which are meant to hold one."""
    texts = [path.read_text() for path in ETC.iterdir() if path.name.startswith("wg0.")]
    return {found for text in texts for found in re.findall(r"(?m)^(?:PrivateKey = )?(\S{43}=)$", text)}


def public(host, private_key):
    return host.run("wg", "pubkey", text=private_key).strip()


@pytest.fixture
def change(request, host):
    return request.param(host)


def every(*kinds, slow=()):
    """The test once for each of these kinds of change."""
    params = [pytest.param(kind, id=kind.__name__) for kind in kinds]
    params += [pytest.param(kind, id=kind.__name__, marks=pytest.mark.slow) for kind in slow]
    return pytest.mark.parametrize("change", params, indirect=True)


class Steps:
    """The points of a change, which can be taken one by one."""

    def __init__(self, host, change):
        self.host, self.change = host, change
        change.prepare()
        change.run()  # loads what is loaded when it is first needed, or later runs would have other points
        change.prepare()
        self.before, self.old_config = picture(host), config()
        self.points = faults.points(change.run, str(ETC))
        self.after, self.new_config = picture(host), config()

    def take(self, point, fault, then=lambda: None):
        """
        Bring a fault about, look at what it left, let ``then`` happen, and let the next run finish.

        Returns the outcome of the run that had the fault.
        """
        self.change.prepare()
        assert picture(self.host) == self.before
        keys = private_keys()
        outcome = fault(self.change.run, point)
        assert outcome.hit, f"the run did not get to {point}"
        self.check_files(keys)
        keys = private_keys()
        then()
        self.change.run()
        assert picture(self.host) == self.after
        assert config() == self.new_config
        assert not keys or private_keys() <= keys
        return outcome

    def check_files(self, keys):
        assert config() in (self.old_config, self.new_config)
        assert not [name for name, mode in modes().items() if mode & 0o077]
        left = private_keys()
        if self.change.keeps_all_keys:
            assert keys <= left
        device = self.host.device()
        assert device is None or device.public_key in {None, *(public(self.host, key) for key in left)}


@pytest.fixture
def steps(host, change):
    return Steps(host, change)


@every(SetUp, Update, Removal, slow=[Switch])
def test_a_run_that_is_killed_at_any_point_is_finished_by_the_next(steps):
    for point in steps.points:
        outcome = steps.take(point, faults.killed)
        assert outcome.result is outcome.error is None


@every(SetUp, Update, Removal, slow=[Switch])
def test_after_a_power_cut_at_any_point_the_machine_boots_with_the_old_or_the_new_setup(host, steps):
    """Commands leave nothing that survives a power cut: it is the points between them that matter."""

    def boot():
        if host.device():
            host.delete_device()
        if CONFIG.exists():
            host.run("wg-quick", "up", "wg0")
            assert picture(host)[1] in (steps.before[1], steps.after[1])

    for point in steps.points:
        if point.call in faults.FILES:
            steps.take(point, faults.killed, boot)


@every(Update, Removal, slow=[SetUp, Switch])
def test_a_call_that_fails_is_one_clear_message_and_the_next_run_finishes(steps):
    for point in steps.points:
        error = ERRORS[point.call]
        outcome = steps.take(point, lambda run, point, error=error: faults.failed(run, point, error))
        if outcome.error:
            *_, message = outcome.error.strip().splitlines()
            assert message.startswith("salt.exceptions.CommandExecutionError: "), outcome.error
            assert os.strerror(getattr(errno, error)) in message
            assert re.search("/wireguard/?|`(wg|ip) ", message)
            assert re.search("apply again", message)


@every(SetUp, Update)
def test_a_file_gets_its_name_when_it_is_on_the_disk_and_then_the_name_too(steps):
    calls = [point.call for point in steps.points]
    named = [number for number, call in enumerate(calls) if call in ("link", "rename")]
    assert named
    for number in named:
        assert calls[number - 1] == "fsync"
        assert "fsync" in calls[number + 1 : number + 3]


@every(slow=[Update])
def test_after_a_kill_at_any_point_the_watchdog_leaves_the_device_as_the_file_says(host, steps):
    """Nobody comes to finish: the minion is dead, and may have been cut off by what it did."""
    host.opts["wireguard"] = {"confirm_seconds": 1}
    as_files_say = {steps.old_config: steps.before[1], steps.new_config: steps.after[1]}

    def await_watchdog():
        wait_until(lambda: ".watchdog" not in host.run("ps", "-e", "-ww", "-o", "args"), 30)
        # While its shell becomes Python, `ps` sees no arguments for a moment.
        wait_until(lambda: picture(host)[1] == as_files_say[config()], 30)

    for point in steps.points:
        steps.take(point, faults.killed, await_watchdog)
