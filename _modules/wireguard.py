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
import logging
import os
import time

import salt.pillar
import salt.utils.systemd
from salt.exceptions import CommandExecutionError

# Of functions of our own, only those of this module may have a name here: Salt offers all that it finds.
from saltext.wireguard import __version__
from saltext.wireguard.device import guard
from saltext.wireguard.errors import RolledBackError, WireguardError
from saltext.wireguard.model import answers
from saltext.wireguard.model.statements import ABSENT, FOLLOWING_TAG, REGISTER_TAG, REPORT_TAG, UNKNOWN
from saltext.wireguard.model.view import REGISTER, View
from saltext.wireguard.node import (
    config_files,
    converge,
    devices,
    endpoints,
    hostsfile,
    keys,
    lock,
    registration,
    removal,
    rotation,
)
from saltext.wireguard.node import drift as node_drift
from saltext.wireguard.node import pillar as node_pillar
from saltext.wireguard.node import ping as node_ping
from saltext.wireguard.node import reresolve as node_reresolve
from saltext.wireguard.node.boot import managers as boot_managers
from saltext.wireguard.node.boot import networkd
from saltext.wireguard.node.boot.systemd import Systemd
from saltext.wireguard.node.notes import Journal, Notes
from saltext.wireguard.node.registration import Statements
from saltext.wireguard.node.trial import CONFIRM_SECONDS, Safety

log = logging.getLogger(__name__)

__virtualname__ = "wireguard"
__func_alias__ = {"record_": "record", "apply_": "apply"}

# How long a node waits for its registration to show in its pillar, when no `wait` is given.
REGISTRATION_SECONDS = 15.0

# What may bring interfaces up at boot.
BACKENDS = ("wg-quick", "systemd-networkd")


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
    return config_files.managed()


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
    with _salt_errors():
        names = [interface] if interface else devices.names()
        return {name: devices.described(devices.read(name)) for name in names}


def public_key(interface="wg0"):
    """
    The public key that belongs to the private key file of ``interface``, None where there is no such file yet.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.public_key wg0
    """
    with _salt_errors():
        return keys.public_key(config_files.key_file(interface))


def diff(network=None):
    """
    What ``apply`` would do, as data: ``{network: {"commands": [...], "changes": {...}}}``. Changes nothing.

    The view comes from the pillar as the minion last fetched it; see ``sync test=True`` for a fresh one.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.diff
        salt '*' wireguard.diff backbone
    """
    with _salt_errors():
        found = node_pillar.everything(__pillar__)
        return {_name(view): converge.difference(view) for view in node_pillar.chosen(found, network)}


def _name(view):
    """What a view goes by: its network, or the interface where a person described that."""
    return view.network or view.interface


def drift(live=()):
    """
    What somebody changed behind our back: this minion's devices beside the configuration files that were written when
    they were last applied. Asks nobody and changes nothing, and costs the master no pillar.

    live
        Public keys of peers; the answer says with which of them there is a live session.

    Returns ``{"networks": {network: ...}}`` with ``changes``, by which applying the file again would put it right (not
    more than 50, ``more`` counts the others), ``disturbs`` (by change, how many live sessions it would cut off),
    ``live`` (a count), ``live_keys``, and the ``digest`` of the file's content; or ``comment``, why it cannot be told.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.drift
    """
    with _salt_errors():
        found = node_drift.drift_answers(_boot(), live)
        return {"networks": {network: each.to_dict() for network, each in found.items()}}


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
    with _salt_errors():
        chosen = {of: each for each, of in managed().items() if of is not None and network in (None, of)}
        if network is not None and not chosen:
            raise CommandExecutionError(f"this minion has no interface of the WireGuard network {network!r}")
        return {of: node_ping.ping(interface, peer).to_dict() for of, interface in sorted(chosen.items())}


# -- keys


