"""Decisions of operators about single nodes."""

from __future__ import annotations

from ..errors import ConfigError, RefusedError
from ..meshfile.mesh import Network
from ..model.statements import Registration
from ..wording import shell
from .intake import membership, refuse_wrong_key
from .master import Master, Moment


def admit(master: Master, network: str, node: str, who: str, expires: float | None, public_key: str = "") -> bool:
    """Let a node in; see ``Admissions.admit``. Raises RefusedError where the mesh file does not have it."""
    keys = master.accepted()
    if node not in keys:
        raise RefusedError(f"{node} is not an accepted minion: accept its key by {shell('salt-key -a', node)} first")
    members = membership(master, network, keys)
    if members.network.settings(node) is None:
        raise RefusedError(f"{node} is not in network {network}: write it into the mesh file first")
    return master.registry.admissions.admit(members, node, keys[node].fingerprint, who, expires, public_key)


def rename(master: Master, network: str, old: str, new: str, who: str, why: str) -> None:
    """Let a node go on under another minion id; see ``Renames.rename``. Raises RefusedError if that is no member."""
    keys = master.accepted()
    if new not in keys:
        raise RefusedError(f"{new} is not an accepted minion: accept its key by {shell('salt-key -a', new)} first")
    members = membership(master, network, keys)
    reason = members.why_not(new)
    if reason:
        raise RefusedError(f"{new} is no member of network {network}: {reason}")
    row = master.registry.snapshot().rows.get((network, old))
    if row:
        refuse_wrong_key(members.network, new, row.public_key)
    master.registry.renames.rename(members, old, new, keys[new].fingerprint, who, why)


def networks_to_enroll(moment: Moment, node: str, network: str | None = None) -> list[Network]:
    """
    The networks of the node by the mesh file; only ``network`` if that is given. Raises ConfigError, and RefusedError
    if the node registered by itself, so that an operator need not vouch for it.
    """
    found = [each for each in moment.mesh.networks if network in (None, each.name) and each.settings(node)]
    if not found:
        where = f"network {network}" if network else "any network"
        raise ConfigError(f"the mesh file does not have {node} in {where}: write it there first")
    for each in found:
        row = moment.snapshot.rows.get((each.name, node))
        if row and node in moment.keys and row.salt_key == moment.keys[node].fingerprint:
            raise RefusedError(
                f"{node} has registered by its minion: {shell('salt', node, 'state.apply', 'wireguard')}"
            )
    return found


def enroll(master: Master, statement: Registration, who: str) -> None:
    """
    Store a statement that ``who`` fetched from the node by ssh. Raises RefusedError.

    That makes it a member without an accepted Salt key. If its minion registers with one later, this has no effect any
    more.
    """
    members = membership(master, statement.network, master.accepted())
    refuse_wrong_key(members.network, statement.node, statement.public_key)
    master.registry.vouch(statement, members.vouching_for(statement.node, statement.public_key), who)


def networks_of(moment: Moment, node: str, network: str | None = None) -> list[str]:
    """
    The networks that know the node, by the mesh file or by the registry; only ``network`` if that is given.

    Raises ConfigError if there are none, and for a name that only matches a glob of the mesh file and that no minion
    has: it is probably mistyped.
    """
    snapshot, networks = moment.snapshot, moment.mesh.networks
    remembered = {name for name, each in {*snapshot.rows, *snapshot.standings, *snapshot.waiting} if each == node}
    listed = {each.name for each in networks if each.settings(node) is not None}
    by_name = {each.name for each in networks if each.names(node)}
    if not remembered and any(each.peer(node) for each in networks):
        raise ConfigError(
            f"{node} is an external peer: to shut it out, remove it from the mesh file, or give it"
            f" another key by {shell('salt-run wireguard.export', node, 'rekey=True')}"
        )
    if not remembered and not by_name and listed and node not in moment.keys:
        raise ConfigError(f"there is no {node}: no accepted minion has this id, and none ever registered under it")
    found = sorted(listed | remembered)
    if network is not None:
        found = [name for name in found if name == network]
    if not found:
        where = f"network {network}" if network else "any network"
        raise ConfigError(f"{node} is not in {where}, neither by the mesh file nor by the registry")
    return found
