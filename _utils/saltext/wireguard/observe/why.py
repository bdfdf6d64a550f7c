"""
Why one node cannot reach another: one cause and what to do about it, from what both ends found.

The causes are tried in the order in which one hides another: what stands in the files, then whether handshakes get
through, then packets, then large ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network

from ..model.device import SESSION_SECONDS
from ..model.endpoint import Endpoint
from ..model.examination import Counters, Examination, Look, Target
from ..wording import some

# Seconds into the future that a handshake may seem to be: clocks are read one after the other.
CLOCK_SECONDS = 5


@dataclass(frozen=True)
class Diagnosis:
    """``cause`` is one word for programs, ``because`` and ``remedy`` are sentences for people."""

    cause: str
    because: str
    remedy: str


@dataclass(frozen=True)
class Side:
    """
    One end. ``peer``: the peer by way of which it pings the ``addresses``, which is the other end or its hub.

    ``found`` is None for an end that says nothing, and ``silent`` says why. ``endpoint``: where the mesh file and the
    registry have the peer, None for nowhere. ``seen_at``: endpoints at which other nodes have a session with this one.
    """

    node: str
    peer: str
    addresses: tuple[str, ...]
    found: Examination | None
    silent: str | None = None
    endpoint: str | None = None
    seen_at: frozenset[str] = field(default_factory=frozenset)

    @property
    def look(self) -> Look:
        """At the peer; empty if there is none."""
        return self.found.looks.get(self.peer, Look()) if self.found else Look()

    @property
    def targets(self) -> dict[str, Target]:
        """Address -> how pings came back."""
        return {address: each for address, each in self.look.targets.items() if address in self.addresses}

    @property
    def sent(self) -> int:
        """Bytes that left for the other end meanwhile."""
        return _growth(self.look, lambda counters: counters.sent)

    @property
    def received(self) -> int:
        """Bytes of the other end that arrived and were accepted meanwhile."""
        return _growth(self.look, lambda counters: counters.received)

    @property
    def has_session(self) -> bool:
        """Whether there is one by now."""
        age = self.look.after.age if self.look.after else None
        return age is not None and -CLOCK_SECONDS <= age < SESSION_SECONDS

    def those(self, hold: Callable[[Target], bool]) -> list[str]:
        """The addresses for which something holds."""
        return sorted(address for address, target in self.targets.items() if hold(target))


def _growth(look: Look, value: Callable[[Counters], int]) -> int:
    return value(look.after) - value(look.before) if look.before and look.after else 0


def diagnose(one: Side, other: Side) -> Diagnosis:
    """The first cause that fits."""
    sides = ((one, other), (other, one))
    for check in (_nobody_says_anything, _all_is_well):
        if found := check(one, other):
            return found
    has_session = any(side.has_session for side in (one, other))
    checks = _FILES + (_PACKETS if has_session else _HANDSHAKES)
    for each in checks:
        for side, opposite in sides:
            if found := each(side, opposite):
                return found
    return Diagnosis(
        "unknown",
        f"packets of {one.node} and {other.node} do not get through, and nothing that was looked at says why",
        "look at the evidence below, and at the firewalls and routers between the two",
    )


def diagnose_by_hub(ends: tuple[Side, Side], legs: Sequence[tuple[Side, Side]], hub: str) -> Diagnosis:
    """
    The same for two that use a hub.

    :param ends: the two, each of which pings the other by way of the hub
    :param legs: each of them, and the hub
    """
    if found := _all_is_well(*ends):
        return found
    for leg in legs:
        found = diagnose(*leg)
        if found.cause != "none":
            return replace(found, because=f"the way leads through {hub}; {found.because}")
    return _hub_at_fault(ends, legs[0][1], hub)


def _hub_at_fault(ends: tuple[Side, Side], side_of_hub: Side, hub: str) -> Diagnosis:
    found = side_of_hub.found
    lost = [address for end in ends for address in end.those(lambda target: not target.full)]
    idle = sorted({6 if ":" in each else 4 for each in lost} - set(found.forwards if found else ()))
    if idle:
        return Diagnosis(
            "hub does not forward",
            f"{hub} reaches both, but does not pass IPv{idle[0]} packets on",
            f"`salt {hub} state.apply wireguard`; if that changes nothing, somebody else sets its sysctl",
        )
    drops = f", which drops by default in {some(found.drops)}" if found and found.drops else ""
    return Diagnosis(
        "filtered at the hub",
        f"{hub} reaches both and forwards, but packets between {ends[0].node} and {ends[1].node} do not get through",
        f"look at the forward chain of the firewall of {hub}{drops}",
    )


def evidence(sides: Iterable[Side]) -> list[str]:
    """What was seen, in sentences, each of them once."""
    return [*dict.fromkeys(line for side in sides for line in _seen(side))]


def _seen(side: Side) -> Iterator[str]:
    node, peer, look, found = side.node, side.peer, side.look, side.found
    if found is None:
        yield f"{node}: {side.silent}"
        return
    if found.error is not None:
        yield f"{node}: {found.error}"
        return
    age = look.after.age if look.after else None
    handshake = "never" if age is None else f"{age} s ago"
    yield f"{node}: {found.interface}, port {found.port}, MTU {found.mtu}; latest handshake with {peer}: {handshake}"
    if look.endpoint:
        yield f"{node}: sends to {peer} at {look.endpoint} by {look.path or 'no route'}"
    yield f"{node}: {side.sent} bytes to {peer} and {side.received} from it meanwhile"
    for address, target in side.targets.items():
        size = "answers" if target.full else "answers small packets only" if target.small else "does not answer"
        yield f"{node}: {address} by {target.device or 'no route'} {size}"
    if found.drops:
        yield f"{node}: its firewall drops what no rule accepts in {some(found.drops)}"


# -- both ends at once


def _nobody_says_anything(one: Side, other: Side) -> Diagnosis | None:
    if one.found or other.found:
        return None
    return Diagnosis(
        "no answer",
        f"{one.node}: {one.silent}; {other.node}: {other.silent}",
        f"see whether the minions are up: `salt -L {one.node},{other.node} test.ping`",
    )


def _all_is_well(one: Side, other: Side) -> Diagnosis | None:
    said = [side for side in (one, other) if side.found and side.targets]
    if not said or any(side.those(lambda target: not target.full) or _route(side, side) for side in said):
        return None
    return Diagnosis(
        "none",
        f"{one.node} and {other.node} reach each other: packets of all sizes get through",
        "nothing; if an application does not work, look at its port and at the firewall",
    )


# -- what stands in the files. ``side`` is the end that is at fault


def _no_interface(side: Side, _: Side) -> Diagnosis | None:
    if side.found is None or (side.found.error is None and side.found.up):
        return None
    return Diagnosis(
        "no interface",
        f"{side.node}: {side.found.error or f'{side.found.interface} is down'}",
        f"`salt {side.node} state.apply wireguard`",
    )


def _out_of_date(side: Side, _: Side) -> Diagnosis | None:
    if side.found is None or side.look.public_key is not None:
        return None
    return Diagnosis(
        "out of date",
        f"{side.node} does not have {side.peer} as a peer yet",
        "`salt-run wireguard.reconcile`; `salt-run wireguard.nodes` says why it was out of date",
    )


def _drifted(side: Side, _: Side) -> Diagnosis | None:
    if side.found is None or side.look.after is not None:
        return None
    return Diagnosis(
        "drift",
        f"the device of {side.node} lacks the peer {side.peer} that its configuration has: somebody changed it",
        f"`salt {side.node} wireguard.sync`",
    )


def _keys_differ(side: Side, opposite: Side) -> Diagnosis | None:
    own = opposite.found.public_key if opposite.found else None
    if side.found is None or own is None or side.look.public_key == own:
        return None
    return Diagnosis(
        "keys differ",
        f"{side.node} has another public key of {side.peer} than {side.peer} uses",
        "`salt-run wireguard.reconcile everybody=True`",
    )


def _allowed_ips(side: Side, _: Side) -> Diagnosis | None:
    networks = [ip_network(text) for text in side.look.allowed_ips]
    outside = side.those(lambda target: not target.small)
    missing = [each for each in outside if not any(ip_address(each) in network for network in networks)]
    if not missing:
        return None
    return Diagnosis(
        "allowed ips",
        f"{some(missing)} is not in the AllowedIPs that {side.node} has of {side.peer}",
        f"`salt {side.node} wireguard.sync`",
    )


_FILES = (_no_interface, _out_of_date, _drifted, _keys_differ, _allowed_ips)


# -- whether handshakes get through. ``side`` is the end that tries


def _clock(side: Side, _: Side) -> Diagnosis | None:
    ages = [counters.age for counters in (side.look.before, side.look.after) if counters and counters.age is not None]
    if not ages or min(ages) >= -CLOCK_SECONDS:
        return None
    return Diagnosis(
        "clock",
        f"the clock of {side.node} was set back: its latest handshake with {side.peer} is {-min(ages)} s in the future,"
        " and WireGuard refuses handshakes that are older than one before",
        f"set the clock of {side.node} right, for example with NTP, or wait until it has caught up",
    )


def _no_endpoint(side: Side, opposite: Side) -> Diagnosis | None:
    if any(each.endpoint or each.look.endpoint for each in (side, opposite)):
        return None
    return Diagnosis(
        "no endpoint",
        f"neither {side.node} nor {opposite.node} has an endpoint of the other",
        "give one of them an `endpoint` that the other can reach, or both a hub (docs/guides/hubs.md)",
    )


def _unresolved(side: Side, opposite: Side) -> Diagnosis | None:
    configured = side.look.configured
    if side.found is None or configured is None or side.look.addresses or opposite.look.endpoint:
        return None
    return Diagnosis(
        "name does not resolve",
        f"{Endpoint.parse(configured).host}, the endpoint of {side.peer}, does not resolve on {side.node}",
        f"correct the `endpoint` of {side.peer} in the mesh file, or the resolver of {side.node}",
    )


def _no_route(side: Side, _: Side) -> Diagnosis | None:
    if side.look.endpoint is None or side.look.path is not None:
        return None
    return Diagnosis(
        "no route",
        f"{side.node} has no route to {side.look.endpoint}, the endpoint of {side.peer}",
        f"look at the routes of {side.node}, or give {side.peer} an endpoint that {side.node} can reach",
    )


def _elsewhere(side: Side, opposite: Side) -> Diagnosis | None:
    used = side.look.endpoint
    if used is None or not opposite.seen_at or used in opposite.seen_at or opposite.received:
        return None
    return Diagnosis(
        "endpoint differs",
        f"{side.node} connects to {opposite.node} at {used}, but its packets come from {some(opposite.seen_at)}",
        f"correct the `endpoint` of {opposite.node} in the mesh file, or forward that port to it",
    )


def _blocked(side: Side, opposite: Side) -> Diagnosis | None:
    if not side.sent or opposite.received or (opposite.found is None and side.received):
        return None
    port = opposite.found.port if opposite.found else (side.look.endpoint or "").rpartition(":")[2]
    drops = opposite.found.drops if opposite.found else ()
    where = f"; the firewall of {opposite.node} drops by default in {some(drops)}" if drops else ""
    return Diagnosis(
        "blocked",
        f"packets of {side.node} leave for {side.look.endpoint}, and none reaches {opposite.node}{where}",
        f"open UDP port {port} on {opposite.node}; behind NAT, forward it; see docs/guides/firewalls.md",
    )


def _answers_are_lost(side: Side, opposite: Side) -> Diagnosis | None:
    if not (side.sent and opposite.received and not side.received):
        return None
    return Diagnosis(
        "one way only",
        f"packets of {side.node} reach {opposite.node}, and the answers do not come back",
        f"let UDP packets from {opposite.node} in at {side.node}, and look at its NAT and its routes",
    )


_HANDSHAKES = (_clock, _no_endpoint, _unresolved, _no_route, _answers_are_lost, _elsewhere, _blocked)


# -- whether packets get through. ``side`` is the end that pings


def _route(side: Side, _: Side) -> Diagnosis | None:
    interface = side.found.interface if side.found else ""
    # The ping itself is bound to the interface, so it may come back; other packets do not.
    wrong = side.those(lambda target: target.device != interface)
    if not wrong:
        return None
    device = side.targets[wrong[0]].device
    return Diagnosis(
        "route",
        f"{side.node} sends packets for {wrong[0]} " + (f"to {device}, not {interface}" if device else "nowhere"),
        f"remove the route of {side.node} that is in the way: `ip route get {wrong[0]}` shows it",
    )


def _one_version(side: Side, opposite: Side) -> Diagnosis | None:
    lost, all_targets = side.those(lambda target: not target.small), side.targets
    if not lost or len(lost) == len(all_targets):
        return None
    version = "IPv6" if ":" in lost[0] else "IPv4"
    return Diagnosis(
        "one ip version",
        f"{side.node} reaches {opposite.node}, but not by {version}",
        f"see whether {opposite.node} has {lost[0]} and whether its firewall lets {version} in",
    )


def _filtered(side: Side, opposite: Side) -> Diagnosis | None:
    if not side.those(lambda target: not target.small):
        return None
    drops = opposite.found.drops if opposite.found else ()
    where = f", which drops by default in {some(drops)}" if drops else ""
    return Diagnosis(
        "filtered",
        f"there is a session, but pings of {side.node} get no answer from {opposite.node}",
        f"look at the firewall of {opposite.node}{where}, and at what {side.node} lets out by the interface",
    )


def _too_large(side: Side, opposite: Side) -> Diagnosis | None:
    if not side.those(lambda target: target.small and not target.full):
        return None
    mtu = side.found.mtu if side.found else 0
    return Diagnosis(
        "mtu",
        f"small packets of {side.node} get through to {opposite.node}, those of {mtu} bytes do not",
        f"`salt {side.node} wireguard.ping peer={opposite.node}` finds the largest that do: write it as `mtu`",
    )


_PACKETS = (_route, _answers_are_lost, _blocked, _one_version, _filtered, _too_large)
