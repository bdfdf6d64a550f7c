"""Files for node_exporter's textfile collector."""

import stat

import pytest

from saltext.wireguard.errors import NodeError
from saltext.wireguard.system import textfile


def test_the_file_is_replaced_as_a_whole_and_everybody_may_read_it(tmp_path):
    path = tmp_path / "wireguard.prom"
    path.write_text("old")
    before = path.stat().st_ino
    assert textfile.write(str(path), "new 1\n") == str(path)
    assert path.read_text() == "new 1\n"
    assert path.stat().st_ino != before
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["wireguard.prom"]


@pytest.mark.parametrize("path", ["/etc/passwd", "wireguard.prom", "", None, 5])
def test_what_node_exporter_would_not_read_is_refused(path):
    """Who may run this should not be able to replace any other file."""
    with pytest.raises(NodeError, match=r"must be an absolute path that ends with \.prom"):
        textfile.write(path, "x 1\n")


def test_a_folder_that_is_not_there_is_an_error_that_names_it(tmp_path):
    with pytest.raises(NodeError, match=r"/none/wireguard\.prom could not be written: No such file"):
        textfile.write(str(tmp_path / "none" / "wireguard.prom"), "x 1\n")


def test_what_a_killed_writer_left_behind_goes(tmp_path):
    (tmp_path / ".wireguard.prom.abcdefgh.tmp").write_text("half")
    textfile.write(str(tmp_path / "wireguard.prom"), "x 1\n")
    assert [each.name for each in tmp_path.iterdir()] == ["wireguard.prom"]
