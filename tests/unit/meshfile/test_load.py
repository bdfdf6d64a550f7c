import os
import time
import traceback

import pytest

from factories import mesh_text
from saltext.wireguard.errors import MeshError
from saltext.wireguard.meshfile import load as meshfile_load
from saltext.wireguard.meshfile.load import load_mesh, stamp
from saltext.wireguard.meshfile.parse import parse_mesh

OLD_NS = 3_600_000_000_000


@pytest.fixture
def parses(monkeypatch):
    """Every parse adds the names of its files here."""
    seen = []
    parse = parse_mesh

    def counting(sources, nodegroups):
        seen.append([os.path.basename(name) for name, _ in sources])
        return parse(sources, nodegroups)

    monkeypatch.setattr(meshfile_load, "parse_mesh", counting)
    return seen


def write(path, text, age_ns=OLD_NS):
    """A file that was written some time ago, as mesh files mostly were."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    then = time.time_ns() - age_ns
    os.utime(path, ns=(then, then))
    return path


def load(path):
    return load_mesh(str(path))


def problems(path):
    with pytest.raises(MeshError) as caught:
        load(path)
    return [(problem.file, problem.line, problem.message) for problem in caught.value.problems]


def test_a_file_is_parsed(tmp_path):
    path = write(tmp_path / "mesh.yml", mesh_text())
    assert [network.name for network in load(path).networks] == ["net"]


def test_a_directory_is_its_yml_files_in_order_of_their_names(tmp_path, parses):
    for number, name in enumerate(["b.yml", "a.yml", ".hidden.yml", "notes.txt", "a.yml~"]):
        text = mesh_text(subnets=f"10.{number}.0.0/24", extra=f"interface: wg{number}\n    port: {1000 + number}")
        write(tmp_path / name, text.replace("net:", f"net-{name[0]}:"))
    names = [network.name for network in load(tmp_path).networks]
    assert (names, parses) == (["net-a", "net-b"], [["a.yml", "b.yml"]])


def test_a_missing_file_is_a_problem_of_that_file(tmp_path):
    path = tmp_path / "missing.yml"
    assert problems(path) == [(str(path), 0, "cannot be read: No such file or directory")]


def test_a_directory_without_yml_files_is_a_problem(tmp_path):
    (tmp_path / "mesh.yaml").write_text(mesh_text())
    assert problems(tmp_path) == [(str(tmp_path), 0, "the directory has no *.yml file")]


def test_a_dangling_link_in_a_directory_is_a_problem_and_not_left_out(tmp_path):
    write(tmp_path / "a.yml", mesh_text())
    (tmp_path / "b.yml").symlink_to(tmp_path / "nowhere")
    assert [message for _, _, message in problems(tmp_path)] == ["cannot be read: No such file or directory"]


def test_a_directory_with_the_name_of_a_file_cannot_be_read(tmp_path):
    (tmp_path / "b.yml").mkdir()
    assert problems(tmp_path) == [(str(tmp_path / "b.yml"), 0, "cannot be read: Is a directory")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_a_problem_of_that_file(tmp_path):
    path = write(tmp_path / "mesh.yml", mesh_text())
    path.chmod(0)
    assert problems(path) == [(str(path), 0, "cannot be read: Permission denied")]


def test_a_file_that_cannot_be_opened_is_a_problem_of_that_file(tmp_path, monkeypatch):
    path = write(tmp_path / "mesh.yml", mesh_text())

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    assert problems(path) == [(str(path), 0, "cannot be read: Permission denied")]


def test_a_file_that_is_not_utf_8_is_a_problem_that_says_where(tmp_path):
    path = write(tmp_path / "mesh.yml", mesh_text().encode() + b"# \xff\n")
    at = len(mesh_text()) + 2
    assert problems(path) == [(str(path), 0, f"is not UTF-8 text: invalid start byte at byte {at}")]


# --- once a change ---------------------------------------------------------------------------------------------------


def test_an_unchanged_file_is_parsed_once_and_gives_the_same_object(tmp_path, parses):
    path = write(tmp_path / "mesh.yml", mesh_text())
    assert load(path) is load(path) is load(path)
    assert len(parses) == 1


def test_a_changed_file_is_parsed_again(tmp_path, parses):
    path = write(tmp_path / "mesh.yml", mesh_text())
    load(path)
    write(path, mesh_text("a: {}"), OLD_NS // 2)
    assert [entry.pattern for entry in load(path).networks[0].nodes] == ["a"]
    assert len(parses) == 2


def test_a_file_that_is_replaced_by_one_of_the_same_time_and_size_is_parsed_again(tmp_path):
    path = write(tmp_path / "mesh.yml", mesh_text("a: {}"))
    load(path)
    info = os.stat(path)
    new = write(tmp_path / "new", mesh_text("b: {}"))
    os.utime(new, ns=(info.st_mtime_ns, info.st_mtime_ns))
    new.replace(path)
    assert [entry.pattern for entry in load(path).networks[0].nodes] == ["b"]


@pytest.mark.parametrize("change", ["add", "remove", "rename"])
def test_a_changed_directory_is_parsed_again(tmp_path, parses, change):
    write(tmp_path / "a.yml", mesh_text())
    write(tmp_path / "b.yml", "networks: {two: {subnets: [10.9.0.0/24], interface: wg9, port: 9, nodes: {'*': {}}}}")
    load(tmp_path)
    if change == "add":
        write(tmp_path / "c.yml", "networks: {c: {subnets: [10.8.0.0/24], interface: wg8, port: 8, nodes: {'*': {}}}}")
    elif change == "remove":
        (tmp_path / "b.yml").unlink()
    else:
        (tmp_path / "b.yml").rename(tmp_path / "c.yml")
    load(tmp_path)
    assert len(parses) == 2


def test_an_invalid_file_gives_the_same_problems_again_without_another_parse(tmp_path, parses):
    path = write(tmp_path / "mesh.yml", "networks: {net: {}}")
    assert problems(path) == problems(path) != []
    assert len(parses) == 1


def test_an_invalid_file_that_was_repaired_is_fine(tmp_path):
    path = write(tmp_path / "mesh.yml", "networks: {net: {}}")
    problems(path)
    write(path, mesh_text())
    assert load(path).networks


def test_asking_for_an_invalid_file_again_and_again_does_not_pile_up_tracebacks(tmp_path):
    """One error object was raised every time, and Python adds to its traceback, which keeps all those frames alive."""
    path = write(tmp_path / "mesh.yml", "networks: {net: {}}")
    lengths = []
    for _ in range(5):
        try:
            load(path)
        except MeshError as exc:
            lengths.append(len(traceback.extract_tb(exc.__traceback__)))
    assert set(lengths) == {lengths[0]}


def test_two_edits_within_one_tick_of_the_clock_are_both_seen(tmp_path):
    path = write(tmp_path / "mesh.yml", mesh_text("a: {}"), age_ns=0)
    info = os.stat(path)
    load(path)
    path.write_text(mesh_text("b: {}"))
    os.utime(path, ns=(info.st_mtime_ns, info.st_mtime_ns))
    assert [entry.pattern for entry in load(path).networks[0].nodes] == ["b"]


def test_an_edit_during_a_long_parse_is_seen(tmp_path, monkeypatch):
    """Whether a file is old enough was looked at after the parse, by which time it always was."""
    path = write(tmp_path / "mesh.yml", mesh_text("a: {}"), age_ns=0)
    info = os.stat(path)
    parse = parse_mesh

    def slow(sources, nodegroups):
        path.write_text(mesh_text("b: {}"))
        os.utime(path, ns=(info.st_mtime_ns, info.st_mtime_ns))
        time.sleep(0.15)
        return parse(sources, nodegroups)

    monkeypatch.setattr(meshfile_load, "parse_mesh", slow)
    load(path)
    monkeypatch.setattr(meshfile_load, "parse_mesh", parse)
    assert [entry.pattern for entry in load(path).networks[0].nodes] == ["b"]


def test_the_stamp_changes_with_the_file_and_costs_no_parse(tmp_path, parses):
    path = write(tmp_path / "mesh.yml", mesh_text())
    before = stamp(str(path))
    assert stamp(str(path)) == before
    write(path, "networks: {net: {}}", OLD_NS // 2)
    assert stamp(str(path)) != before
    assert parses == []


def test_the_same_text_in_another_place_has_the_same_digest(tmp_path):
    """Masters of one registry compare it, and need not have the file in the same directory."""
    for name, text in (("one", mesh_text()), ("other", mesh_text()), ("edited", mesh_text(extra="mtu: 1300"))):
        (tmp_path / name).write_text(text)
    digests = [load_mesh(str(tmp_path / name)).digest for name in ("one", "other", "edited")]
    assert digests[0] == digests[1] != digests[2]
