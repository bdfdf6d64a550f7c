"""
Taking over an interface that somebody else set up, and giving it back.

The device stays up and keeps its key and its sessions. First the node's key is put where ours are, and the node
registers with it (``announce``). Once all have done so, each can be taken over alone and in any order, as all others
stay its peers. At any moment, the node boots by the old files or by ours, whole.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from ..errors import GuardError, NodeError, WireguardError
from ..formats import foreign, wg_quick
from ..formats.foreign import Config
from ..model.statements import REGISTER_TAG, REPORT_TAG
from ..model.view import View
from ..system import files
from ..system.commands import run
from ..system.keypair import public_of
from ..wording import some
from . import adopted, apply, at_boot, clean, config_files, devices, inventory, kept, keys, reports
from .boot import networkd
from .clones import refuse_clone
from .inventory import Found
from .minion import Minion
from .pillar import select, views
from .trial import Safety

log = logging.getLogger(__name__)

Part = dict[str, Any]

# Programs that would bring the interface up beside our file, in a way that we cannot turn off.
_IN_THE_WAY = ("ifupdown", "netplan", "NetworkManager")


def announce(minion: Minion, network: str | None, signed: bool) -> dict[str, Any]:
    """
    Have each interface that is not ours yet keep its key when it is taken over, and register with it. The device and
    the files of others are not touched.

    :param signed: return statements, rather than send them as events
    :raises WireguardError: or OSError, if there is no pillar; an error in one network is in that network's result
    """
    answer: dict[str, Any] = {"networks": {}, REGISTER_TAG: []}
    for view in select(views(minion.fresh_pillar()), network):
        try:
            comment = _nothing_to_take(view)
            if comment is None:
                with minion.lock(view.interface):
                    comment = _announce(minion, view)
                answer[REGISTER_TAG].append(minion.statements().registration(view))
            answer["networks"][str(view.network)] = {"result": True, "comment": comment}
        except (WireguardError, OSError) as exc:
            answer["networks"][str(view.network)] = {"result": False, "comment": str(exc)}
    return _answered(minion, answer, signed)


def _answered(minion: Minion, answer: dict[str, Any], signed: bool) -> dict[str, Any]:
    for tag in (REGISTER_TAG, REPORT_TAG):
        if not signed:
            minion.send(tag, answer.pop(tag, []))
    return answer


def _announce(minion: Minion, view: View) -> str:
    refuse_clone(minion, view)
    private = _private_key(view.interface, _foreign(view.interface))
    path = config_files.key_file(view.interface)
    if files.read(path).strip() != private:
        aside = keys.put_aside(path)
        if aside:
            log.warning("wireguard: %s had a key that %s does not use; it is kept in %s", path, view.interface, aside)
        files.add(path, private + "\n")
    return f"{view.interface} keeps its key {public_of(private)}"


def take(
    minion: Minion, network: str | None, signed: bool, test: bool, force: bool, reason: str | None
) -> dict[str, Any]:
    """
    Make the interfaces of others those of our networks.

    :param signed: return statements, rather than send them as events
    :raises WireguardError: or OSError, if there is no pillar; an error in one network is in that network's result
    """
    safety = minion.safety(force, reason)
    answer: dict[str, Any] = {"networks": {}, REPORT_TAG: []}
    for view in select(views(minion.fresh_pillar()), network):
        try:
            nothing = _nothing_to_take(view)
            if nothing:
                if not test:
                    _let_networkd_go(view.interface)
                answer["networks"][str(view.network)] = {"result": True, "changed": [], "comment": nothing}
                continue
            part, obstacles = _take(minion, view, test, safety)
            answer["networks"][str(view.network)] = part
            if not test:
                answer[REPORT_TAG] += reports.of_success(minion, view, obstacles)
                reports.refresh_schedule(minion, view)
        except (WireguardError, OSError) as exc:
            answer["networks"][str(view.network)] = {"result": False, "comment": str(exc)}
    return _answered(minion, answer, signed)


def _take(minion: Minion, view: View, test: bool, safety: Safety) -> tuple[Part, tuple[str, ...]]:
    found = _foreign(view.interface)
    if view.public_key is None or view.public_key != keys.public_key(config_files.key_file(view.interface)):
        raise NodeError(
            f"{view.interface} is not registered with its key yet: `salt-run wireguard.adopt take=...` on the master"
        )
    objections = [*_objections(view, found)]
    if objections and not safety.forced:
        raise GuardError(
            f"{view.interface}: not taken over, and nothing was changed: {'; '.join(objections)}. If that is meant:"
            " `force=True reason=...`"
        )
    paths = found.files if found else ()
    copies = [] if test else adopted.keep(paths)
    try:
        outcome = apply.converge_locked(minion, view, config_files.key_file(view.interface), test, safety, True)
    except (WireguardError, OSError):
        if not test:
            _put_back(view.interface, paths)
        raise
    if not test:
        _let_networkd_go(view.interface)
    said = [outcome.comment, *(_said(found, copies))]
    changed = sorted(str(change.subject) for change in outcome.changes)
    return {"result": None if test else True, "changed": changed, "comment": "; ".join(said)}, outcome.obstacles


def _let_networkd_go(interface: str) -> None:
    """Remove the files of others that are kept. A power cut may have left them after an earlier take-over."""
    for path in _networkd_originals(interface):
        if adopted.is_kept(path) and not wg_quick.is_managed(files.read(path)):
            files.remove(path)


def _said(found: Found | None, copies: list[str]) -> Iterator[str]:
    if copies:
        yield f"the old configuration is kept in {some(copies)}"
    if found and kept.lines(found.config):
        names = [line.partition(" =")[0] for line in kept.lines(found.config)]
        yield f"kept of it: {', '.join(dict.fromkeys(names))}"
    lost = [name for name, _ in found.config.others if name not in kept.KEPT] if found else []
    if lost:
        yield f"not kept: {', '.join(dict.fromkeys(lost))}"


def _objections(view: View, found: Found | None) -> Iterator[str]:
    config = found.config if found else Config()
    device = devices.read(view.interface)
    names = {peer.public_key: peer.name for peer in config.peers}
    before = {*names, *(device.peers if device else ())}
    after = {key for peer in view.peers for key in (peer.public_key, peer.next_key)}
    gone = before - after
    if gone:
        yield f"the mesh file does not have {len(gone)} of its peers ({some(names.get(key) or key for key in gone)})"
    networks = {text for peer in config.peers for text in peer.allowed_ips}
    if view.via is None and any(text.endswith("/0") for text in networks):
        yield "its default route leads into the tunnel, and the mesh file has no `via` for it"
    for name, value in config.others:
        if name == "Table" and value.lower() not in ("auto", "off", "main"):
            yield f"its routes are in the table {value}, and would be in the main one"
    if found:
        yield from (f"{found.files[0]}: {problem}" for problem in config.problems)
        yield from _in_the_way(view.interface)


def _in_the_way(interface: str) -> Iterator[str]:
    for starter in at_boot.starters(interface):
        if starter.program in _IN_THE_WAY:
            yield f"{starter} would bring it up beside our own file: take it out there first"


def unadopt(minion: Minion, interface: str, test: bool, force: bool, reason: str | None) -> str:
    """
    Put the files back that were there before the take-over. The device stays as it is. Raises WireguardError or
    OSError.
    """
    forced = minion.safety(force, reason).forced
    with minion.lock(interface):
        own = config_files.config_file(interface)
        copies = adopted.latest([own, *_networkd_originals(interface)])
        if not copies or not wg_quick.is_managed(files.read(own)):
            raise NodeError(f"{interface} was not taken over, or was given back already: nothing to put back")
        before = keys.public_key(config_files.key_file(interface))
        found = _config_of(copies)
        if not forced and inventory.public_key(found) not in (None, before):
            raise GuardError(
                f"{interface} has another key now than in {some(copies.values())}, which its peers no longer know. If"
                " that is meant: `force=True reason=...`"
            )
        left = _left_since(interface, found)
        if left and not forced:
            raise GuardError(
                f"{some(copies.values())} would let in at the next boot whom {interface} has no longer as a peer:"
                f" {some(left)}. If that is meant: `force=True reason=...`"
            )
        if not test:
            _give_back(minion, interface, copies)
        verb = "would be" if test else "are"
        return f"{some(copies)} {verb} as before the take-over; the device {interface} stays as it is"


def _left_since(interface: str, found: Config) -> list[str]:
    """The peers of the old files that the interface does not have any more, such as revoked ones."""
    view = config_files.written(interface)
    present = {key for peer in view.peers for key in (peer.public_key, peer.next_key)} if view else set()
    return [peer.name or peer.public_key for peer in found.peers if peer.public_key not in present]


def _give_back(minion: Minion, interface: str, copies: dict[str, str]) -> None:
    """Each file in one step. Of ours, that of wg-quick goes last: until then, it is what boots."""
    own = config_files.config_file(interface)
    for path, copy in sorted(copies.items(), key=lambda item: item[0] == own):
        files.rename(copy, path)
    if own not in copies:
        boot = minion.boot()
        boot.disable(interface)
        files.remove(own)


def _put_back(interface: str, paths: tuple[str, ...]) -> None:
    """After a take-over that failed."""
    for path, copy in adopted.latest(paths).items():
        files.rename(copy, path)
    own = config_files.config_file(interface)
    if own not in paths:
        files.remove(own)


# -- what is there


def _nothing_to_take(view: View) -> str | None:
    """
    Why there is nothing to take over; None if there is. Raises NodeError where there may be, but under another name.
    """
    if view.interface in config_files.managed():
        return f"{view.interface} is ours already"
    if _foreign(view.interface) or devices.exists(view.interface):
        return None
    others = clean.unmanaged()
    if others:
        raise NodeError(
            f"this machine has no {view.interface} of somebody else, but {some(others)}: correct `interface:` in the"
            " mesh file, or leave this minion out"
        )
    return f"{view.interface} is new: `state.apply wireguard` sets it up"


def _foreign(interface: str) -> Found | None:
    """What files of others say of the interface."""
    found = inventory.find(interface)
    return None if found is None or wg_quick.is_managed(files.read(found.files[0])) else found


def _private_key(interface: str, found: Found | None) -> str:
    """That of the device, or else of the files. Raises NodeError where these differ."""
    written = inventory.private_key(found.config) if found else ""
    live = ""
    if devices.exists(interface):
        live = run(["wg", "show", interface, "private-key"], secret=True).strip().replace("(none)", "")
    if written and live and written != live:
        raise NodeError(
            f"the device {interface} has another private key than {found.files[0] if found else ''}, so it is not clear"
            " which one its peers know: correct the file, or bring the interface up anew"
        )
    if not written and not live:
        raise NodeError(f"{interface} has no private key, in neither its files nor the device")
    return live or written


def _networkd_originals(interface: str) -> list[str]:
    """The files of networkd about this interface of which there are copies."""
    paths = adopted.originals(networkd.CONFIG_DIR)
    copies = {path: copy for path in paths for copy in adopted.latest([path]).values()}
    return [path for path, copy in copies.items() if foreign.name_in(files.read(copy)) == interface]


def _config_of(copies: dict[str, str]) -> Config:
    texts = {path: files.read(copy) for path, copy in copies.items()}
    own = [text for path, text in texts.items() if path.endswith(".conf")]
    if own:
        return foreign.parse_wg_quick(own[0])
    netdev = next(text for path, text in texts.items() if path.endswith(".netdev"))
    return foreign.parse_networkd(netdev)
