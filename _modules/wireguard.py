"""
What a minion can do about WireGuard: make its keys, read its devices, register, and apply what its pillar says.

Private keys are made here, live in ``/etc/wireguard/<interface>.key`` and ``<interface>.conf`` (both 0600), and never
leave: no function of this module takes or returns one. Needs wireguard-tools and iproute2 on the minion; PyNaCl is used
where it is installed, and WireGuard in the kernel, else ``wireguard-go``.

Minion configuration (or pillar), all optional::

    wireguard:
      enable_service: false     # do not enable wg-quick@<interface> for boot
      install_packages: false   # do not install packages (read by the states in salt://wireguard)
"""

import contextlib
import dataclasses
import fcntl
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping

import salt.pillar
import salt.utils.systemd
from salt.exceptions import CommandExecutionError

try:
    from saltext.wireguard.utils.wgmesh import __version__ as wgmesh_version
    from saltext.wireguard.utils.wgmesh import device as wgdevice
    from saltext.wireguard.utils.wgmesh import diff as wgdiff
    from saltext.wireguard.utils.wgmesh import reachable, record, render, rotation
    from saltext.wireguard.utils.wgmesh.errors import WireguardError
    from saltext.wireguard.utils.wgmesh.model import Endpoint
    from saltext.wireguard.utils.wgmesh.record import ABSENT, REGISTER_TAG, REPORT_TAG
    from saltext.wireguard.utils.wgmesh.rotation import FOLLOWING_TAG
    from saltext.wireguard.utils.wgmesh.view import View
except ImportError:  # synced from _utils/
    from wgmesh import __version__ as wgmesh_version
    from wgmesh import device as wgdevice
    from wgmesh import diff as wgdiff
    from wgmesh import reachable, record, render, rotation
    from wgmesh.errors import WireguardError
    from wgmesh.model import Endpoint
    from wgmesh.record import ABSENT, REGISTER_TAG, REPORT_TAG
    from wgmesh.rotation import FOLLOWING_TAG
    from wgmesh.view import View

log = logging.getLogger(__name__)

__virtualname__ = "wireguard"
__func_alias__ = {"record_": "record", "apply_": "apply"}

CONFIG_DIR = "/etc/wireguard"

# 32 bytes in canonical base64: the last character but one has its two spare bits zero.
_PRIVATE_KEY = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")

# An endpoint that is a name: how long all names together may take to resolve before the rest goes on without.
RESOLVE_SECONDS = 5.0

# How long a node waits for its registration to show in its pillar, when no `wait` is given.
REGISTRATION_SECONDS = 15.0

# Another apply to the same interface, by a state run or a pushed sync, takes a second or two.
LOCK_SECONDS = 120.0

# How often a node looks for a handshake that it waits for; this is most of the gap in a key rotation.
HANDSHAKE_POLL_SECONDS = 0.04

# UDP's discard service: what goes there is only meant to get a handshake going.
DISCARD_PORT = 9


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
    return wgmesh_version


def managed():
    """
    The interfaces whose configuration files are ours: ``{interface: network}``; network None for those set up by
    explicit arguments of ``wireguard.present``.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.managed
    """
    found = {}
    for name in _list_dir(CONFIG_DIR):
        interface, extension = os.path.splitext(name)
        if extension == ".conf":
            text = _read_file(_config_file(interface))
            if render.is_managed(text):
                found[interface] = render.managed_network(text)
    return found


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
    names = [interface] if interface else _wireguard_devices()
    with _salt_errors():
        return {name: _shown(_read_device(name)) for name in names}


def public_key(interface="wg0"):
    """
    The public key that belongs to the private key file of ``interface``, None where there is no such file yet.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.public_key wg0
    """
    with _salt_errors():
        return _public_key_of(_key_file(interface))


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
        views = _views(__pillar__)
        return {name: _difference(views[name]) for name in _chosen(views, network)}


def _difference(view):
    own_key = _public_key_of(_key_file(view.interface))
    if own_key is None or view.public_key != own_key:
        return {"commands": [], "changes": {}, "comment": "not registered yet; applying registers first"}
    view = _expanded(view)
    device = _read_device(view.interface)
    operations = _operations(view, _key_file(view.interface), own_key, device, _resolve(view, device), _applied(view))
    commands = [" ".join(command) for command in wgdiff.commands(operations, view.interface)]
    return {"commands": commands, "changes": wgdiff.changes(operations)}


# -- keys


def keypair(interface="wg0"):
    """
    Make a key pair for ``interface`` unless it has one. Returns the public key.

    The private key file is complete and 0600 from the moment that it exists, and is never overwritten.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.keypair wg0
    """
    with _salt_errors():
        path = _key_file(interface)
        if not os.path.exists(path):
            _write_key(path)
        return _public_key_of(path)


