"""What hosts are plugged into: the lab's Internet, and the LANs of sites, each behind a router with NAT."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from . import netns

INTERNET = IPv4Network("10.66.0.0/24")
# What is reserved for examples, and what they give public machines: who has one of these is reached at it.
PUBLIC = ("203.0.113.0/24", "2001:db8::/32")
DEFAULT_LAN = IPv4Network("192.168.1.0/24")
ROUTER = 1  # its number in a LAN

# As most routers do: out goes everything, and in comes what answers that or was forwarded. A fresh port for each flow
# makes sure that nobody meets by chance.
RULES = """\
table inet router
delete table inet router
table inet router {{
    chain forward {{
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname "lan" accept
        ct status dnat accept
        {opened}
    }}
    chain prerouting {{
        type nat hook prerouting priority -100;
        {forwarded}
    }}
    chain postrouting {{
        type nat hook postrouting priority 100;
        oifname "eth0" ip saddr {lan} masquerade random
    }}
}}
"""


@dataclass(frozen=True)
class Segment:
    """
    A bridge in a namespace, and the addresses of those who are plugged into it.

    ``prefix6`` is what the number of a host is put behind, None where there is no IPv6. ``has_router``: beyond the
    segment there are others.
    """

    namespace: str
    bridge: str
    ipv4: IPv4Network
    prefix6: str | None
    has_router: bool

    def address4(self, number: int) -> str:
        """IPv4 address of a host."""
        return str(self.ipv4[number])

    def address6(self, number: int) -> str | None:
        """IPv6 address of a host; its digits are those of the IPv4 one."""
        return f"{self.prefix6}{number}" if self.prefix6 else None

    def make_bridge(self) -> None:
        """Make it in the namespace, which is there."""
        bridge = f"link add {self.bridge} type bridge mcast_snooping 0 forward_delay 0"
        netns.run_ip("-n", self.namespace, lines=["link set lo up", bridge, f"link set {self.bridge} up"])

    def plug_in(self, namespace: str, number: int) -> None:
        """
        Make a namespace with a cable to here. A fixed MAC address, so that a reboot leaves no neighbour a stale entry.
        """
        port = f"port{number}"
        netns.run_ip("netns", "add", namespace)
        cable = f"link add {port} type veth peer name eth0 address 02:66:00:00:00:{number:02x}"
        plug = [f"{cable} netns {namespace}", f"link set {port} master {self.bridge} up"]
        netns.run_ip("-n", self.namespace, lines=plug)
        if self.has_router and self.prefix6:  # which answers outside for what is inside, a public address
            netns.run_ip("-n", self.namespace, "neigh", "replace", "proxy", f"{self.prefix6}{number}", "dev", "eth0")
        lines = ["link set lo up", "link set eth0 up", *self._addresses(number), *self._routes()]
        netns.run_ip("-n", namespace, lines=lines)

    def _addresses(self, number: int) -> Iterator[str]:
        yield f"addr add {self.address4(number)}/{self.ipv4.prefixlen} dev eth0"
        if self.prefix6:
            yield f"addr add {self.address6(number)}/{112 if self.has_router else 64} dev eth0 nodad"

    def _routes(self) -> Iterator[str]:
        if not self.has_router:
            yield from (f"route add {network} dev eth0" for network in PUBLIC)
            return
        yield f"route add 0.0.0.0/0 via {self.address4(ROUTER)}"
        if self.prefix6:
            yield f"route add ::/0 via {self.address6(ROUTER)}"


def internet(namespace: str) -> Segment:
    """Return the segment with the master."""
    return Segment(namespace, "switch", INTERNET, "fd66::", has_router=False)


@dataclass(frozen=True)
class Forward:
    """What the router of a site lets in: UDP at its own ``outside`` port goes to a host's ``inside`` port."""

    outside: int
    host: int
    inside: int


@dataclass(frozen=True)
class Site:
    """A LAN and its router, which has ``number`` on the Internet."""

    namespace: str
    number: int
    lan: IPv4Network
    has_ipv6: bool
    forwards: Sequence[Forward] = ()

    @property
    def segment(self) -> Segment:
        """What its hosts are plugged into."""
        return Segment(self.namespace, "lan", self.lan, f"2001:db8::{self.number}:" if self.has_ipv6 else None, True)

    def make(self, outside: Segment) -> None:
        """Make the router, plugged into ``outside``, and its LAN."""
        outside.plug_in(self.namespace, self.number)
        inside = self.segment
        inside.make_bridge()
        lines = [f"addr add {inside.address4(ROUTER)}/{self.lan.prefixlen} dev lan"]
        if inside.prefix6:
            lines.append(f"addr add {inside.address6(ROUTER)}/112 dev lan nodad")
        netns.run_ip("-n", self.namespace, lines=lines)
        switches = ["ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv6/conf/eth0/proxy_ndp"]
        netns.run_in(self.namespace, ["sh", "-c", "; ".join(f"echo 1 > /proc/sys/net/{each}" for each in switches)])
        self.filter()

    def filter(self) -> None:
        """Let in what is forwarded, and nothing else. IPv6 is let in to the host itself, at its own port."""
        inside = self.segment
        rules = RULES.format(
            lan=self.lan,
            forwarded="\n        ".join(
                f'iifname "eth0" udp dport {each.outside} dnat ip to {inside.address4(each.host)}:{each.inside}'
                for each in self.forwards
            ),
            opened="\n        ".join(
                f"ip6 daddr {inside.address6(each.host)} udp dport {each.inside} accept"
                for each in self.forwards
                if self.has_ipv6
            ),
        )
        netns.run_in(self.namespace, ["nft", "-f", "-"], rules)
