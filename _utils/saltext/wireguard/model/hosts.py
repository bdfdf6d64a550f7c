"""The host names in a network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ..wording import quoted, some
from . import fields
from .changes import Change, Changes, Kind
from .names import WHAT_IDS_ARE, is_host_name


@dataclass(frozen=True)
class HostName:
    """The minion id of a node or the name of a peer, and its addresses without prefix length."""

    name: str
    addresses: tuple[str, ...]

    @cached_property
    def digest(self) -> bytes:
        """Cached, because all views of a full mesh share these objects."""
        return hashlib.sha256(json.dumps([self.name, *self.addresses]).encode()).digest()


@dataclass(frozen=True)
class Hosts:
    """All host names for one node, in order of name."""

    names: tuple[HostName, ...]
    domain: str | None = None

    @cached_property
    def digest(self) -> str:
        """Identifies the content, in hexadecimal. Cached, because nodes with the same links share one object."""
        whole = hashlib.sha256(json.dumps(self.domain).encode())
        whole.update(b"".join([each.digest for each in self.names]))
        return whole.hexdigest()

    def without(self, names: Collection[str]) -> Hosts:
        """The same without these names."""
        return replace(self, names=tuple(each for each in self.names if each.name not in names))

    def lines(self, taken: Collection[str] = ()) -> list[str]:
        """The lines of a hosts file, without the names that are ``taken`` (in lower case)."""
        lines = []
        for each in self.names:
            names = [name for name in full_names(each.name, self.domain) if name.lower() not in taken]
            lines += [" ".join([address, *names]) for address in each.addresses if names]
        return lines

    def to_dict(self) -> dict[str, object]:
        """For the pillar."""
        return {"domain": self.domain, "names": {each.name: list(each.addresses) for each in self.names}}


def full_names(name: str, domain: str | None) -> tuple[str, ...]:
    """
    The names of a machine in a hosts file. With a domain, a name that has dots itself is not used alone, as it may be
    the machine's name outside the mesh.
    """
    if domain is None or name.endswith(f".{domain}"):
        return (name,)
    with_domain = f"{name}.{domain}"
    return (with_domain,) if "." in name else (with_domain, name)


def nameless(names: Mapping[str, bool], domain: str | None) -> dict[str, str]:
    """
    Name of a machine that gets no host name -> why.

    :param names: name of each machine -> whether the mesh file itself has the name, which gives it precedence over a
        machine that only matches a glob
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
        return f"it is no host name: that has only {WHAT_IDS_ARE}, and no number at the end"
    for full in full_names(name, domain):
        rivals = [each for each in sorted(owners[full.lower()]) if each != name and names[each] >= names[name]]
        if rivals:
            return f"{rivals[0]} is called {full} too"
    return None


def parse(names: Mapping[str, Sequence[str]], domain: str | None) -> Hosts:
    """
    The opposite of ``Hosts.to_dict``, for addresses that were checked. Raises ValueError for an impossible host name.
    """
    hosts = Hosts(tuple(HostName(name, tuple(names[name])) for name in sorted(names)), domain)
    for name in (full for each in hosts.names for full in full_names(each.name, domain)):
        if not is_host_name(name):
            raise ValueError(f"{quoted(name)} is no host name")
    return hosts


def hosts_of(value: object) -> Hosts:
    """The opposite of ``Hosts.to_dict``, for anything. Raises ValueError."""
    data = fields.mapping(value)
    domain = data.get("domain")
    names = fields.mapping(data.get("names"))
    addresses = {name: fields.list_of(fields.address)(names[name]) for name in names}
    return parse(addresses, fields.text(domain) if domain else None)


def block_changes(old: Sequence[str], new: Sequence[str]) -> Changes:
    """The changes between the lines of two blocks; long lists are abbreviated."""
    gone, added = set(old) - set(new), set(new) - set(old)
    return (Change(Kind.HOST_NAMES, "", some(gone) or None, some(added) or None),) if gone or added else ()
