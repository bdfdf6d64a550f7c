from dataclasses import replace

import pytest
from wgmesh.diff import Applied, routes
from wgmesh.errors import ViewError
from wgmesh.render import PRIVATE_KEY, applied, is_managed, managed_network, render
from wgmesh.view import Peer, View

ALLOWED = ("10.42.0.2/32", "192.168.4.0/24")
NODE2 = Peer("node2", "c+E8VYwP2EJggAQKzmuGoLzg/L9+8LkhIL/r0oodlno=", ALLOWED, "db1:51820", 25)
NODE3 = Peer("node3", "XGL4Lka3bDrgXnCi7cXcxXZO9n77VHuGo6XlLzsgVgc=", ("10.42.0.3/32", "fd99::/64"))
VIEW = View("wg0", ("10.42.0.1/16", "fd42::1/64"), (NODE2, NODE3), network="backbone", port=51820, mtu=1380)


def test_a_view_is_rendered_as_a_wg_quick_file():
    assert render(VIEW) == (
        "# Managed by Salt (saltext-wireguard), network backbone. Changes made here are lost.\n"
        "[Interface]\n"
        f"PrivateKey = {PRIVATE_KEY}\n"
        "ListenPort = 51820\n"
        "Address = 10.42.0.1/16, fd42::1/64\n"
        "MTU = 1380\n"
        "\n"
        "# node2\n"
        "[Peer]\n"
        "PublicKey = c+E8VYwP2EJggAQKzmuGoLzg/L9+8LkhIL/r0oodlno=\n"
        "AllowedIPs = 10.42.0.2/32, 192.168.4.0/24\n"
        "Endpoint = db1:51820\n"
        "PersistentKeepalive = 25\n"
        "\n"
        "# node3\n"
        "[Peer]\n"
        "PublicKey = XGL4Lka3bDrgXnCi7cXcxXZO9n77VHuGo6XlLzsgVgc=\n"
        "AllowedIPs = 10.42.0.3/32, fd99::/64\n"
    )


def test_what_the_view_leaves_open_has_no_line():
    assert render(View("wg0", ())) == (
        f"# Managed by Salt (saltext-wireguard). Changes made here are lost.\n[Interface]\nPrivateKey = {PRIVATE_KEY}\n"
    )


def test_the_order_of_peers_in_the_view_makes_no_difference():
    assert render(replace(VIEW, peers=(NODE3, NODE2))) == render(VIEW)


@pytest.mark.parametrize(
    "view",
    [
        replace(VIEW, peers=(replace(NODE2, name="node2\nPostUp = reboot"),)),
        replace(VIEW, peers=(replace(NODE2, name="node2\rPostUp = reboot"),)),
        replace(VIEW, peers=(replace(NODE2, name="node2\u2028PostUp = reboot"),)),
        replace(VIEW, peers=(replace(NODE2, name="\x1b[2J"),)),
        replace(VIEW, peers=(replace(NODE2, endpoint="db1:51820\n[Interface]\nPostUp = reboot"),)),
        replace(VIEW, addresses=("10.42.0.1/16\nPostUp = reboot",)),
        replace(VIEW, network="backbone\n[Interface]\nPostUp = reboot"),
    ],
)
def test_no_value_can_start_a_line_of_its_own(view):
    with pytest.raises(ViewError, match="wg0: a control character"):
        render(view)


def test_a_rendered_file_is_managed():
    assert is_managed(render(VIEW))


@pytest.mark.parametrize(
    "text", ["", "[Interface]\n", "[Interface]\n" + render(VIEW), "# Managed by hand. Changes made here are lost.\n"]
)
def test_a_file_without_our_first_line_is_not_managed(text):
    assert not is_managed(text)


@pytest.mark.parametrize("network", ["backbone", "a.b, network c", None])
def test_the_network_of_a_file_is_read_back(network):
    assert managed_network(render(replace(VIEW, network=network))) == network


def test_a_file_that_is_not_ours_has_no_network():
    assert managed_network("[Interface]\n") is None


def test_endpoints_are_read_back_as_they_were_configured():
    assert applied(render(VIEW)).endpoints == {NODE2.public_key: "db1:51820"}


def test_routes_are_read_back_as_the_view_needs_them():
    assert applied(render(VIEW)).routes == routes(VIEW) == {"192.168.4.0/24", "fd99::/64"}


def test_names_are_read_back():
    assert applied(render(VIEW)).names == {NODE2.public_key: "node2", NODE3.public_key: "node3"}


@pytest.mark.parametrize("name", ["[Peer]", "PublicKey = x", "#1", "  indented"])
def test_a_name_that_looks_like_something_else_is_read_back(name):
    assert applied(render(replace(VIEW, peers=(replace(NODE2, name=name),)))).names == {NODE2.public_key: name}


def test_the_private_key_is_not_read_back():
    assert "secret" not in repr(applied(render(VIEW).replace(PRIVATE_KEY, "secret")))


def test_nothing_is_read_from_a_file_that_is_not_ours():
    assert applied(render(VIEW).partition("\n")[2]) == Applied()


def test_nothing_is_read_from_a_file_that_was_edited_into_nonsense():
    assert applied(render(VIEW).replace("192.168.4.0/24", "somewhere")) == Applied()


def test_nothing_is_read_from_an_empty_file():
    assert applied("") == Applied()
