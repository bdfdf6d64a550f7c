"""A change on trial: what is waited for, and what becomes of the device when it does not work."""

import json
from dataclasses import replace

import pytest
from views import PEERS, key, registered

from saltext.wireguard.model.statements import REPORT_TAG
from saltext.wireguard.node import config_files, trial
from saltext.wireguard.node.notes import Journal
from saltext.wireguard.system import files

NODE2, NODE3 = key("node2"), key("node3")
NOWHERE = "192.0.2.99:51820"


@pytest.fixture
def tried(host, tunnels):
    """A node with sessions with two of its three peers, whose changes are on trial from now on."""
    registered(host)
    host.call("apply")
    tunnels.connect(NODE2, NODE3)
    host.configure(wireguard={"confirm_seconds": 30})
    host.configure(master_ip="192.0.2.1", master_port=4506)
    return tunnels


class Reachable:
    """Of the peers, node3 answers, and node2 unless it is looked for in the wrong place."""

    def __init__(self, host):
        self._node2 = host.machine.devices["wg0"].peers[NODE2]

    def __contains__(self, public_key):
        return public_key == NODE3 or (public_key == NODE2 and self._node2.endpoint != NOWHERE)


def move(host, *peers, **settings):
    """A view in which these peers have another endpoint."""
    moved = [replace(each, endpoint=NOWHERE) if each.name in peers else each for each in PEERS]
    return registered(host, *moved, **settings)


def journal(host):
    return Journal(host.opts["cachedir"], "wg0")


def rollback_in_report(host):
    *_, data = [data for tag, data in host.events if tag == REPORT_TAG]
    return json.loads(data["signed"]["statement"])["rollback"]


def test_a_change_that_works_is_saved_and_leaves_no_trial_and_no_watchdog(host, tried):
    move(host, "node2")
    assert host.call("apply")["backbone"]["result"] is True
    assert f"Endpoint = {NOWHERE}" in host.config.read_text()
    assert journal(host).trial() is None
    assert tried.watchdogs == []


def test_a_watchdog_knows_the_change_before_the_first_write(host, tried, monkeypatch):
    wanted = move(host, "node2")
    seen = []
    real = host.machine.execute

    def execute(command, *rest):
        if [*command[:2]] == ["wg", "set"]:
            seen.append((journal(host).trial(), [*tried.watchdogs]))
        return real(command, *rest)

    monkeypatch.setattr(host.machine, "execute", execute)
    host.call("apply")
    pending, watchdogs = seen[0]
    assert (pending["digest"], [pending["id"]]) == (wanted.digest, watchdogs)


def test_a_peer_that_does_not_come_back_takes_the_change_back(host, tried):
    before = (host.device(), host.config.read_text())
    wanted = move(host, "node2")
    tried.answering = Reachable(host)
    message = host.error("apply")
    assert "wg0 was rolled back, and is as it was before: 1 of 1 peers did not come back (node2)" in message
    after = host.device()
    assert (after.peers[NODE2].endpoint, host.config.read_text()) == (before[0].peers[NODE2].endpoint, before[1])
    assert tried.watchdogs == []
    told = rollback_in_report(host)
    assert (told["tried"], told["why"]) == (wanted.digest, "1 of 1 peers did not come back (node2)")


def test_a_failure_takes_the_time_there_is_and_no_longer(host, tried):
    tried.answering = Reachable(host)
    move(host, "node2")
    began = tried.now
    host.error("apply")
    assert 30 <= tried.now - began < 35


def test_a_peer_that_is_not_touched_is_not_waited_for(host, tried):
    tried.answering = {NODE2}
    move(host, "node2")
    assert host.call("apply")["backbone"]["result"] is True


def test_a_peer_that_had_stopped_answering_before_is_not_waited_for(host, tried):
    """A machine that moves is off while the others learn where to."""
    tried.answering = set()
    move(host, "node2")
    assert host.call("apply")["backbone"]["result"] is True
    assert host.device().peers[NODE2].endpoint == NOWHERE


@pytest.mark.parametrize(("share", "works"), [(0.5, True), (0.4, False)])
def test_as_many_peers_may_stay_away_as_the_guards_share_allows(host, tried, share, works):
    host.configure(wireguard={"guard_share": share})
    tried.answering = Reachable(host)
    move(host, "node2", "node3")
    if works:
        assert host.call("apply")["backbone"]["result"] is True
    else:
        assert "1 of 2 peers did not come back (node2)" in host.error("apply")


