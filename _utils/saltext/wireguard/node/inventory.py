"""What this machine has of WireGuard, whoever set it up. Touches nothing; no secret is in what is returned."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import Any

from ..errors import WireguardError
from ..formats import foreign
from ..formats.foreign import Config
from ..model.fields import MAX_TEXT
from ..model.inventory import Inventory
from ..model.keys import is_private_key
from ..system import files
from ..system.keypair import public_of
from ..wording import one_line
from . import at_boot, config_files, devices
from .boot import networkd


@dataclass(frozen=True)
class Found:
    """One interface of this machine: what its files say, with the secrets, and which files these are."""

    config: Config
    files: tuple[str, ...]


def inventories() -> dict[str, Any]:
    """Interface -> what there is of it, as data."""
    made = {**_by_networkd(), **_by_wg_quick()}
    names = sorted({*made, *devices.names()})
    return {"interfaces": {name: _inventory(name, made.get(name)).to_dict() for name in names}}


def find(interface: str) -> Found | None:
    """What files say of an interface; those of wg-quick come first, as ``wg-quick@`` fails where networkd was first."""
    return {**_by_networkd(), **_by_wg_quick()}.get(interface)


def _inventory(interface: str, found: Found | None) -> Inventory:
    try:
        config, paths = (found.config, found.files) if found else (Config(), ())
        made = config.inventory(interface, paths, public_key(config))
        device = devices.read(interface)
        starts = tuple(one_line(str(each), MAX_TEXT) for each in at_boot.starters(interface))
        by_networkd = tuple(f"systemd-networkd ({path})" for path in paths if path.endswith(".netdev"))
        network = config_files.managed().get(interface)
        made = replace(made, at_boot=(*starts, *by_networkd), network=network)
        return made.with_device(device, int(time.time())) if device else made
    except (WireguardError, OSError) as exc:
        return Inventory(interface, error=one_line(str(exc), MAX_TEXT))


def public_key(config: Config) -> str | None:
    """That of the private key in the files, None where there is none that can be read."""
    text = private_key(config)
    return public_of(text) if is_private_key(text) else None


def private_key(config: Config) -> str:
    """The private key of the files, empty where there is none."""
    return (config.private_key or (files.read(config.key_file) if config.key_file else "")).strip()


def _by_wg_quick() -> dict[str, Found]:
    found = {}
    for name in files.names(config_files.CONFIG_DIR):
        interface, extension = os.path.splitext(name)
        path = os.path.join(config_files.CONFIG_DIR, name)
        if extension == ".conf" and os.path.isfile(path):
            found[interface] = Found(foreign.parse_wg_quick(files.read(path)), (path,))
    return found


def _by_networkd() -> dict[str, Found]:
    texts = {
        path: files.read(path)
        for path in (os.path.join(networkd.CONFIG_DIR, name) for name in files.names(networkd.CONFIG_DIR))
        if path.endswith((".netdev", ".network")) and os.path.isfile(path)
    }
    about = {path: foreign.name_in(text) for path, text in texts.items()}
    found = {}
    for path, text in texts.items():
        interface = about[path]
        if path.endswith(".netdev") and interface and foreign.is_netdev(text):
            networks = [each for each in texts if each.endswith(".network") and about[each] == interface]
            config = foreign.parse_networkd(text, texts[networks[0]] if networks else "")
            found[interface] = Found(config, (path, *networks[:1]))
    return found
