"""The names of the machines in a network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ..wording import quoted, some
from .changes import Change, Changes, Kind
from .names import WHAT_IDS_ARE, is_host_name


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


def nameless(names: Mapping[str, bool], domain: str | None) -> dict[str, str]:
    """
    The machines that get no name -> why.

    :param names: of a network's machines, and whether the mesh file itself has the name: that one has it for certain.
        Of two that only globs let in, neither can take a name away from the other
    """
    owners: dict[str, set[str]] = {}
    for name in names:
        for full in full_names(name, domain):
            owners.setdefault(full.lower(), set()).add(name)
    return {name: why for name in names if (why := _why_nameless(name, names, domain, owners))}


def _why_nameless(
    name: str, names: Mapping[str, bool], domain: str | None, owners: Mapping[str, Collection[str]]
) -> str | None:
    if not all(is_host_name(each) for each in full_names(name, domain)):
        return f"it is no host name: only {WHAT_IDS_ARE} are possible there, and no number at the end"
    for full in full_names(name, domain):
        rivals = [each for each in sorted(owners[full.lower()]) if each != name and names[each] >= names[name]]
        if rivals:
            return f"{rivals[0]} is called {full} as well"
    return None


def parse(names: Mapping[str, Sequence[str]], domain: str | None) -> Hosts:
    """
    What ``Hosts.to_dict`` made, with addresses that were checked. Raises ValueError for what no hosts file can have.
    """
    made = Hosts(tuple(HostName(name, tuple(names[name])) for name in sorted(names)), domain)
    for each in made.names:
        for name in full_names(each.name, domain):
            if not is_host_name(name):
                raise ValueError(f"{quoted(name)} is no host name")
    return made


def block_changes(old: Sequence[str], new: Sequence[str]) -> Changes:
    """What differs between the lines of two blocks; long lists are cut short."""
    gone, added = set(old) - set(new), set(new) - set(old)
    return (Change(Kind.HOST_NAMES, "", some(gone) or None, some(added) or None),) if gone or added else ()
