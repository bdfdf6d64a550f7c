"""A mesh file is checked where there is no Salt, as editors, pipelines and pre-commit do."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from factories import accept, master_of, mesh_text, registration
from saltext.wireguard.master.master import Master
from speaking import says

REPO = Path(__file__).resolve().parents[2]
MESH = "networks:\n  backbone:\n    {subnets}: [10.42.0.0/16]\n    nodes:\n      node1: {{}}\n      node2: {{}}\n"
# Like `python -m`, where neither Salt is installed nor what comes with it, but for PyYAML.
WITHOUT_SALT = """
import runpy, sys
for name in ("salt", "cryptography", "nacl", "jinja2"):
    sys.modules[name] = None
runpy.run_module("saltext.wireguard", run_name="__main__", alter_sys=True)
"""


def check(*arguments: str | Path, program: tuple[str, ...] = ("-c", WITHOUT_SALT)) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(REPO / "_utils")}
    argv = [sys.executable, *program, *map(str, arguments)]
    return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)


def written(path: Path, subnets: str = "subnets") -> Path:
    path.write_text(MESH.format(subnets=subnets))
    return path


def test_a_valid_file_is_accepted_without_a_word(tmp_path: Path) -> None:
    done = check(written(tmp_path / "mesh.yml"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_error_is_printed_with_its_place_and_fails(tmp_path: Path) -> None:
    wrong = written(tmp_path / "mesh.yml", "subnet")
    done = check(written(tmp_path / "right.yml"), wrong)
    assert done.returncode == 1
    assert f"{wrong}:3: error: unknown key 'subnet'; did you mean 'subnets'?\n" in done.stdout
    assert "right.yml" not in done.stdout


def test_a_warning_is_printed_and_does_not_fail(tmp_path: Path) -> None:
    path = written(tmp_path / "mesh.yml")
    path.write_text(path.read_text().replace("backbone:\n", "backbone:\n    hosts: true\n    domain: com\n"))
    done = check(path)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{path}:4: warning: domain com is a top-level domain")


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    done = check(tmp_path / "missing.yml")
    assert done.returncode == 1
    assert done.stdout == f"{tmp_path}/missing.yml: error: cannot be read: No such file or directory\n"


def test_a_mesh_is_drawn(tmp_path: Path) -> None:
    done = check("--graph", written(tmp_path / "mesh.yml"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("flowchart LR\n")
    assert "n0_0 --- n0_1" in done.stdout


@pytest.mark.parametrize(("form", "start"), [("dot", "digraph"), ("svg", "<svg"), ("json", "{"), ("mermaid", "flow")])
def test_a_mesh_is_drawn_in_other_formats(tmp_path: Path, form: str, start: str) -> None:
    done = check("--graph", "--format", form, written(tmp_path / "mesh.yml"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(start)


@pytest.fixture
def master(tmp_path: Path) -> Master:
    """Which has taken in two nodes, and whose folders stand for their copies."""
    (tmp_path / "live").mkdir()
    made = master_of(tmp_path / "live", "a: {}, b: {}")
    for node in "ab":
        accept(made, node)
        says(made, registration(node))
    return made


def test_a_plan_is_made_from_copies_and_exits_as_one_on_the_master(tmp_path: Path, master: Master) -> None:
    new = tmp_path / "new.yml"
    new.write_text(mesh_text("a: {port: 4500}, b: {}"))
    copies = ("--state", master.state_dir, "--keys", master.keys_dir, "--live", master.mesh_path)
    done = check(new, *copies)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith("answer: 2 nodes would change;")
    assert "  net      a      ~ listen port  51820 -> 4500" in done.stdout
    as_data = check(new, *copies, "--json")
    assert as_data.returncode == 2
    assert {each["node"] for each in json.loads(as_data.stdout)["changes"]} == {"a", "b"}
    assert check(master.mesh_path, *copies).returncode == 0


def test_with_copies_the_check_and_the_picture_know_the_members(tmp_path: Path, master: Master) -> None:
    new = tmp_path / "new.yml"
    new.write_text(mesh_text("'*': {}", subnets="10.42.0.0/31"))
    copies = ("--state", master.state_dir, "--keys", master.keys_dir)
    assert check(new).returncode == 0
    refused = check(new, *copies)
    assert refused.returncode == 1
    assert "error: " in refused.stdout
    assert '["a"]' in check("--graph", new, *copies).stdout


def test_a_copy_that_is_missing_is_an_error(tmp_path: Path) -> None:
    done = check(written(tmp_path / "mesh.yml"), "--state", tmp_path, "--keys", tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}/registry.db does not exist; copy it from the master\n"


@pytest.mark.parametrize(
    "words", [["--live", "x"], ["--state", "x"], ["--live", "x", "--state", "x", "--keys", "x", "--graph"]]
)
def test_options_that_do_not_belong_together_are_refused(tmp_path: Path, words: list[str]) -> None:
    assert check(written(tmp_path / "mesh.yml"), *words).returncode == 2


def test_the_hook_of_pre_commit_checks_the_mesh_files_of_a_commit(tmp_path: Path) -> None:
    (hook,) = yaml.safe_load((REPO / ".pre-commit-hooks.yaml").read_text())
    python, *program = hook["entry"].split()
    assert (python, hook["language"]) == ("python", "python")
    assert check(written(tmp_path / "mesh.yml", "subnet"), program=tuple(program)).returncode == 1
    for path in ("mesh.yml", "srv/wireguard/mesh.yaml"):
        assert re.search(hook["files"], path)
    assert not re.search(hook["files"], "docs/mesh-file.schema.json")