def keypair(interface="wg0"):
    """
    Make a key pair for ``interface`` unless it has one. Returns the public key.

    The private key file is complete and 0600 from the moment that it exists, and is never overwritten.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.keypair wg0
    """
    with _salt_errors(), _lock(interface):
        return keys.ensure(config_files.key_file(interface))


# -- registering


def record_(network):
    """
    This node's signed registration for ``network``: ``{"statement": text, "signature": base64}``. Nothing secret.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.record backbone
    """
    with _salt_errors():
        (view,) = node_pillar.chosen(node_pillar.views(__pillar__), network)
        return _statements().registration(view)


def enrollment(interfaces):
    """
    What an operator needs to know of a host that cannot register: ``{"public_keys": {interface: key}, "endpoints":
    [address]}``. Makes the keys that are missing. ``salt-run wireguard.enroll`` calls this by salt-ssh.

    CLI Example:

    .. code-block:: bash

        salt host1 wireguard.enrollment '[wg0]'
    """
    with _salt_errors():
        public_keys = {interface: keypair(interface) for interface in interfaces}
        return {"public_keys": public_keys, "endpoints": list(endpoints.own(_called_from()))}


def _called_from():
    """The address that the host's own best address leads to: that of the master, or from where ssh came."""
    return _master_ip() or _ssh_client()


def _ssh_client():
    return os.environ.get("SSH_CONNECTION", "").partition(" ")[0]


def _statements():
    return Statements(
        node=__opts__["id"],
        pem_file=os.path.join(__opts__["pki_dir"], "minion.pem"),
        passphrase=__opts__.get("key_pass"),
        notes=_notes(),
        master_ip=_master_ip(),
    )


def _master_ip():
    """Salt writes IPv6 addresses in brackets, as in URLs. Empty where there is no master."""
    return str(__opts__.get("master_ip") or "").strip("[]")


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
    with _salt_errors():
        safety = _safety(force, reason)
        results = {}
        for found in node_pillar.chosen(node_pillar.everything(__pillar__), network):
            view, outcome = (found, _would(found, safety)) if test else _register_and_converge(found, wait, safety)
            results[_name(view)] = _result(outcome)
            if view.network and not outcome.pending and not test:
                _send_report_once(view)
                _heed_schedule(view)
        return results


def _safety(force, reason):
    """How careful to be. Raises CommandExecutionError for settings that mean nothing."""
    if force and not (isinstance(reason, str) and reason.strip()):
        raise CommandExecutionError("force=True needs a reason=..., which is remembered")
    return Safety(
        cachedir=__opts__["cachedir"],
        confirm_seconds=_number_from_config("confirm_seconds", CONFIRM_SECONDS, 3600),
        share=_number_from_config("guard_share", guard.DEFAULT_SHARE, 1),
        master=(_master_ip(), int(__opts__["master_port"])) if _master_ip() else None,
        forced=reason.strip() if force else None,
        caller=_ssh_client(),
    )


