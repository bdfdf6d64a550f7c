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


@pytest.mark.parametrize("inside", ["10.42.0.2", "10.42.7.7"])
def test_a_name_that_leads_into_the_tunnel_is_not_followed(moved, names, caplog, inside):
    """A resolver behind the tunnel may know the peer by its inner address: then the tunnel never came back."""
    names["db1.test"] = inside
    assert moved.call("reresolve") == {"wg0": {"moved": {}, "unresolved": ["db1.test:4444"]}}
    assert where(moved)["node2"] == f"{OLD}:4444"
    assert "inside the tunnel that it is to open" in caplog.text


def test_without_names_nothing_is_looked_up(host, monkeypatch):
    registered(host, NODE3)
    host.call("apply")
    monkeypatch.setattr(endpoints, "look_up", lambda texts: {} if not [*texts] else pytest.fail("looked up"))
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

    def look_up(texts):
        with moved.lock("wg0"):
            moved.run("wg", "set", "wg0", "peer", key("node2"), "remove")
        return real(texts)

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


# -- what the node boots from


def named(address):
    """The lines of the configuration file that say where node2 is."""
    return "# Endpoint by name = db1.test:4444\n" + (f"Endpoint = {address}:4444\n" if address else "")


def test_what_boots_goes_to_where_the_name_points_to_now(moved):
    assert named(OLD) in moved.config.read_text()
    moved.call("reresolve")
    assert named(NEW) in moved.config.read_text()
    assert moved.call("apply")["backbone"]["changes"] == {}


def test_a_dead_name_keeps_its_last_address_in_the_file_and_is_no_change(moved, names):
    """Drift, a state run and a state run with test=True find nothing to do only because nobody answers."""
    names.clear()
    before = moved.picture()
    assert moved.call("apply")["backbone"]["changes"] == {}
    assert moved.call("drift")["networks"]["backbone"]["changes"] == []
    assert moved.picture() == before
    assert named(OLD) in moved.config.read_text()


def test_a_name_that_never_resolved_is_in_the_file_without_an_address_and_the_others_have_theirs(host, tunnels, names):
    """One such name, and wg-quick took the whole interface down at boot, or waited for ever."""
    names.clear()
    registered(host, NODE2, NODE3)
    host.call("apply")
    assert named(None) in host.config.read_text()
    assert "\nEndpoint = 127.0.0.1:4444\n" in host.config.read_text()
    names["db1.test"] = OLD
    assert host.call("reresolve") == {"wg0": {"moved": {"node2": f"{OLD}:4444"}, "unresolved": []}}
    assert named(OLD) in host.config.read_text()


def test_a_device_that_is_made_anew_starts_where_a_dead_name_was_last(moved, names):
    names.clear()
    moved.run("ip", "link", "delete", "wg0")
    moved.call("apply")
    assert where(moved) == {"node2": f"{OLD}:4444", "node3": "127.0.0.1:4444"}


def test_a_peer_that_moved_by_itself_is_not_called_back_to_where_a_dead_name_was_last(moved, names):
    names.clear()
    moved.run("wg", "set", "wg0", "peer", key("node2"), "endpoint", "192.0.2.9:4444")
    assert moved.call("apply")["backbone"]["changes"] == {}
    assert where(moved)["node2"] == "192.0.2.9:4444"


def test_a_name_with_several_addresses_keeps_the_one_of_the_file_where_its_peer_has_moved(moved, names, monkeypatch):
    """Resolvers give them in another order each time: each state run changed the file."""
    found = [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (address, 0)) for address in ("192.0.2.1", OLD)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: found)
    moved.run("wg", "set", "wg0", "peer", key("node2"), "endpoint", "192.0.2.9:4444")
    moved.machine.devices["wg0"].peers[key("node2")].handshake = 2**32
    before = moved.picture()
    assert moved.call("apply")["backbone"]["changes"] == {}
    assert moved.picture() == before


def test_a_revocation_looks_no_name_up_and_leaves_what_the_others_have(moved, monkeypatch):
    registered(moved, NODE2, withdrawn=(key("node3"),), generation=1)
    monkeypatch.setattr(endpoints, "look_up", lambda *_: {})
    moved.call("apply")
    assert named(OLD) in moved.config.read_text()
    assert where(moved) == {"node2": f"{OLD}:4444"}
