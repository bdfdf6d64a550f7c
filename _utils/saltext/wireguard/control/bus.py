"""Jobs to minions, and what comes back over the master's event bus."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

# As Salt takes keyword arguments of a job: a text like "reason=..." would be parsed as YAML.
KEYWORDS = {"__kwarg__": True}


class Bus(Protocol):
    """
    A way to ask minions and to hear what comes of it.

    ``salt_bus.SaltBus`` is the real one; the tests have a fake, and a contract that both keep.
    """

    def publish(self, nodes: Collection[str], function: str, arguments: Sequence[Any]) -> str | None:
        """Have the nodes run an execution function. Returns the job's id, None when nobody can take it."""

    def events(self, seconds: float) -> Iterator[tuple[str, Any]]:
        """
        (tag, data) of each event until the time is over; a node's answer has the tag ``salt/job/JID/ret/NODE``.

        Everybody can fire events, with any tag and data.
        """


def answer_of(bus: Bus, node: str, function: str, arguments: Sequence[Any], timeout: float) -> Mapping[str, Any] | None:
    """What one node answers, as its return event has it; None when it does not answer in time."""
    jid = bus.publish([node], function, arguments)
    if jid:
        for tag, data in bus.events(timeout):
            if tag == f"salt/job/{jid}/ret/{node}":
                return data if isinstance(data, Mapping) else {}
    return None
