"""An operator at a master whose nodes are stand-ins: what a runner's functions do, without Salt."""

import contextlib
from dataclasses import dataclass, field

from answering import Fleet
from saltext.wireguard.control.operator import Operator


@dataclass(frozen=True)
class FakeOperator(Operator):
    """``announced``: the events that were fired, as (what, node)."""

    fleet: Fleet = None
    running: bool = True
    announced: list = field(default_factory=list)

    @property
    def master(self):
        return self.fleet.master

    @property
    def name(self):
        return "alice"

    def has_master(self):
        return self.running

    def bus(self):
        return contextlib.nullcontext(self.fleet)

    def announce(self):
        self.announced.extend((each.what, each.node) for each in self.master.registry.audit.claim_history())


def operator_of(fleet, **options):
    """Of this fleet; what has happened so far is announced."""
    found = FakeOperator(options.pop("opts", {}), fleet.said.append, fleet=fleet, **options)
    found.announce()
    found.announced.clear()
    return found