def _write_key(path):
    """Link a finished file to its name: unlike a rename, this fails where the name is taken."""
    os.makedirs(CONFIG_DIR, mode=0o700, exist_ok=True)
    with _temporary(path, _make_private_key().encode() + b"\n") as temporary, contextlib.suppress(FileExistsError):
        os.link(temporary, path)
    _sync_dir(CONFIG_DIR)


def _make_private_key():
    try:
        import nacl.encoding
        import nacl.public
    except ImportError:
        return _run(["wg", "genkey"]).strip()
    return nacl.public.PrivateKey.generate().encode(nacl.encoding.Base64Encoder).decode()


def _public_key_of(path):
    """None where the file does not exist. The private key goes to ``wg pubkey`` by standard input."""
    private = _read_file(path).rstrip()
    if not private:
        if os.path.lexists(path):
            raise CommandExecutionError(
                f"{path} is empty, or a link to nothing: remove it, and the next apply makes a new key pair"
            )
        return None
    # Checked here, because PyNaCl passes over what is not base64, and `wg` cannot say which file it was.
    if not _PRIVATE_KEY.fullmatch(private):
        raise CommandExecutionError(f"{path} does not hold a WireGuard private key: move it away, or restore it")
    try:
        import nacl.encoding
        import nacl.public
    except ImportError:
        return _run(["wg", "pubkey"], stdin=private + "\n", secret=True).strip()
    key = nacl.public.PrivateKey(private.encode(), nacl.encoding.Base64Encoder)
    return key.public_key.encode(nacl.encoding.Base64Encoder).decode()


# -- registering


def record_(network):
    """
    This node's signed registration for ``network``: ``{"statement": text, "signature": base64}``. Nothing secret.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.record backbone
    """
    with _salt_errors():
        views = _views(__pillar__)
        (name,) = _chosen(views, network)
        return _signed_registration(views[name])


def _signed_registration(view):
    statement = record.Registration(
        node=__opts__["id"],
        network=view.network,
        public_key=keypair(view.interface),
        endpoints=_reachable_addresses(),
        port=view.port,
        serial=_next_serial(view.network, view.serial),
        boot=_boot_id(),
    )
    return _sign(statement)


def _signed_report(network, digest, last_serial=0):
    return _sign(record.Report(__opts__["id"], network, digest, _next_serial(network, last_serial), _boot_id()))


def _boot_id():
    """Names this boot of this machine: by it, two machines with one Salt key give themselves away."""
    return _read_file("/proc/sys/kernel/random/boot_id").strip()


def _sign(statement):
    with open(os.path.join(__opts__["pki_dir"], "minion.pem"), "rb") as handle:
        pem = handle.read()
    passphrase = __opts__.get("key_pass")
    return record.sign(statement, pem, passphrase.encode() if passphrase else None)


def _next_serial(network, last_serial):
    """Larger than any before, also when this node's clock or its cache was set back: the master tells its last one."""
    serial = max(time.time_ns(), last_serial + 1, _notes(network).get("serial", 0) + 1)
    _note(network, serial=serial)
    return serial


def _reachable_addresses():
    addresses = _run(["ip", "-json", "address", "show"])
    route = ""
    if __opts__.get("master_ip"):
        route = _run(["ip", "-json", "route", "get", __opts__["master_ip"]], check=False)
    tunnels = {*_wireguard_devices(), *managed()}
    return reachable.candidates(addresses, reachable.source_address(route), tunnels)


# -- applying


def apply_(network=None, test=False, wait=REGISTRATION_SECONDS):
    """
    Make this minion's interfaces what its pillar says: keys, registration, device, configuration file, service.

    Reads the device first and touches only what differs; finding nothing to change, it runs no writing command. A node
    that is not registered yet registers and waits for its pillar to show that.

    network
        Only this one; all by default.

    test
        Only say what would change.

    wait
        Seconds to wait for the registration to show in the pillar.

    Returns ``{network: {"result": bool or None, "changes": {...}, "comment": text}}``.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.apply
        salt '*' wireguard.apply backbone test=True
    """
    with _salt_errors():
        views = _views(__pillar__)
        results = {}
        for name in _chosen(views, network):
            view, result = _register_and_converge(views[name], test, wait)
            results[name] = result
            if result["result"] and not test:
                _send_report_once(view)
        return results


