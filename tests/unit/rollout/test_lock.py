"""With real processes and threads: locks that are only believed to work are the ones that do not."""

import multiprocessing
import os
import signal
import stat
import threading
import time

import pytest

from saltext.wireguard.rollout.lock import reconcile_lock

FORK = multiprocessing.get_context("fork")


def hold(directory, wait, began, end, answers):
    with reconcile_lock(directory, wait=wait) as ours:
        answers.put(ours)
        if ours:
            began.set()
            end.wait(60)


class Taker:
    """One that takes the turn, in another process or thread, and holds it until it is told to end."""

    def __init__(self, directory, kind, wait=True):
        make = FORK if kind == "process" else threading
        self.began, self.end = make.Event(), make.Event()
        self.answers = FORK.Queue()
        worker = FORK.Process if kind == "process" else threading.Thread
        self.worker = worker(target=hold, args=(directory, wait, self.began, self.end, self.answers), daemon=True)
        self.worker.start()

    def finish(self):
        self.end.set()
        self.worker.join(60)


def until_waiting(directory):
    """Until somebody waits for the turn. Looks at the kernel's list of locks: trying the lock would be in the way."""
    inode = os.stat(os.path.join(directory, "reconcile.waiting")).st_ino
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with open("/proc/locks") as locks:
            if any("FLOCK" in line and f":{inode} " in line for line in locks):
                return
        time.sleep(0.005)
    raise AssertionError("nobody waits")


@pytest.fixture
def directory(tmp_path):
    return str(tmp_path / "state")


@pytest.fixture(params=["process", "thread"])
def taker(request, directory):
    takers = []

    def take(wait=True):
        takers.append(Taker(directory, request.param, wait))
        return takers[-1]

    yield take
    for each in takers:
        each.finish()


@pytest.mark.parametrize("wait", [True, False])
def test_a_free_turn_is_ours_at_once(directory, wait):
    with reconcile_lock(directory, wait=wait) as ours:
        assert ours


@pytest.mark.parametrize("wait", [True, False])
def test_a_turn_that_was_given_back_is_free(directory, wait):
    for _ in range(3):
        with reconcile_lock(directory, wait=wait) as ours:
            assert ours


def test_a_turn_is_given_back_after_an_error(directory):
    with pytest.raises(ZeroDivisionError), reconcile_lock(directory):
        raise ZeroDivisionError
    with reconcile_lock(directory, wait=False) as ours:
        assert ours


def test_while_one_runs_another_waits_for_it(directory, taker):
    running = taker()
    assert running.began.wait(60)
    waiting = taker()
    until_waiting(directory)
    assert not waiting.began.is_set()
    running.finish()
    assert waiting.began.wait(60)


def test_while_one_runs_and_none_waits_even_who_is_in_a_hurry_waits(directory, taker):
    running = taker()
    assert running.began.wait(60)
    hurried = taker(wait=False)
    until_waiting(directory)
    running.finish()
    assert hurried.began.wait(60)
    assert hurried.answers.get(timeout=60) is True


def test_while_one_runs_and_one_waits_a_third_in_a_hurry_is_sent_away_at_once(directory, taker):
    running = taker()
    assert running.began.wait(60)
    taker()
    until_waiting(directory)
    third = taker(wait=False)
    assert third.answers.get(timeout=60) is False
    assert not running.end.is_set()


def test_while_one_runs_and_one_waits_a_third_without_hurry_gets_its_turn_in_the_end(directory, taker):
    running = taker()
    assert running.began.wait(60)
    second = taker()
    until_waiting(directory)
    third = taker()
    for each in (running, second, third):
        each.finish()
    assert [each.answers.get(timeout=60) for each in (running, second, third)] == [True, True, True]


def test_the_one_that_waited_makes_room_for_the_next_to_wait_when_it_begins(directory, taker):
    running = taker()
    assert running.began.wait(60)
    second = taker()
    until_waiting(directory)
    running.finish()
    assert second.began.wait(60)
    third = taker(wait=False)
    until_waiting(directory)
    second.finish()
    assert third.answers.get(timeout=60) is True


@pytest.mark.parametrize("victim", ["running", "waiting"])
def test_the_turn_of_a_process_that_is_killed_is_free(directory, victim):
    running = Taker(directory, "process")
    assert running.began.wait(60)
    waiting = Taker(directory, "process")
    until_waiting(directory)
    killed, other = (running, waiting) if victim == "running" else (waiting, running)
    os.kill(killed.worker.pid, signal.SIGKILL)
    killed.worker.join()
    assert other.began.wait(60)
    other.finish()
    with reconcile_lock(directory, wait=False) as ours:
        assert ours


def test_the_files_are_for_their_owner_only(directory):
    with reconcile_lock(directory):
        modes = {name: stat.S_IMODE(os.stat(os.path.join(directory, name)).st_mode) for name in os.listdir(directory)}
    assert modes == {"reconcile.waiting": 0o600, "reconcile.running": 0o600}
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
