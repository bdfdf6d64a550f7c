"""
What a minion does with WireGuard: make its keys, read its devices, register, and apply what its pillar says.

Private keys are made here and never leave the minion: they are in ``/etc/wireguard/<interface>.key`` and
``<interface>.conf``, and no function of this module takes or returns one. Both files are 0600, unless systemd-networkd
must read the key file. The minion needs wireguard-tools and iproute2. PyNaCl is used if it is installed; without
WireGuard in the kernel, ``wireguard-go`` is used.

Minion configuration (or pillar), all optional::

    wireguard:
      confirm_seconds: 30       # how long a change may take to work before it is rolled back; 0: no rollback
      guard_share: 0.5          # the share of the peers that are up that may be removed at once without force
      enable_service: false     # do not bring interfaces up at boot
      backend: systemd-networkd # what brings them up at boot, instead of wg-quick
      install_packages: false   # do not install packages (read by the states in salt://wireguard)
"""

import functools as _functools
from collections.abc import Collection
from operator import itemgetter as _itemgetter
from typing import TYPE_CHECKING, Any

# Imports have private names, because Salt offers every public function that it finds here.
from saltext.wireguard.deployment import forget_if_changed as _forget_if_changed

# Salt loads this file again after a sync, within the same `state.apply`, but not the library.
_forget_if_changed()

from saltext.wireguard import __version__
from saltext.wireguard import deployment as _deployment
from saltext.wireguard.node import apply as _apply
from saltext.wireguard.node import clean as _clean
from saltext.wireguard.node import config_files as _config_files
from saltext.wireguard.node import devices as _devices
from saltext.wireguard.node import drift as _drift
from saltext.wireguard.node import ping as _ping
from saltext.wireguard.node import registration as _registration
from saltext.wireguard.node import reports as _reports
from saltext.wireguard.node import reresolve as _reresolve
from saltext.wireguard.node import rotation_protocol as _rotation_protocol
from saltext.wireguard.node import sync as _sync
from saltext.wireguard.node.minion import judged_in as _judged_in
from saltext.wireguard.node.minion import minion_of as _minion_of

if TYPE_CHECKING:
    # Salt's loader puts this here.
    __opts__: dict[str, Any] = {}

__virtualname__ = "wireguard"
# What people see; `--out=json` shows data instead.
_SHOWN = "apply_ apply_interface clean delta diff drift gone managed ping remove reresolve show sync"
__outputter__ = dict.fromkeys(_SHOWN.split(), "wireguard")
__func_alias__ = {"record_": "record", "apply_": "apply"}

_minion = _functools.partial(_minion_of, globals())
_judged = _functools.partial(_judged_in, globals())


def __virtual__() -> str:
    return __virtualname__


# -- reading


def version() -> str:
    """
    The version of these modules.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.version
    """
    return __version__


def modules() -> dict[str, Any]:
    """
    What of ours this minion has: ``{version, digest, folder, synced}``.

    The digest is that of the files, so it also tells apart two commits of one version. ``synced`` is whether Salt has
    synced them; if not, they were installed in ``folder`` or found by ``module_dirs``, and a sync would not replace
    them.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.modules
    """
    return _deployment.describe(__opts__["extension_modules"])


def managed() -> dict[str, str | None]:
    """
    The interfaces whose configuration files are ours: ``{interface: network}``. The network is None for interfaces set
    up by explicit arguments of ``wireguard.present``.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.managed
    """
    return _config_files.managed()


def unmanaged() -> list[str]:
    """
    The WireGuard interfaces that are not ours, by device or by a configuration file in ``/etc/wireguard``.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.unmanaged
    """
    with _minion():
        return _clean.unmanaged()


def show(interface: str | None = None) -> dict[str, Any]:
    """
    The present state of one WireGuard device, or of all. Private and preshared keys are left out.

    Returns ``{interface: {public_key, port, mtu, up, addresses, routes, peers}}``, with peers by public key.
    A peer's ``name`` is that in our configuration file. ``latest_handshake`` is in Unix seconds, None for never;
    transfer is in bytes.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.show
        salt '*' wireguard.show wg0
    """
    with _minion():
        return _devices.show(interface)


def public_key(interface: str = "wg0") -> str | None:
    """
    The public key that belongs to the private key file of ``interface``; None if there is no such file yet.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.public_key wg0
    """
    with _minion() as minion:
        return minion.public_key(interface)


