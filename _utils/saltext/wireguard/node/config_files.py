"""
The files of an interface: their paths and contents.

An interface has ``<interface>.key`` and ``<interface>.conf``; while its key is being rotated, ``.key.next`` and
``.key.previous`` as well.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..device.operations import Applied
from ..errors import NodeError
from ..formats import wg_quick
from ..model.keys import PrivateKey
from ..model.view import View
from ..system import files

CONFIG_DIR = "/etc/wireguard"


def key_file(interface: str) -> str:
    """Where the private key of an interface is."""
    return os.path.join(CONFIG_DIR, f"{os.path.basename(interface)}.key")


def next_key_file(interface: str) -> str:
    """Where the next key is during a rotation."""
    return key_file(interface) + ".next"


def previous_key_file(interface: str) -> str:
    """Where the key from before a rotation is, until the rotation is known to be over."""
    return key_file(interface) + ".previous"


def config_file(interface: str) -> str:
    """Where the configuration of an interface is, as wg-quick reads it."""
    return os.path.join(CONFIG_DIR, f"{os.path.basename(interface)}.conf")


def with_secrets(interface: str) -> tuple[str, ...]:
    """All of the above."""
    return tuple(place(interface) for place in (key_file, next_key_file, previous_key_file, config_file))


def managed() -> dict[str, str | None]:
    """Interface -> network of the configuration files that are ours; None for those without a network."""
    found = {}
    for name in files.names(CONFIG_DIR):
        interface, extension = os.path.splitext(name)
        if extension == ".conf":
            text = files.read(config_file(interface))
            if wg_quick.is_managed(text):
                found[interface] = wg_quick.managed_network(text)
    return found


def interface_of(network: str) -> str:
    """The interface of a network. Raises NodeError if there is none of ours."""
    for interface, of_network in managed().items():
        if of_network == network:
            return interface
    raise NodeError(f"this minion has no interface of the WireGuard network {network!r}")


def written(interface: str) -> View | None:
    """The view that our configuration file was written from; None if there is none, or somebody damaged it."""
    return wg_quick.parse(files.read(config_file(interface)), interface)


def applied(interface: str) -> Applied:
    """What our configuration file says was applied last."""
    return Applied.of(written(interface))


def config_text(view: View, private_key_file: str, endpoints: Mapping[str, str]) -> str:
    """The configuration file of a view, with the private key in it. ``endpoints``: those for ``wg_quick.render``."""
    return wg_quick.render(view, PrivateKey(files.read(private_key_file).strip()), endpoints)


def last_addresses(interface: str) -> dict[str, str]:
    """Endpoint -> ``ip:port``, of the endpoints that are names: what they stood for last."""
    return wg_quick.addresses_of(files.read(config_file(interface)))


def boot_id() -> str:
    """Identifies this boot of this machine, or of the host of this container."""
    return files.read("/proc/sys/kernel/random/boot_id").strip()


def boot_name() -> str:
    """
    Names this boot of this machine, to tell two machines with one Salt key apart.

    A container has the boot id of its host. One that moves to another host and back would come back with an earlier
    boot, as only one of two machines does. So the start of the first process belongs to the name: it is another one.
    """
    start = files.read("/proc/1/stat").rpartition(")")[2].split()[19:20]
    return "/".join([boot_id(), *start])
