"""The watchdog: what it does about a change whose process died, and what it leaves alone."""

import syslog

import pytest
from views import PEERS, key, registered

from saltext.wireguard.node import config_files, trial, watchdog
from saltext.wireguard.node.notes import Journal


@pytest.fixture
def died(host, tunnels, monkeypatch):
    """A node with one peer, and with a change to three that got no further than to the device. Has the trial's id."""
    registered(host, PEERS[2])
    host.call("apply")
    host.configure(wireguard={"confirm_seconds": 30})
    registered(host, *PEERS, mtu=1300)
    monkeypatch.setattr(syslog, "syslog", lambda *_: None)

    def die(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(trial.Trial, "failure", die)
        with pytest.raises(KeyboardInterrupt):
            host.call("apply")
    assert (host.device().mtu, len(host.device().peers)) == (1300, 3)
    (name,) = tunnels.watchdogs
    return name


def journal(host):
    return Journal(host.opts["cachedir"], "wg0")


def watch(host, name):
    watchdog.main(host.opts["cachedir"], "wg0", name)


def test_a_change_whose_process_died_is_rolled_back(host, died):
    before = host.config.read_text()
    watch(host, died)
    assert (host.device().mtu, list(host.device().peers)) == (1380, [key("node4")])
    assert host.config.read_text() == before
    assert journal(host).trial() is None
    assert journal(host).rollback()["reason"] == "the process that applied it died before it was found to work"


def test_the_same_change_may_be_tried_again_at_once(host, died):
    watch(host, died)
    host.configure(wireguard={"confirm_seconds": 0})
    assert host.call("apply")["backbone"]["result"] is True
    assert len(host.device().peers) == 3


def test_a_second_watchdog_finds_nothing_to_do(host, died):
    watch(host, died)
    host.forget_commands()
    watch(host, died)
    assert host.commands == []


def test_the_trial_of_a_later_run_is_left_alone(host, died):
    host.forget_commands()
    watch(host, "another")
    assert host.commands == []
    assert journal(host).trial()["id"] == died


def test_a_boot_ends_every_trial(host, died, monkeypatch):
    """It sets the device up from the last good state."""
    monkeypatch.setattr(config_files, "boot_id", lambda: "another boot")
    host.forget_commands()
    watch(host, died)
    assert host.commands == []


def test_a_rollback_that_fails_is_tried_again(host, died, tunnels, monkeypatch):
    logged = []
    monkeypatch.setattr(syslog, "syslog", lambda _, text: logged.append(text))
    host.machine.failing = {"ip link set dev wg0 mtu 1380": "out of order"}
    waiting = tunnels.wait

    def wait(seconds):
        waiting(seconds)
        host.machine.failing = {}

    monkeypatch.setattr(watchdog.time, "sleep", wait)
    watch(host, died)
    assert host.device().mtu == 1380
    assert "wg0 could not be rolled back: `ip link set dev wg0 mtu 1380` failed" in logged[0]
    assert "wg0 was rolled back" in logged[1]


def test_a_first_set_up_that_died_leaves_no_device(host, tunnels, monkeypatch):
    monkeypatch.setattr(syslog, "syslog", lambda *_: None)
    host.configure(wireguard={"confirm_seconds": 30})
    registered(host)

    def die(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(trial.Trial, "failure", die)
    with pytest.raises(KeyboardInterrupt):
        host.call("apply")
    watch(host, *tunnels.watchdogs)
    assert host.device() is None
    assert not host.config.exists()
