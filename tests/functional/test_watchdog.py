"""What becomes of a change whose process dies, and what is refused before anything is changed."""

import json
import os
import stat
from dataclasses import replace

import pytest

pytest.importorskip("salt")

from hosts import ETC, PEERS, registered, view, wait_until
from isolation import Fork
from saltext.wireguard.model.statements import REPORT_TAG

CONFIG = ETC / "wg0.conf"


def apply(host, *peers, **settings):
    registered(host, *peers, **settings)
    return host.call("apply")["backbone"]


def journal(host):
    path = host.disk / "var/cache/salt/minion/wireguard/wg0.journal"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return json.loads(path.read_text())


def die_in_the_middle(host):
    """Apply what the pillar says in a process that is killed before its last command."""
    program = host.put_program("ip", 'case "$*" in *"route add"*) kill -9 $PPID;; esac; exec $real "$@"')
    with pytest.raises(RuntimeError, match="died"):
        Fork(host.functions["wireguard.apply"]).result()
    program.unlink()


def peer_names(host):
    names = {peer.public_key: peer.name for peer in PEERS}
    return {names[key] for key in host.device().peers}


# -- the watchdog


def test_a_change_whose_process_was_killed_is_rolled_back_by_the_watchdog(host):
    host.configure(wireguard={"confirm_seconds": 1})
    assert apply(host, PEERS[2])["result"] is True
    old = CONFIG.read_bytes()
    wanted = registered(host, *PEERS, mtu=1300)
    die_in_the_middle(host)
    assert host.device().mtu == 1300
    assert journal(host)["trial"]["digest"] == wanted.digest
    wait_until(lambda: journal(host)["trial"] is None, 30)
    assert peer_names(host) == {"node4"}
    assert (host.device().mtu, CONFIG.read_bytes()) == (1380, old)
    assert "died before it was found to work" in journal(host)["rollback"]["reason"]


def test_the_next_run_tells_of_it_and_tries_again_at_once(host):
    host.configure(wireguard={"confirm_seconds": 1})
    apply(host, PEERS[2])
    registered(host, *PEERS)
    die_in_the_middle(host)
    wait_until(lambda: journal(host)["trial"] is None, 30)
    answer = host.call("sync", signed=True)
    assert answer["networks"]["backbone"]["result"] is True
    assert peer_names(host) == {"node2", "node3", "node4"}
    (report,) = answer[REPORT_TAG]
    assert "died before" in json.loads(report["statement"])["rollback"]["why"]
    assert journal(host).get("rollback") is None


def test_a_first_set_up_whose_process_was_killed_leaves_no_device(host):
    host.configure(wireguard={"confirm_seconds": 1})
    registered(host)
    die_in_the_middle(host)
    wait_until(lambda: journal(host)["trial"] is None, 30)
    assert host.device() is None
    assert sorted(os.listdir(ETC)) == ["wg0.key"]


def test_a_run_that_comes_before_the_watchdog_takes_over_and_the_watchdog_does_nothing(host):
    host.configure(wireguard={"confirm_seconds": 2})
    apply(host, PEERS[2])
    registered(host, *PEERS)
    die_in_the_middle(host)
    assert host.call("apply")["backbone"]["result"] is True
    wait_until(lambda: ".watchdog" not in host.run("ps", "-e", "-ww", "-o", "args"), 30)
    assert peer_names(host) == {"node2", "node3", "node4"}
    assert journal(host).get("rollback") is None


def test_two_changes_that_died_lead_back_before_the_first(host):
    host.configure(wireguard={"confirm_seconds": 2})
    apply(host, PEERS[2], mtu=None)
    at_first = host.device().mtu
    registered(host, *PEERS, mtu=1300)
    die_in_the_middle(host)
    registered(host, *PEERS, mtu=1310)
    die_in_the_middle(host)
    wait_until(lambda: journal(host)["trial"] is None, 30)
    assert peer_names(host) == {"node4"}
    assert host.device().mtu == at_first


def test_a_change_that_ended_with_the_power_is_none_any_more(host, monkeypatch):
    apply(host, PEERS[2])
    registered(host, *PEERS)
    die_in_the_middle(host)
    host.run("ip", "link", "delete", "dev", "wg0")
    monkeypatch.setattr(host.library("node.config_files"), "boot_id", lambda: "another boot")
    host.run("wg-quick", "up", "wg0")
    assert host.call("apply")["backbone"]["result"] is True
    assert peer_names(host) == {"node2", "node3", "node4"}