def diff(network: str | None = None) -> dict[str, Any]:
    """
    What ``apply`` would do, as data: ``{network: {"commands": [...], "changes": {...}}}``. Changes nothing.

    The view comes from the pillar as the minion last fetched it; see ``sync test=True`` for a fresh one.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.diff
        salt '*' wireguard.diff backbone
    """
    with _minion() as minion:
        return _apply.differences(minion, network)


def drift(live: Collection[str] = ()) -> dict[str, Any]:
    """
    What others changed on this minion: its devices compared with the configuration files from their last apply. Changes
    nothing, and needs neither the master nor a pillar.

    live
        Public keys of peers; the answer says with which of them there is a live session.

    Returns ``{"networks": {network: ...}}``. ``changes`` is a list of ``{kind, name, old, new, disturbs}``: what
    applying the file again would change, at most 50; ``more`` counts the others, and ``disturbs`` is the number of live
    sessions that a change would cut off. ``live`` is the number of live sessions, ``live_keys`` are those asked for,
    and ``digest`` is that of the file's text. If nothing can be said about a network, ``comment`` says why.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.drift
    """
    with _minion() as minion:
        return _judged(_drift.drift(minion.boot(), live), _sync.succeeded)


def ping(network: str | None = None, peer: str | None = None) -> dict[str, Any]:
    """
    Whether packets come through the tunnels to the peers, and up to which size they do so unfragmented.

    Takes a second if all is well, and up to 20 seconds if not. Peers whose firewall drops pings count as silent.

    network, peer
        Only these; all by default.

    Returns ``{network: {"mtu", "asked", "silent", "narrow", "comment"}}``: the MTU of the interface, the number of
    peers that were pinged, the names of those that did not answer, and ``{name: bytes}`` for those that only smaller
    packets reach. ``comment`` says what to do.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.ping
        salt web1 wireguard.ping backbone db1
    """
    with _minion():
        return _ping.ping_networks(network, peer)


# -- keys


def keypair(interface: str = "wg0") -> str:
    """
    Make a key pair for ``interface`` unless it has one. Returns the public key.

    The private key file is complete and 0600 from the moment it exists, and is never overwritten.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.keypair wg0
    """
    with _minion() as minion:
        return minion.keypair(interface)


# -- registering


def record_(network: str) -> dict[str, str]:
    """
    This node's signed registration for ``network``: ``{"statement": text, "signature": base64}``. Nothing secret.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.record backbone
    """
    with _minion() as minion:
        return _registration.registration(minion, network)


def enrollment(interfaces: list[str]) -> dict[str, Any]:
    """
    What an operator needs to know about a host that cannot register: ``{"public_keys": {interface: key}, "endpoints":
    [address]}``. Makes missing keys. ``salt-run wireguard.enroll`` calls this by salt-ssh.

    CLI Example:

    .. code-block:: bash

        salt host1 wireguard.enrollment '[wg0]'
    """
    with _minion() as minion:
        return _registration.enrollment(minion, interfaces)


# -- applying


def apply_(
    network: str | None = None,
    test: bool = False,
    wait: float = 15,
    force: bool = False,
    reason: str | None = None,
) -> dict[str, dict[str, Any]]:
    """
    Make this minion's interfaces what its pillar says: keys, registration, device, configuration file, service.

    Reads the device first and touches only what differs; if nothing differs, it runs no writing command. A node that is
    not registered yet registers and waits for its pillar to show that.

    A change that is more likely a mistake than intended is refused. A change after which the node cannot reach its
    master or its peers is rolled back. In both cases an error says what and why.

    network
        Only this network, or this interface of ``wireguard:interfaces`` in the pillar; all by default.

    test
        Only say what would change.

    wait
        Seconds to wait for the registration to show in the pillar.

    force, reason
        Refuse nothing; the reason goes into the log. A change that does not work is still rolled back.

    Returns ``{network or interface: {"result": bool or None, "changes": {...}, "comment": text}}``.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.apply
        salt '*' wireguard.apply backbone test=True
        salt node1 wireguard.apply force=True reason='half of the network moves'
    """
    with _minion() as minion:
        return _apply.apply(minion, network, test, wait, force, reason)


def sync(test: bool = False, signed: bool = False, force: bool = False, reason: str | None = None) -> dict[str, Any]:
    """
    Fetch a fresh pillar, apply it, and take down the interfaces of networks that this minion is no longer in.

    This is what the master calls when something changed.

    test
        Only say what would change, with ``changes`` as in ``drift``.

    signed
        Return the node's signed registrations and reports, rather than send them to the master as events. The master's
        reconcile uses this.

    force, reason
        As in ``apply``.

    Returns ``{"networks": {network: {"result": bool or None, "comment": text, "changed": [subject]}}}``.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.sync
        salt '*' wireguard.sync test=True
    """
    with _minion() as minion:
        return _judged(_sync.sync(minion, test, signed, force, reason), _sync.succeeded)


