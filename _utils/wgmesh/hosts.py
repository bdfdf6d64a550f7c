"""
The names that machines have in a network, and the block of a hosts file that says so.

A network's block stands between two lines that name it. What is outside of them is never changed, and counts for more:
a name that is defined there is left out of the block.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from .wording import some

# What a change of the block is called.
SUBJECT = "host names"

_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_BEGIN = re.compile(r"# BEGIN WireGuard network (\S+) \(saltext-wireguard\)\s*")
_END = re.compile(r"# END WireGuard network (\S+) \(saltext-wireguard\)\s*")

Changes = dict[str, dict[str, str | None]]


class BrokenBlockError(ValueError):
    """Raised where the lines around a network's block are not one pair. The message names lines of the file."""


@dataclass(frozen=True)
class HostName:
    """One machine: its minion id or its name as a peer, and its addresses without prefix length."""

    name: str
    addresses: tuple[str, ...]

    @cached_property
    def digest(self) -> bytes:
        """Cached, because all views of a full mesh share one object a machine."""
        return hashlib.sha256(json.dumps([self.name, *self.addresses]).encode()).digest()


@dataclass(frozen=True)
class Hosts:
    """The machines that one node has names for, in order of name."""

    names: tuple[HostName, ...]
    domain: str | None = None

    @cached_property
    def digest(self) -> str:
        """Names the content, in hexadecimal. Cached, because nodes that are linked alike share one object."""
        whole = hashlib.sha256(json.dumps(self.domain).encode())
        whole.update(b"".join([each.digest for each in self.names]))
        return whole.hexdigest()

    def without(self, names: Collection[str]) -> Hosts:
        """The same without these machines."""
        return replace(self, names=tuple(each for each in self.names if each.name not in names))

    def lines(self, taken: Collection[str] = ()) -> list[str]:
        """The lines of a hosts file, without the names that are ``taken`` (in small letters)."""
        found = []
        for each in self.names:
            names = [name for name in full_names(each.name, self.domain) if name.lower() not in taken]
            found += [" ".join([address, *names]) for address in each.addresses if names]
        return found

    def to_dict(self) -> dict[str, object]:
        """As it stands in the pillar."""
        return {"domain": self.domain, "names": {each.name: list(each.addresses) for each in self.names}}


def full_names(name: str, domain: str | None) -> tuple[str, ...]:
    """
    What a machine is called: by its name, or with the domain after it. With a domain, a name that has dots itself is
    not used alone: it may be the one that the machine has outside of the mesh.
    """
    if domain is None or name.endswith(f".{domain}"):
        return (name,)
    with_domain = f"{name}.{domain}"
    return (with_domain,) if "." in name else (with_domain, name)


def is_host_name(name: str) -> bool:
    """Whether a hosts file can have the name, for other than this very machine."""
    labels = name.split(".")
    return (
        len(name) <= 253
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdecimal()
        and labels[-1].lower() != "localhost"
    )


def parse(names: Mapping[str, Sequence[str]], domain: str | None) -> Hosts:
    """
    What ``Hosts.to_dict`` made, with addresses that were checked. Raises ValueError for what no hosts file can have.
    """
    made = Hosts(tuple(HostName(name, tuple(names[name])) for name in sorted(names)), domain)
    for each in made.names:
        for name in full_names(each.name, domain):
            if not is_host_name(name):
                raise ValueError(f"{name!r:.60} is no host name")
    return made


# -- the file


def block(text: str, network: str) -> list[str] | None:
    """The lines of the network's block in a hosts file; None where there is no block. Raises BrokenBlockError."""
    lines = text.split("\n")
    place = _place(lines, network)
    return None if place is None else [line.rstrip("\r") for line in lines[place.start + 1 : place.stop - 1]]


def with_block(text: str, network: str, content: Sequence[str] | None) -> str:
    """The file with another content of the block, at its end if there was none; None for no block."""
    lines = text.split("\n")
    place = _place(lines, network)
    marks = [f"# {word} WireGuard network {network} (saltext-wireguard)" for word in ("BEGIN", "END")]
    new = [] if content is None else [marks[0], *content, marks[1]]
    if place is not None:
        return "\n".join([*lines[: place.start], *new, *lines[place.stop :]])
    missing_end = "\n" if text and not text.endswith("\n") else ""
    return text + missing_end + "".join(f"{line}\n" for line in new)


def defined(text: str) -> set[str]:
    """The names, in small letters, that a hosts file has outside of all blocks of ours."""
    return {name for name, is_ours in _names(text) if not is_ours}


def given(text: str) -> set[str]:
    """Those that it has in our blocks."""
    return {name for name, is_ours in _names(text) if is_ours}


def _names(text: str) -> Iterator[tuple[str, bool]]:
    is_ours = False
    for line in text.splitlines():
        if _BEGIN.fullmatch(line) or _END.fullmatch(line):
            is_ours = bool(_BEGIN.fullmatch(line))
        yield from ((name.lower(), is_ours) for name in line.partition("#")[0].split()[1:])


def changes(old: Sequence[str], new: Sequence[str]) -> Changes:
    """What differs between the lines of two blocks, by the words of ``diff.changes``; long lists are cut short."""
    gone, added = set(old) - set(new), set(new) - set(old)
    return {SUBJECT: {"old": some(gone) or None, "new": some(added) or None}} if gone or added else {}


def _place(lines: Sequence[str], network: str) -> range | None:
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