# -- errors on the way


def test_a_command_that_fails_at_a_first_set_up_leaves_no_device(host):
    registered(host)
    host.put_program("ip", 'case "$*" in *" up") echo out of order >&2; exit 7;; esac; exec $real "$@"')
    assert "wg0 was rolled back, and is as it was before: `ip" in host.error("apply")
    assert host.device() is None
    assert sorted(os.listdir(ETC)) == ["wg0.key"]


def test_a_command_that_fails_leaves_the_device_as_it_was(host):
    apply(host, PEERS[2])
    before = host.picture()
    registered(host, *PEERS, mtu=1300)
    program = host.put_program("wg", 'case "$*" in "set wg0 peer"*) exit 7;; esac; exec $real "$@"')
    assert "was rolled back" in host.error("apply")
    assert host.picture() == before
    program.unlink()
    assert host.call("apply")["backbone"]["result"] is True


def test_a_device_without_configuration_file_is_the_last_good_state_itself(host):
    apply(host, *PEERS)
    CONFIG.unlink()
    before = host.device()
    registered(host, PEERS[0], mtu=1300)
    host.put_program("wg", 'case "$*" in *remove*) exit 7;; esac; exec $real "$@"')
    assert "was rolled back" in host.error("apply")
    after = host.device()
    assert (after.mtu, after.addresses, after.routes) == (before.mtu, before.addresses, before.routes)
    assert set(after.peers) == set(before.peers)


def test_a_journal_that_cannot_be_written_changes_nothing(host, monkeypatch):
    apply(host, PEERS[2])
    before = host.picture()
    registered(host, *PEERS)
    monkeypatch.setattr(host.library("system.files"), "replace", full_disk)
    assert "No space left" in host.error("apply")
    assert host.picture() == before


def full_disk(path, *_):
    raise OSError(28, "No space left on device", path)


# -- the guard


def test_a_view_without_peers_is_refused_and_the_refusal_says_how_to_force_it(host):
    apply(host, *PEERS)
    before = host.picture()
    host.set_networks(replace(view(host.call("public_key")), peers=()))
    host.forget_commands()
    for options in ({}, {"test": True}):
        message = host.error("apply", **options)
        assert "wg0: refused, and nothing was changed: it would leave no peer of the 3" in message
        assert "salt-run wireguard.reconcile force=True reason=" in message
    assert host.call("sync")["networks"]["backbone"]["result"] is False
    assert host.state("present", "backbone", test=True)["result"] is False
    assert host.writing_commands() == []
    assert host.picture() == before


def test_what_is_forced_is_done_and_the_answer_says_so(host):
    apply(host, *PEERS)
    host.set_networks(replace(view(host.call("public_key")), peers=()))
    result = host.state("present", "backbone", force=True, reason="the network ends")
    assert result["result"] is True
    assert "Forced (the network ends), as otherwise refused: it would leave no peer" in result["comment"]
    assert host.device().peers == {}


def test_force_needs_a_reason(host):
    apply(host, *PEERS)
    for function in ("apply", "sync"):
        assert "needs a reason" in host.error(function, force=True)


def test_the_guard_is_there_for_interfaces_without_a_network_too(host):
    host.call("apply_interface", "wg1", ["10.9.0.1/24"])
    message = host.error("apply_interface", "wg1", ["10.9.0.2/24"])
    assert "take this node's own address 10.9.0.1 away" in message
    assert "salt-run" not in message
    forced = host.call("apply_interface", "wg1", ["10.9.0.2/24"], force=True, reason="renumbered")
    assert forced["result"] is True


def test_a_view_that_was_changed_on_its_way_is_refused_and_cannot_be_forced(host):
    apply(host, *PEERS)
    data = view(host.call("public_key")).to_dict()
    data["peers"]["node2"]["endpoint"] = "192.0.2.66:1"
    host.set_pillar({"wireguard": {"networks": {"backbone": data}}})
    assert "its content does not match its digest" in host.error("apply", force=True, reason="try")


@pytest.mark.parametrize("setting", ["confirm_seconds", "guard_share"])
@pytest.mark.parametrize("value", [-1, "30", True, 9999])
def test_a_setting_that_means_nothing_is_an_error_that_names_it(host, setting, value):
    registered(host)
    host.configure(wireguard={setting: value})
    assert f"wireguard:{setting} in the minion's configuration must be a number" in host.error("apply")
