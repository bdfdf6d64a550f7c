"""
The block of a hosts file that has the names of a network.

It stands between two lines that name the network. Lines outside are never changed, and take precedence: a name that is
defined there is left out of the block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_BEGIN = re.compile(r"# BEGIN WireGuard network (\S+) \(saltext-wireguard\)\s*")
_END = re.compile(r"# END WireGuard network (\S+) \(saltext-wireguard\)\s*")


class BrokenBlockError(ValueError):
    """Raised where the lines around a network's block are not one pair. The message gives their line numbers."""


def block(text: str, network: str) -> list[str] | None:
    """The lines of the network's block in a hosts file, None if it has none. Raises BrokenBlockError."""
    lines = text.split("\n")
    span = _span(lines, network)
    return None if span is None else [line.rstrip("\r") for line in lines[span.start + 1 : span.stop - 1]]


def with_block(text: str, network: str, content: Sequence[str] | None) -> str:
    """The file with this content in the network's block, which may be a new one at the end; None removes the block."""
    lines = text.split("\n")
    span = _span(lines, network)
    marks = [f"# {word} WireGuard network {network} (saltext-wireguard)" for word in ("BEGIN", "END")]
    new = [] if content is None else [marks[0], *content, marks[1]]
    if span is not None:
        return "\n".join([*lines[: span.start], *new, *lines[span.stop :]])
    missing_end = "\n" if text and not text.endswith("\n") else ""
    return text + missing_end + "".join(f"{line}\n" for line in new)


def foreign_names(text: str) -> set[str]:
    """The names, in lower case, that a hosts file has outside our blocks."""
    return {name for name, is_ours in _names(text) if not is_ours}


def managed_names(text: str) -> set[str]:
    """The names, in lower case, that it has in our blocks."""
    return {name for name, is_ours in _names(text) if is_ours}


def _names(text: str) -> Iterator[tuple[str, bool]]:
    is_ours = False
    for line in text.splitlines():
        if _BEGIN.fullmatch(line) or _END.fullmatch(line):
            is_ours = bool(_BEGIN.fullmatch(line))
        yield from ((name.lower(), is_ours) for name in line.partition("#")[0].split()[1:])


def _span(lines: Sequence[str], network: str) -> range | None:
    """The line numbers of the block, from 0, with its first and its last line."""
    marks = [(number, is_begin) for number, name, is_begin in _marks(lines) if name == network]
    if not marks:
        return None
    numbers = [number for number, _ in marks]
    between = [number for number, _, _ in _marks(lines) if numbers[0] < number < numbers[-1]]
    if [is_begin for _, is_begin in marks] != [True, False] or between:
        where = ", ".join(str(number + 1) for number in sorted({*numbers, *between}))
        raise BrokenBlockError(
            f"the lines that begin and end the block of network {network} are not one pair (line {where}): remove"
            " them, and what was between them"
        )
    return range(numbers[0], numbers[1] + 1)


def _marks(lines: Sequence[str]) -> Iterator[tuple[int, str, bool]]:
    """(number from 0, network, whether a block begins there)"""
    for number, line in enumerate(lines):
        for pattern, is_begin in ((_BEGIN, True), (_END, False)):
            match = pattern.fullmatch(line)
            if match:
                yield number, match[1], is_begin
