"""
The configuration file of an interface: a complete wg-quick file, written from a view and read back.

wg-quick reads it at boot. We read it to learn what was applied last (``parse``). Text from others, such as a minion id
in a comment, is written as it is: a secret never replaces a placeholder, which others could have written. Only the line
of the private key gets that key.

On a node, no endpoint in the file is a name: for one name that does not resolve, wg-quick fails the whole interface, or
waits for ever. The name is in a comment, and the endpoint is its last known address, if any.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..device import exits, forwarding, routes
from ..errors import ViewError
from ..model.endpoint import canonical_endpoint
from ..model.keys import PrivateKey
from ..model.peer import OtherKey, Peer
from ..model.view import View

# Settings of ours that wg-quick takes for comments.
_PRESHARED_BY, _HOSTS, _DOMAIN = "# Preshared keys of secret", "# Hosts", "# Domain"
_ENDPOINT_NAME = "# Endpoint by name"
_OTHERS = "# Other endpoints"
_ADDRESSES = "# Addresses"
_OFFER, _WITHHOLD = "# Offer", "# Withhold"

# The line before one that was there before the interface was taken over, and what such lines may be.
_KEPT = "# Kept"
_KEPT_OF_PEER = re.compile(rf"\n{_KEPT}\n(PresharedKey|PersistentKeepalive)(?= = )")
_MAY_BE_KEPT = re.compile(r"(PreUp|PostUp|PreDown|PostDown|DNS|FwMark) = \S.*")

# The line after the name of a peer that stands for another key of a node.
_OTHER_KEY = re.compile(r"# (?P<which>Next|Old) key of (?P<node>.+)")

_MARKER = re.compile(
    r"# Managed by Salt \(saltext-wireguard\)(?:, network (?P<network>.+))?\. Changes made here are lost\."
)


_LET_GO = "# Written by Salt (saltext-wireguard), which does not manage it any more."
_OWN = re.compile(r"(PostUp|PostDown|FwMark|Table) = ")

# Comments of ours behind a setting.
_VIA = " # default route via "
_DYNAMIC = " # routes by a routing daemon"
_BY_PATHS = " # by the paths to the peers"

_SETTINGS = {
    *("PrivateKey", "ListenPort", "FwMark", "Address", "MTU", "Table", "PostUp", "PostDown"),
    *(_PRESHARED_BY, _HOSTS, _DOMAIN, _ADDRESSES, _OFFER, _WITHHOLD),
}


def render(view: View, private_key: PrivateKey, endpoints: Mapping[str, str]) -> str:
    """
    Return the file's text, with the private key and the preshared keys.

    :param endpoints: endpoint in the view to ``ip:port``, for those that are known
    :raises ViewError: where a value would break its line: wg-quick runs a ``PostUp`` line as root
    """
    return managed_text(view, lines(view, private_key, endpoints))


def lines(view: View, private_key: PrivateKey, endpoints: Mapping[str, str] | None = None) -> Iterator[str]:
    """
    The lines of a wg-quick file. ``endpoints``: as ``render`` takes them; None for a machine that is no node. There,
    names stay as they are, and wg-quick, or an app that reads such a file, makes the routes in its own way.
    """
    yield from _interface(view, private_key, endpoints is not None)
    for peer in sorted(view.peers, key=lambda peer: peer.name):
        yield ""
        yield from _peer(peer, endpoints)


def managed_text(view: View, lines: Iterable[str]) -> str:
    """Return these lines as a file that is marked as ours. Raises ViewError as ``render`` does."""
    network = f", network {view.network}" if view.network is not None else ""
    first = f"# Managed by Salt (saltext-wireguard){network}. Changes made here are lost."
    return "\n".join(checked(view, [first, *lines])) + "\n"


def checked(view: View, lines: Iterable[str]) -> list[str]:
    """Return the lines, or raise ViewError as ``render`` does. They may be indented with tabs."""
    whole = list(lines)
    for line in whole:
        if not line.lstrip("\t").isprintable():
            raise ViewError(f"{view.interface}: a control character or unprintable character in {line!r}")
    return whole


def is_managed(text: str) -> bool:
    """Tell whether a file is ours."""
    return _marker(text) is not None


def managed_network(text: str) -> str | None:
    """Return the network that our file belongs to; None for a file without one, or not ours."""
    marker = _marker(text)
    return marker["network"] if marker else None


def let_go(text: str) -> str:
    """Our file as one that is nobody's: a plain wg-quick file."""
    return f"{_LET_GO}\n{text.partition(chr(10))[2]}"


