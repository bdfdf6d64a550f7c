"""What a minion's beacon sees, on a machine that is made up."""

import pytest
from views import key, registered


@pytest.fixture
def watched(host, tunnels):
    """A node with a session with node2, which it keeps alive, and looks from one time to the next."""
    registered(host)
    host.call("apply")
    tunnels.connect(key("node2"))
    host.tunnels = tunnels
    assert look(host) == []
    return host


def look(host, **settings):
    host.forget_commands()
    events = host.call("watch", **{"looks": 2, **settings})
    assert host.writing_commands() == []
    return events


def whats(host, looks, **settings):
    return [event["what"] for _ in range(looks) for event in look(host, **settings)]


def test_a_node_that_is_well_has_nothing_to_tell(watched):
    assert whats(watched, 10) == []


def test_a_peer_that_is_kept_alive_and_lost_is_told_by_its_name(watched):
    watched.tunnels.wait(200)
    assert look(watched) == []
    (event,) = look(watched)
    assert (event["tag"], event["peer"], event["network"], event["interface"]) == (
        "peer_down",
        "node2",
        "backbone",
        "wg0",
    )
    assert whats(watched, 5) == []


def test_a_device_that_is_gone_is_told_and_that_it_is_back(watched):
    devices = dict(watched.machine.devices)
    watched.machine.devices.clear()
    assert whats(watched, 3) == ["interface_gone"]
    watched.machine.devices.update(devices)
    assert whats(watched, 3) == ["interface_back"]


def test_so_is_one_that_is_down(watched):
    watched.run("ip", "link", "set", "wg0", "down")
    assert whats(watched, 3) == ["interface_gone"]


@pytest.mark.parametrize("name", ["wg0.key", "wg0.conf"])
@pytest.mark.parametrize("mode", [0o644, 0o602, 0o640])
def test_a_file_with_a_secret_that_others_can_read_or_write_is_told(watched, name, mode):
    path = watched.etc / name
    path.chmod(mode)
    assert look(watched) == []
    (event,) = look(watched)
    assert (event["what"], event["files"]) == ("key_mode", {str(path): f"{mode:04o}"})
    path.chmod(0o600)
    assert whats(watched, 3) == []


def test_what_others_changed_is_told_once_it_was_found_twice(watched):
    memory = watched.module.__context__["wireguard.watch"]
    watched.run("wg", "set", "wg0", "peer", key("node3"), "remove")
    memory.compared -= 500
    assert whats(watched, 3) == []
    memory.compared -= 200
    assert look(watched) == []
    (event,) = look(watched)
    assert (event["what"], event["changes"]) == ("drift", 1)
    assert look(watched) == []
    assert len(watched.commands) == 4  # those that read one device


def test_nobody_looks_for_drift_where_it_is_switched_off(watched):
    watched.run("wg", "set", "wg0", "peer", key("node3"), "remove")
    watched.module.__context__["wireguard.watch"].compared -= 10**6
    assert whats(watched, 3, drift=0) == []


def test_a_minion_without_interfaces_of_ours_has_nothing_to_tell(host):
    assert look(host) == []


@pytest.mark.parametrize(("name", "value"), [("looks", 0), ("at_most", 0), ("drift", -1), ("drift", "often")])
def test_a_setting_that_makes_no_sense_is_an_error(host, name, value):
    assert f"{name}: must be a whole number" in host.error("watch", **{name: value})
