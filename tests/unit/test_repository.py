"""What must hold across files: versions, docstrings, the layout that Salt's loader needs, and no secrets."""

import ast
import configparser
import importlib.util
import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from saltext.wireguard import __version__
from saltext.wireguard.errors import KeyFormatError
from saltext.wireguard.model.keys import parse_public_key

REPO = Path(__file__).resolve().parents[2]
LOADED = sorted(path.name for path in REPO.glob("_*") if path.is_dir() and path.name != "_utils")
LINK = re.compile(r"\]\(([^)\s]+)\)")
PRIVATE_KEY = re.compile(rb"private[_-]?key[\"']?\s*[:=]\s*[\"']?([A-Za-z0-9+/]{43}=)", re.IGNORECASE)


def setup_cfg() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(REPO / "setup.cfg")
    return config


def test_the_package_takes_its_version_from_the_library() -> None:
    assert setup_cfg()["metadata"]["version"] == "attr: _utils.saltext.wireguard.__version__"


def test_the_pythons_of_the_package_are_those_that_tests_run_on() -> None:
    """Besides the one of Debian 12, which is the machine's own."""
    makefile = (REPO / "Makefile").read_text()
    tested = (
        re.findall(r"find_python,(3\.\d+)", makefile) + re.findall(r"^OTHER_PYTHONS := (.*)", makefile, re.M)[0].split()
    )
    classifiers = re.findall(r"Python :: (3\.\d+)", setup_cfg()["metadata"]["classifiers"])
    assert sorted(classifiers) == sorted([*tested, "3.11"])
    assert setup_cfg()["options"]["python_requires"] == f">={classifiers[0]}"


def test_the_states_and_the_modules_have_one_version() -> None:
    """Otherwise every state.apply syncs the modules of every minion again."""
    (version,) = re.findall(r"set version = '(.+)'", (REPO / "salt/wireguard/map.jinja").read_text())
    assert version == __version__


def test_the_changelog_knows_the_version() -> None:
    assert f"## [{__version__}]" in (REPO / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("folder", [*LOADED, "_utils"])
def test_folders_of_modules_are_packages_without_code(folder: str) -> None:
    """Salt loads or syncs an `__init__.py` like any other module."""
    assert (REPO / folder / "__init__.py").read_bytes() == b""


def test_nothing_in_the_file_root_shadows_salt() -> None:
    assert list((REPO / "salt").rglob("*.py")) == []


def test_every_kind_of_module_is_in_the_wheel_and_offered_to_salt() -> None:
    init = ast.parse((REPO / "_utils/saltext/wireguard/__init__.py").read_text())
    offered = {node.value for node in ast.walk(init) if isinstance(node, ast.Constant)}
    for folder in LOADED:
        kind = folder.removeprefix("_")
        assert f"saltext.wireguard.{kind} = {folder}" in setup_cfg()["options"]["package_dir"].splitlines()
        assert kind in offered


def test_every_room_is_in_the_wheel() -> None:
    packages = setup_cfg()["options"]["packages"].split()
    rooms = {path.parent.relative_to(REPO / "_utils") for path in (REPO / "_utils/saltext").rglob("__init__.py")}
    assert {".".join(room.parts) for room in rooms} - set(packages) == set()


def test_the_namespace_is_open_to_other_extensions() -> None:
    """An `__init__.py` there would hide all other packages below `saltext`."""
    assert not (REPO / "_utils/saltext/__init__.py").exists()


SALT_MODULES = sorted(path for folder in LOADED for path in (REPO / folder).glob("wireguard*.py"))
MODULE_IDS = [str(path.relative_to(REPO)) for path in SALT_MODULES]


def functions(module: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name.rstrip("_"), node


@pytest.mark.parametrize(
    ("name", "node"),
    [each for path in SALT_MODULES if path.parent.name in ("_modules", "_runners") for each in functions(path)],
)
def test_what_people_call_shows_how_to_call_it(name: str, node: ast.FunctionDef) -> None:
    docstring = ast.get_docstring(node) or ""
    assert "CLI Example:\n\n.. code-block:: bash\n\n" in docstring
    assert re.search(rf"^    salt(-run|-call)? .*\bwireguard\.{name}\b", docstring, re.MULTILINE)


@pytest.mark.parametrize("path", SALT_MODULES, ids=MODULE_IDS)
def test_a_salt_module_offers_no_function_of_others(path: Path) -> None:
    """Salt offers every function that has a public name in a module, wherever it came from."""
    pytest.importorskip("salt")
    spec = importlib.util.spec_from_file_location("wireguard_module", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    public = {name: each for name, each in inspect.getmembers(module, inspect.isfunction) if name[0] != "_"}
    assert {name.rstrip("_") for name in public} == {name for name, _ in functions(path)}
    assert {each.__module__ for each in public.values()} == {"wireguard_module"}


def test_no_two_files_of_a_runner_have_a_function_of_one_name() -> None:
    """Salt would offer either of them."""
    names = [name for path in SALT_MODULES if path.parent.name == "_runners" for name, _ in functions(path)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", SALT_MODULES, ids=MODULE_IDS)
def test_every_public_function_has_a_docstring(path: Path) -> None:
    assert [name for name, node in functions(path) if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("path", SALT_MODULES, ids=MODULE_IDS)
def test_every_argument_is_described_at_one_function_at_least(path: Path) -> None:
    obvious = {"minion_id", "pillar", "tag", "event", "test", "data"}
    described = "\n".join(ast.get_docstring(node) or "" for _, node in functions(path))
    for name, node in functions(path):
        for argument in node.args.args:
            if argument.arg not in obvious:
                assert re.search(rf"\b{argument.arg}\b", described), f"{name}: {argument.arg}"


@pytest.mark.parametrize("path", sorted((REPO / "examples/master.d").glob("*")), ids=lambda path: path.name)
def test_the_masters_examples_are_read_by_salt_and_complete(path: Path) -> None:
    """Salt includes `master.d/*.conf` only, and without a mapping in it, silently nothing."""
    assert path.suffix == ".conf"
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_the_reactor_example_names_files_that_exist() -> None:
    config = yaml.safe_load((REPO / "examples/master.d/wireguard-reactor.conf").read_text())
    named = {sls for reaction in config["reactor"] for files in reaction.values() for sls in files}
    there = {f"salt://{path.relative_to(REPO / 'salt')}" for path in (REPO / "salt/reactor").rglob("*.sls")}
    assert named == there


def linked_from(page: Path) -> set[Path]:
    return {(page.parent / target.partition("#")[0]).resolve() for target in LINK.findall(page.read_text())}


def test_every_page_is_linked_from_the_start_page() -> None:
    start = REPO / "docs/index.md"
    assert start in linked_from(REPO / "README.md")
    assert set((REPO / "docs").rglob("*.md")) - {start} - linked_from(start) == set()


def test_no_file_has_a_private_key() -> None:
    """Not even an example's. Tests may have made-up ones; texts that are no key may stand for one elsewhere."""
    git = ["git", "-c", "safe.directory=*", "-C", str(REPO)]
    listed = subprocess.run([*git, "ls-files", "-z", ":!tests"], capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no git checkout")
    for path in filter(Path.is_file, (REPO / name for name in listed.stdout.split("\0") if name)):
        for key in PRIVATE_KEY.findall(path.read_bytes()):
            with pytest.raises(KeyFormatError):
                parse_public_key(key.decode())