def _number_from_config(name, default, most):
    value = __salt__["config.get"](f"wireguard:{name}", default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise CommandExecutionError(f"wireguard:{name} in the minion's configuration must be a number from 0 to {most}")
    return value


def sync(test=False, signed=False, force=False, reason=None):
    """
    Fetch a fresh pillar, apply it, and take down the interfaces of networks that this minion is no longer in.

    What the master pushes when something changed: ``apply`` with the newest pillar.

    test
        Only say what would change, with ``changes`` (not more than 50, ``more`` counts the others) and ``disturbs``: by
        change, how many live sessions it would cut off.

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
    with _salt_errors():
        safety = _safety(force, reason)
        pillar = _fresh_pillar()
        if node_pillar.networks(pillar) is None:
            return {"networks": {}, "comment": "the pillar says nothing about WireGuard; nothing was touched"}
        views = node_pillar.views(pillar)
        statements = {REGISTER_TAG: [], REPORT_TAG: []}
        results = {name: _sync_one(view, test, statements, safety) for name, view in views.items()}
        for interface in gone(list(views)):
            results[interface] = _remove_one(interface, test)
        if not test and _has_master():
            statements[REPORT_TAG] += [_statements().report(network, ABSENT) for network in _networks_left(views)]
        return _answer(results, statements, signed)


def _answer(results, statements, signed):
    """Of a sync or drop: with the statements, or with these sent as events."""
    if signed:
        return {"networks": results, **statements}
    for tag, each in statements.items():
        _send(tag, each)
    return {"networks": results}


def _sync_one(view, test, statements, safety):
    """One network of a sync. Never waits: who asked will ask again once it has the registration."""
    try:
        clone = _stand_down_if_clone(view, test)
        if clone:
            return {"result": False, "comment": clone, "clone": True}
        if test:
            return _brief(_would(view, safety))
        own_key = keypair(view.interface)
        if not _has_master():
            _refuse_unregistered(view, own_key)
        elif view.public_key != own_key or view.waiting == REGISTER:
            statements[REGISTER_TAG].append(_statements().registration(view))
        if view.public_key != own_key:
            return {"result": True, "comment": "registered; to be applied once the master has taken that in"}
        result = _brief(_converge(view, config_files.key_file(view.interface), False, safety))
        report = _report_of_success(view)
        statements[REPORT_TAG] += report
        if _is_news(view):  # of two machines that answer one job, the master may hear only the quicker one
            _send(REPORT_TAG, report)
        _heed_schedule(view)
        return result
    except RolledBackError as exc:
        if not test:
            _send(REPORT_TAG, _report_of_rollback(view))
        return {"result": False, "comment": str(exc)}
    except (WireguardError, CommandExecutionError, OSError) as exc:
        return {"result": False, "comment": str(exc)}


def drop(peers, signed=False):
    """
    Drop peers at once, without a pillar: what the master pushes when nodes have left, as that is quicker than ``sync``.

    Applies what was applied last, without these peers. Other changes that a node missed come with its next ``sync``. A
    node that finds its own key among them has left itself, and takes its interface down.

    peers
        ``{network: [public key]}``. Networks and keys that this minion does not have are passed over.

    signed
        Return the node's signed reports as well, as ``sync`` does.

    Returns what ``sync`` returns.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.drop '{backbone: [mz8OIWOFMGdsAaGpl4S01Wzn7LBVlnBHSn9cBWJTsFs=]}'
    """
    with _salt_errors():
        statements = {REPORT_TAG: []}
        results = {
            network: _drop_one(network, interface, peers[network], statements)
            for interface, network in managed().items()
            if network in peers
        }
        return _answer(results, statements, signed)


def _drop_one(network, interface, public_keys, statements):
    try:
        with _lock(interface):
            if keys.public_key(config_files.key_file(interface)) in public_keys:
                outcome = converge.remove(interface, _boot(), test=False)
                _notes().add(network, reported=ABSENT)
                report = [_statements().report(network, ABSENT)]
            else:
                view = removal.view_without(interface, public_keys)
                outcome = converge.converge(
                    view, config_files.key_file(interface), _boot(), False, _safety_of_drop(interface)
                )
                report = _report_of_success(view)
        statements[REPORT_TAG] += report
        return _brief(outcome)
    except RolledBackError as exc:
        _send(REPORT_TAG, _report_of_rollback(view))
        return {"result": False, "comment": str(exc)}
    except (WireguardError, CommandExecutionError, OSError) as exc:
        return {"result": False, "comment": str(exc)}


def _safety_of_drop(interface):
    """The last peer of a small mesh may be revoked like any other; of a larger one, not all may go by mistake."""
    few = len(config_files.written(interface).peers) < guard.MIN_PEERS_UP
    return _safety(force=few, reason="its peers are to be dropped")


def _remove_one(interface, test):
    try:
        return _brief(_remove(interface, test))
    except (WireguardError, OSError) as exc:
        return {"result": False, "comment": str(exc)}


def _networks_left(views):
    """The networks that this node has been in and has nothing of any more: the master waits to hear that."""
    present = set(managed().values())
    return [name for name in _notes().networks() if name not in views and name not in present]


def _brief(outcome):
    """Without the changes in full: returns travel over the event bus and are kept, and a fleet makes many of them."""
    told = {"changed": sorted(outcome.changes)[:20], "comment": outcome.comment}
    if outcome.pending:
        return {"result": None, **told, **answers.brief(outcome.changes, outcome.disturbs)}
    return {"result": True, **told}


def gone(networks):
    """
    The managed interfaces whose network is none of ``networks``. Interfaces set up by explicit arguments stay out.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.gone '[backbone]'
    """
    return [interface for interface, network in managed().items() if network is not None and network not in networks]


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
    with _salt_errors():
        data = {"interface": interface, "addresses": addresses, "port": port, "mtu": mtu, "peers": peers or {}}
        view = View.from_dict(data)
        safety = _safety(force, reason)
        if private_key_file and not os.path.exists(private_key_file):
            raise CommandExecutionError(f"private_key_file {private_key_file} does not exist on this minion")
        if not private_key_file and not test:
            keypair(interface)
        return _result(_converge(view, private_key_file or config_files.key_file(interface), test, safety))


def remove(interface, test=False):
    """
    Take an interface of ours down: service, device, configuration file. Its key file is kept under another name.

    Returns ``{"result": bool or None, "changes": {...}, "comment": text}``.

    CLI Example:

    .. code-block:: bash

        salt node1 wireguard.remove wg0
    """
    with _salt_errors():
        return _result(_remove(interface, test))


def reresolve():
    """
    Call the peers that are called by a name and have no session where that name points to now.

    What the configuration files say counts; neither pillar nor master is needed. A peer that has a session is left
    alone. Minions with such peers run this every two minutes by themselves: their pillar has a schedule for it.

    Returns, for each interface with such peers, ``{"moved": {peer: "ip:port"}, "unresolved": ["host:port"]}``, or
    ``{"error": text}``.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.reresolve
    """
    with _salt_errors():
        return node_reresolve.reresolve(__opts__["cachedir"])


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
    with _salt_errors():
        view = _view(network)
        with _lock(view.interface):
            public_key, next_key = rotation.prepare(view)
            return _statements().rotation(view, public_key, next_key)


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
    with _salt_errors():
        interface = _interface_of(network)
        started = time.monotonic()
        if next_key not in devices.handshakes(interface):
            return {"moved": False, "seconds": 0.0, "comment": f"{interface} has no peer with the next key"}
        __salt__["event.send"](FOLLOWING_TAG, {"network": network, "next_key": next_key})
        if not rotation.await_next_key(interface, current_key, next_key, seconds):
            return {"moved": False, "seconds": _since(started), "comment": f"no switch within {seconds:g} s"}
        with _lock(interface):
            rotation.follow(interface, current_key, next_key)
        return {"moved": True, "seconds": _since(started)}


def _since(started):
    return round(time.monotonic() - started, 3)


def _interface_of(network):
    for interface, of_network in managed().items():
        if of_network == network:
            return interface
    raise CommandExecutionError(f"this minion has no interface of the WireGuard network {network!r}")


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
    with _salt_errors():
        view = _view(network)
        with _lock(view.interface):
            outcome = rotation.switch(view, wait)
        if outcome.kept:
            return {"switched": False, "comment": outcome.kept}
        return {
            "switched": True,
            "peers_back": outcome.back,
            "peers_missing": outcome.missing,
            REGISTER_TAG: [_statements().registration(view)],
        }


def rotate_abort(network):
    """
    Drop the next key, unless this node uses it already.

    Returns ``{"aborted": bool, "comment": text}``.

    CLI Example:

    .. code-block:: bash

        salt node1 wireguard.rotate_abort backbone
    """
    with _salt_errors():
        interface = _view(network).interface
        with _lock(interface):
            if rotation.abort(interface):
                return {"aborted": True, "comment": f"{interface} keeps its key; the next one was removed"}
        if rotation.has_switched(interface):
            return {"aborted": False, "comment": f"{interface} uses the next key already; wireguard.sync registers it"}
        return {"aborted": True, "comment": f"{interface} has no next key"}


def _view(network):
    """From a fresh pillar: the one that the minion holds is as old as its last start or refresh."""
    (view,) = node_pillar.chosen(node_pillar.views(_fresh_pillar()), network)
    _refuse_clone(view)
    return view


def _refuse_clone(view, test=False):
    said = _stand_down_if_clone(view, test)
    if said:
        raise CommandExecutionError(said)


def _stand_down_if_clone(view, test):
    """
    A copy of a machine would draw the packets of its original to itself: it takes its interface down. Returns what to
    tell people about that; None on every other machine.
    """
    if config_files.boot_id() not in view.clones:
        return None
    if not test:
        with _lock(view.interface):
            converge.stand_down(view.interface, _boot())
    return (
        f"this machine is a copy of another one that runs as {__opts__['id']} with the same Salt key; {view.interface}"
        " is down here. Delete /etc/salt/pki/minion and /etc/wireguard on this machine, and give it a minion id of its"
        " own; or, if it is the right one, turn the other off and boot this one again"
    )


def _is_news(view):
    """Whether the master believes that another boot of this machine, or another machine, is this node."""
    return view.boot not in (None, config_files.boot_id())


# -- the way from a view to a device


def _register_and_converge(view, wait, safety):
    """Returns the view that was applied, which is a fresh one after a registration, and the result."""
    _refuse_clone(view)
    own_key = keypair(view.interface)
    if view.network and not _has_master():
        _refuse_unregistered(view, own_key)
    elif view.network and view.public_key != own_key:
        view = _register_and_wait(view, own_key, wait)
    elif view.waiting == REGISTER:
        _send(REGISTER_TAG, [_statements().registration(view)])
    try:
        return view, _converge(view, config_files.key_file(view.interface), False, safety)
    except RolledBackError:
        _send(REPORT_TAG, _report_of_rollback(view))
        raise


def _would(view, safety):
    """What applying the view would change. Raises WireguardError or OSError."""
    _refuse_clone(view, test=True)
    own_key = public_key(view.interface)
    if view.network and (own_key is None or view.public_key != own_key):
        changes = {view.interface: {"old": None, "new": "present"}}
        return converge.Outcome(changes, f"{view.interface} would be registered and set up", pending=True)
    return _converge(view, config_files.key_file(view.interface), True, safety)


def _register_and_wait(view, own_key, wait):
    """Returns the view of a fresh pillar."""
    _send(REGISTER_TAG, [_statements().registration(view)])
    return registration.await_view(view, own_key, __opts__["id"], wait, lambda: node_pillar.views(_fresh_pillar()))


def _refuse_unregistered(view, own_key):
    """Where there is no master to register with: by ``salt-call --local``, and by salt-ssh."""
    if view.public_key != own_key:
        raise CommandExecutionError(registration.by_hand(view, own_key, __opts__["id"]))


def _has_master():
    """A minion that talks to a master knows its address."""
    return bool(__opts__.get("master_uri"))


def _converge(view, key_file, test, safety):
    """Raises WireguardError or OSError."""
    if safety.forced and not test:
        log.warning("wireguard: %s is applied by force: %s", view.interface, safety.forced)
    with _lock(view.interface):
        return converge.converge(view, key_file, _boot(), test, safety)


def _remove(interface, test):
    """Raises WireguardError or OSError."""
    with _lock(interface):
        return converge.remove(interface, _boot(), test)


def _result(outcome):
    return {"result": None if outcome.pending else True, "changes": outcome.changes, "comment": outcome.comment}


def _boot():
    """What follows an interface that works: the machines' names, and what brings it up at boot."""
    names_file = hostsfile.HostsFile(__opts__["cachedir"], _names_of_masters())
    at_boot = _at_boot()
    return boot_managers.Together((at_boot, names_file) if at_boot else (names_file,))


def _names_of_masters():
    """Without a port. These must not lead into the mesh, or nobody could repair it."""
    masters = __opts__.get("master") or ()
    return {str(each).partition(":")[0] for each in ([masters] if isinstance(masters, str) else masters)}


def _at_boot():
    """None where there is nothing that we know, or that we may use."""
    backend = __salt__["config.get"]("wireguard:backend", "wg-quick")
    if backend not in BACKENDS:
        raise CommandExecutionError(f"wireguard:backend is {backend!r}; it can be {' or '.join(BACKENDS)}")
    has_systemd = salt.utils.systemd.booted(__context__)
    if backend == "systemd-networkd" and not has_systemd:
        raise CommandExecutionError("wireguard:backend is systemd-networkd, but this machine does not run systemd")
    if not __salt__["config.get"]("wireguard:enable_service", True):
        return None
    if has_systemd:
        managers = Systemd(__salt__), networkd.Networkd(__salt__)
        return boot_managers.InPlaceOf(*(managers if backend == "wg-quick" else reversed(managers)))
    return None


# -- pillar, events, notes


def _fresh_pillar():
    """Compiled now, by the master. Raises NodeError rather than return one with errors."""
    pillar = salt.pillar.get_pillar(
        __opts__,
        dict(__grains__),
        __opts__["id"],
        __opts__.get("saltenv"),
        pillarenv=__opts__.get("pillarenv"),
        clean_cache=True,
    ).compile_pillar()
    node_pillar.refuse_errors(pillar)
    return pillar


def _send(tag, statements):
    for signed in statements:
        if not __salt__["event.send"](tag, {"signed": signed}):
            log.warning("wireguard: the event %s could not be sent to the master", tag)


def _send_report_once(view):
    """Tell the master what was applied, unless it was told. If that gets lost, the next reconcile asks."""
    is_news = _is_news(view) or _journal(view).taken_back()
    if is_news or _notes().read(view.network).get("reported") != view.digest:
        _send(REPORT_TAG, _report_of_success(view))


def _report_of_success(view):
    """Signed, in a list, which is empty without a master. Whatever was taken back before is told with it, and over."""
    report = _reports(view, view.digest)
    _notes().add(view.network, reported=view.digest)
    _journal(view).forget()
    return report


def _reports(view, digest):
    if not _has_master():
        return []
    return [_statements().report(view.network, digest, view.serial, _journal(view).taken_back())]


def _report_of_rollback(view):
    """Which view its last good state came from, the node need not know: it is asked again for any other."""
    return _reports(view, UNKNOWN) if view.network else []


def _journal(view):
    return Journal(__opts__["cachedir"], view.interface)


def _heed_schedule(view):
    """
    Let the minion read the schedule in its pillar, where that comes or goes with this view. A minion reads its pillar
    when it starts and when it is told to; neither a sync nor a state run tells it.
    """
    if bool(_notes().read(view.network).get("scheduled")) != view.has_names:
        __salt__["saltutil.refresh_pillar"]()
        _notes().add(view.network, scheduled=view.has_names)


def _notes():
    return Notes(__opts__["cachedir"])


def _lock(interface):
    return lock.hold(__opts__["cachedir"], interface)


@contextlib.contextmanager
def _salt_errors():
    """Translate our errors into the one that Salt prints without a traceback."""
    try:
        yield
    except (WireguardError, OSError) as exc:
        raise CommandExecutionError(str(exc)) from exc
