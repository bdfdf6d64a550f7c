"""Views that WireGuard or the kernel would accept and then quietly do something else are refused."""

import pytest
from views import key, peer

from saltext.wireguard.device.check import check
from saltext.wireguard.errors import ViewError
from saltext.wireguard.model.view import View

OWN = key("own")


def view(*peers, addresses=("10.42.0.1/16",), **settings):
    return View("wg0", tuple(addresses), peers, **settings)


def test_a_peer_with_the_nodes_own_key_is_refused_by_name():
    with pytest.raises(ViewError, match="peer node2 has this node's own public key"):
        check(view(peer("node2", "10.42.0.2/32", public_key=OWN)), OWN)


def test_two_peers_with_one_key_are_refused_by_name():
    with pytest.raises(ViewError, match="peers node2 and node3 have the same public key"):
        check(view(peer("node2"), peer("node3", public_key=key("node2"))), OWN)


def test_two_peers_with_one_network_are_refused_by_name():
    with pytest.raises(ViewError, match=r"peers node2 and node3 have the same allowed IP 10\.42\.0\.2/32"):
        check(view(peer("node2", "10.42.0.2/32"), peer("node3", "10.42.0.2/32")), OWN)


def test_two_peers_with_one_name_are_refused():
    with pytest.raises(ViewError, match="have the same name node2"):
        check(view(peer("node2"), peer("node2", public_key=key("node3"))), OWN)


def test_overlapping_networks_of_two_peers_are_fine():
    check(view(peer("node2", "10.42.0.2/32"), peer("node3", "10.42.0.0/16")), OWN)


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_a_default_route_is_refused(network):
    with pytest.raises(ViewError, match=r"peer node2 has the default route .* the tunnel's own packets"):
        check(view(peer("node2", network)), OWN)


def test_a_default_route_is_fine_where_a_routing_daemon_makes_the_routes():
    check(view(peer("node2", "0.0.0.0/0", "::/0"), dynamic_routing=True), OWN)
    with pytest.raises(ViewError, match="a routing daemon makes its routes, so it has no exit node2"):
        check(view(peer("node2", "0.0.0.0/0"), dynamic_routing=True, via="node2", port=1), OWN)


def test_a_link_local_address_is_refused():
    with pytest.raises(ViewError, match="address fe80::1/64 is link-local"):
        check(view(addresses=["fe80::1/64"]), OWN)


@pytest.mark.parametrize("settings", [{"addresses": ["fd42::1/64"]}, {"peers": [peer("node2", "fd99::/64")]}])
def test_an_mtu_too_small_for_ipv6_is_refused_where_ipv6_is_used(settings):
    with pytest.raises(ViewError, match="mtu 1200 is too small"):
        check(view(*settings.pop("peers", ()), mtu=1200, **settings), OWN)


def test_an_mtu_too_small_for_ipv6_is_fine_without_ipv6():
    check(view(peer("node2", "10.42.0.2/32"), mtu=1200), OWN)