def without_own_hooks(text: str) -> str:
    """A file of ours, or one that was, without the settings that we make ourselves; any other file as it is."""
    if not is_managed(text) and not text.startswith(f"{_LET_GO}\n"):
        return text
    lines = text.split("\n")
    own = {place for place, line in enumerate(lines) if _OWN.match(line) and lines[place - 1] != _KEPT}
    return "\n".join(line for place, line in enumerate(lines) if place not in own)


def parse(text: str, interface: str) -> View | None:
    """
    Return the view that our file was written from; None for a file that is not ours, or that somebody damaged.

    The view lacks what only the master knows, such as ``public_key``, ``serial`` and ``waiting``. A peer that announced
    a next key is in it as two peers, as ``rotation.expand`` made them. The private key is skipped.
    """
    marker = _marker(text)
    if marker is None or not text.endswith("\n"):
        return None
    first, *others = text.partition("\n")[2].removesuffix("\n").split("\n\n")
    try:
        first, kept = _without_kept(first)
        settings = _settings(first, "[Interface]", _SETTINGS)
        peers = _by_name([_read_peer(section) for section in others])
        view = View.from_dict({"interface": interface, **_read_interface(settings), **peers}, marker["network"])
        marks = dict(mark for section in others for mark in _read_other_key(section))
        kept_of = {section.partition("\n")[0][2:]: {*_KEPT_OF_PEER.findall(section)} for section in others}
        peers_ = (_with_marks(each, marks.get(each.name), kept_of[each.name]) for each in view.peers)
        view = replace(view, peers=tuple(peers_))
        path_mtu = _number(settings["MTU"].removesuffix(_BY_PATHS)) if _is_by_paths(settings) else None
        bypass_addresses = tuple(exits.bypass_addresses_of(settings.get("PostUp", "")))
        view = replace(view, bypass_addresses=bypass_addresses, path_mtu=path_mtu, kept=kept)
        hooks = [f"{name} = {settings[name]}" for name in ("PostUp", "PostDown") if name in settings]
        return view if hooks == list(_hooks(view)) else None
    except (ValueError, ViewError):
        # Somebody edited the file. It will be replaced soon; until then, no record is better than a wrong one.
        return None


def without_peers(text: str, interface: str, public_keys: Collection[str]) -> str:
    """
    Return our file without the peers that have these keys, and without their host names. The text is unchanged if it
    has none of them, is not ours, or was damaged.
    """
    view = parse(text, interface)
    if view is None or not any(peer.public_key in public_keys for peer in view.peers):
        return text
    return render(view.without_peers(public_keys), _private_key(text), addresses_of(text))


def with_addresses(text: str, interface: str, addresses: Mapping[str, str]) -> str:
    """
    Return our file with other addresses of the names in endpoints. The very same text for a file that is not ours, or
    that somebody damaged.

    :param addresses: endpoint as the view has it to ``ip:port``; the others stay as they are
    """
    view = parse(text, interface)
    return text if view is None else render(view, _private_key(text), {**addresses_of(text), **addresses})


def addresses_of(text: str) -> dict[str, str]:
    """Return endpoint to ``ip:port`` of the endpoints that are names, as our file has them."""
    known = re.findall(rf"^{_ENDPOINT_NAME} = (\S+)\nEndpoint = (\S+)$", text, re.MULTILINE)
    return dict(known) if is_managed(text) else {}


def _private_key(text: str) -> PrivateKey:
    (private_key,) = re.findall(r"^PrivateKey = (.*)$", text, re.MULTILINE)
    return PrivateKey(private_key)


def _interface(view: View, private_key: PrivateKey, is_node: bool) -> Iterator[str]:
    yield "[Interface]"
    yield f"PrivateKey = {private_key.text}"
    if view.port is not None:
        yield f"ListenPort = {view.port}"
    if view.via is not None:
        yield f"FwMark = {exits.mark(view):#x}"
    yield from _addresses(view.addresses if is_node else view.all_addresses, is_node)
    if view.dns:
        yield f"DNS = {', '.join(view.dns)}"
    if view.mtu is not None:
        yield f"MTU = {view.mtu}"
    elif view.path_mtu is not None:
        yield f"MTU = {view.path_mtu}{_BY_PATHS}"
    yield from (line for kept in view.kept if is_node for line in (_KEPT, kept))
    yield from _routing(view) if is_node else _routing_elsewhere(view)
    yield from _remarks(view)


