import os

import pytest

from saltext.wireguard.registry import salt_keys
from saltext.wireguard.registry.salt_keys import (
    SaltKeys,
    _files,
    _read,
    load_salt_key,
    load_salt_keys,
    recent_salt_keys,
)


@pytest.fixture
def keys(tmp_path):
    directory = tmp_path / "minions"
    directory.mkdir()
    (directory / "a").write_bytes(b"key of a\n")
    (directory / "b").write_bytes(b"key of b\n")
    return directory


def load(directory):
    return load_salt_keys(str(directory))


def test_every_file_is_an_accepted_minion(keys):
    assert {name: key.pem for name, key in load(keys).items()} == {"a": b"key of a\n", "b": b"key of b\n"}


def test_hidden_files_and_directories_are_no_minions(keys):
    (keys / ".key_cache").write_bytes(b"x")
    (keys / "directory").mkdir()
    assert sorted(load(keys)) == ["a", "b"]


def test_nothing_changed_is_the_same_object(keys):
    assert load(keys) is load(keys)


def test_an_empty_directory_is_the_same_object_too(tmp_path):
    assert load(tmp_path) is load(tmp_path)


def test_a_key_that_is_accepted_shows(keys):
    before = load(keys)
    (keys / "c").write_bytes(b"key of c\n")
    assert sorted(load(keys)) == ["a", "b", "c"]
    assert sorted(before) == ["a", "b"]


def test_a_key_that_is_deleted_is_gone(keys):
    load(keys)
    (keys / "a").unlink()
    assert sorted(load(keys)) == ["b"]


def test_a_key_that_is_rejected_is_gone(keys, tmp_path):
    load(keys)
    (keys / "a").rename(tmp_path / "a")
    assert sorted(load(keys)) == ["b"]


def test_a_key_that_is_changed_in_place_shows_though_the_directory_is_as_it_was(keys):
    before = load(keys)["a"]
    with open(keys / "a", "r+b") as handle:
        handle.write(b"another key of a\n")
    after = load(keys)["a"]
    assert after.pem == b"another key of a\n"
    assert after.fingerprint != before.fingerprint


def test_a_key_that_is_replaced_by_one_of_the_same_time_and_size_shows(keys):
    load(keys)
    info = os.stat(keys / "a")
    (keys / ".new").write_bytes(b"KEY OF A\n")
    os.utime(keys / ".new", ns=(info.st_atime_ns, info.st_mtime_ns))
    (keys / ".new").replace(keys / "a")
    assert load(keys)["a"].pem == b"KEY OF A\n"


def test_only_changed_files_are_read(keys, monkeypatch):
    load(keys)
    read = []
    monkeypatch.setattr(salt_keys, "_read", lambda path: read.append(os.path.basename(path)))
    (keys / "c").write_bytes(b"key of c\n")
    load(keys)
    assert read == ["c"]


def test_white_space_is_no_part_of_the_fingerprint(keys):
    (keys / "b").write_bytes(b" key\r\nof a")
    loaded = load(keys)
    assert loaded["a"].fingerprint == loaded["b"].fingerprint


def test_a_missing_directory_is_no_minions(tmp_path):
    assert load(tmp_path / "missing") == {}


def test_a_directory_that_is_made_later_is_seen(tmp_path):
    load(tmp_path / "later")
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "a").write_bytes(b"key\n")
    assert sorted(load(tmp_path / "later")) == ["a"]


def test_a_directory_that_goes_away_leaves_no_minions(keys, tmp_path):
    load(keys)
    keys.rename(tmp_path / "elsewhere")
    assert load(keys) == {}


@pytest.mark.parametrize("when", ["before stat", "before reading"])
def test_a_key_that_is_deleted_while_the_directory_is_read_is_gone(keys, monkeypatch, when):
    """`salt-key -d` at the wrong moment raised FileNotFoundError, through the pillar and through the engine."""
    files, read = _files, _read

    def files_then_gone(directory):
        entries = files(directory)
        (keys / "a").unlink()
        return entries

    def gone_then_read(path):
        (keys / "a").unlink(missing_ok=True)
        return read(path)

    if when == "before stat":
        monkeypatch.setattr(salt_keys, "_files", files_then_gone)
    else:
        (keys / "b").unlink()
        monkeypatch.setattr(salt_keys, "_read", gone_then_read)
    assert "a" not in load(keys)


# --- one by one


def one(directory, node):
    return load_salt_key(str(directory), node)


