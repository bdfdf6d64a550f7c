"""What docs/security.md says that a bad minion can and cannot do is shown by tests that exist."""

import ast
import re
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
SECTION = (REPO / "docs/security.md").read_text().partition("<!-- shown by -->")[2].partition("\n\n")[0]
ROWS = re.findall(r"^\| (.+?) \| `(tests/[\w/.]+)` `(test_\w+)` \|$", SECTION, re.MULTILINE)


def test_every_row_names_a_test() -> None:
    assert len(ROWS) == len(SECTION.strip().splitlines()) - 2 > 20


@pytest.mark.parametrize(("statement", "path", "name"), ROWS)
def test_a_statement_is_shown_by_a_test(statement: str, path: str, name: str) -> None:
    tree = ast.parse((REPO / path).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, statement