def _remarks(view: View) -> Iterator[str]:
    """What wg-quick takes for comments."""
    for name, values in ((_OFFER, view.offers.only), (_WITHHOLD, view.offers.never)):
        if values:
            yield f"{name} = {', '.join(values)}"
    if view.preshared:
        yield f"{_PRESHARED_BY} = {view.preshared}"
    if view.hosts:
        yield f"{_HOSTS} = {', '.join(' '.join([each.name, *each.addresses]) for each in view.hosts.names)}"
        if view.hosts.domain:
            yield f"{_DOMAIN} = {view.hosts.domain}"


def _addresses(addresses: Sequence[str], is_node: bool) -> Iterator[str]:
    """On a node without IPv6, wg-quick would give up the whole device for an IPv6 address: it is left to a command."""
    by_wg_quick = [each for each in addresses if not is_node or ":" not in each]
    if by_wg_quick:
        yield f"Address = {', '.join(by_wg_quick)}"
    if len(by_wg_quick) < len(addresses):
        yield f"{_ADDRESSES} = {', '.join(addresses)}"


def _routing(view: View) -> Iterator[str]:
    if view.dynamic_routing:
        yield f"Table = off{_DYNAMIC}"
    elif view.via is not None or any(peer.allowed_ips for peer in view.peers):
        yield "Table = off" + ("" if view.via is None else f"{_VIA}{view.via}")
    yield from _hooks(view)


def _routing_elsewhere(view: View) -> Iterator[str]:
    if view.dynamic_routing:
        yield "Table = off"


def _hooks(view: View) -> Iterator[str]:
    """All routes are made here, as wg-quick gives up the whole device if one of them exists already."""
    up = [forwarding.at_boot(view.addresses)] if view.forwarding else []
    up += [f"ip -6 address add {each} dev {view.interface} || :" for each in view.all_addresses if ":" in each]
    up += routes.at_up(view)
    if view.via is not None:
        up += exits.at_up(view)
    if up:
        yield f"PostUp = {'; '.join(up)}"
    if view.via is not None:
        yield f"PostDown = {'; '.join(exits.at_down(view))}"


def _peer(peer: Peer, endpoints: Mapping[str, str] | None) -> Iterator[str]:
    yield f"# {peer.name}"
    if peer.other_key:
        yield f"# {'Next' if peer.other_key.is_next else 'Old'} key of {peer.other_key.node}"
    yield "[Peer]"
    yield f"PublicKey = {peer.public_key}"
    if peer.preshared_key:
        if not peer.preshared:
            yield _KEPT
        yield f"PresharedKey = {peer.preshared_key}"
    if peer.allowed_ips:
        yield f"AllowedIPs = {', '.join(peer.allowed_ips)}"
    yield from _endpoint(peer, endpoints)
    if peer.effective_keepalive:
        if not peer.keepalive:
            yield _KEPT
        yield f"PersistentKeepalive = {peer.effective_keepalive}"


def _endpoint(peer: Peer, endpoints: Mapping[str, str] | None) -> Iterator[str]:
    address = peer.endpoint
    if endpoints is not None and peer.endpoint and peer.has_name_as_endpoint:
        yield f"{_ENDPOINT_NAME} = {peer.endpoint}"
        address = endpoints.get(peer.endpoint)
    if address is not None:
        yield f"Endpoint = {address}"
    if endpoints is not None and peer.others:
        yield f"{_OTHERS} = {', '.join(peer.others)}"


def _marker(text: str) -> re.Match[str] | None:
    return _MARKER.fullmatch(text.partition("\n")[0])


