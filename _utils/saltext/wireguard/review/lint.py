"""
Finds what is wrong, or probably not meant, in a mesh that parses.

An error cannot work on any machines. A warning may work, depending on facts that the mesh file does not have. Only what
is certain is reported: a node that has not registered is assumed to be reachable for all, and without a master nothing
is known about minions that only a glob matches.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ..errors import Problem
from ..fleet.topology import Relayed
from ..meshfile.mesh import Mesh
from .checks import (
    behind_a_node,
    circles,
    contradictions,
    excluded_in_use,
    impossible_ids,
    in_own_subnet,
    local_endpoints,
    mtu_of_tunnel_in_tunnel,
    mtu_too_large,
    nameless_participants,
    nearly_full,
    odd_interface,
    one_key_twice,
    outside_subnets,
    pending_losses,
    public_domain,
    shared_ports,
    too_small,
    unknown_nodegroups,
    unmatched,
    unresolved,
)
from .context import Check, Context, Known, written_endpoints
from .reachability import may_not_meet, never_connect


@dataclass(frozen=True)
class Findings:
    """
    In the order of the file. ``errors`` cannot work; ``warnings`` need a look. ``relayed``: (network, nodes that reach
    each other through a hub there).
    """

    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    relayed: tuple[tuple[str, Relayed], ...] = ()


def lint(
    mesh: Mesh, now: float, known: Known | None = None, names: Mapping[str, Collection[str]] | None = None
) -> Findings:
    """
    Check the whole mesh. ``now`` is in Unix seconds.

    ``known``: None without a master. ``names``: host name -> its addresses, for those that resolve; None if none was
    looked up. ``hosts`` returns the names to look up.
    """
    contexts = [Context(network, mesh, now, known, names) for network in mesh.networks]
    return Findings(
        _in_order(problem for check in _ERRORS for context in contexts for problem in check(context, contexts)),
        _in_order(problem for check in _WARNINGS for context in contexts for problem in check(context, contexts)),
        tuple((context.network.name, each) for context in contexts for each in context.topology.relayed()),
    )


def out_of_reach(mesh: Mesh, now: float, known: Known) -> tuple[Problem, ...]:
    """Only the warnings of nodes that cannot meet, or perhaps cannot."""
    contexts = [Context(network, mesh, now, known, None) for network in mesh.networks]
    checks = (never_connect, may_not_meet)
    return _in_order(problem for check in checks for context in contexts for problem in check(context, contexts))


def hosts(mesh: Mesh) -> set[str]:
    """The host names in endpoints."""
    written = [each for network in mesh.networks for each in written_endpoints(network)]
    return {endpoint.host for _, _, endpoint in written if endpoint.address is None}


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(set(problems)))


_ERRORS: tuple[Check, ...] = (contradictions, circles, too_small, outside_subnets, shared_ports)
_WARNINGS: tuple[Check, ...] = (
    nearly_full,
    excluded_in_use,
    never_connect,
    may_not_meet,
    in_own_subnet,
    behind_a_node,
    mtu_too_large,
    mtu_of_tunnel_in_tunnel,
    unresolved,
    unmatched,
    unknown_nodegroups,
    pending_losses,
    impossible_ids,
    local_endpoints,
    odd_interface,
    public_domain,
    one_key_twice,
    nameless_participants,
)
