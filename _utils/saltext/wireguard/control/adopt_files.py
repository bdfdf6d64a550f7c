"""Descriptions of a living network in files: found, read, and made inventories of. No private key gets further."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import yaml

from ..adopt import sources
from ..adopt.networks import Interfaces
from ..adopt.sources import DEFAULT_INTERFACE, Texts
from ..errors import ConfigError, WireguardError
from ..formats import foreign
from ..model.inventory import FoundPeer, Inventory
from ..model.keys import is_private_key
from ..system import files
from ..system.keypair import public_of

_YAML = (".yml", ".yaml", ".sls")


def read(path: str) -> dict[str, Interfaces]:
    """
    Host -> its interfaces.

    :param path: a directory of wg-quick files, one host each (``HOST.conf``, ``HOST/wg0.conf``) or of pillars; a table
        of wg-meshconf; an inventory of Ansible, or the directory with it
    :raises ConfigError: where there is none of these
    """
    if not os.path.exists(path):
        raise ConfigError(f"{path} does not exist")
    texts = _texts(path)
    if not texts:
        raise ConfigError(
            f"{path} has no wg-quick files (*.conf), no table of wg-meshconf (*.csv), no pillar with"
            " wireguard:interfaces and no variables of the Ansible role"
        )
    configs = {
        host: {name: foreign.parse_wg_quick(text) for name, text in each.items()} for host, each in texts.items()
    }
    named = _named_keys(peer for each in configs.values() for config in each.values() for peer in config.peers)
    return {
        host: {name: _inventory(host, name, config, named) for name, config in each.items()}
        for host, each in configs.items()
    }


def _texts(path: str) -> Texts:
    if os.path.isdir(path):
        return _wg_quick_files(path) or _pillars(path) or _ansible(path)
    try:
        if path.endswith(".csv"):
            return sources.by_table(files.read(path), _public_of)
    except (ValueError, WireguardError) as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    if path.endswith(".conf"):
        return {_stem(path): {DEFAULT_INTERFACE: files.read(path)}}
    if path.endswith(_YAML):
        return _pillar(path) or _ansible(path)
    return {}


def _public_of(private: str) -> str:
    if not is_private_key(private):
        raise ValueError("a private key is none")
    return public_of(private)


def _inventory(host: str, interface: str, config: foreign.Config, named: Mapping[str, str]) -> Inventory:
    """A host whose file has no private key has the public key that the others have under its name."""
    key = named.get(host, sources.stand_in(host))
    problems: tuple[str, ...] = ()
    if config.private_key and is_private_key(config.private_key):
        key = public_of(config.private_key)
    elif config.private_key:
        problems = ("its private key is none",)
    found = config.inventory(interface, [], key)
    return replace(found, problems=(*found.problems, *problems))


def _named_keys(peers: Iterator[FoundPeer]) -> dict[str, str]:
    counted: dict[str, Counter[str]] = {}
    for peer in peers:
        if peer.name:
            counted.setdefault(peer.name, Counter())[peer.public_key] += 1
    return {name: keys.most_common(1)[0][0] for name, keys in counted.items() if len(keys) == 1}


# -- wg-quick


def _wg_quick_files(folder: str) -> Texts:
    """``HOST.conf``, and ``HOST/.../INTERFACE.conf``."""
    found: Texts = {}
    for directory, below, names in os.walk(folder):
        below.sort()
        parts = os.path.relpath(directory, folder).split(os.sep)
        for name in sorted(names):
            text = files.read(os.path.join(directory, name)) if name.endswith(".conf") else ""
            if "[interface]" in text.lower():
                host, interface = (_stem(name), DEFAULT_INTERFACE) if parts == ["."] else (parts[0], _stem(name))
                found.setdefault(host, {})[interface] = text
    return found


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


# -- pillars and variables


def _load(path: str) -> Any:
    """A YAML file as data. What Ansible encrypts, and other tags, is nothing. Raises ConfigError."""
    try:
        return _Loader(files.read(path)).get_single_data()
    except (yaml.YAMLError, ValueError) as exc:
        what = str(exc).splitlines()[0]
        raise ConfigError(
            f"{path} is no plain YAML ({what}): render its Jinja first, or remove what is in the way"
        ) from exc


class _Loader(yaml.SafeLoader):
    """Without an error for tags that it does not know."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: None)


def _pillar(path: str) -> Texts:
    found = sources.by_pillar(_load(path))
    return {_stem(path): found} if found else {}


def _pillars(folder: str) -> Texts:
    """One file a host."""
    paths = [os.path.join(folder, name) for name in files.names(folder) if name.endswith(_YAML)]
    return {host: each for path in paths for host, each in _pillar(path).items()}


def _ansible(path: str) -> Texts:
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    inventories = (
        [path]
        if not os.path.isdir(path)
        else [os.path.join(folder, name) for name in files.names(folder) if name.endswith(_YAML)]
    )
    hosts: dict[str, dict[str, Any]] = {}
    for each in inventories:
        data = _load(each)
        for group, described in data.items() if isinstance(data, Mapping) else ():
            _add_group(hosts, folder, str(group), described, _variables(folder, "group_vars", "all"))
    for name in files.names(os.path.join(folder, "host_vars")):
        hosts.setdefault(_stem(name) if name.endswith(_YAML) else name, {})
    for host, variables in hosts.items():
        variables.update(_variables(folder, "host_vars", host))
    return sources.by_variables(hosts)


def _add_group(
    hosts: dict[str, dict[str, Any]], folder: str, group: str, described: object, outer: Mapping[str, Any]
) -> None:
    if not isinstance(described, Mapping):
        return
    own = {**outer, **_mapping(described.get("vars")), **_variables(folder, "group_vars", group)}
    for host, variables in _mapping(described.get("hosts")).items():
        hosts[str(host)] = {**own, **hosts.get(str(host), {}), **_mapping(variables)}
    for name, child in _mapping(described.get("children")).items():
        _add_group(hosts, folder, str(name), child, own)


def _variables(folder: str, kind: str, name: str) -> dict[str, Any]:
    """Of ``host_vars/NAME.yml``, or of all files in ``host_vars/NAME``."""
    base = os.path.join(folder, kind, name)
    paths = [base + ending for ending in _YAML if os.path.isfile(base + ending)]
    if os.path.isdir(base):
        paths += [os.path.join(base, each) for each in files.names(base) if each.endswith(_YAML)]
    return {key: value for path in paths for key, value in _mapping(_load(path)).items()}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