def _read_interface(settings: Mapping[str, str]) -> dict[str, object]:
    if "PrivateKey" not in settings:
        raise ValueError("no private key")
    addresses = _list(settings.get(_ADDRESSES, settings.get("Address")))
    up = settings.get("PostUp", "")
    return {
        "port": _number(settings.get("ListenPort")),
        "addresses": addresses,
        "mtu": None if _is_by_paths(settings) else _number(settings.get("MTU")),
        "forwarding": "PostUp" in settings and up.startswith(forwarding.at_boot(addresses)),
        "via": settings["Table"].partition(_VIA)[2] if _VIA in settings.get("Table", "") else None,
        "other_ports": exits.other_ports_of(up),
        "dynamic_routing": settings.get("Table", "").endswith(_DYNAMIC),
        "preshared": settings.get(_PRESHARED_BY),
        "hosts": _read_hosts(settings),
        "offer": _list(settings.get(_OFFER)),
        "withhold": _list(settings.get(_WITHHOLD)),
    }


def _read_hosts(settings: Mapping[str, str]) -> dict[str, object] | None:
    if _HOSTS not in settings:
        return None
    machines = [text.split(" ") for text in _list(settings[_HOSTS])]
    return {"names": {name: addresses for name, *addresses in machines}, "domain": settings.get(_DOMAIN)}


def _without_kept(section: str) -> tuple[str, tuple[str, ...]]:
    """The section without the lines that are kept, and these."""
    lines = section.split("\n")
    places = [place for place, line in enumerate(lines) if line == _KEPT]
    kept = tuple(lines[place + 1] for place in places if place + 1 < len(lines))
    if len(kept) != len(places) or not all(map(_MAY_BE_KEPT.fullmatch, kept)):
        raise ValueError(section)
    gone = {each for place in places for each in (place, place + 1)}
    return "\n".join(line for place, line in enumerate(lines) if place not in gone), kept


def _is_by_paths(settings: Mapping[str, str]) -> bool:
    return settings.get("MTU", "").endswith(_BY_PATHS)


def _read_peer(section: str) -> tuple[str, dict[str, object]]:
    title, _, rest = section.partition("\n")
    if not title.startswith("# "):
        raise ValueError(title)
    if _OTHER_KEY.fullmatch(rest.partition("\n")[0]):
        rest = rest.partition("\n")[2]
    rest = _KEPT_OF_PEER.sub(r"\n\1", rest)
    known = {"PublicKey", "PresharedKey", "AllowedIPs", _ENDPOINT_NAME, "Endpoint", _OTHERS, "PersistentKeepalive"}
    settings = _settings(rest, "[Peer]", known)
    if _ENDPOINT_NAME in settings and "Endpoint" in settings:
        canonical_endpoint(settings["Endpoint"])
    return title[2:], {
        "public_key": settings.get("PublicKey"),
        "preshared_key": settings.get("PresharedKey"),
        "allowed_ips": _list(settings.get("AllowedIPs")),
        "endpoint": settings.get(_ENDPOINT_NAME, settings.get("Endpoint")),
        "others": _list(settings.get(_OTHERS)),
        "keepalive": _number(settings.get("PersistentKeepalive")),
    }


def _with_marks(peer: Peer, other_key: OtherKey | None, kept: Collection[str]) -> Peer:
    """``kept``: the names of the settings that are marked as kept."""
    peer = replace(peer, other_key=other_key, preshared=peer.preshared and "PresharedKey" not in kept)
    return replace(peer, keepalive=0, kept_keepalive=peer.keepalive) if "PersistentKeepalive" in kept else peer


def _read_other_key(section: str) -> Iterator[tuple[str, OtherKey]]:
    """(name of the peer, the key that it stands for), if that is another key of a node."""
    title, second, *_ = section.split("\n")
    mark = _OTHER_KEY.fullmatch(second)
    if mark:
        yield title[2:], OtherKey(mark["node"], mark["which"] == "Next")


def _by_name(peers: list[tuple[str, dict[str, object]]]) -> dict[str, object]:
    by_name = dict(peers)
    if len(by_name) != len(peers):
        raise ValueError("two peers have one name")
    return {"peers": by_name}


def _settings(section: str, head: str, known: set[str]) -> dict[str, str]:
    """The settings under this heading. Raises ValueError for anything that ``render`` does not write."""
    first, *lines = section.split("\n")
    pairs = [line.split(" = ", 1) for line in lines]
    settings = {pair[0]: pair[-1] for pair in pairs}
    if first != head or len(settings) != len(pairs) or not known.issuperset(settings):
        raise ValueError(section)
    return settings


def _number(value: str | None) -> int | None:
    return int(value) if value is not None else None


def _list(value: str | None) -> list[str]:
    return value.split(", ") if value else []
