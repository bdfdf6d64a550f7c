"""Networks that live by files of wg-quick, as people write them, and what a look at them finds."""

from dataclasses import dataclass, field

from factories import public_key
from saltext.wireguard.formats import foreign


@dataclass
class Machine:
    """``endpoint``: what others use for it; ``inside``: what those of its site use. ``behind``: networks behind it."""

    name: str
    address: str
    endpoint: str | None = None
    port: int | None = 51820
    site: str | None = None
    inside: str | None = None
    behind: tuple = ()
    is_minion: bool = True
    peers: dict = field(default_factory=dict)  # name -> lines of its section


def link(one, other, keepalive=25, behind=()):
    """Make two machines peers, as a person would: who cannot be reached keeps its NAT open."""
    for mine, theirs in ((one, other), (other, one)):
        if mine.is_minion:
            inside = theirs.inside if mine.site and mine.site == theirs.site else None
            endpoint = inside or theirs.endpoint
            networks = [f"{theirs.address}/32", *theirs.behind, *(behind if theirs is other else ())]
            lines = [f"# {theirs.name}", "[Peer]", f"PublicKey = {public_key(theirs.name)}"]
            lines.append(f"AllowedIPs = {', '.join(networks)}")
            reachable = mine.endpoint or (mine.site and mine.site == theirs.site and mine.inside)
            if endpoint:
                lines.append(f"Endpoint = {endpoint}")
                if not reachable and keepalive:
                    lines.append(f"PersistentKeepalive = {keepalive}")
            mine.peers[theirs.name] = lines


def text(machine, prefix=24):
    """Its wg0.conf."""
    lines = ["[Interface]", f"Address = {machine.address}/{prefix}", "PrivateKey = (its private key)"]
    if machine.port:
        lines.append(f"ListenPort = {machine.port}")
    for section in machine.peers.values():
        lines += ["", *section]
    return "\n".join(lines) + "\n"


def look(*machines, interface="wg0", **settings):
    """Machine -> its interfaces, of those that are minions."""
    return {
        each.name: {
            interface: foreign.parse_wg_quick(text(each, **settings)).inventory(
                interface, [f"/etc/wireguard/{interface}.conf"], public_key(each.name)
            )
        }
        for each in machines
        if each.is_minion
    }