def delta(
    drop: dict[str, list[str]],
    signed: bool = False,
    generation: int = 0,
    withdrawn: dict[str, list[str]] | None = None,
    peers: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """
    Drop and set peers at once, without a pillar. The master calls this where many nodes need the same change, because
    it is faster than ``sync``.

    Applies what was applied last with this change. Other changes that a node missed come with its next ``sync``. A node
    that finds its own key among those to drop has left itself and takes its interface down.

    drop
        ``{network: [public key]}``. Networks and keys that this minion does not have are ignored.

    signed
        Return the node's signed reports, as ``sync`` does.

    generation
        The generation of the registry when this was decided. A node that has applied a later one refuses; otherwise it
        applies nothing older from then on.

    withdrawn
        Those of ``drop``, in the same form, that are no longer trusted. They are removed at once and without a trial;
        neither a rollback nor a reboot brings them back.

    peers
        ``{network: {name: peer}}``, each as in the pillar; a peer takes the place of that of its name. Needs
        ``generation``. There are no secrets in a job, so this is no way for peers with preshared keys.

    Returns what ``sync`` returns.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.delta '{backbone: [mz8OIWOFMGdsAaGpl4S01Wzn7LBVlnBHSn9cBWJTsFs=]}'
    """
    with _minion() as minion:
        changes = drop, peers or {}
        return _judged(_sync.delta(minion, *changes, signed, generation, withdrawn or {}), _sync.succeeded)


def move(
    networks: dict[str, dict[str, str]], signed: bool = False, generation: int = 0, at: float = 0
) -> dict[str, Any]:
    """
    Put networks behind other peers at once, without a pillar. The master calls this on all nodes concerned, so that
    they leave a hub, a node with a network behind it, or an exit at the same moment.

    Applies what was applied last, with these networks moved.

    networks
        ``{network: {network in CIDR notation: public key of the peer that it is to be behind}}``. Networks of the mesh
        file that this minion is not in are ignored.

    signed
        Return the node's signed reports, as ``sync`` does.

    generation
        As for ``drop``.

    at
        When to do so, in Unix seconds; at most 10 seconds ahead.

    Returns what ``sync`` returns.

    CLI Example:

    .. code-block:: bash

        salt web1 wireguard.move '{backbone: {10.42.0.0/16: mz8OIWOFMGdsAaGpl4S01Wzn7LBVlnBHSn9cBWJTsFs=}}'
    """
    with _minion() as minion:
        return _judged(_sync.move(minion, networks, signed, generation, at), _sync.succeeded)


def gone(networks: Collection[str]) -> list[str]:
    """
    The managed interfaces whose network is not in ``networks``. Interfaces set up by explicit arguments are left out.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.gone '[backbone]'
    """
    with _minion() as minion:
        return _sync.gone(minion, networks)


def apply_interface(
    interface: str,
    addresses: list[str],
    private_key_file: str | None = None,
    port: int | None = None,
    mtu: int | None = None,
    peers: dict[str, Any] | None = None,
    test: bool = False,
    force: bool = False,
    reason: str | None = None,
) -> dict[str, Any]:
    """
    Make one interface what the arguments say, without mesh file, pillar or registration.

    interface
        Name of the interface.

    addresses
        List of its addresses with prefix length.

    private_key_file
        A file on the minion; by default ``/etc/wireguard/<interface>.key``, created if it is missing.

    port, mtu
        By default, the system chooses the port, and the MTU is the largest that fits the paths to the peers.

    peers
        ``{name: {public_key, allowed_ips, endpoint, keepalive}}``; ``endpoint`` is ``host:port``.

    force, reason
        As in ``apply``.

    Returns ``{"result": bool or None, "changes": {...}, "comment": text}``.

    CLI Example:

    .. code-block:: bash

        salt node1 wireguard.apply_interface wg1 '[10.9.0.1/24]' port=51821 peers='{router: {...}}'
    """
    data = {"interface": interface, "addresses": addresses, "port": port, "mtu": mtu, "peers": peers or {}}
    with _minion() as minion:
        return _apply.apply_interface(minion, data, private_key_file, test, minion.safety(force, reason))


def remove(interface: str, test: bool = False) -> dict[str, Any]:
    """
    Take an interface of ours down: service, device, configuration file. Its key file is kept under another name.

    Returns ``{"result": bool or None, "changes": {...}, "comment": text}``.

    CLI Example:

    .. code-block:: bash

        salt node1 wireguard.remove wg0
    """
    with _minion() as minion:
        return _apply.remove(minion, interface, test).to_salt()


def clean(purge: bool = False, test: bool = False, force: bool = False, reason: str | None = None) -> dict[str, Any]:
    """
    Take everything of ours off this machine: interfaces, what brings them up at boot, and names in ``/etc/hosts``. Keys
    are kept under other names, and the comment says what else stays.

    Refused where the pillar still has a network or an interface for this minion, as the next sync would set it up
    again, and where the master is reached through one of the interfaces.

    purge
        True: remove these keys as well, also those of interfaces that went earlier.

    force, reason
        Refuse nothing; the reason goes into the log.

    Returns ``{"result": bool or None, "changes": {...}, "comment": text}``.

    CLI Example:

    .. code-block:: bash

        salt node1 wireguard.clean test=True
    """
    with _minion() as minion:
        return _clean.clean(minion, purge, test, force, reason).to_salt()


def reresolve() -> dict[str, Any]:
    """
    Connect to peers without a session at the address that the name in their endpoint has now. If it has several, they
    are tried in turn, one each time, for peers that do not answer. That takes some seconds.

    Uses the configuration files; neither pillar nor master is needed. A peer with a session is left alone. Minions with
    such peers run this every two minutes by themselves: their pillar has a schedule for it.

    Returns, for each interface with such peers, ``{"moved": {peer: "ip:port"}, "unresolved": ["host:port"]}``, or
    ``{"error": text}``.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.reresolve
    """
    with _minion() as minion:
        return _judged(_reresolve.reresolve(minion), _reresolve.succeeded)


def report_drift() -> dict[str, list[str]]:
    """
    Report to the master what others have changed here since the networks were applied: a device that is gone or did not
    come up at boot, an address, a peer, a file. The master then asks this minion to sync, unless the mesh file says
    ``drift: report``. Returns ``{interface: [what differs]}``.

    Minions run this when they start and every quarter of an hour by themselves: their pillar has a schedule for it.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.report_drift
    """
    with _minion() as minion:
        return _reports.send_drift(minion)


# -- changing the key; docs/rotation.md describes the whole protocol


def rotate_prepare(network: str) -> dict[str, str]:
    """
    Make the key pair that this node will have next in ``network``, and announce it. Nothing else changes yet.

    The private key waits in ``/etc/wireguard/<interface>.key.next``. A second call announces the same key.

    Returns the signed announcement: ``{"statement": text, "signature": base64}``. Nothing secret.

    CLI Example:

    .. code-block:: bash

        salt node1 wireguard.rotate_prepare backbone
    """
    with _minion() as minion:
        return _rotation_protocol.prepare(minion, network)


def rotate_follow(network: str, current_key: str, next_key: str, seconds: float = 20) -> dict[str, Any]:
    """
    Wait until the node with ``current_key`` uses its ``next_key``, and then move its addresses to that at once.

    Sends the event ``wireguard/following`` as soon as it watches.

    seconds
        How long to wait. If the node has not switched by then, nothing is moved.

    Returns ``{"moved": bool, "seconds": float}``, with a ``comment`` where nothing was moved.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.rotate_follow backbone <current key> <next key> seconds=20
    """
    with _minion() as minion:
        return _judged(_rotation_protocol.follow(minion, network, current_key, next_key, seconds), _itemgetter("moved"))


def rotate_switch(network: str, wait: float = 8) -> dict[str, Any]:
    """
    Use the next key from now on: first in the files, then on the device, then in new handshakes with all peers.

    If there were live sessions and none of these peers comes back, the node restores its old key. A second call after a
    switch completes what is missing and signs the registration again.

    wait
        Seconds to wait for the peers that had a session with this node.

    Returns ``{"switched": True, "peers_back": [name], "peers_missing": [name], "wireguard/register": [signed]}``, with
    the node's signed registration, or ``{"switched": False, "comment": why}``.

    CLI Example:

    .. code-block:: bash

        salt node1 wireguard.rotate_switch backbone
    """
    with _minion() as minion:
        return _judged(_rotation_protocol.switch(minion, network, wait), _itemgetter("switched"))


def rotate_abort(network: str) -> dict[str, Any]:
    """
    Drop the next key, unless this node uses it already.

    Returns ``{"aborted": bool, "comment": text}``.

    CLI Example:

    .. code-block:: bash

        salt node1 wireguard.rotate_abort backbone
    """
    with _minion() as minion:
        return _judged(_rotation_protocol.abort(minion, network), _itemgetter("aborted"))