def sync(test=False, signed=False):
    """
    Fetch a fresh pillar, apply it, and take down the interfaces of networks that this minion is no longer in.

    What the master pushes when something changed: ``apply`` with the newest pillar.

    test
        Only say what would change.

    signed
        Return the node's signed registrations and reports as well, which otherwise go to the master as events. The
        master's reconcile asks for them.

    Returns ``{"networks": {network: {"result": bool or None, "comment": text, "changed": [subject]}}}``.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.sync
        salt '*' wireguard.sync test=True
    """
    with _salt_errors():
        pillar = _fresh_pillar()
        if _networks(pillar) is None:
            return {"networks": {}, "comment": "the pillar says nothing about WireGuard; nothing was touched"}
        views = _views(pillar)
        statements = {REGISTER_TAG: [], REPORT_TAG: []}
        results = {name: _sync_one(view, test, statements) for name, view in views.items()}
        for interface in gone(list(views)):
            results[interface] = _remove_one(interface, test)
        if not test:
            statements[REPORT_TAG] += [_signed_report(network, ABSENT) for network in _networks_left(views)]
        if signed:
            return {"networks": results, **statements}
        for tag, each in statements.items():
            for statement in each:
                _send(tag, statement)
        return {"networks": results}


def _sync_one(view, test, statements):
    """One network of a sync. Never waits: who asked will ask again once it has the registration."""
    try:
        if not test and view.public_key != keypair(view.interface):
            statements[REGISTER_TAG].append(_signed_registration(view))
            return {"result": True, "comment": "registered; to be applied once the master has taken that in"}
        result = _converge(view, _key_file(view.interface), test)
        if result["result"]:
            statements[REPORT_TAG].append(_signed_report(view.network, view.digest, view.serial))
            _note(view.network, reported=view.digest)
        return _brief(result)
    except (WireguardError, CommandExecutionError, OSError) as exc:
        return {"result": False, "comment": str(exc)}


def _remove_one(interface, test):
    try:
        return _brief(remove(interface, test=test))
    except CommandExecutionError as exc:
        return {"result": False, "comment": str(exc)}


def _networks_left(views):
    """The networks that this node has been in and has nothing of any more: the master waits to hear that."""
    present = set(managed().values())
    names = [os.path.splitext(name)[0] for name in _list_dir(_notes_dir()) if name.endswith(".json")]
    return [name for name in names if name not in views and name not in present]


def _brief(result):
    """Without the changes in full: returns travel over the event bus and are kept, and a fleet makes many of them."""
    return {"result": result["result"], "comment": result["comment"], "changed": sorted(result["changes"])[:20]}


def gone(networks):
    """
    The managed interfaces whose network is none of ``networks``. Interfaces set up by explicit arguments stay out.

    CLI Example:

    .. code-block:: bash

        salt '*' wireguard.gone '[backbone]'
    """
    return [interface for interface, network in managed().items() if network is not None and network not in networks]


def apply_interface(interface, addresses, private_key_file=None, port=None, mtu=None, peers=None, test=False):
    """
    Make one interface what the arguments say, without mesh file, pillar or registration.

    interface
        Name of the interface.

    addresses
        List of its addresses with prefix length.

    private_key_file
        A file on the minion; by default ``/etc/wireguard/<interface>.key``, made when it is missing.

    port, mtu
        Left to the system when not given.

    peers
        ``{name: {public_key, allowed_ips, endpoint, keepalive}}``; ``endpoint`` is ``host:port``.

    Returns ``{"result": bool or None, "changes": {...}, "comment": text}``.

    CLI Example:

    .. code-block:: bash

        salt node1 wireguard.apply_interface wg1 '[10.9.0.1/24]' port=51821 peers='{router: {...}}'
    """
    with _salt_errors():
        data = {"interface": interface, "addresses": addresses, "port": port, "mtu": mtu, "peers": peers or {}}
        view = View.from_dict(data)
        if private_key_file and not os.path.exists(private_key_file):
            raise CommandExecutionError(f"private_key_file {private_key_file} does not exist on this minion")
        if not private_key_file and not test:
            keypair(interface)
        return _converge(view, private_key_file or _key_file(interface), test)


def remove(interface, test=False):
    """
    Take an interface of ours down: service, device, configuration file. Its key file is kept under another name.

    Returns ``{"result": bool or None, "changes": {...}, "comment": text}``.

    CLI Example:

    .. code-block:: bash

        salt node1 wireguard.remove wg0
    """
    with _salt_errors(), _lock(interface):
        if interface not in managed():
            if os.path.exists(_config_file(interface)):
                raise CommandExecutionError(_not_ours(interface))
            return {"result": True, "changes": {}, "comment": f"{interface} is not set up"}
        changes = {interface: {"old": "present", "new": None}}
        if test:
            return {"result": None, "changes": changes, "comment": f"{interface} would be removed"}
        aside = _tear_down(interface)
        kept = f"; its key is kept in {aside}" if aside else ""
        return {"result": True, "changes": changes, "comment": f"{interface} was removed{kept}"}


