"""What one node's network lets through: the node looks and pings, and then its peers say where they see it."""

from __future__ import annotations

from typing import Any

from ..errors import ConfigError
from ..master.master import Moment
from ..model.device import SESSION_SECONDS
from ..model.endpoint import Endpoint
from ..model.live import LiveInterface
from ..model.netcheck import LocalNet
from ..observe.netcheck import NetCheck
from ..wording import shell
from .asking import ask_nodes, members
from .exit_codes import FAILED, exiting
from .operator import Operator


def netcheck(operator: Operator, node: str, network: str | None, timeout: float) -> dict[str, Any]:
    """``salt-run wireguard.netcheck``."""
    moment = operator.master.moment()
    networks = [each.network for each in members(operator, moment, network, node)]
    if len(networks) > 1:
        raise ConfigError(f"{node} is in {', '.join(networks)}: name one of them, with network=")
    name = networks[0]
    if node not in moment.unguarded.networks[name].registered:
        raise ConfigError(f"{node} has never registered in {name}: {shell('salt', node, 'state.apply', 'wireguard')}")
    arguments = [name]
    found, silent = ask_nodes(operator, moment, [node], "wireguard.netcheck", arguments, LocalNet.from_dict, timeout)
    local = found.get(name, {}).get(node, LocalNet(error=silent.get(node, "it has no interface of this network")))
    if local.error is not None:
        return exiting(FAILED, {"network": name, "node": node, "answer": f"{node} cannot say: {local.error}"})
    check = _seen_by_peers(operator, moment, name, node, local, timeout)
    return exiting(FAILED if check.has_problem else 0, _answer(name, check))


def _seen_by_peers(
    operator: Operator, moment: Moment, network: str, node: str, local: LocalNet, timeout: float
) -> NetCheck:
    state = moment.unguarded.networks[network]
    peers = {peer.name for peer in state.view(node).peers} & state.registered
    found, _ = ask_nodes(operator, moment, peers, "wireguard.status", [], LiveInterface.from_dict, timeout)
    own = set(moment.snapshot.rows[network, node].keys)
    seen, meeting = {}, set()
    for peer, interface in found.get(network, {}).items():
        sessions = {
            key: each.endpoint
            for key, each in interface.peers.items()
            if each.age is not None and each.age < SESSION_SECONDS
        }
        places = [place for key, place in sessions.items() if key in own and place and _is_place(place)]
        if places:
            seen[peer] = places[0]
        if sessions.keys() - own:
            meeting.add(peer)
    return NetCheck(node, local, seen, meeting)


def _is_place(text: str) -> bool:
    """Whether it is ``ip:port``; a job's return can be forged."""
    try:
        place = Endpoint.parse(text)
    except ValueError:
        return False
    return place.address is not None and place.port is not None


def _answer(network: str, check: NetCheck) -> dict[str, Any]:
    local = check.local
    return {
        "network": network,
        "node": check.node,
        "answer": check.sentence(),
        "udp": check.udp,
        "port": local.port,
        "mtu": local.mtu,
        "versions": [
            {
                "ip": version,
                "nat": check.nat(version),
                "outside": sorted({str(each) for each in check.outside(version).values()}),
                "own": [each for each in local.addresses if (":" in each) == (version == 6)],
                "default_route": version in local.default_routes,
            }
            for version in (4, 6)
        ],
        "seen": [{"peer": peer, "endpoint": place} for peer, place in sorted(check.seen.items())],
        "narrow": [{"peer": peer, "size": size} for peer, size in sorted(local.narrow.items())],
        "silent": list(local.silent),
        "remedies": list(check.remedies()),
    }
