"""Readers of the values of a mesh file that are about networking: addresses, endpoints, routes."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address, ip_interface
from typing import Literal

from ..errors import KeyFormatError
from ..model.addresses import LEAST_MTU, SPECIAL, Address, Subnet, is_address, why_not_reachable
from ..model.endpoint import Endpoint, never_used
from ..model.keys import parse_public_key
from ..model.names import is_host_name, is_interface
from ..model.offers import named
from ..wording import quoted
from .mesh import DEFAULT_PORT, AddressRange, Link, Place
from .reading import Scope, claim, read_entries, read_list
from .scalars import is_false, read_number, read_site, read_text
from .yamltree import Invalid, Items, Scalar, Value

SUBNET = re.compile(r"[0-9A-Fa-f.:]+/[0-9]{1,3}")


def read_mtu(scope: Scope, value: Value) -> int:
    return read_number(value, "mtu", LEAST_MTU[max((subnet.version for subnet in scope.subnets), default=4)], 65535)


def read_interface(scope: Scope, value: Value) -> str:
    name = read_text(value, "interface")
    if not is_interface(name):
        advice = "write 1 to 15 of the characters A-Z a-z 0-9 _ = + . -, such as wg0"
        raise Invalid(value.place, f"{quoted(name)} cannot name an interface; {advice}")
    return name


def read_public_key(scope: Scope, value: Value) -> str:
    try:
        return parse_public_key(read_text(value, "public_key"))
    except KeyFormatError as problem:
        raise Invalid(value.place, str(problem)) from None


def read_subnets(scope: Scope, value: Value) -> tuple[Subnet, ...]:
    subnets = read_list(scope, _subnet, value, "subnets", "10.42.0.0/16")
    if isinstance(value, Items) and len(subnets) == len(value.items):
        scope.subnets = subnets
    return subnets


def _subnet(scope: Scope, value: Value) -> Subnet:
    subnet = _parse_subnet(read_text(value, "a subnet"), value.place)
    if subnet.num_addresses == 1:
        raise Invalid(value.place, f"{subnet} has room for one address only; use a shorter prefix")
    _check_usable(subnet, value.place)
    for place, other in scope.taken:
        if subnet.overlaps(other):
            raise Invalid(value.place, f"{subnet} overlaps {other} at {place}; every subnet needs addresses of its own")
    scope.taken.append((value.place, subnet))
    return subnet


def _check_usable(subnet: Subnet, place: Place) -> None:
    for unusable, why in SPECIAL.items():
        if subnet.overlaps(unusable):
            raise Invalid(place, f"{subnet} overlaps {unusable} ({why}); use private addresses, such as 10.42.0.0/16")


def _parse_subnet(text: str, place: Place) -> Subnet:
    if not SUBNET.fullmatch(text):
        raise Invalid(place, f"{quoted(text)} is not a subnet; write address/prefix length, such as 10.42.0.0/16")
    try:
        interface = ip_interface(text)
    except ValueError:
        raise Invalid(place, f"{quoted(text)} is not a subnet: its address or prefix length is out of range") from None
    if interface.ip != interface.network.network_address:
        raise Invalid(place, f"{text} has host bits set; did you mean {interface.network}?")
    return interface.network


def read_addresses(scope: Scope, value: Value) -> tuple[Address, ...]:
    return read_list(scope, _address, value, "addresses", "10.42.0.5")


def _address(scope: Scope, value: Value) -> Address:
    address = _parse_address(read_text(value, "an address"), value.place)
    if scope.subnets:
        _check_in_subnet(address, scope.subnets, value.place)
    taken = f"address {address} is already used"
    claim(scope, ("address", scope.network, address), value.place, taken, "give another one")
    return address


def _parse_address(text: str, place: Place) -> Address:
    host, slash, _ = text.partition("/")
    try:
        address = ip_address(host)
    except ValueError:
        raise Invalid(place, f"{quoted(text)} is not an IP address") from None
    if "%" in host:
        raise Invalid(place, f"{quoted(text)} has a zone; write {host.partition('%')[0]}")
    if slash:
        raise Invalid(place, f"{quoted(text)} has a prefix length, which comes from the subnet; write {address}")
    return address


def _check_in_subnet(address: Address, subnets: tuple[Subnet, ...], place: Place) -> None:
    subnet = next((subnet for subnet in subnets if address in subnet), None)
    if subnet is None:
        raise Invalid(place, f"{address} is in none of the network's subnets ({', '.join(map(str, subnets))})")
    if subnet.num_addresses > 2 and address == subnet.network_address:
        role = "network address" if subnet.version == 4 else "subnet-router anycast address"
        raise Invalid(place, f"{address} is the {role} of {subnet}; give another one")
    if subnet.version == 4 and subnet.num_addresses > 2 and address == subnet.broadcast_address:
        raise Invalid(place, f"{address} is the broadcast address of {subnet}; give another one")


def read_exclude(scope: Scope, value: Value) -> tuple[AddressRange, ...]:
    return read_list(scope, _excluded, value, "exclude", "10.42.0.100-10.42.0.120")


def _excluded(scope: Scope, value: Value) -> AddressRange:
    excluded = _parse_range(read_text(value, "an excluded range"), value.place)
    if scope.subnets and not any(excluded.first in subnet and excluded.last in subnet for subnet in scope.subnets):
        subnets = ", ".join(map(str, scope.subnets))
        raise Invalid(value.place, f"{excluded} is not within one of the network's subnets ({subnets})")
    return excluded


def _parse_range(text: str, place: Place) -> AddressRange:
    """A subnet, a range, or a single address."""
    if "/" in text:
        subnet = _parse_subnet(text, place)
        return AddressRange(subnet.network_address, subnet.broadcast_address)
    first, dash, last = (part.strip() for part in text.partition("-"))
    start = _parse_address(first, place)
    end = _parse_address(last, place) if dash else start
    if start.version != end.version or int(start) > int(end):
        raise Invalid(place, f"{quoted(text)} is no range; write the lower address first: 10.42.0.100-10.42.0.120")
    return AddressRange(start, end)


def read_node_endpoint(scope: Scope, value: Value) -> tuple[Endpoint, ...] | Literal[False]:
    if is_false(value):
        return False
    if isinstance(value, Scalar) and value.text.startswith(":") and value.text.count(":") == 1:
        return (_parsed(Endpoint.parse_port, value),)
    if not isinstance(value, Items):
        return (_endpoint(scope, value),)
    endpoints = read_list(scope, _endpoint, value, "endpoint", "'[2001:db8::7]', 203.0.113.7")
    for unused in never_used(endpoints):
        raise Invalid(
            value.place,
            f"{unused} is never used: every node that can reach it uses an earlier endpoint of the list; a list is for"
            " IPv6 and IPv4 addresses, and a name comes last",
        )
    return endpoints


def _endpoint(scope: Scope, value: Value) -> Endpoint:
    if isinstance(value, Scalar) and value.kind == "bool":
        raise Invalid(
            value.place, f"endpoint: {value.text} says nothing; give host or host:port, false, or leave it out"
        )
    return _parsed(Endpoint.parse, value)


def _parsed(parse: Callable[[str], Endpoint], value: Value) -> Endpoint:
    try:
        return parse(read_text(value, "endpoint"))
    except ValueError as problem:
        raise Invalid(value.place, str(problem)) from None


def read_peer_endpoint(scope: Scope, value: Value) -> tuple[Endpoint, ...] | None:
    endpoints = read_node_endpoint(scope, value) or ()
    if any(not each.host for each in endpoints):
        raise Invalid(value.place, "endpoint: a peer offers no address itself; write host:port instead of a port alone")
    return tuple(Endpoint(each.host, each.port or DEFAULT_PORT) for each in endpoints) or None


def read_site_endpoints(scope: Scope, value: Value) -> dict[str, Endpoint]:
    return dict(read_entries(scope, _site_endpoint, value, "endpoints"))


def _site_endpoint(scope: Scope, key: Scalar, value: Value) -> tuple[str, Endpoint]:
    site = read_site(scope, key)
    if is_false(value):
        raise Invalid(value.place, f"endpoints says where nodes of site {site} reach this one; write host or host:port")
    return site, _endpoint(scope, value)


def read_routes(scope: Scope, value: Value) -> tuple[Subnet, ...]:
    return read_list(scope, _route, value, "routes", "192.168.40.0/24")


def _route(scope: Scope, value: Value) -> Subnet:
    route = _parse_subnet(read_text(value, "a route"), value.place)
    if route.prefixlen == 0:
        raise Invalid(value.place, f"{route} is everything; a route is a network behind the node")
    _check_usable(route, value.place)
    return route


def read_offer(scope: Scope, value: Value) -> tuple[str, ...]:
    return read_list(scope, _interface_or_network, value, "offer", "eth1, 203.0.113.0/24")


def read_withhold(scope: Scope, value: Value) -> tuple[str, ...]:
    return read_list(scope, _interface_or_network, value, "withhold", "eth1, 10.0.0.0/8")


def _interface_or_network(scope: Scope, value: Value) -> str:
    """A network in canonical form, or an interface or a glob."""
    text = read_text(value, "an interface or a network")
    try:
        return named(text)
    except ValueError as problem:
        raise Invalid(value.place, str(problem)) from None


def read_domain(scope: Scope, value: Value) -> str:
    domain = read_text(value, "domain")
    if not is_host_name(domain):
        raise Invalid(
            value.place,
            f"{quoted(domain)} is not a domain; write one without a dot at its end, such as mesh.example.com",
        )
    return domain


def read_dns(scope: Scope, value: Value) -> tuple[str, ...]:
    entries = read_list(scope, _dns, value, "dns", "10.42.0.1, mesh.example.com")
    if isinstance(value, Items) and len(entries) == len(value.items) and not any(map(is_address, entries)):
        raise Invalid(value.place, "dns has search domains only; add the address of a name server that has their names")
    return entries


def _dns(scope: Scope, value: Value) -> str:
    """An address in canonical form, or a domain."""
    text = read_text(value, "a name server or search domain")
    if is_host_name(text):
        return text
    try:
        address = ip_address(text)
    except ValueError:
        message = f"{quoted(text)} is neither the address of a name server nor a search domain"
        raise Invalid(value.place, f"{message}; write such as `dns: [10.42.0.1, mesh.example.com]`") from None
    problem = why_not_reachable(address)
    if problem:
        raise Invalid(value.place, f"{quoted(text)} is no name server: {problem}")
    return str(address)


def read_peer_dns(scope: Scope, value: Value) -> tuple[str, ...] | Literal[False]:
    return False if is_false(value) else read_dns(scope, value)


def read_via(scope: Scope, value: Value) -> tuple[str, ...] | Literal[False]:
    if is_false(value):
        return False
    return read_list(scope, _exit, value, "via", "gw1, gw2") if isinstance(value, Items) else (_exit(scope, value),)


def _exit(scope: Scope, value: Value) -> str:
    via = read_text(value, "via")
    if not via:
        raise Invalid(value.place, "via is empty; write the minion id of an exit node, or false")
    return via


def read_links(scope: Scope, value: Value) -> tuple[Link, ...]:
    return read_list(scope, _link, value, "links", "[web, db]")


def _link(scope: Scope, value: Value) -> Link:
    if not isinstance(value, Items) or len(value.items) != 2:
        raise Invalid(value.place, "a link joins two: groups, minion ids or peers, such as `[web, db]` or `[hub, '*']`")
    one, other = (_end(scope, item) for item in value.items)
    return one, other


def _end(scope: Scope, value: Value) -> str:
    end = read_text(value, "an end of a link")
    scope.ends.append((value.place, end))
    return end
