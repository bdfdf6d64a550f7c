"""Whole files: what others see of them at any moment, and what an error leaves."""

import os
import stat

import pytest

from saltext.wireguard.errors import NodeError
from saltext.wireguard.system import files


@pytest.fixture
def path(tmp_path):
    return tmp_path / "wg0.conf"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def fail(*_args, **_kwargs):
    raise OSError(28, "No space left on device")


def test_what_is_not_there_is_empty(path):
    assert files.read(str(path)) == ""
    assert files.names(str(path)) == []
    assert not files.is_written(str(path), "text")


def test_a_file_is_written_if_its_text_mode_and_group_are_right(path):
    files.replace(str(path), "text")
    assert files.is_written(str(path), "text")
    assert files.is_written(str(path), "text", group=path.stat().st_gid)
    assert not files.is_written(str(path), "text", group=path.stat().st_gid + 1)
    assert not files.is_written(str(path), "another")
    path.chmod(0o644)
    assert not files.is_written(str(path), "text")


@pytest.mark.parametrize("write", [files.add, files.replace])
def test_a_new_file_is_for_its_owner_only_and_has_no_company(path, write):
    write(str(path), "text")
    assert (mode(path), path.read_text()) == (0o600, "text")
    assert os.listdir(path.parent) == [path.name]


def test_a_file_that_is_there_is_not_added_again(path):
    path.write_text("first")
    files.add(str(path), "second")
    assert path.read_text() == "first"
    assert os.listdir(path.parent) == [path.name]


def test_a_folder_that_is_missing_is_made_for_its_owner_only(tmp_path):
    files.add(str(tmp_path / "etc" / "wg0.key"), "text")
    assert mode(tmp_path / "etc") == 0o700


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_file_that_cannot_be_replaced_is_as_it_was(path, monkeypatch, step):
    path.write_text("old")
    with monkeypatch.context() as broken:
        broken.setattr(os, step, fail)
        with pytest.raises(NodeError, match=f"{path} could not be written: No space left on device; it is unchanged"):
            files.replace(str(path), "new")
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == [path.name]


def test_what_supersedes_a_file_takes_on_its_mode(path):
    path.write_text("old")
    path.chmod(0o640)
    source = path.with_suffix(".next")
    source.write_text("new")
    files.supersede(str(source), str(path))
    assert (path.read_text(), mode(path), source.exists()) == ("new", 0o640, False)


def test_a_link_to_nothing_can_be_removed_and_a_missing_file_is_no_error(path):
    path.symlink_to("elsewhere")
    for _ in range(2):
        files.remove(str(path))
    assert not path.is_symlink()


def test_only_the_left_overs_of_this_file_are_removed(path):
    for name in (".wg0.conf.abcd1234.tmp", ".wg0.conf.mine.tmp", ".wg1.conf.abcd1234.tmp", "wg0.conf"):
        (path.parent / name).touch()
    files.remove_leftovers(str(path))
    assert sorted(os.listdir(path.parent)) == [".wg0.conf.mine.tmp", ".wg1.conf.abcd1234.tmp", "wg0.conf"]


def test_a_folder_that_cannot_be_synced_is_an_error_that_says_what_a_power_cut_could_do(path):
    with pytest.raises(NodeError, match=r"could not be synced: .*; a power cut could undo the last change"):
        files.sync(str(path))
