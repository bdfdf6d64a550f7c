"""Which peers are followed to the new addresses of their names, and which are left where they are."""

import socket

import pytest
from views import key, peer, registered

from saltext.wireguard.node import endpoints

OLD, NEW = "192.0.2.7", "192.0.2.8"
NODE2 = peer("node2", "10.42.0.2/32", endpoint="db1.test:4444")
NODE3 = peer("node3", "10.42.0.3/32", endpoint="127.0.0.1:4444")


@pytest.fixture
def names(monkeypatch):
    """Name -> address of those below ``.test``."""
    known = {"db1.test": OLD}

    def getaddrinfo(name, port, *_args, **_kwargs):
        if name not in known:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (known[name], port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


@pytest.fixture
def moved(host, tunnels, names):
    """A host whose peer node2 was applied with the old address of its name, which is another by now."""
    registered(host, NODE2, NODE3)
    host.call("apply")
    assert where(host) == {"node2": f"{OLD}:4444", "node3": "127.0.0.1:4444"}
    host.forget_commands()
    names["db1.test"] = NEW
    return host


def where(host):
    found = {name: host.device().peers.get(key(name)) for name in ("node2", "node3")}
    return {name: each.endpoint for name, each in found.items() if each}


def test_a_peer_without_a_session_is_looked_for_where_its_name_points_to_now(moved):
    assert moved.call("reresolve") == {"wg0": {"moved": {"node2": f"{NEW}:4444"}, "unresolved": []}}
    assert where(moved) == {"node2": f"{NEW}:4444", "node3": "127.0.0.1:4444"}
    assert moved.writing_commands() == [["wg", "set", "wg0", "peer", key("node2"), "endpoint", f"{NEW}:4444"]]


def test_a_second_run_sets_nothing(moved):
    moved.call("reresolve")
    moved.forget_commands()
    assert moved.call("reresolve") == {"wg0": {"moved": {}, "unresolved": []}}
    assert moved.writing_commands() == []


def test_a_peer_is_left_where_it_is_as_long_as_it_has_a_session(moved, tunnels):
    tunnels.connect(key("node2"))
    tunnels.wait(179)
    assert moved.call("reresolve") == {}
    tunnels.wait(1)
    assert moved.call("reresolve")["wg0"]["moved"] == {"node2": f"{NEW}:4444"}


def test_a_name_that_does_not_resolve_leaves_the_peer_where_it_is(moved, names):
    names.clear()
    assert moved.call("reresolve") == {"wg0": {"moved": {}, "unresolved": ["db1.test:4444"]}}
    assert where(moved)["node2"] == f"{OLD}:4444"


def test_without_names_nothing_is_looked_up(host, monkeypatch):
    registered(host, NODE3)
    host.call("apply")
    monkeypatch.setattr(endpoints, "look_up", lambda texts, _: {} if not texts else pytest.fail("looked up"))
    assert host.call("reresolve") == {}


def test_a_minion_without_interfaces_has_nothing_to_do(host):
    assert host.call("reresolve") == {}


def test_a_peer_that_is_not_on_the_device_is_not_made_again(moved):
    moved.run("wg", "set", "wg0", "peer", key("node2"), "remove")
    assert moved.call("reresolve") == {}
    assert where(moved) == {"node3": "127.0.0.1:4444"}


def test_a_peer_that_is_removed_while_its_name_is_looked_up_is_not_made_again(moved, monkeypatch):
    """And whoever removes it need not wait for the resolver."""
    real = endpoints.look_up

    def look_up(*args):
        with moved.lock("wg0"):
            moved.run("wg", "set", "wg0", "peer", key("node2"), "remove")
        return real(*args)

    monkeypatch.setattr(endpoints, "look_up", look_up)
    assert moved.call("reresolve") == {"wg0": {"moved": {}, "unresolved": []}}
    assert where(moved) == {"node3": "127.0.0.1:4444"}


def test_a_device_that_is_gone_is_not_made_again(moved):
    moved.run("ip", "link", "delete", "wg0")
    assert moved.call("reresolve") == {}
    assert moved.device() is None


def test_a_file_that_is_not_ours_is_none_of_our_business(moved):
    moved.config.write_text(moved.config.read_text().partition("\n")[2])
    assert moved.call("reresolve") == {}
    assert where(moved)["node2"] == f"{OLD}:4444"


def test_an_interface_that_is_being_worked_on_is_left_for_the_next_time(moved):
    with moved.lock("wg0"):
        assert "another apply has been working on wg0" in moved.call("reresolve")["wg0"]["error"]
    assert moved.call("reresolve")["wg0"]["moved"] == {"node2": f"{NEW}:4444"}


def test_an_error_on_one_interface_does_not_affect_the_others(moved):
    arguments = {"addresses": ["10.9.0.1/24"], "peers": {"db1": {
        "public_key": key("db1"), "allowed_ips": ["10.9.0.2/32"], "endpoint": "db1.test:4444"}}}  # fmt: skip
    moved.call("apply_interface", "wg1", **arguments)
    moved.run("wg", "set", "wg1", "peer", key("db1"), "endpoint", f"{OLD}:4444")
    moved.machine.failing = {"wg show wg0 *": "out of order"}
    result = moved.call("reresolve")
    assert "`wg show wg0 dump` failed" in result["wg0"]["error"]
    assert result["wg1"] == {"moved": {"db1": f"{NEW}:4444"}, "unresolved": []}
