"""A mesh file is checked where there is no Salt, as editors, pipelines and pre-commit do."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

REPO = Path(__file__).resolve().parents[2]
MESH = "networks:\n  backbone:\n    {subnets}: [10.42.0.0/16]\n    nodes:\n      node1: {{}}\n      node2: {{}}\n"
# Like `python -m`, where Salt is not installed.
WITHOUT_SALT = """
import runpy, sys
sys.modules["salt"] = None
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


def test_the_hook_of_pre_commit_checks_the_mesh_files_of_a_commit(tmp_path: Path) -> None:
    (hook,) = yaml.safe_load((REPO / ".pre-commit-hooks.yaml").read_text())
    python, *program = hook["entry"].split()
    assert (python, hook["language"]) == ("python", "python")
    assert check(written(tmp_path / "mesh.yml", "subnet"), program=tuple(program)).returncode == 1
    for path in ("mesh.yml", "srv/wireguard/mesh.yaml"):
        assert re.search(hook["files"], path)
    assert not re.search(hook["files"], "docs/mesh-file.schema.json")