def test_one_key_is_that_of_the_list_and_no_other_file_is_looked_at(keys, monkeypatch):
    """For each statement, every key file of a large fleet was looked at: 15 ms of 2,000."""
    expected = load(keys)["b"]
    looked_at = []
    real = os.stat

    def stat(path, *args, **kwargs):
        looked_at.append(path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(os, "scandir", None)
    assert one(keys, "b") == expected
    assert looked_at == [str(keys / "b")]


def test_a_key_that_is_rejected_as_well_is_not_accepted(keys, tmp_path):
    """It stayed in the mesh while Salt refused its minion: so it was after a backup of Salt's keys was put back."""
    assert one(keys, "a")
    (tmp_path / "minions_rejected").mkdir()
    (tmp_path / "minions_rejected" / "a").write_bytes(b"key of a\n")
    assert one(keys, "a") is None
    assert "a" not in SaltKeys(str(keys))
    assert sorted(load(keys)) == ["b"]
    (tmp_path / "minions_rejected" / "a").unlink()
    assert one(keys, "a") == load(keys)["a"]


@pytest.mark.parametrize("state", ["minions_denied", "minions_pre"])
def test_what_others_sent_to_the_master_in_the_name_of_a_minion_does_not_shut_it_out(keys, tmp_path, state):
    """Anybody who reaches the master gets a key of his own in there, under any id."""
    (tmp_path / state).mkdir()
    (tmp_path / state / "a").write_bytes(b"key of somebody\n")
    assert one(keys, "a") == load(keys)["a"]


def test_one_key_is_read_again_only_when_it_changed(keys):
    before = one(keys, "a")
    assert one(keys, "a") is before
    (keys / "a").write_bytes(b"another key of a\n")
    assert one(keys, "a").pem == b"another key of a\n"
    (keys / "a").unlink()
    assert one(keys, "a") is None


TRICKS = [
    *("", ".", "..", "/", "a/", "./a", "a/../a", "../minions/a", "sub", "sub/c", ".hidden"),
    *("a\0", "\0", "\ud800", "A", "x" * 5000),
]


@pytest.mark.parametrize("node", TRICKS, ids=range(len(TRICKS)))
def test_an_id_that_is_no_name_of_a_key_file_has_no_key(keys, node):
    """An id comes from whoever claims to have it."""
    (keys / ".hidden").write_bytes(b"x")
    (keys / "sub").mkdir()
    (keys / "sub" / "c").write_bytes(b"x")
    assert one(keys, node) is None
    assert node not in load(keys)
    assert node not in SaltKeys(str(keys))


def test_an_absolute_path_is_no_id(keys):
    assert one(keys, str(keys / "a")) is None


def test_the_keys_one_by_one_are_those_of_the_list(keys):
    found = SaltKeys(str(keys))
    assert dict(found) == load(keys)
    assert (len(found), found["a"]) == (2, load(keys)["a"])
    with pytest.raises(KeyError):
        found["c"]


# --- keys of a moment ago --------------------------------------------------------------------------------------------


@pytest.fixture
def long_ago(keys):
    """Directories that nobody changes any more."""
    rejected = keys.parent / "minions_rejected"
    rejected.mkdir()
    for directory in (keys, rejected):
        os.utime(directory, (1e9, 1e9))
    return keys


def replaced(keys):
    """Salt replaces some keys in place: the directory does not tell."""
    (keys / "a").write_bytes(b"another key of a\n")


def test_the_keys_of_a_moment_ago_are_taken_without_a_look_at_every_file(long_ago):
    generation = object()
    before = recent_salt_keys(str(long_ago), generation)
    replaced(long_ago)
    assert recent_salt_keys(str(long_ago), generation) is before


def test_with_another_generation_every_file_is_looked_at(long_ago):
    """A removal has another generation before any node is asked: no view brings the old key back."""
    recent_salt_keys(str(long_ago), object())
    replaced(long_ago)
    assert recent_salt_keys(str(long_ago), object())["a"].pem == b"another key of a\n"


def test_after_some_seconds_every_file_is_looked_at(long_ago, monkeypatch):
    generation = object()
    recent_salt_keys(str(long_ago), generation)
    replaced(long_ago)
    monkeypatch.setattr(salt_keys, "RECENT_SECONDS", 0.0)
    assert recent_salt_keys(str(long_ago), generation)["a"].pem == b"another key of a\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda keys: (keys / "a").unlink(),
        lambda keys: (keys / "c").write_bytes(b"key of c\n"),
        lambda keys: (keys.parent / "minions_rejected" / "a").write_bytes(b""),
    ],
    ids=["deleted", "accepted", "rejected"],
)
def test_a_key_that_comes_or_goes_shows_at_once(long_ago, change):
    generation = object()
    recent_salt_keys(str(long_ago), generation)
    change(long_ago)
    assert recent_salt_keys(str(long_ago), generation) == load(long_ago)


def test_keys_that_are_changing_right_now_are_looked_at_every_time(keys):
    generation = object()
    recent_salt_keys(str(keys), generation)
    replaced(keys)
    assert recent_salt_keys(str(keys), generation)["a"].pem == b"another key of a\n"
