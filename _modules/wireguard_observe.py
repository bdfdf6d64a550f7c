"""
What a minion sees of its peers: functions of the execution module ``wireguard``, in a file of their own.

The master puts together what all nodes see: ``salt-run wireguard.status``, ``matrix`` and ``why``.
"""

import functools as _functools
from typing import TYPE_CHECKING, Any

# Imports have private names, because Salt offers every public function that it finds here.
from saltext.wireguard.node import examination as _examination
from saltext.wireguard.node import live as _live
from saltext.wireguard.node import metrics as _metrics
from saltext.wireguard.node import netcheck as _netcheck
from saltext.wireguard.node import preflight as _preflight
from saltext.wireguard.node import probe as _probe
from saltext.wireguard.node import reaches as _reaches
from saltext.wireguard.node import sync as _sync
from saltext.wireguard.node import watch as _watch
from saltext.wireguard.node.minion import judged_in as _judged_in
from saltext.wireguard.node.minion import minion_of as _minion_of
from saltext.wireguard.system import textfile as _textfile

if TYPE_CHECKING:
    # Salt's loader puts this here.
    __context__: dict[str, Any] = {}

__virtualname__ = "wireguard"
__outputter__ = {"check": "wireguard"}  # what people see; `--out=json` shows data instead

_minion = _functools.partial(_minion_of, globals())
_judged = _functools.partial(_judged_in, globals())


def __virtual__() -> str:
    return __virtualname__


def status() -> dict[str, Any]:
    """
    What this minion sees of its peers now, in all its networks. ``salt-run wireguard.status`` puts together what all
    nodes see, and shows it with names; ``show`` has more about this one.

    Returns ``{"networks": {network: {interface, up, mtu, peers}}}``. ``peers`` maps public keys to lists, because a
    fleet sends many of them: endpoint, age of the latest handshake in seconds (None for never), bytes received, bytes
    sent. If nothing can be said about a network, ``result`` is False and ``comment`` says why.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.status
    """
    with _minion():
        return _judged(_live.status(), _sync.succeeded)


def check(network: str | None = None) -> dict[str, Any]:
    """
    What on this machine is in the way of its networks, and what to do about it, before the first apply and later.
    Changes nothing, fetches a fresh pillar, and needs no registration.

    It looks at WireGuard in the kernel, IPv6, the UDP port and who has it, the firewall, routes, networks and rules of
    others, NetworkManager, systemd-networkd, netplan and ifupdown, names of endpoints, and the clock.

    network
        Only this network, or this interface of ``wireguard:interfaces`` in the pillar; all by default.

    Returns ``{"networks": {network or interface: {"result": bool, "comment": text, "findings": [{"subject", "found",
    "advice", "stops"}]}}}``. ``result`` is False where something ``stops`` the interface from being set up; the first
    apply refuses that too. Everything else works around the other findings.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.check
        salt web1 wireguard.check backbone
    """
    with _minion() as minion:
        return _judged(_preflight.check(minion, network), _sync.succeeded)


def probe(network: str | None = None, count: int = 5) -> dict[str, Any]:
    """
    Ping all peers through the tunnels, at both IP versions. ``salt-run wireguard.matrix`` puts together what all nodes
    return, and shows it with names.

    Takes a second if all is well, and 6 more if a peer does not answer.

    network
        Only this one.

    count
        How many pings to each address, 1 to 100.

    Returns ``{"networks": {network: {"peers": {public key: {"4" or "6": [sent, received, mean round-trip time]}}}}}``,
    the time in ms. If nothing can be said about a network, ``result`` is False and ``comment`` says why.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.probe
    """
    with _minion():
        return _judged(_probe.probe_networks(network, count), _sync.succeeded)


def examine(network: str, targets: dict[str, dict[str, list[str]]]) -> dict[str, Any]:
    """
    Find out why a peer cannot be reached. ``salt-run wireguard.why`` has both ends do so, and says what follows.

    network
        The network.

    targets
        ``{minion id: {peer: [address]}}``: the addresses to ping by way of this peer.

    Returns ``{"networks": {network: ...}}``: the interface, its peers before and after pings, routes, and the chains of
    the firewall that drop by default.

    CLI Example:

    .. code-block:: bash

        salt web1 wireguard.examine backbone '{web1: {db1: [10.42.0.5]}}'
    """
    with _minion() as minion:
        return _judged(_examination.examine(minion.id, network, targets), _sync.succeeded)


def netcheck(network: str | None = None) -> dict[str, Any]:
    """
    What this minion itself can say of the network that it is in. ``salt-run wireguard.netcheck`` puts together what its
    peers see of it: how its address looks from outside, and what NAT does, only they know.

    Takes up to 12 seconds if a peer does not answer.

    network
        Only this one.

    Returns ``{"networks": {network: ...}}``: port and MTU of the interface, the machine's own addresses, the IP
    versions with a default route; after pings, how many peers were ``asked``, which were ``silent``, and how large
    packets to the ``narrow`` ones may be.

    CLI Example:

    .. code-block:: bash

        salt web1 wireguard.netcheck
    """
    with _minion():
        return _judged(_netcheck.netcheck(network), _sync.succeeded)


def metrics(file: str | None = None, peers: int = 1000) -> str:
    """
    What the devices of this minion say, as metrics for Prometheus. Made for a schedule; see docs/monitoring.md.

    file
        Where to write them, for node_exporter's textfile collector: an absolute path that ends with ``.prom``.

    peers
        How many peers get series of their own. Of the others, and of all with 0, there are sums by interface alone.

    Returns the metrics as text, or the name of the file.

    CLI Example:

    .. code-block:: bash

        salt web1 wireguard.metrics
        salt '*' wireguard.metrics file=/var/lib/prometheus/node-exporter/wireguard.prom
    """
    with _minion():
        text = _metrics.metrics(peers)
        return text if file is None else _textfile.write(file, text)


def reaches(
    network: str, question: str, targets: dict[str, list[str]], by: dict[str, str] | None = None
) -> dict[str, Any]:
    """
    Say, signed, from whom packets come back through the tunnel. The master asks some nodes every few seconds where the
    mesh file has ``failover``, before it moves all nodes to another hub or gateway. Takes up to 2 seconds.

    network
        The network.

    question
        A name for this question, which the statement has in it.

    targets
        ``{name: [address]}``: one of the addresses must answer. Those of this minion do not count.

    by
        ``{name: peer}``: of these addresses, only those count that this minion reaches through this peer.

    Returns ``{"networks": {network: {"reached": [name]}}, "wireguard/reached": [signed]}``.

    CLI Example:

    .. code-block:: bash

        salt web1 wireguard.reaches backbone question1 '{hub1: [10.42.0.5]}'
    """
    with _minion() as minion:
        return _judged(_reaches.reaches(minion, network, question, targets, by or {}), _sync.succeeded)


def watch(looks: int = 3, at_most: int = 60, drift: int = 600) -> list[dict[str, Any]]:
    """
    What has changed on this minion's interfaces since the last look of the same process. Made for the beacon
    ``wireguard``, which has the same settings.

    looks
        At so many looks in a row, something must be so before it is told.

    at_most
        So many events an hour, and at once.

    drift
        Every so many seconds, what others changed on the interfaces is looked for. 0: never.

    Returns events as beacons do: ``tag``, ``what``, ``interface``, ``network``, and what belongs to it.

    CLI Example:

    .. code-block:: bash

        salt-call wireguard.watch
    """
    with _minion() as minion:
        return _watch.watch(__context__, minion.boot, looks, at_most, drift)
