"""Which room imports what, compared with the table in docs/contributing.md."""

import ast
import re
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
LIBRARY = REPO / "_utils/saltext/wireguard"
TABLE = re.compile(r"^\| `(?P<room>\w+)` \|[^|]*\|(?P<allowed>[^|]*)\|$", re.MULTILINE)
PURE = {"model", "fleet", "device", "formats", "review", "observe", "report", "adopt"}
EFFECTS = {"os", "subprocess", "socket", "sqlite3", "tempfile", "shutil", "threading", "fcntl"}


def table() -> dict[str, set[str]]:
    """Room -> what it may import: rooms, and modules as ``room.module``."""
    section = (REPO / "docs/contributing.md").read_text().partition("<!-- rooms -->")[2].partition("\n\n")[0]
    return {row["room"]: set(re.findall(r"`([\w.]+)`", row["allowed"])) for row in TABLE.finditer(section)}


def modules() -> Iterator[tuple[tuple[str, ...], str]]:
    """(path below the library, source) of every module."""
    for path in sorted(LIBRARY.rglob("*.py")):
        yield path.relative_to(LIBRARY).with_suffix("").parts, path.read_text()


def imported(place: tuple[str, ...], source: str) -> Iterator[str]:
    """What a module imports of the library, dotted from there: ``model.view.View``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            package = place[: len(place) - node.level]
            parts = [*package, *(node.module.split(".") if node.module else [])]
            yield from (".".join([*parts, alias.name]) for alias in node.names)


def foreign(source: str) -> set[str]:
    """The packages of others that a module imports, by their first names."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).partition(".")[0])
    return found


def violations(place: tuple[str, ...], source: str, allowed: dict[str, set[str]]) -> list[str]:
    """The imports of a module that the table does not have."""
    own = place[0]
    return [
        name
        for name in imported(place, source)
        if name.partition(".")[0] != own and not {name.partition(".")[0], ".".join(name.split(".")[:2])} & allowed[own]
    ]


@pytest.mark.parametrize(("place", "source"), [each for each in modules() if each[0] != ("__init__",)])
def test_a_room_imports_what_the_table_allows(place: tuple[str, ...], source: str) -> None:
    assert violations(place, source, table()) == []


def test_every_room_is_in_the_table_and_the_other_way_round() -> None:
    rooms = {path.stem for path in LIBRARY.iterdir() if path.name not in ("__init__.py", "__pycache__")}
    assert rooms == set(table())


@pytest.mark.parametrize(
    ("place", "line", "found"),
    [
        (("node", "converge"), "from ..registry.registry import Registry", ["registry.registry.Registry"]),
        (("node", "boot", "systemd"), "from ...fleet import fleet", ["fleet.fleet"]),
        (("control", "plan"), "from ..node import devices", ["node.devices"]),
        (("fleet", "fleet"), "from ..meshfile.load import load_mesh", ["meshfile.load.load_mesh"]),
        (("fleet", "fleet"), "from ..meshfile.mesh import Mesh", []),
        (("device", "diff"), "from . import exits", []),
        (("system", "files"), "def f():\n    from ..model import view", ["model.view"]),
    ],
)
def test_a_forbidden_import_is_found(place: tuple[str, ...], line: str, found: list[str]) -> None:
    assert violations(place, line, table()) == found


def check_circles(sources: Iterable[tuple[tuple[str, ...], str]]) -> None:
    """Raise CycleError if modules import each other in a circle, also one within a room."""
    sources = list(sources)
    names = {".".join(place) for place, _ in sources}
    graph = {
        ".".join(place): {
            module for name in imported(place, source) for module in (name, name.rpartition(".")[0]) if module in names
        }
        for place, source in sources
    }
    TopologicalSorter(graph).prepare()


def test_no_modules_import_each_other_in_a_circle() -> None:
    check_circles(modules())


def test_a_circle_of_imports_is_found() -> None:
    lines = {"a": "from .b import x", "b": "from . import c", "c": "from . import a"}
    with pytest.raises(CycleError):
        check_circles((("node", name), line) for name, line in lines.items())


@pytest.mark.parametrize(("place", "source"), list(modules()))
def test_only_control_and_the_minion_import_salt(place: tuple[str, ...], source: str) -> None:
    assert place[0] == "control" or place == ("node", "minion") or "salt" not in foreign(source)


@pytest.mark.parametrize(("place", "source"), [each for each in modules() if each[0][0] in PURE])
def test_pure_rooms_import_nothing_that_touches_the_machine(place: tuple[str, ...], source: str) -> None:
    assert foreign(source) & EFFECTS == set()


@pytest.mark.parametrize(("place", "source"), list(modules()))
def test_the_library_imports_itself_relatively(place: tuple[str, ...], source: str) -> None:
    assert place == ("__init__",) or "saltext" not in foreign(source)


def test_every_room_says_what_belongs_there() -> None:
    for path in LIBRARY.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path
