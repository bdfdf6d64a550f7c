"""The other masters of the same registry: whether they compute the same views."""

from __future__ import annotations

from .. import deployment
from ..errors import ConfigError
from ..registry.leases import Inputs
from .master import Master, Moment


def note_inputs(moment: Moment) -> None:
    """Let the other masters know what this one computes views from."""
    moment.master.registry.leases.note(moment.master.name, inputs(moment))


def inputs(moment: Moment) -> Inputs:
    return Inputs(moment.unguarded.sources, deployment.digest())


def differences(moment: Moment) -> list[str]:
    """How other masters differ from this one, a sentence each: nodes would go from one view to the other and back."""
    own = inputs(moment)
    return [
        f"the master {name} has {what} than this one, {moment.master.name}: bring them in line. Until then, neither"
        " changes nodes, but for revocations and what an operator moves off a node"
        for name, other in _others(moment.master).items()
        for what in _differing(own, other)
    ]


def refuse_differences(moment: Moment) -> None:
    """Raise ConfigError where another master differs."""
    found = differences(moment)
    if found:
        raise ConfigError("\n".join(found))


def _others(master: Master) -> dict[str, Inputs]:
    leases = master.registry.leases
    return leases.others(master.name) if leases.is_shared else {}


def _differing(own: Inputs, other: Inputs) -> list[str]:
    found = []
    if own.sources != other.sources:
        found.append("another mesh file, or another secret of preshared keys,")
    if own.modules != other.modules:
        found.append("other modules")
    return found