def _tear_down(interface):
    """The configuration file goes last: as long as it is there, the next run knows that there is something to do."""
    if _service_manager():
        __salt__["service.disable"](_service(interface))
    if _device_exists(interface):
        _run(["ip", "link", "delete", "dev", interface])
    aside = None
    if os.path.exists(_key_file(interface)):
        aside = f"{_key_file(interface)}.removed-{time.strftime('%Y%m%d-%H%M%S')}"
        os.rename(_key_file(interface), aside)
    for path in (_next_key_file(interface), _previous_key_file(interface)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    os.unlink(_config_file(interface))
    _sync_dir(CONFIG_DIR)
    return aside


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
            _refuse_unless_set_up(view)
            _forget_adopted_key(view.interface)
            path = _next_key_file(view.interface)
            if not os.path.exists(path):
                _refuse_while_switched(view.interface)
                _write_key(path)
            statement = record.Rotation(
                node=__opts__["id"],
                network=view.network,
                public_key=_public_key_of(_key_file(view.interface)),
                next_key=_public_key_of(path),
                serial=_next_serial(view.network, view.serial),
            )
        return _sign(statement)


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
        if next_key not in _handshakes(interface):
            return {"moved": False, "seconds": 0.0, "comment": f"{interface} has no peer with the next key"}
        __salt__["event.send"](FOLLOWING_TAG, {"network": network, "next_key": next_key})
        if not _await(lambda: _next_key_holds(interface, current_key, next_key), seconds):
            return {"moved": False, "seconds": _since(started), "comment": f"no switch within {seconds:g} s"}
        with _lock(interface):
            command = rotation.move(interface, _read_peers(interface), current_key, next_key)
            if command:
                _run(list(command))
        return {"moved": True, "seconds": _since(started)}


def _next_key_holds(interface, current_key, next_key):
    handshakes = _handshakes(interface)
    return rotation.next_key_holds(handshakes.get(current_key, 0), handshakes.get(next_key, 0))


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
        interface = view.interface
        with _lock(interface):
            _refuse_unless_set_up(view)
            if not _has_next_key(interface) and not _has_switched(interface):
                return {
                    "switched": False,
                    "comment": f"{interface} has no next key: wireguard.rotate_prepare makes one",
                }
            live = _live_peers_of_an_earlier_second(interface)
            _adopt_next_key(interface)
            if _use_key_file(interface):
                back = _await_peers(interface, live, wait)
                if live and not back:
                    return {"switched": False, "comment": _go_back(interface, wait)}
            else:  # an earlier call did all this, and its answer was lost
                live = back = {}
        names = render.applied(_read_file(_config_file(interface))).names
        return {
            "switched": True,
            "peers_back": sorted(names.get(key, key) for key in back),
            "peers_missing": sorted(names.get(key, key) for key in live if key not in back),
            REGISTER_TAG: [_signed_registration(view)],
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
            _forget_adopted_key(interface)
            if _has_next_key(interface):
                os.unlink(_next_key_file(interface))
                _sync_dir(CONFIG_DIR)
                return {"aborted": True, "comment": f"{interface} keeps its key; the next one was removed"}
        if _has_switched(interface):
            return {"aborted": False, "comment": f"{interface} uses the next key already; wireguard.sync registers it"}
        return {"aborted": True, "comment": f"{interface} has no next key"}


def _has_next_key(interface):
    """Whether there is a next key other than the key: a power cut while going back leaves one under both names."""
    return _is_another_key(_next_key_file(interface), interface)


def _has_switched(interface):
    """Whether the key is a new one that the master may not know yet."""
    return _is_another_key(_previous_key_file(interface), interface)


def _is_another_key(path, interface):
    private = _read_file(path).strip()
    return bool(private) and private != _read_file(_key_file(interface)).strip()


def _forget_adopted_key(interface):
    path = _next_key_file(interface)
    if os.path.exists(path) and not _has_next_key(interface):
        os.unlink(path)
        _sync_dir(CONFIG_DIR)


def _refuse_unless_set_up(view):
    """A rotation changes the key of a working interface and nothing else."""
    _refuse_foreign(view, _key_file(view.interface))
    for path in (_key_file(view.interface), _config_file(view.interface), f"/sys/class/net/{view.interface}"):
        if not os.path.exists(path):
            raise CommandExecutionError(
                f"{view.interface} is not set up: {path} is missing. wireguard.apply sets it up"
            )


def _refuse_while_switched(interface):
    if _has_switched(interface):
        raise CommandExecutionError(
            f"the last rotation of {interface} is not over: wireguard.sync completes it once the master knows the key"
        )


def _adopt_next_key(interface):
    """
    Make the next key the key, durably: a power cut at any point leaves one whole key in each file.

    The key file goes first. Should the configuration file keep the old key, the node comes up with that, as its peers
    still know it, and the next apply registers the new key and repairs the configuration file.
    """
    if _has_next_key(interface):
        _replace_file(_previous_key_file(interface), _read_file(_key_file(interface)))
        os.rename(_next_key_file(interface), _key_file(interface))
        _sync_dir(CONFIG_DIR)
    _write_key_into_config(interface)


def _go_back(interface, wait):
    """Back to the previous key, in the same order. The next key is kept as such: another try may go better."""
    _replace_file(_next_key_file(interface), _read_file(_key_file(interface)))
    os.rename(_previous_key_file(interface), _key_file(interface))
    _sync_dir(CONFIG_DIR)
    _write_key_into_config(interface)
    _use_key_file(interface)
    return f"no peer came back within {wait:g} s; {interface} has its old key again"


def _write_key_into_config(interface):
    """Only the key: the rest of the file stays what was applied last."""
    line = f"PrivateKey = {_read_file(_key_file(interface)).strip()}"
    text = _read_file(_config_file(interface))
    _write_config(interface, re.sub(r"^PrivateKey = .*$", line, text, count=1, flags=re.MULTILINE))


def _use_key_file(interface):
    """
    Let the device use its key file, and greet all peers: a session with the new key begins as one has something to say.

    Returns whether that changed the device.
    """
    device = _read_device(interface)
    if device.public_key == _public_key_of(_key_file(interface)):
        return False
    _run(["wg", "set", interface, "private-key", _key_file(interface)])
    for address in rotation.greeting_addresses(device):
        _greet(interface, address)
    return True


def _greet(interface, address):
    """One small packet into the tunnel. Whether it arrives does not matter; that there is no way to a peer, neither."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as greeter:
        greeter.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        greeter.setblocking(False)
        greeter.sendto(b"\0", (address, DISCARD_PORT))


def _live_peers_of_an_earlier_second(interface):
    """
    Public key to latest handshake of the peers that this node has sessions with.

    Handshake times are in whole seconds. So this waits until the second of the last one is over: a later handshake can
    be told from it then.
    """
    live = {}

    def is_over():
        live.update(rotation.live(_read_device(interface), int(time.time())))
        return max(live.values(), default=0) < int(time.time())

    _await(is_over, 2)
    return live


def _await_peers(interface, live, seconds):
    """Those of the live peers that handshake again in time."""
    _await(lambda: len(rotation.back(live, _handshakes(interface))) == len(live), seconds)
    return rotation.back(live, _handshakes(interface))


def _await(condition, seconds):
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(HANDSHAKE_POLL_SECONDS)
    return True


def _since(started):
    return round(time.monotonic() - started, 3)


def _handshakes(interface):
    return rotation.handshakes(_run(["wg", "show", interface, "latest-handshakes"]))


def _interface_of(network):
    for interface, of_network in managed().items():
        if of_network == network:
            return interface
    raise CommandExecutionError(f"this minion has no interface of the WireGuard network {network!r}")


def _view(network):
    """From a fresh pillar: the one that the minion holds is as old as its last start or refresh."""
    views = _views(_fresh_pillar())
    _chosen(views, network)
    return views[network]


# -- the way from a view to a device


def _register_and_converge(view, test, wait):
    """Returns the view that was applied, which is a fresh one after a registration, and the result."""
    own_key = public_key(view.interface) if test else keypair(view.interface)
    if view.public_key != own_key or own_key is None:
        if test:
            comment = f"{view.interface} would be registered and set up"
            return view, {
                "result": None,
                "changes": {view.interface: {"old": None, "new": "present"}},
                "comment": comment,
            }
        view = _register_and_wait(view, own_key, wait)
    return view, _converge(view, _key_file(view.interface), test)


def _register_and_wait(view, own_key, wait):
    """Send the registration, and look into fresh pillars until one bears our key."""
    _send(REGISTER_TAG, _signed_registration(view))
    deadline = time.monotonic() + wait
    pause = 0.3
    while True:
        time.sleep(pause)
        fresh = _views(_fresh_pillar()).get(view.network)
        if fresh and fresh.public_key == own_key:
            return fresh
        if fresh and fresh.waiting:
            raise CommandExecutionError(_awaits_decision(fresh))
        if time.monotonic() + pause > deadline:
            raise CommandExecutionError(_unanswered(view, wait))
        pause = min(pause * 1.5, 3.0)


def _awaits_decision(view):
    kept = "this node keeps what it has" if view.public_key else "nothing was set up yet"
    return (
        f"network {view.network} lets an operator decide ({view.waiting}: manual); {kept}. On the master:"
        f" `salt-run wireguard.admit {__opts__['id']}` or `salt-run wireguard.reject {__opts__['id']}`"
    )


def _unanswered(view, wait):
    return (
        f"the master did not take in this node's registration for network {view.network} within {wait:g} s; nothing was"
        f" changed. Something on the master must handle the event {REGISTER_TAG}: configure the engine"
        " (`engines: [{wireguard: {}}]`) or the reactor as in the examples, restart salt-master, and look at"
        " `salt-run wireguard.nodes` for refusals"
    )


def _converge(view, key_file, test):
    """Apply a view: device, then file, then service. Raises WireguardError or CommandExecutionError."""
    with _lock(view.interface):
        _refuse_foreign(view, key_file)
        own_key = _public_key_of(key_file)
        if own_key is None:  # only in a test run: else it was made just before
            changes = {"device": {"old": None, "new": view.interface}}
            return {"result": None, "changes": changes, "comment": f"{view.interface} would be set up with a new key"}
        view = _expanded(view)
        device = _read_device(view.interface)
        endpoints = _resolve(view, device)
        operations = _operations(view, key_file, own_key, device, endpoints, _applied(view))
        changes = wgdiff.changes(operations)
        config = _config(view, key_file)
        if not _is_written(_config_file(view.interface), config):
            changes[_config_file(view.interface)] = {"old": None, "new": "written"}
        service = _service_to_enable(view.interface)
        if service:
            changes[service] = {"old": "disabled", "new": "enabled"}
        outdated = _outdated_key_file(view, own_key)
        if outdated:
            changes[outdated] = {"old": "kept for going back", "new": None}
        if not test:
            _execute(view, key_file, own_key, operations, endpoints)
            _write_config(view.interface, config)
            if outdated:
                os.unlink(outdated)
            if service and not __salt__["service.enable"](service):
                raise CommandExecutionError(
                    f"{service} could not be enabled: {view.interface} works, but is not there after a boot"
                )
        return _result(view, changes, test)


def _expanded(view):
    """The view with two peers for each that rotates its key. Made once an apply: a handshake may change the answer."""
    if not any(peer.next_key for peer in view.peers):
        return view
    return rotation.expand(view, _read_device(view.interface))


def _outdated_key_file(view, own_key):
    """The key from before a rotation, once the pillar shows that the master has taken in the new one."""
    path = _previous_key_file(view.interface)
    return path if view.public_key == own_key and os.path.exists(path) else None


def _result(view, changes, test):
    if not changes:
        return {"result": True, "changes": {}, "comment": f"{view.interface} is as it should be"}
    comment = f"{view.interface} {'would be' if test else 'was'} changed: {_summary(changes)}"
    return {"result": None if test else True, "changes": changes, "comment": comment}


def _summary(changes):
    subjects = [subject if len(subject) < 60 else subject[:57] + "..." for subject in sorted(changes)]
    return ", ".join(subjects[:5]) + (f" and {len(subjects) - 5} more" if len(subjects) > 5 else "")


def _applied(view):
    return render.applied(_read_file(_config_file(view.interface)))


def _operations(view, key_file, own_key, device, endpoints, applied):
    return wgdiff.diff(
        view,
        device,
        key_file=key_file,
        public_key=own_key,
        endpoints=endpoints,
        applied=applied,
        now=int(time.time()),
    )


def _execute(view, key_file, own_key, operations, endpoints):
    """Run the operations, then read the device again: what was not done is an error, whatever the commands said."""
    if not operations:
        return
    for command in wgdiff.commands(operations, view.interface):
        if command[:3] == ("ip", "link", "add"):
            _create_device(view.interface, list(command))
        else:
            _run(list(command))
    # By the same answers of the resolver, and with the view's endpoints as applied: a live peer may have roamed since.
    set_now = {peer.public_key: peer.endpoint for peer in view.peers if peer.endpoint}
    applied = dataclasses.replace(_applied(view), endpoints=set_now)
    device = _read_device(view.interface)
    left = wgdiff.changes(_operations(view, key_file, own_key, device, endpoints, applied))
    if left:
        raise CommandExecutionError(
            f"{view.interface} is still not what it should be after applying: {_summary(left)}."
            " Does something else on this machine change it?"
        )


def _create_device(interface, command):
    """By the kernel where it can, else by wireguard-go, as wg-quick does."""
    try:
        _run(command)
    except CommandExecutionError as exc:
        userspace = shutil.which(os.environ.get("WG_QUICK_USERSPACE_IMPLEMENTATION") or "wireguard-go")
        if _device_exists(interface):
            raise
        if not userspace:
            raise CommandExecutionError(
                f"this kernel has no WireGuard ({exc}). Install the kernel module, or wireguard-go"
            ) from exc
        os.makedirs("/run/wireguard", mode=0o700, exist_ok=True)
        _run([userspace, interface])


def _refuse_foreign(view, key_file):
    """Raise rather than take over an interface that somebody else set up."""
    config = _read_file(_config_file(view.interface))
    if config and not render.is_managed(config):
        raise CommandExecutionError(_not_ours(view.interface))
    owner = render.managed_network(config)
    if config and owner != view.network:
        raise CommandExecutionError(
            f"{view.interface} was set up for {_purpose(owner)} on this minion, and not for {_purpose(view.network)}"
        )
    device = _read_device(view.interface)
    if not config and device and device.public_key not in (None, _public_key_of(key_file)):
        raise CommandExecutionError(
            f"a device {view.interface} exists that was not set up from here, and it is left alone. Take it down, or"
            " choose another `interface:` in the mesh file"
        )


def _purpose(network):
    return f"the network {network}" if network else "explicit arguments of wireguard.present"


def _not_ours(interface):
    return (
        f"{_config_file(interface)} was not written by these modules, and it is left alone. Move it away (the device"
        f" too: `wg-quick down {interface}`), or choose another `interface:`"
    )


# -- endpoints that are names


def _resolve(view, device):
    """
    ``host:port`` -> ``ip:port`` for all endpoints of the view that can be resolved in time.

    A name with several addresses keeps the one that the device uses now.
    """
    current = {peer.endpoint for peer in device.peers.values()} if device else set()
    found = {}
    threads = []
    for text in sorted({peer.endpoint for peer in view.peers if peer.endpoint}):
        endpoint = Endpoint.parse(text)
        if endpoint.host.replace(".", "").isdigit() or ":" in endpoint.host:
            found[text] = text
        else:
            threads.append(threading.Thread(target=_look_up, args=(text, endpoint, current, found), daemon=True))
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + RESOLVE_SECONDS
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    resolved = dict(found)
    for peer in view.peers:
        if peer.endpoint and peer.endpoint not in resolved:
            log.warning(
                "wireguard: %s: the endpoint %s of %s does not resolve", view.interface, peer.endpoint, peer.name
            )
    return resolved


def _look_up(text, endpoint, current, found):
    with contextlib.suppress(OSError, UnicodeError):
        infos = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_DGRAM)
        addresses = [str(Endpoint(info[4][0], endpoint.port)) for info in infos]
        known = [address for address in addresses if address in current]
        found[text] = (known or addresses)[0]


# -- devices and files


def _read_device(interface):
    """None where there is no such device."""
    if not _device_exists(interface):
        return None
    return wgdevice.parse(
        interface,
        _run(["wg", "show", interface, "dump"]),
        _run(["ip", "-json", "address", "show", "dev", interface]),
        _run(["ip", "-json", "-4", "route", "show", "dev", interface, "table", "main"]),
        _run(["ip", "-json", "-6", "route", "show", "dev", interface, "table", "main"]),
    )


def _read_peers(interface):
    """Only the peers: one command instead of four, where it is urgent."""
    return wgdevice.parse_peers(interface, _run(["wg", "show", interface, "dump"], secret=True))


def _device_exists(interface):
    return os.path.exists(f"/sys/class/net/{interface}")


def _wireguard_devices():
    return _run(["wg", "show", "interfaces"]).split() if shutil.which("wg") else []


def _shown(device):
    if device is None:
        return None
    return {
        "public_key": device.public_key,
        "port": device.port,
        "mtu": device.mtu,
        "up": device.up,
        "addresses": sorted(device.addresses),
        "routes": sorted(device.routes),
        "peers": {
            key: {
                "endpoint": peer.endpoint,
                "allowed_ips": sorted(peer.allowed_ips),
                "latest_handshake": peer.latest_handshake,
                "received": peer.rx,
                "sent": peer.tx,
                "keepalive": peer.keepalive,
                "preshared_key": "(hidden)" if peer.has_preshared_key else None,
            }
            for key, peer in sorted(device.peers.items())
        },
    }


def _key_file(interface):
    return os.path.join(CONFIG_DIR, f"{os.path.basename(interface)}.key")


def _next_key_file(interface):
    """The key that a rotation leads to."""
    return _key_file(interface) + ".next"


def _previous_key_file(interface):
    """The key that a rotation comes from, until it is known to be over."""
    return _key_file(interface) + ".previous"


def _config_file(interface):
    return os.path.join(CONFIG_DIR, f"{os.path.basename(interface)}.conf")


def _config(view, key_file):
    return render.render(view).replace(render.PRIVATE_KEY, _read_file(key_file).strip())


def _write_config(interface, text):
    path = _config_file(interface)
    if not _is_written(path, text):
        _replace_file(path, text)


def _is_written(path, text):
    """Whether the file has this text, and nobody but its owner can read it: the private key is in it."""
    return text == _read_file(path) and not os.stat(path).st_mode & 0o077


def _replace_file(path, text):
    with _temporary(path, text.encode()) as temporary:
        os.rename(temporary, path)
    _sync_dir(CONFIG_DIR)


@contextlib.contextmanager
def _temporary(path, content):
    """A complete, synced, 0600 file beside ``path``; gone afterwards unless it was renamed."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=os.path.dirname(path))
        try:
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
            yield name
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
    except OSError as exc:
        raise CommandExecutionError(f"{path} could not be written: {exc.strerror}; it is as it was") from exc


def _sync_dir(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_file(path):
    """The text of a file, empty where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except FileNotFoundError:
        return ""


def _list_dir(path):
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []


def _run(command, stdin=None, check=True, secret=False):
    """
    Run a command, return what it printed.

    The error message has what it wrote to standard error, unless ``secret``, and never what it printed. The environment
    is fixed, so that messages are English.
    """
    try:
        done = subprocess.run(
            command,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError as exc:
        package = {"wg": "wireguard-tools", "ip": "iproute2"}.get(command[0], command[0])
        raise CommandExecutionError(f"{command[0]} is not installed: install {package}") from exc
    except subprocess.TimeoutExpired as exc:
        raise CommandExecutionError(f"`{' '.join(command)[:200]}` did not end within 60 s") from exc
    if check and done.returncode:
        reason = "" if secret else f": {done.stderr.strip()[-300:]}"
        raise CommandExecutionError(f"`{' '.join(command)[:200]}` failed with code {done.returncode}{reason}")
    return done.stdout


# -- boot


def _service(interface):
    return f"wg-quick@{interface}"


def _service_manager():
    """Whether there is a service manager that we may use to bring interfaces up at boot."""
    return salt.utils.systemd.booted(__context__) and __salt__["config.get"]("wireguard:enable_service", True)


def _service_to_enable(interface):
    if not _service_manager() or __salt__["service.enabled"](_service(interface)):
        return None
    return _service(interface)


# -- pillar, events, notes


def _fresh_pillar():
    """Compiled now, by the master. Raises rather than return one with errors: what it lacks must not be torn down."""
    pillar = salt.pillar.get_pillar(
        __opts__,
        dict(__grains__),
        __opts__["id"],
        __opts__.get("saltenv"),
        pillarenv=__opts__.get("pillarenv"),
        clean_cache=True,
    ).compile_pillar()
    _refuse_errors(pillar)
    return pillar


def _refuse_errors(pillar):
    if pillar.get("_errors"):
        raise CommandExecutionError(f"the pillar has errors, nothing was changed: {'; '.join(pillar['_errors'])}")


def _views(pillar):
    """Network -> View. Raises CommandExecutionError or ViewError."""
    networks = _networks(pillar) or {}
    return {name: View.from_dict(networks[name], name) for name in sorted(networks)}


def _networks(pillar):
    """
    Network -> its view as data. None where the pillar does not speak of networks, as when it has other settings only:
    no network at all, by which a node learns that it was removed, is an empty mapping.
    """
    _refuse_errors(pillar)
    settings = pillar.get("wireguard")
    networks = settings.get("networks") if isinstance(settings, Mapping) else settings
    if networks is not None and not isinstance(networks, Mapping):
        raise CommandExecutionError(
            "wireguard:networks in the pillar of this minion must be a mapping; nothing was changed"
        )
    return networks


def _chosen(views, network):
    if network is None:
        return list(views)
    if network not in views:
        raise CommandExecutionError(
            f"the pillar of this minion has no WireGuard network {network!r}; it has: {', '.join(views) or 'none'}."
            " Is the minion in the mesh file, and its pillar refreshed?"
        )
    return [network]


def _send(tag, signed):
    if not __salt__["event.send"](tag, {"signed": signed}):
        log.warning("wireguard: the event %s could not be sent to the master", tag)


def _send_report_once(view):
    """Tell the master what was applied, unless it was told. If that gets lost, the next reconcile asks."""
    if _notes(view.network).get("reported") != view.digest:
        _send(REPORT_TAG, _signed_report(view.network, view.digest, view.serial))
        _note(view.network, reported=view.digest)


def _notes_dir():
    return os.path.join(__opts__["cachedir"], "wireguard")


def _notes_file(network):
    return os.path.join(_notes_dir(), f"{os.path.basename(network)}.json")


def _notes(network):
    """What this node remembers for its own use; nothing breaks when it is lost."""
    try:
        notes = json.loads(_read_file(_notes_file(network)) or "{}")
    except ValueError:
        return {}
    return notes if isinstance(notes, dict) else {}


def _note(network, **values):
    path = _notes_file(network)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with _temporary(path, json.dumps({**_notes(network), **values}).encode()) as temporary:
        os.rename(temporary, path)


@contextlib.contextmanager
def _lock(interface):
    """One apply at a time: a state run and a pushed sync may meet. The kernel releases it when the holder dies."""
    directory = _notes_dir()
    os.makedirs(directory, mode=0o700, exist_ok=True)
    with open(os.path.join(directory, f"{os.path.basename(interface)}.lock"), "w", encoding="utf-8") as handle:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise CommandExecutionError(
                        f"another apply has been working on {interface} for {LOCK_SECONDS:g} s; see `ps` on this minion"
                    ) from None
                time.sleep(0.1)
        yield


@contextlib.contextmanager
def _salt_errors():
    """Translate our errors into the one that Salt prints without a traceback."""
    try:
        yield
    except (WireguardError, OSError) as exc:
        raise CommandExecutionError(str(exc)) from exc
