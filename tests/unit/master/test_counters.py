"""What processes of the master count together."""

import multiprocessing

import pytest

from saltext.wireguard.master import counters

FORK = multiprocessing.get_context("fork")


def count_to_fifty(directory):
    for _ in range(50):
        counters.add(directory, pillars=1, pillar_seconds=0.5)


def test_sums_grow_and_what_was_never_counted_is_zero(tmp_path):
    counters.add(str(tmp_path), pillars=1, pillar_seconds=0.25)
    counters.add(str(tmp_path), pillars=1, pillar_seconds=0.5, reconciles=1)
    found = counters.read(str(tmp_path))
    assert (found["pillars"], found["pillar_seconds"], found["reconciles"], found["other"]) == (2, 0.75, 1, 0)


def test_processes_that_count_at_once_lose_nothing(tmp_path):
    workers = [FORK.Process(target=count_to_fifty, args=[str(tmp_path)]) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert counters.read(str(tmp_path)) == {"pillars": 200, "pillar_seconds": 100.0}


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"pillars": "many", "ok": true}', '{"pillars": 5}{'])
def test_a_damaged_file_begins_again(tmp_path, damage):
    """A power cut may come in the middle of a write; the sums are not worth a sync of the disk each."""
    counters.add(str(tmp_path), pillars=1)
    (tmp_path / "counters").write_text(damage)
    assert counters.read(str(tmp_path)) == {}
    counters.add(str(tmp_path), pillars=2)
    assert counters.read(str(tmp_path)) == {"pillars": 2}


def test_where_nothing_can_be_written_nothing_is_counted_and_nothing_fails(tmp_path):
    counters.add(str(tmp_path / "none"), pillars=1)
    assert counters.read(str(tmp_path / "none")) == {}


def test_only_its_owner_can_read_it(tmp_path):
    counters.add(str(tmp_path), pillars=1)
    assert (tmp_path / "counters").stat().st_mode & 0o777 == 0o600