class MasterBehind:
    """The master can be reached as long as a peer is there."""

    def __init__(self, host, public_key):
        self._peers, self._public_key = host.machine.devices["wg0"].peers, public_key

    def __bool__(self):
        return self._public_key in self._peers


def test_a_change_that_cuts_the_node_off_from_its_master_is_taken_back(host, tried):
    tried.master = MasterBehind(host, NODE2)
    registered(host, *PEERS[1:])
    assert "the Salt master (192.0.2.1, port 4506) can no longer be reached" in host.error("apply")
    assert NODE2 in host.device().peers


def test_a_master_that_could_not_be_reached_before_is_not_demanded(host, tried):
    tried.master = False
    registered(host, *PEERS[1:])
    assert host.call("apply")["backbone"]["result"] is True


def test_what_was_taken_back_is_tried_again_at_once_only_by_force_and_later_by_itself(host, tried):
    tried.answering = Reachable(host)
    move(host, "node2")
    host.error("apply")
    host.forget_commands()
    message = host.error("apply")
    for words in ("was rolled back at", "did not come back (node2)", "not be tried again before", "force=True"):
        assert words in message
    assert host.writing_commands() == []
    assert "did not come back" in host.error("apply", force=True, reason="again")
    tried.wait(trial.RETRY_SECONDS + 1)
    tried.answering = set()
    assert host.call("apply")["backbone"]["result"] is True


def test_another_change_is_tried_at_once_and_its_report_has_the_last_rollback_once(host, tried):
    tried.answering = Reachable(host)
    move(host, "node2")
    host.error("apply")
    registered(host, mtu=1300)
    first, second = ([json.loads(each["statement"]) for each in host.call("sync", signed=True)[REPORT_TAG]]
                     for _ in range(2))  # fmt: skip
    assert first[0]["rollback"]["why"] == "1 of 1 peers did not come back (node2)"
    assert second[0]["rollback"] is None


def test_a_command_that_fails_takes_the_change_back_and_is_tried_again_at_once(host, tried):
    wanted = registered(host, mtu=1300, port=51999)
    host.machine.failing = {"wg set wg0 listen-port 51999*": "out of order"}
    assert "was rolled back, and is as it was before: `wg" in host.error("apply")
    assert (host.device().mtu, host.device().port) == (1380, 51820)
    host.machine.failing = {}
    assert host.call("apply")["backbone"]["result"] is True
    assert host.device().port == wanted.port


def test_a_rollback_that_fails_says_both_reasons_and_is_left_to_the_watchdog(host, tried):
    tried.answering = Reachable(host)
    move(host, "node2")
    back = host.device().peers[NODE2].endpoint
    host.machine.failing = {f"*endpoint {back}*": "out of order"}
    message = host.error("apply")
    assert "1 of 1 peers did not come back (node2). The change could not be rolled back (" in message
    assert journal(host).trial()["id"] in tried.watchdogs


def test_a_missing_configuration_file_is_made_of_the_device_before_the_change(host, tried):
    before = host.device()
    host.config.unlink()
    registered(host, mtu=1300)
    host.machine.failing = {"ip link set dev wg0 mtu 1300": "out of order"}
    assert "was rolled back" in host.error("apply")
    last_good = config_files.written("wg0")
    assert {each.public_key for each in last_good.peers} == set(before.peers)
    assert host.device().mtu == before.mtu


def test_a_journal_that_cannot_be_written_changes_nothing(host, tried, monkeypatch):
    registered(host, mtu=1300)
    before = host.picture()
    monkeypatch.setattr(files, "replace", full_disk)
    assert "No space left" in host.error("apply")
    assert host.picture() == before


def full_disk(path, *_):
    raise OSError(28, "No space left on device", path)


def test_without_a_trial_nothing_is_waited_for_and_nothing_taken_back(host, tried):
    host.configure(wireguard={"confirm_seconds": 0})
    tried.answering = Reachable(host)
    move(host, "node2")
    began = tried.now
    assert host.call("apply")["backbone"]["result"] is True
    assert (tried.now, host.device().peers[NODE2].endpoint) == (began, NOWHERE)


def test_a_first_set_up_waits_for_no_peer(host, tunnels):
    host.configure(wireguard={"confirm_seconds": 30})
    registered(host)
    began = tunnels.now
    assert host.call("apply")["backbone"]["result"] is True
    assert tunnels.now == began
