"""
What a minion can do about WireGuard: make its keys, read its devices, register, and apply what its pillar says.

Private keys are made here, live in ``/etc/wireguard/<interface>.key`` and ``<interface>.conf`` (both 0600, but where
systemd-networkd reads the first), and never leave: no function of this module takes or returns one. Needs
wireguard-tools and iproute2 on the minion; PyNaCl is used where it is installed, and WireGuard in the kernel, else
``wireguard-go``.

Minion configuration (or pillar), all optional::

    wireguard:
      confirm_seconds: 30       # how long a change may take to work before it is rolled back; 0: it never is
      guard_share: 0.5          # of the peers that are up, which may be removed at once without force
      enable_service: false     # do not let interfaces come up at boot
      backend: systemd-networkd # what makes them then, instead of wg-quick
      install_packages: false   # do not install packages (read by the states in salt://wireguard)
"""

import contextlib
from typing import TYPE_CHECKING, Any

from salt.exceptions import CommandExecutionError

# Of functions of our own, only those of this module may have a name here: Salt offers all that it finds.
from saltext.wireguard import __version__
from saltext.wireguard.errors import WireguardError
from saltext.wireguard.node import apply as _apply
from saltext.wireguard.node import config_files as _config_files
from saltext.wireguard.node import devices as _devices
from saltext.wireguard.node import drift as _drift
from saltext.wireguard.node import keys as _keys
from saltext.wireguard.node import ping as _ping
from saltext.wireguard.node import registration as _registration
from saltext.wireguard.node import reresolve as _reresolve
from saltext.wireguard.node import rotation_protocol as _rotation_protocol
from saltext.wireguard.node import sync as _sync
from saltext.wireguard.node.minion import Minion

if TYPE_CHECKING:
    # Salt's loader puts these here.
    __context__: dict[str, Any] = {}
    __grains__: dict[str, Any] = {}
    __opts__: dict[str, Any] = {}
    __pillar__: dict[str, Any] = {}
    __salt__: dict[str, Any] = {}

__virtualname__ = "wireguard"
__func_alias__ = {"record_": "record", "apply_": "apply"}

# How long a node waits for its registration to show in its pillar, when no `wait` is given.
REGISTRATION_SECONDS = 15.0


def __virtual__():
    return __virtualname__


# -- reading


def version():
    """
    The version of these modules.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.version
    """
    return __version__


def managed():
    """
    The interfaces whose configuration files are ours: ``{interface: network}``; network None for those set up by
    explicit arguments of ``wireguard.present``.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.managed
    """
    return _config_files.managed()


def show(interface=None):
    """
    What a device, or every WireGuard device, has right now. Private and preshared keys are left out.

    Returns ``{interface: {public_key, port, mtu, up, addresses, routes, peers}}``, with peers by public key.
    ``latest_handshake`` is in Unix seconds (0: never), transfer in bytes.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.show
        salt '*' wireguard.show wg0
    """
    with _minion():
        return _devices.show(interface)


def public_key(interface="wg0"):
    """
    The public key that belongs to the private key file of ``interface``, None where there is no such file yet.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.public_key wg0
    """
    with _minion():
        return _keys.public_key(_config_files.key_file(interface))


def diff(network=None):
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


def drift(live=()):
    """
    What somebody changed behind our back: this minion's devices beside the configuration files that were written when
    they were last applied. Asks nobody and changes nothing, and costs the master no pillar.

    live
        Public keys of peers; the answer says with which of them there is a live session.

    Returns ``{"networks": {network: ...}}`` with ``changes``, a list of ``{kind, name, old, new, disturbs}`` by which
    applying the file again would put it right (not more than 50, ``more`` counts the others; ``disturbs`` is the number
    of live sessions that it would cut off), ``live`` (a count), ``live_keys``, and the ``digest`` of the file's text;
    or ``comment``, why it cannot be told.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.drift
    """
    with _minion() as minion:
        return _drift.drift(minion.boot(), live)


