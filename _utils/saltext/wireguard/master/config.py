"""WireGuard's settings in the Salt master's options."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError
from ..meshfile.patterns import Nodegroups
from ..model.preshared import SHORTEST_SECRET, Secret, secret

# Salt's key cache that is a directory of files, one for each accepted minion.
KEY_FILES = "localfs_key"


def _settings(opts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of the external pillar. A master has no others."""
    for entry in opts.get("ext_pillar") or []:
        settings = entry.get("wireguard") if isinstance(entry, Mapping) else None
        if isinstance(settings, Mapping):
            return settings
    return {}


def secret_of(opts: Mapping[str, Any]) -> Secret | None:
    """Salt replaces an ``sdb://`` URI by its value, or leaves it as it is if that fails."""
    text = _settings(opts).get("preshared_secret")
    if text is None:
        return None
    where = "preshared_secret in the master's configuration (ext_pillar, wireguard)"
    if isinstance(text, str) and text.startswith("sdb://"):
        raise ConfigError(f"{where} could not be looked up: is its sdb profile in the master's configuration?")
    if not isinstance(text, str) or len(text.strip()) < SHORTEST_SECRET:
        raise ConfigError(f"{where} must be text of at least {SHORTEST_SECRET} characters, as `wg genpsk` prints it")
    return secret(text.strip())


def mesh_path_of(opts: Mapping[str, Any]) -> str:
    mesh = _settings(opts).get("mesh")
    if isinstance(mesh, str):
        return mesh
    raise ConfigError(
        "the master's configuration names no mesh file. Write into /etc/salt/master.d/wireguard.conf:\n"
        "ext_pillar:\n  - wireguard:\n      mesh: /srv/wireguard/mesh.yml"
    )


def nodegroups_of(opts: Mapping[str, Any]) -> Nodegroups:
    """Those of the configuration: each is a text of words, or a list of them, as Salt has it."""
    given = opts.get("nodegroups")
    found = given.items() if isinstance(given, Mapping) else ()
    return {
        str(name): tuple(words.split()) if isinstance(words, str) else tuple(map(str, words))
        for name, words in found
        if isinstance(words, str | list | tuple)
    }


def name_of(opts: Mapping[str, Any]) -> str:
    """What other masters of the same registry know this one by."""
    return str(opts.get("id") or socket.gethostname())


def registry_of(opts: Mapping[str, Any]) -> str:
    """Where the registry is; what is wrong with it is said by whoever opens it."""
    given = _settings(opts).get("registry")
    return os.path.join(state_dir_of(opts), "registry.db") if given is None else str(given)


def state_dir_of(opts: Mapping[str, Any]) -> str:
    return os.path.join(opts["cachedir"], "wireguard")


def key_driver_of(opts: Mapping[str, Any]) -> str:
    """Which of Salt's caches has the keys of minions. Salt 3006 knows only the directory."""
    return str(opts.get("keys.cache_driver") or KEY_FILES)


def keys_dir_of(opts: Mapping[str, Any]) -> str:
    return os.path.join(opts["cluster_pki_dir"] if opts.get("cluster_id") else opts["pki_dir"], "minions")
