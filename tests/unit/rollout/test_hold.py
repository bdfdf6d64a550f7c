import os
import re

from saltext.wireguard.rollout.hold import current_hold, put_on_hold, release_hold


def test_a_hold_says_since_when_by_whom_and_how_it_ends(tmp_path):
    put_on_hold(str(tmp_path / "state"), "alice", "new ports")
    sentence = current_hold(str(tmp_path / "state"))
    assert re.match(
        r"changes are on hold since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d, by alice \(new ports\)", sentence
    )
    assert "wireguard.release" in sentence


def test_there_is_no_hold_at_first_and_none_after_the_end(tmp_path):
    assert current_hold(str(tmp_path / "state")) is None
    put_on_hold(str(tmp_path), "alice", "")
    release_hold(str(tmp_path))
    assert current_hold(str(tmp_path)) is None
    release_hold(str(tmp_path))


def test_the_first_to_hold_stays_the_one_who_is_named(tmp_path):
    put_on_hold(str(tmp_path), "alice", "")
    put_on_hold(str(tmp_path), "bob", "step by step")
    assert "by alice." in current_hold(str(tmp_path))


def test_a_hold_is_a_file_of_the_masters_own_and_nothing_else_is_left(tmp_path):
    put_on_hold(str(tmp_path), "alice", "")
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_a_power_cut_left_half_written_is_no_hold_and_in_nobodys_way(tmp_path):
    (tmp_path / ".hold.abcd1234.tmp").write_text("ali")
    assert current_hold(str(tmp_path)) is None
    put_on_hold(str(tmp_path), "alice", "")
    assert os.listdir(tmp_path) == ["hold"]
