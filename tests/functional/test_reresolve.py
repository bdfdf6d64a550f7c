"""Names of peers whose address changes, on real devices and with a /etc/hosts of the test's own."""

import socket
import threading
import time
from dataclasses import replace

import pytest

pytest.importorskip("salt")

from hosts import ETC, key, peer, registered, view, wait_until
from isolation import mount
from test_module_apply import session

MS_BIND = 0x1000
OLD, NEW = "192.0.2.7", "192.0.2.8"
CONFIG = ETC / "wg0.conf"
NODE2 = peer("node2", "10.42.0.2/32", endpoint="db1.test:4444")
NODE3 = peer("node3", "10.42.0.3/32", endpoint="127.0.0.1:4444")


@pytest.fixture
def names(host):
    """The host, and a function by which its names get addresses."""
    file = host.disk / "hosts"
    file.touch()
    mount(str(file), "/etc/hosts", None, MS_BIND)

    def set_names(**addresses):
        file.write_text("".join(f"{address} {name}.test\n" for name, address in addresses.items()))

    return host, set_names


@pytest.fixture
def moved(names):
    """A host whose peer node2 was applied with the old address of its name, which is another by now."""
    host, set_names = names
    set_names(db1=OLD)
    registered(host, NODE2, NODE3)
    host.call("apply")
    assert endpoints(host) == {"node2": f"{OLD}:4444", "node3": "127.0.0.1:4444"}
    host.set_pillar({})
    host.forget_commands()
    set_names(db1=NEW)
    return host


def endpoints(host, interface="wg0"):
    return {
        name: each.endpoint
        for name in ("node2", "node3", "node4")
        if (each := host.device(interface).peers.get(key(name)))
    }


def test_a_peer_without_a_session_is_called_where_its_name_points_to_now(moved):
    assert moved.call("reresolve") == {"wg0": {"moved": {"node2": f"{NEW}:4444"}, "unresolved": []}}
    assert endpoints(moved) == {"node2": f"{NEW}:4444", "node3": "127.0.0.1:4444"}
    assert moved.writing_commands() == [["wg", "set", "wg0", "peer", key("node2"), "endpoint", f"{NEW}:4444"]]


def test_a_name_with_an_underscore_is_resolved(names):
    """It was no endpoint, and clouds and compose files name machines so."""
    host, set_names = names
    set_names(db_1=OLD)
    registered(host, replace(NODE2, endpoint="db_1.test:4444"))
    host.call("apply")
    assert endpoints(host) == {"node2": f"{OLD}:4444"}


def test_a_peer_with_a_session_is_left_where_it_is(names):
    host, set_names = names
    set_names(db1="127.0.0.1")
    other = session(host)
    registered(host, replace(other, endpoint="db1.test:51829"))
    host.call("apply")
    set_names(db1=NEW)
    assert host.call("reresolve") == {}
    assert host.device().peers[other.public_key].endpoint == "127.0.0.1:51829"


def test_a_name_that_leads_into_its_own_tunnel_is_used_neither_by_an_apply_nor_later(names):
    """The packets that were to open the tunnel went into it; a peer keeps the address that it had."""
    host, set_names = names
    set_names(db1="10.42.0.2")
    registered(host, NODE2, NODE3)
    assert host.call("apply")["backbone"]["result"] is True
    assert endpoints(host) == {"node2": None, "node3": "127.0.0.1:4444"}
    set_names(db1=OLD)
    host.call("reresolve")
    set_names(db1="10.42.0.2")
    assert host.call("reresolve") == {"wg0": {"moved": {}, "unresolved": ["db1.test:4444"]}}
    assert endpoints(host)["node2"] == f"{OLD}:4444"


@pytest.fixture
def two(names):
    """Two interfaces, each with a peer whose name has another address by now."""
    host, set_names = names
    set_names(db1=OLD, db2=OLD)
    first = view(host.call("keypair", "wg0"), NODE2)
    second = view(
        host.call("keypair", "wg1"), replace(NODE2, endpoint="db2.test:4444"),
        interface="wg1", network="storage", addresses=("10.43.0.1/16",), port=51821,
    )  # fmt: skip
    host.set_networks(first, second)
    assert {result["result"] for result in host.call("apply").values()} == {True}
    return host, set_names


def test_a_name_that_does_not_resolve_keeps_no_other_from_it(two):
    host, set_names = two
    set_names(db2=NEW)
    assert host.call("reresolve") == {
        "wg0": {"moved": {}, "unresolved": ["db1.test:4444"]},
        "wg1": {"moved": {"node2": f"{NEW}:4444"}, "unresolved": []},
    }
    assert endpoints(host)["node2"] == f"{OLD}:4444"


def test_a_resolver_that_does_not_answer_is_not_waited_for(two, monkeypatch):
    host, set_names = two
    set_names(db1=NEW, db2=NEW)
    over = threading.Event()
    real = socket.getaddrinfo

    def getaddrinfo(name, *args, **kwargs):
        if name == "db1.test":
            over.wait(60)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(host.library("node.endpoints"), "RESOLVE_SECONDS", 0.5)
    result = host.call("reresolve")
    over.set()
    assert result["wg0"] == {"moved": {}, "unresolved": ["db1.test:4444"]}
    assert result["wg1"]["moved"] == {"node2": f"{NEW}:4444"}