def ping(network=None, peer=None):
    """
    Whether packets come through the tunnels to the peers, and how large ones: without being split, up to the MTU.

    Takes a second where all is well, and up to 20 where it is not. Peers whose firewall drops pings are silent, too.

    network, peer
        Only these; all by default.

    Returns ``{network: {"mtu", "asked", "silent", "narrow", "comment"}}``: the MTU of the interface, the number of
    peers that were asked, the names of those from which nothing came, and ``{name: bytes}`` of those that not all of it
    comes through to. ``comment`` says what to do.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.ping
        salt web1 wireguard.ping backbone db1
    """
    with _minion():
        return _ping.ping_networks(network, peer)


# -- keys


def keypair(interface="wg0"):
    """
    Make a key pair for ``interface`` unless it has one. Returns the public key.

    The private key file is complete and 0600 from the moment that it exists, and is never overwritten.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.keypair wg0
    """
    with _minion() as minion:
        return minion.keypair(interface)


# -- registering


def record_(network):
    """
    This node's signed registration for ``network``: ``{"statement": text, "signature": base64}``. Nothing secret.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.record backbone
    """
    with _minion() as minion:
        return _registration.registration(minion, network)


def enrollment(interfaces):
    """
    What an operator needs to know of a host that cannot register: ``{"public_keys": {interface: key}, "endpoints":
    [address]}``. Makes the keys that are missing. ``salt-run wireguard.enroll`` calls this by salt-ssh.

    CLI Example:

    .. code-block:: bash

        salt host1 wireguard.enrollment '[wg0]'
    """
    with _minion() as minion:
        return _registration.enrollment(minion, interfaces)


# -- applying


def apply_(network=None, test=False, wait=REGISTRATION_SECONDS, force=False, reason=None):
    """
    Make this minion's interfaces what its pillar says: keys, registration, device, configuration file, service.

    Reads the device first and touches only what differs; finding nothing to change, it runs no writing command. A node
    that is not registered yet registers and waits for its pillar to show that.

    A change that is more often a mistake than meant is refused, and one after which the node cannot reach its master or
    its peers is rolled back: an error says what, and why.

    network
        Only this one, or this interface of ``wireguard:interfaces`` in the pillar; all by default.

    test
        Only say what would change.

    wait
        Seconds to wait for the registration to show in the pillar.

    force, reason
        Refuse nothing, and say why: the log has the reason. What does not work is still rolled back.

    Returns ``{network or interface: {"result": bool or None, "changes": {...}, "comment": text}}``.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.apply
        salt '*' wireguard.apply backbone test=True
        salt node1 wireguard.apply force=True reason='half of the network moves'
    """
    with _minion() as minion:
        return _apply.apply(minion, network, test, wait, force, reason)


def sync(test=False, signed=False, force=False, reason=None):
    """
    Fetch a fresh pillar, apply it, and take down the interfaces of networks that this minion is no longer in.

    What the master pushes when something changed: ``apply`` with the newest pillar.

    test
        Only say what would change, with ``changes`` as in ``drift``.

    signed
        Return the node's signed registrations and reports as well, which otherwise go to the master as events. The
        master's reconcile asks for them.

    force, reason
        As in ``apply``.

    Returns ``{"networks": {network: {"result": bool or None, "comment": text, "changed": [subject]}}}``.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.sync
        salt '*' wireguard.sync test=True
    """
    with _minion() as minion:
        return _sync.sync(minion, test, signed, force, reason)


def drop(peers, signed=False, generation=0, withdrawn=None):
    """
    Drop peers at once, without a pillar: what the master pushes when nodes have left, as that is quicker than ``sync``.

    Applies what was applied last, without these peers. Other changes that a node missed come with its next ``sync``. A
    node that finds its own key among them has left itself, and takes its interface down.

    peers
        ``{network: [public key]}``. Networks and keys that this minion does not have are passed over.

    signed
        Return the node's signed reports as well, as ``sync`` does.

    generation
        That of the registry when this was decided. A node that has heeded a later one refuses, and nothing older is
        applied on it from then on.

    withdrawn
        Those of ``peers``, in the same form, that are trusted no more. They go at once and on no trial, and what is
        rolled back or booted afterwards does not have them.

    Returns what ``sync`` returns.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.drop '{backbone: [mz8OIWOFMGdsAaGpl4S01Wzn7LBVlnBHSn9cBWJTsFs=]}'
    """
    with _minion() as minion:
        return _sync.drop(minion, peers, signed, generation, withdrawn or {})


