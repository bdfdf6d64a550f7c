"""Returned data as text for a terminal: lists of rows as tables and everything else as ``name: value`` lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import matrixtext, plantext, statustext
from .nodetext import tabulated

# How an answer is to be shown and what `salt-run` exits with are no part of it.
FOR_SALT = ("outputter", "retcode")

# Nobody reads larger numbers digit by digit: those of the addresses in an IPv6 subnet.
HUGE = 2**56

# So many items of a list stand in a table.
WIDEST = 8


def render_return(data: object) -> str:
    """
    What Salt's command lines have to print: the return of one of our runner functions, its progress, or what nodes
    returned.
    """
    if isinstance(data, dict) and set(data) == {"suffix", "event"}:  # progress, as salt-run wraps it
        return render(data["event"].get("message", ""))
    if isinstance(data, dict):
        return render(tabulated({name: value for name, value in data.items() if name not in FOR_SALT}))
    return render(data)


def render(data: object) -> str:
    """Data as it comes from a runner function; what comes from outside cannot move the cursor or change colours."""
    lines = _lines(data, "") if isinstance(data, Mapping) else str(data).splitlines()
    return "\n".join(_printable(line) for line in lines)


def _lines(data: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in data.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{name}:"
            yield from _lines(value, indent + "  ")
        elif _is_rows(value):
            yield f"{indent}{name}:"
            yield from (f"{indent}  {line}" for line in _table(_folded(value)))
        elif _is_sentences(value):
            yield f"{indent}{name}:"
            yield from (f"{indent}  {line}" for item in value for line in str(item).splitlines())
        else:
            yield f"{indent}{name}: {_cell(value)}"


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _folded(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Rows as people read them."""
    folders = (plantext, statustext, matrixtext)
    return next((each.fold(rows) for each in folders if rows[0].keys() == each.COLUMNS), rows)


def _is_sentences(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(item, str) and " " in item for item in value)


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    columns = list(rows[0])
    cells = [columns, *([_cell(_few(row.get(column))) for column in columns] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _few(value: object) -> object:
    """A table would become as wide as its longest list."""
    if isinstance(value, list) and len(value) > WIDEST:
        return [*value[:WIDEST], f"and {len(value) - WIDEST} more"]
    return value


def _cell(value: object) -> str:
    if value is None or value in ("", [], {}, ()):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and value >= HUGE:
        return f"~2^{round(math.log2(value))}"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value)
    return str(value)


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in line)
