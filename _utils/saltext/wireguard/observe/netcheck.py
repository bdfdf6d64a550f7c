"""What a node's network lets through: what the node itself finds, beside what its peers see of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from ..model.endpoint import Endpoint
from ..model.netcheck import LocalNet
from ..wording import some

# What a router between a node and its peers does with the port of its packets.
UNKNOWN = "unknown"
NO_NAT = "none"
KEEPS = "keeps the port"
CHANGES = "changes the port"
ONE_PORT = "one other port for all peers"
EACH_PORT = "another port for each peer"

OPEN, BLOCKED = "open", "blocked"


@dataclass(frozen=True)
class NetCheck:
    """
    A node's network. ``seen``: peer -> where it sees the node now, as ``ip:port``; those without a session with it are
    missing. ``meeting``: the peers that have a session with anybody else.
    """

    node: str
    local: LocalNet
    seen: Mapping[str, str] = field(default_factory=dict)
    meeting: Collection[str] = ()

    @property
    def udp(self) -> str:
        """Whether UDP gets through. Peers that meet others, but not this node, show that it is at fault."""
        if self.seen or len(self.local.silent) < self.local.asked:
            return OPEN
        return BLOCKED if self.local.asked and len(self.meeting) >= 2 else UNKNOWN

    def outside(self, version: int) -> dict[str, Endpoint]:
        """Peer -> where it sees the node, at one IP version."""
        places = {peer: Endpoint.parse(text) for peer, text in sorted(self.seen.items())}
        return {
            peer: each for peer, each in places.items() if each.address is not None and each.address.version == version
        }

    def nat(self, version: int) -> str:
        """What a router does with the node's packets. Peers on the same LAN see the node's own address."""
        places = self.outside(version)
        if not places:
            return UNKNOWN
        translated = [each for each in places.values() if str(each.address) not in self.local.addresses]
        if not translated:
            return NO_NAT
        ports = {each.port for each in translated}
        if ports == {self.local.port}:
            return KEEPS
        if len(ports) > 1:
            return EACH_PORT
        return ONE_PORT if len(translated) > 1 else CHANGES

    @property
    def has_problem(self) -> bool:
        """Whether something does not get through."""
        return self.udp == BLOCKED or bool(self.local.narrow)

    def sentence(self) -> str:
        """In one line."""
        if self.udp != OPEN:
            return f"UDP is {'blocked' if self.udp == BLOCKED else 'not known to get through'}"
        parts = [
            f"IPv{version}: {self._address_sentence(version)}" if self.outside(version) else f"IPv{version}: not used"
            for version in (4, 6)
        ]
        narrow = "; packets of the MTU do not reach all peers" if self.local.narrow else ""
        return f"{', '.join(parts)}{narrow}"

    def _address_sentence(self, version: int) -> str:
        nat = self.nat(version)
        return "no NAT" if nat == NO_NAT else f"NAT, {nat}"

    def remedies(self) -> Iterator[str]:
        """What to do, a sentence each."""
        if self.udp == BLOCKED:
            yield (
                f"no packet of {self.node} reaches any of its {self.local.asked} peers, which reach others: a firewall"
                f" on its side drops UDP, from port {self.local.port} or altogether; see docs/guides/firewalls.md"
            )
        if EACH_PORT in (self.nat(4), self.nat(6)):
            yield (
                f"the router of {self.node} uses another port for each peer, so no node behind such a router can"
                " connect to it: have them meet through a hub (docs/guides/hubs.md), or forward a port"
            )
        elif {ONE_PORT, CHANGES} & {self.nat(4), self.nat(6)}:
            yield (
                f"the router of {self.node} changes its port: give it an `endpoint` with a port that is forwarded, or"
                " `endpoint: false`"
            )
        if self.local.narrow:
            size = min(self.local.narrow.values())
            yield (
                f"packets of more than {size} bytes do not reach {some(self.local.narrow)}: write `mtu: {size}` for the"
                " node that has the narrow line"
            )
