"""What the master knows at one moment."""

import threading
from pathlib import Path

from factories import public_key, registration
from saltext.wireguard.master.status import statuses
from saltext.wireguard.model.statements import Report
from saltext.wireguard.registry import registrations
from speaking import says, want_preshared_keys


def test_no_secret_is_made_as_long_as_no_network_wants_preshared_keys(master):
    assert master.moment().secret is None
    assert master.moment().fleet()
    assert not Path(master.state_dir, "preshared.secret").exists()


def test_only_the_pillar_has_preshared_keys(master):
    says(master, registration("a"))
    says(master, registration("b"))
    want_preshared_keys(master)
    (peer,) = master.moment().views("a")["net"].peers
    assert peer.preshared_key == master.moment().secret.key(public_key("a"), public_key("b"))
    assert peer.preshared_key not in str([each.to_dict() for each in master.moment().fleet().views("a").values()])


def test_threads_that_ask_while_nodes_register_get_consistent_answers(master, monkeypatch):
    """The engine takes in events in one thread while another reconciles."""
    monkeypatch.setattr(registrations, "spend", lambda *_: True)
    wrong = []
    done = threading.Event()

    def watch():
        while not done.is_set():
            for status in statuses(master.moment()):
                if (status.member.row is None) != (status.wanted is None):
                    wrong.append(status)

    threads = [threading.Thread(target=watch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for serial in range(1, 30):
        for node in "ab":
            says(master, registration(node, serial, public_key=public_key(f"{node}{serial}")))
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert master.moment().fleet().views("a")["net"].serial == 29


def test_a_node_is_told_the_highest_serial_of_all_its_statements(master):
    """It was that of its registration: after a lost cache and a clock set back, its reports were refused."""
    says(master, registration("a", 5))
    says(master, Report("a", "net", "digest", 9))
    before = master.moment().fleet().views("a")["net"]
    told = master.moment().views("a")["net"]
    assert (before.serial, told.serial) == (5, 9)
    assert told.digest == before.digest
