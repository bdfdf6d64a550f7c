"""
Tells each minion its WireGuard interfaces and peers, from the mesh file and the registrations of its nodes.

Master configuration::

    ext_pillar:
      - wireguard:
          mesh: /srv/wireguard/mesh.yml     # a file, or a directory of *.yml files
          registry: postgresql://...        # only where it is not to be a file of ours
          preshared_secret: sdb://...       # only where preshared keys are not to come from a file of ours

Without a master, the same stands in the configuration of every minion, which so compiles its own pillar; see
docs/without-a-master.md.

A minion finds its own view under ``wireguard:networks:<network>`` and nothing about nodes that it does not talk to. No
private key is ever here; of preshared keys, which a network may have, a minion finds its own. An invalid mesh file
raises for its members, which puts an error into the pillar and stops ``state.apply``: returning nothing instead would
tell every node to drop its peers. The same goes for a registry or a configuration of ours that is not usable. What is
wrong is said on the master only. Other minions notice nothing.
"""

import time
from typing import TYPE_CHECKING, Any

# Of functions of our own, only those of this module may have a name here: Salt offers all that it finds.
from saltext.wireguard import deployment as _deployment
from saltext.wireguard.control import key_cache as _key_cache
from saltext.wireguard.fleet import masterless as _masterless
from saltext.wireguard.master import config as _config
from saltext.wireguard.master import pillar as _pillar
from saltext.wireguard.meshfile import load as _load
from saltext.wireguard.model.schedule import schedule as _schedule

if TYPE_CHECKING:
    # Salt's loader puts this here.
    __opts__: dict[str, Any] = {}

__virtualname__ = "wireguard"


def __virtual__():
    return __virtualname__


def ext_pillar(minion_id, pillar, mesh, registry=None, preshared_secret=None):
    """
    The views of ``minion_id``: ``{"wireguard": {"networks": {network: view}, "generation": number, "modules_digest":
    text}}``.

    The generation is that of the registry. A minion heeds none that is older than what it has applied. The digest is
    that of the master's own modules, by which a minion knows that it needs others. There is neither without a master.

    ``{}`` for minions that no network lists, for unaccepted ids that nobody enrolled by ssh, and for the master's own
    pillar. A minion that was in a network and is in none now gets an *empty* ``networks``: that is how it knows that it
    was removed, as opposed to a master that has lost its ``ext_pillar`` configuration, which must not tear anything
    down.

    A node gets a ``schedule`` as well, by which its minion reports a device that did not come up at boot, and looks up
    names that are endpoints again.

    :param mesh: path of the mesh file or directory
    :param registry: URI of a PostgreSQL database, or absolute path of a file, if not in a file of ours
    :param preshared_secret: what preshared keys come from, if not from a file of ours
    :raises PillarError: for an invalid mesh file, an unusable registry and the like, to all that may be members,
        without saying what is wrong; without a master MeshError, which names every problem with file and line
    :raises LossError: when most nodes of a network of this minion would leave it at once, or nodes would lose their
        addresses, and nobody confirmed that
    """
    answer = _views(minion_id, mesh)
    if answer is None:
        return {}
    views, generation = answer
    data = {"wireguard": {"networks": {name: view.to_dict() for name, view in views.items()}}}
    if not _is_minion():
        data["wireguard"] |= {"generation": generation, "modules_digest": _deployment.digest()}
    if views:
        # What the pillar has so far is repeated, or with `pillar_source_merging_strategy: overwrite` it would be gone.
        data["schedule"] = {**pillar.get("schedule", {}), **_schedule(views.values())}
    return data


def _is_minion():
    """Whether a minion compiles its own pillar, from its own mesh file."""
    return __opts__["__role"] == "minion"


def _views(minion_id, mesh):
    if _is_minion():
        loaded = _load.load_mesh(mesh, _config.nodegroups_of(__opts__))
        return _masterless.masterless_views(loaded, minion_id, time.time()), 0
    return _pillar.views_for(__opts__, mesh, minion_id, _key_cache.key_store_of(__opts__))
