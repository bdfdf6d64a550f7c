"""MTUs from real routes and devices, and packets that do and do not come through tunnels."""

from dataclasses import replace

import pytest

pytest.importorskip("salt")


from hosts import ETC, peer, registered
from sessions import machines
from wgmachines.nodes import INTERFACE, NETWORK, NodeError, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

NEAR, FAR, FAR_6 = "192.0.2.2:51820", "203.0.113.5:51820", "[2001:db8:5::5]:51820"


@pytest.fixture
def machine(host):
    """A host on a narrow line, with default routes."""
    host.run("ip", "link", "add", "eth0", "mtu", "1472", "type", "veth", "peer", "name", "line")
    for name in ("eth0", "line"):
        host.run("ip", "link", "set", name, "up")
    host.run("ip", "address", "add", "192.0.2.1/24", "dev", "eth0")
    host.run("ip", "address", "add", "2001:db8::1/64", "dev", "eth0", "nodad")
    host.run("ip", "route", "add", "default", "via", "192.0.2.254")
    host.run("ip", "-6", "route", "add", "default", "via", "2001:db8::fe")
    return host


def mtu_with(host, *endpoints, **settings):
    """The MTU that an apply gives a node whose peers have these endpoints."""
    peers = [peer(f"node{n}", f"10.42.0.{n}/32", endpoint=each) for n, each in enumerate(endpoints, 2)]
    registered(host, *peers, **{"mtu": None, "addresses": ("10.42.0.1/16",), **settings})
    host.call("apply", force=True, reason="other peers")
    return host.device().mtu


def test_the_narrowest_path_to_a_peer_counts(machine):
    assert mtu_with(machine, FAR) == 1412
    assert mtu_with(machine, FAR, FAR_6) == 1392
    machine.run("ip", "route", "add", "203.0.113.0/24", "via", "192.0.2.254", "mtu", "1400")
    assert mtu_with(machine, NEAR) == 1412
    assert mtu_with(machine, NEAR, FAR) == 1340


def test_who_calls_from_anywhere_may_come_by_ipv6(machine):
    assert mtu_with(machine, FAR, None) == 1392


def test_what_the_mesh_file_says_goes_before_it(machine):
    assert mtu_with(machine, FAR, mtu=1300) == 1300


def test_ipv6_keeps_its_minimum(machine):
    machine.run("ip", "link", "set", "eth0", "mtu", "1290")
    assert mtu_with(machine, FAR, addresses=("10.42.0.1/16", "fd42::1/64")) == 1280


def test_without_a_route_the_systems_choice_stays(host):
    assert mtu_with(host, FAR) == 1420


def test_a_name_that_does_not_resolve_today_makes_it_no_larger(machine):
    """Else it would change with every answer of a name server that has its moments."""
    machine.run("ip", "route", "add", "203.0.113.0/24", "via", "192.0.2.254", "mtu", "1400")
    assert mtu_with(machine, NEAR, FAR) == 1340
    assert mtu_with(machine, NEAR, "db1.invalid:51820") == 1340


def test_a_second_run_executes_no_writing_command(machine):
    mtu_with(machine, FAR, NEAR)
    machine.forget_commands()
    assert machine.call("apply")["backbone"]["changes"] == {}
    assert machine.writing_commands() == []


def test_a_path_that_changed_is_followed_by_the_next_run_and_shown_before(machine):
    mtu_with(machine, FAR)
    machine.run("ip", "link", "set", "eth0", "mtu", "1400")
    expected = {"mtu": {"old": "1412", "new": "1340"}, str(ETC / "wg0.conf"): {"old": None, "new": "written"}}
    assert machine.call("apply", test=True)["backbone"]["changes"] == expected
    assert machine.call("drift")["networks"]["backbone"]["changes"] == []
    assert machine.call("apply")["backbone"]["changes"] == expected
    assert machine.device().mtu == 1340


def test_it_comes_up_by_wg_quick_as_it_was(machine):
    mtu_with(machine, FAR)
    machine.run("ip", "link", "delete", "dev", "wg0")
    machine.run("wg-quick", "up", "wg0")
    assert machine.device().mtu == 1412
    assert machine.call("apply")["backbone"]["changes"] == {}


def test_a_drop_leaves_it_alone(machine):
    """What must go at once takes the MTU from the file, and looks for nothing."""
    mtu_with(machine, FAR, NEAR)
    machine.run("ip", "link", "set", "eth0", "mtu", "1400")
    key = next(key for key, each in machine.device().peers.items() if each.endpoint == NEAR)
    assert machine.call("delta", {"backbone": [key]})["networks"]["backbone"]["result"] is True
    assert machine.device().mtu == 1412


def test_a_file_from_before_mtus_were_computed_is_no_drift(machine):
    mtu_with(machine, FAR)
    config = ETC / "wg0.conf"
    config.write_text("".join(line for line in config.read_text().splitlines(True) if not line.startswith("MTU")))
    machine.run("ip", "link", "set", "dev", "wg0", "mtu", "1420")
    assert machine.call("drift")["networks"]["backbone"]["changes"] == []
    assert set(machine.call("apply")["backbone"]["changes"]) == {"mtu", str(config)}


def test_a_tunnel_in_a_tunnel_is_smaller_and_its_own_tunnel_counts_for_nothing(machine):
    """A peer whose endpoint is in the mesh itself would make the MTU smaller with every run."""
    assert mtu_with(machine, FAR, "10.42.0.9:51820") == 1412
    inner = peer("inner", "10.43.0.2/32", endpoint="10.42.0.2:51830")
    machine.call("keypair", "wg1")
    data = {inner.name: inner.to_dict()}
    machine.call("apply_interface", "wg1", ["10.43.0.1/24"], port=51830, peers=data)
    assert machine.device("wg1").mtu == 1412 - 60


# -- what comes through


@pytest.fixture
def nodes():
    with machines(3, {"wireguard:confirm_seconds": 0}) as started:
        started.set_up()
        yield started


def test_where_all_comes_through_that_is_said(nodes):
    said = nodes.all[0].call("ping")[NETWORK]
    assert said == {
        "mtu": 1420,
        "asked": 2,
        "silent": [],
        "narrow": {},
        "comment": "packets of 1420 bytes reach all 2 peers",
    }


def test_a_line_that_drops_large_packets_without_a_word_is_found_with_what_comes_through(nodes):
    node, second, _ = nodes.all
    drop = "{ type filter hook input priority filter; udp dport 51820 meta length > 1400 drop; }"
    second.run("nft", f"table inet line {{ chain input {drop}; }}")
    said = node.call("ping")[NETWORK]
    assert list(said["narrow"]) == ["node2"]
    # WireGuard fills packets up to a multiple of 16 bytes.
    assert 1320 < said["narrow"]["node2"] <= 1340
    narrow = said["narrow"]["node2"]
    assert f"write `mtu: {narrow}`" in said["comment"]
    node.do("set_view", replace(nodes.view(node), mtu=narrow).to_dict())
    assert node.call("sync", signed=True)["networks"][NETWORK]["result"] is True
    assert node.call("ping", peer="node2")[NETWORK]["narrow"] == {}


def test_who_does_not_answer_is_named(nodes):
    node, second, _ = nodes.all
    second.run("ip", "link", "set", INTERFACE, "down")
    said = node.call("ping")[NETWORK]
    assert (said["silent"], said["narrow"]) == (["node2"], {})


def test_a_peer_that_there_is_not_is_an_error(nodes):
    with pytest.raises(NodeError, match="wg0 has no peer node9"):
        nodes.all[0].call("ping", peer="node9")