def test_a_tunnel_comes_back_when_the_name_of_its_other_end_points_to_it_again(names):
    host, set_names = names
    set_names(db1=OLD)
    other = session(host)  # an end at 127.0.0.1:51829, which now forgets us, and is silent
    host.run("wg", "set", "wg9", "peer", host.device().public_key, "remove")
    host.run("wg", "set", "wg9", "peer", host.device().public_key)
    registered(host, peer("node4", "10.42.0.4/32"))
    host.call("apply")
    registered(host, replace(other, endpoint="db1.test:51829", keepalive=1))
    host.call("apply")
    set_names(db1="127.0.0.1")
    assert host.call("reresolve")["wg0"]["moved"] == {"node2": "127.0.0.1:51829"}
    wait_until(lambda: host.device().peers[other.public_key].latest_handshake, 20)


def test_a_peer_with_two_uplinks_that_nobody_talks_to_stays_where_it_is(names):
    host, set_names = names
    set_names(db1=OLD)
    registered(host, NODE2)
    host.call("apply")
    (host.disk / "hosts").write_text(f"{OLD} db1.test\n{NEW} db1.test\n")
    for address in (OLD, NEW):
        host.run("ip", "route", "add", f"{address}/32", "dev", "lo")
    assert host.call("reresolve")["wg0"] == {"moved": {}, "unresolved": []}


@pytest.mark.parametrize(
    "uplinks", [{"endpoint": "db1.test:51829"}, {"endpoint": f"{OLD}:51829", "others": ("127.0.0.1:51829",)}]
)
def test_a_peer_with_two_uplinks_is_looked_for_at_each_in_turn_and_stays_at_the_one_that_answers(names, uplinks):
    """It was looked for at the one that was used last, for ever."""
    host, set_names = names
    set_names(db1=OLD)
    other = session(host)  # an end at 127.0.0.1:51829, which now forgets us, and is silent
    host.run("wg", "set", "wg9", "peer", host.device().public_key, "remove")
    host.run("wg", "set", "wg9", "peer", host.device().public_key)
    registered(host, peer("node4", "10.42.0.4/32"))
    host.call("apply")
    host.run("ip", "route", "add", f"{OLD}/32", "dev", "lo")
    registered(host, replace(other, keepalive=1, **uplinks))
    host.call("apply")
    before = CONFIG.read_text()
    (host.disk / "hosts").write_text(f"{OLD} db1.test\n127.0.0.1 db1.test\n")
    assert host.call("reresolve")["wg0"]["moved"] == {"node2": "127.0.0.1:51829"}
    wait_until(lambda: host.device().peers[other.public_key].latest_handshake, 20)
    assert host.call("reresolve") == {}
    assert host.call("apply")["backbone"]["changes"] == {}
    assert CONFIG.read_text() == before


# -- boot


@pytest.fixture
def dead_resolver(names):
    """Nobody answers questions about names that are not in the hosts file."""
    host, set_names = names
    file = host.disk / "resolv.conf"
    file.write_text("nameserver 127.0.0.9\noptions timeout:1 attempts:1\n")
    mount(str(file), "/etc/resolv.conf", None, MS_BIND)
    return host, set_names


def boot(host):
    """As wg-quick's unit does, which tells wg to wait for names for ever."""
    host.delete_device()
    host.run("env", "WG_ENDPOINT_RESOLUTION_RETRIES=infinity", "timeout", "30", "wg-quick", "up", "wg0")


@pytest.mark.parametrize("was_known", [False, True])
def test_an_interface_boots_without_waiting_for_a_name_that_does_not_resolve(dead_resolver, was_known):
    """One such name, and wg-quick took the device down, or never ended."""
    host, set_names = dead_resolver
    set_names(**({"db1": OLD} if was_known else {}), db2=NEW)
    registered(host, NODE2, NODE3, peer("node4", "10.42.0.4/32", endpoint="db2.test:4444"))
    host.call("apply")
    set_names()
    boot(host)
    expected = {"node2": f"{OLD}:4444" if was_known else None, "node3": "127.0.0.1:4444", "node4": f"{NEW}:4444"}
    assert endpoints(host) == expected
    host.run("wg", "syncconf", "wg0", "/dev/stdin", text=host.run("wg-quick", "strip", "wg0"))
    assert endpoints(host) == expected
    assert host.call("apply")["backbone"]["changes"] == {}
    set_names(db1=NEW, db2=NEW)
    host.call("reresolve")
    boot(host)
    assert endpoints(host) == expected | {"node2": f"{NEW}:4444"}


def test_a_power_cut_while_the_new_address_is_written_leaves_a_file_that_boots(moved, monkeypatch):
    def cut(*_):
        raise OSError(5, "the power is off")

    with monkeypatch.context() as patched:
        patched.setattr("os.rename", cut)
        assert "could not be written" in moved.call("reresolve")["wg0"]["error"]
    boot(moved)
    assert endpoints(moved)["node2"] == f"{OLD}:4444"
    moved.call("reresolve")
    boot(moved)
    assert endpoints(moved)["node2"] == f"{NEW}:4444"


# -- the schedule


@pytest.fixture
def told(names):
    """When the minion is told to read its pillar again."""
    host, _ = names
    times = []
    host.functions["saltutil.refresh_pillar"] = lambda: times.append(time.monotonic()) or True
    return times


@pytest.mark.parametrize("function", ["apply", "sync"])
def test_the_minion_is_told_of_its_schedule_when_the_first_name_comes_and_when_the_last_goes(names, told, function):
    host, _ = names
    for peers, count in (([NODE3], 0), ([NODE2, NODE3], 1), ([NODE2], 1), ([NODE3], 2)):
        registered(host, *peers)
        host.call(function)
        host.call(function)
        assert len(told) == count


def test_a_test_run_tells_the_minion_nothing(names, told):
    host, _ = names
    registered(host, NODE2)
    host.call("apply", test=True)
    host.call("sync", test=True)
    assert told == []
