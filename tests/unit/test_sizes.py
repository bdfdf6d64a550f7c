"""How large files, classes and functions may be: in the package, the lab, the benchmarks and the scripts."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
SALT_MODULES = sorted(REPO.glob("_[!u]*/*.py"))
SCRIPTS = [*(REPO / "lab").iterdir(), *(REPO / ".ci").iterdir(), *(REPO / "tests/kernel").iterdir()]
OTHERS = sorted(
    [
        *(path for folder in ("_utils", "lab", "bench") for path in (REPO / folder).rglob("*.py")),
        *(path for path in SCRIPTS if path.is_file() and path.read_text().startswith("#!/usr/bin/env python")),
    ]
)

MOST_LINES = 400
MOST_LINES_OF_A_SALT_MODULE = 650  # most of which are docstrings: its manual
MOST_PUBLIC_METHODS = 20
MOST_LINES_OF_A_FUNCTION = 40


def too_large(source: str, most_lines: int) -> Iterator[str]:
    """What of a module is over a limit. The docstring of a function does not count."""
    lines = source.count("\n")
    if lines > most_lines:
        yield f"{lines} lines"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            methods = [each.name for each in node.body if isinstance(each, ast.FunctionDef)]
            public = [name for name in methods if not name.startswith("_")]
            if len(public) > MOST_PUBLIC_METHODS:
                yield f"{node.name}: {len(public)} public methods"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = node.body[0].end_lineno - node.body[0].lineno + 1 if ast.get_docstring(node) else 0
            lines = node.end_lineno - node.lineno + 1 - docstring
            if lines > MOST_LINES_OF_A_FUNCTION:
                yield f"{node.name}: {lines} lines"


@pytest.mark.parametrize("path", [*SALT_MODULES, *OTHERS], ids=lambda path: str(path.relative_to(REPO)))
def test_no_file_class_or_function_is_too_large(path: Path) -> None:
    most_lines = MOST_LINES_OF_A_SALT_MODULE if path in SALT_MODULES else MOST_LINES
    assert list(too_large(path.read_text(), most_lines)) == []


def test_the_limits_are_for_all_python() -> None:
    named = {path.relative_to(REPO).parts[0] for path in [*SALT_MODULES, *OTHERS]}
    kinds = {"_beacons", "_engines", "_modules", "_output", "_pillar", "_runners", "_states"}
    assert named == {*kinds, "_utils", "lab", "bench", ".ci", "tests"}
    assert REPO / "lab/demo" in OTHERS


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("pass\n" * 400, []),
        ("pass\n" * 401, ["401 lines"]),
        ("def f():\n" + "    pass\n" * 39, []),
        ("def f():\n" + "    pass\n" * 40, ["f: 41 lines"]),
        ('def f():\n    """\n' + "    x\n" * 99 + '    """\n' + "    pass\n" * 39, []),
        ("class C:\n" + "".join(f"    def m{number}(self): pass\n" for number in range(20)), []),
        ("class C:\n" + "".join(f"    def m{number}(self): pass\n" for number in range(21)), ["C: 21 public methods"]),
        ("class C:\n" + "".join(f"    def _m{number}(self): pass\n" for number in range(21)), []),
    ],
)
def test_the_limits_are_held(source: str, found: list[str]) -> None:
    assert list(too_large(source, MOST_LINES)) == found