def gone(networks):
    """
    The managed interfaces whose network is none of ``networks``. Interfaces set up by explicit arguments stay out.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.gone '[backbone]'
    """
    with _minion() as minion:
        return _sync.gone(minion, networks)


def apply_interface(
    interface,
    addresses,
    private_key_file=None,
    port=None,
    mtu=None,
    peers=None,
    test=False,
    force=False,
    reason=None,
):
    """
    Make one interface what the arguments say, without mesh file, pillar or registration.

    interface
        Name of the interface.

    addresses
        List of its addresses with prefix length.

    private_key_file
        A file on the minion; by default ``/etc/wireguard/<interface>.key``, made when it is missing.

    port, mtu
        When not given, the port is the system's choice, and the MTU what fits through the paths to the peers.

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


def remove(interface, test=False):
    """
    Take an interface of ours down: service, device, configuration file. Its key file is kept under another name.

    Returns ``{"result": bool or None, "changes": {...}, "comment": text}``.

    CLI Example:

    .. code-block:: bash

        salt node1 wireguard.remove wg0
    """
    with _minion() as minion:
        return _apply.result(_apply.remove(minion, interface, test))


def reresolve():
    """
    Connect to peers without a session at the address that the name in their endpoint has now.

    What the configuration files say counts; neither pillar nor master is needed. A peer that has a session is left
    alone. Minions with such peers run this every two minutes by themselves: their pillar has a schedule for it.

    Returns, for each interface with such peers, ``{"moved": {peer: "ip:port"}, "unresolved": ["host:port"]}``, or
    ``{"error": text}``.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.reresolve
    """
    with _minion() as minion:
        return _reresolve.reresolve(minion.cachedir)


# -- changing the key; docs/rotation.md tells the whole protocol


def rotate_prepare(network):
    """
    Make the key pair that this node will have next in ``network``, and announce it. Nothing else changes yet.

    The private key waits in ``/etc/wireguard/<interface>.key.next``; asked again, the node announces the same key.

    Returns the signed announcement: ``{"statement": text, "signature": base64}``. Nothing secret.

    CLI Example:

    .. code-block:: bash

        salt node1 wireguard.rotate_prepare backbone
    """
    with _minion() as minion:
        return _rotation_protocol.prepare(minion, network)


def rotate_follow(network, current_key, next_key, seconds=20):
    """
    Wait until the node with ``current_key`` uses its ``next_key``, and let its addresses move to that at once.

    Sends the event ``wireguard/following`` as soon as it watches.

    seconds
        How long to wait. When the node has not switched by then, nothing is moved.

    Returns ``{"moved": bool, "seconds": float}``, with a ``comment`` where nothing was moved.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.rotate_follow backbone <current key> <next key> seconds=20
    """
    with _minion() as minion:
        return _rotation_protocol.follow(minion, network, current_key, next_key, seconds)


def rotate_switch(network, wait=8):
    """
    Use the next key from now on: first in the files, then on the device, then in new handshakes with all peers.

    When there were live sessions and not one of these peers comes back, the node goes back to the key it had. Called
    again after a switch, it completes what is missing and signs the registration once more.

    wait
        Seconds to wait for the peers that had a session with this node.

    Returns ``{"switched": True, "peers_back": [name], "peers_missing": [name], "wireguard/register": [signed]}``, with
    the node's signed registration, or ``{"switched": False, "comment": why}``.

    CLI Example:

    .. code-block:: bash

        salt node1 wireguard.rotate_switch backbone
    """
    with _minion() as minion:
        return _rotation_protocol.switch(minion, network, wait)


def rotate_abort(network):
    """
    Drop the next key, unless this node uses it already.

    Returns ``{"aborted": bool, "comment": text}``.

    CLI Example:

    .. code-block:: bash

        salt node1 wireguard.rotate_abort backbone
    """
    with _minion() as minion:
        return _rotation_protocol.abort(minion, network)


@contextlib.contextmanager
def _minion():
    """This minion. Our errors become the one that Salt prints without a traceback."""
    try:
        yield Minion(__opts__, __grains__, __pillar__, __context__, __salt__)
    except (WireguardError, OSError) as exc:
        raise CommandExecutionError(str(exc)) from exc
