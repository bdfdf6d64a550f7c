"""Applying a view to a real device: what must differ is changed, and nothing else is."""

import logging
import os
import re
import socket
import stat
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("salt")

from hosts import ETC, PEERS, files, key, peer, preshared, registered, view, wait_until
from isolation import MS_NOSUID, Fork, mount
from services import Services

CONFIG = ETC / "wg0.conf"


def applied(host, *peers, **settings):
    """Apply a view; return it."""
    wanted = registered(host, *peers, **settings)
    result = host.call("apply")["backbone"]
    assert result["result"] is True, result
    return wanted


def assert_equals(host, wanted):
    device = host.device(wanted.interface)
    assert device.up
    assert device.public_key == wanted.public_key
    assert (device.port, device.mtu) == (wanted.port, wanted.mtu)
    assert device.addresses == set(wanted.addresses)
    assert device.routes == wanted.routes
    assert {peer.public_key: (peer.allowed_ips, peer.keepalive) for peer in device.peers.values()} == {
        peer.public_key: (set(peer.allowed_ips), peer.keepalive) for peer in wanted.peers
    }


# -- the first run


def test_a_view_becomes_a_device_with_addresses_routes_and_peers(host):
    wanted = registered(host)
    result = host.call("apply")
    assert_equals(host, wanted)
    endpoints = {peer.public_key: peer.endpoint for peer in host.device().peers.values()}
    assert endpoints == {peer.public_key: peer.endpoint for peer in PEERS}
    assert result["backbone"]["result"] is True
    assert set(result["backbone"]["changes"]) >= {"device", "private key", "peer node2", "route fd99::/64", str(CONFIG)}
    assert "wg0 was changed" in result["backbone"]["comment"]


def test_the_configuration_file_is_complete_and_only_root_may_read_it(host):
    wanted = applied(host)
    assert stat.S_IMODE(CONFIG.stat().st_mode) == 0o600
    text = CONFIG.read_text()
    assert f"PrivateKey = {(ETC / 'wg0.key').read_text().strip()}\n" in text
    assert "network backbone" in text.splitlines()[0]
    stripped = host.run("wg-quick", "strip", str(CONFIG))
    assert stripped.count("[Peer]") == len(wanted.peers)
    assert "Address" not in stripped
    assert sorted(os.listdir(ETC)) == ["wg0.conf", "wg0.key"]


def test_syncing_the_stripped_file_by_hand_does_not_change_the_device(host):
    """What `systemctl reload wg-quick@wg0` does; a file without the private key would clear it."""
    wanted = applied(host)
    host.run("wg", "syncconf", "wg0", "/dev/stdin", text=host.run("wg-quick", "strip", str(CONFIG)))
    assert_equals(host, wanted)


def test_the_device_that_wg_quick_makes_at_boot_needs_no_change(host):
    wanted = applied(host)
    host.delete_device()
    host.run("wg-quick", "up", "wg0")
    assert host.call("apply")["backbone"]["changes"] == {}
    assert_equals(host, wanted)


def test_several_networks_are_applied_each_to_its_interface(host):
    first = view(host.call("keypair", "wg0"))
    second = view(
        host.call("keypair", "wg1"), peer("node9", "10.43.0.9/32"),
        interface="wg1", network="storage", addresses=("10.43.0.1/16",), port=51821,
    )  # fmt: skip
    host.set_networks(first, second)
    assert set(host.call("apply")) == {"backbone", "storage"}
    assert_equals(host, first)
    assert_equals(host, second)
    assert host.call("managed") == {"wg0": "backbone", "wg1": "storage"}


def test_only_the_network_that_was_asked_for_is_applied(host):
    first = view(host.call("keypair", "wg0"))
    second = view(host.call("keypair", "wg1"), interface="wg1", network="storage", port=51821)
    host.set_networks(first, second)
    assert set(host.call("apply", "backbone")) == {"backbone"}
    assert host.device("wg1") is None


def test_a_network_that_the_pillar_does_not_have_is_an_error_that_lists_those_it_has(host):
    registered(host)
    message = host.error("apply", "bakbone")
    assert "'bakbone'" in message
    assert "it has: backbone" in message
    assert host.device() is None


def test_a_minion_without_wireguard_in_its_pillar_has_nothing_to_apply(host):
    assert host.call("apply") == {}
    assert "it has: none" in host.error("apply", "backbone")
    assert files() == {}


def test_an_interface_can_have_no_peers_at_all(host):
    host.set_networks(replace(view(host.call("keypair", "wg0")), peers=()))
    assert host.call("apply")["backbone"]["result"] is True
    assert host.device().peers == {}


# -- the second run


def test_a_second_run_executes_no_command_that_could_change_anything(host):
    applied(host)
    before = host.picture()
    host.forget_commands()
    for call in (lambda: host.call("apply"), lambda: host.call("sync"), lambda: host.state("present", "backbone")):
        call()
        assert host.commands, "nothing was even looked at"
        assert host.writing_commands() == []
    assert host.picture() == before


def test_a_second_run_says_that_nothing_changed(host):
    applied(host)
    assert host.call("apply") == {
        "backbone": {"result": True, "changes": {}, "comment": "wg0 is as it should be"}
    }  # fmt: skip


def test_a_second_run_is_no_test_run_either(host):
    applied(host)
    assert host.call("apply", test=True)["backbone"]["result"] is True


def test_a_run_that_finds_nothing_to_do_reads_the_device_once(host):
    """It was read twice: most of what such a run costs is the programs that it starts."""
    applied(host)
    host.forget_commands()
    host.call("apply")
    commands = [tuple(command) for command in host.commands if command != ["wg", "pubkey"]]
    assert len(commands) == len(set(commands)) <= 5, commands


# -- test runs


def test_a_test_run_changes_nothing(host):
    registered(host)
    before = host.picture()
    host.forget_commands()
    result = host.call("apply", test=True)["backbone"]
    assert result["result"] is None
    assert {"device", "peer node2", str(CONFIG)} <= set(result["changes"])
    assert "would be changed" in result["comment"]
    assert host.writing_commands() == []
    assert host.picture() == before
    assert host.events == []


def test_a_test_run_says_exactly_what_the_run_does_afterwards(host):
    applied(host)
    registered(host, *PEERS[1:], peer("node5", "10.42.0.5/32"), addresses=("10.42.0.7/16",), mtu=1400)
    force = {"force": True, "reason": "it moves"}
    announced = host.call("apply", test=True, **force)["backbone"]["changes"]
    assert host.call("apply", **force)["backbone"]["changes"] == announced
    assert {"peer node2", "peer node5", "address 10.42.0.7/16", "mtu"} <= set(announced)


def test_a_test_run_on_a_node_without_a_key_makes_none(host):
    host.set_networks(view(None))
    result = host.call("apply", test=True)["backbone"]
    assert result["result"] is None
    assert "would be registered" in result["comment"]
    assert files() == {}
    assert host.events == []


# -- diff, show, managed


def test_diff_shows_the_commands_that_apply_then_runs(host):
    applied(host)
    registered(host, *PEERS[:2], peer("node5", "10.42.0.5/32"))
    announced = host.call("diff")["backbone"]
    host.forget_commands()
    result = host.call("apply")["backbone"]
    assert [" ".join(argv) for argv in host.device_commands()] == announced["commands"]
    assert result["changes"].items() >= announced["changes"].items()


def test_diff_changes_nothing(host):
    registered(host)
    before = host.picture()
    assert host.call("diff", "backbone")["backbone"]["commands"]
    assert host.picture() == before


@pytest.mark.parametrize("has_key", [False, True])
def test_diff_of_a_node_that_is_not_registered_says_so(host, has_key):
    if has_key:
        host.call("keypair", "wg0")
    host.set_networks(view(None))
    assert "not registered" in host.call("diff")["backbone"]["comment"]


def test_show_has_everything_but_the_secrets(host):
    wanted = applied(host)
    preshared = host.run("wg", "genpsk").strip()
    host.secrets.add(preshared)
    host.run("wg", "set", "wg0", "peer", key("node3"), "preshared-key", "/dev/stdin", text=preshared)
    shown = host.call("show")
    assert host.call("show", "wg0") == shown
    assert set(shown) == {"wg0"}
    interface = shown["wg0"]
    assert interface["public_key"] == wanted.public_key
    assert (interface["port"], interface["mtu"], interface["up"]) == (51820, 1380, True)
    assert interface["addresses"] == sorted(wanted.addresses)
    assert interface["routes"] == sorted(wanted.routes)
    assert interface["peers"][key("node2")] == {
        "endpoint": "127.0.0.1:4444",
        "allowed_ips": ["10.42.0.2/32", "192.168.40.0/24"],
        "latest_handshake": 0,
        "received": 0,
        "sent": interface["peers"][key("node2")]["sent"],
        "keepalive": 25,
        "preshared_key": None,
    }
    assert interface["peers"][key("node3")]["preshared_key"] == "(hidden)"
    assert preshared not in str(shown)


def test_show_of_a_device_that_is_not_there_is_none(host):
    assert host.call("show", "wg0") == {"wg0": None}
    assert host.call("show") == {}


def test_show_lists_devices_that_are_not_ours_as_well(host):
    make_device(host, "wg9")
    assert host.call("show")["wg9"]["peers"] == {}


def test_managed_lists_only_files_of_ours(host):
    applied(host)
    (ETC / "office.conf").write_text("[Interface]\nListenPort = 51821\n")
    (ETC / "notes.txt").write_text(
        "# Managed by Salt (saltext-wireguard), network backbone. Changes made here are lost.\n"
    )
    assert host.call("managed") == {"wg0": "backbone"}


def make_device(host, name):
    try:
        host.run("ip", "link", "add", "dev", name, "type", "wireguard")
    except AssertionError:
        host.run("wireguard-go", name)


# -- changes and drift


def test_a_changed_view_is_applied(host):
    applied(host)
    rekeyed = peer("node3", "10.42.0.3/32", public_key=key("new"))
    added = peer("node5", "10.42.0.5/32", "fd98::/64")
    settings = {"addresses": ("10.42.0.1/16", "fd42::1/64", "fd43::1/64"), "port": 51999, "mtu": 1400}
    changed = applied(host, PEERS[0], rekeyed, added, **settings)
    assert_equals(host, changed)
    assert "node4" not in CONFIG.read_text()


DRIFT = {
    "a peer was removed": ("wg", "set", "wg0", "peer", key("node2"), "remove"),
    "a peer was added": ("wg", "set", "wg0", "peer", key("stranger"), "allowed-ips", "10.42.0.66/32"),
    "a peer has another network": ("wg", "set", "wg0", "peer", key("node2"), "allowed-ips", "10.42.0.66/32"),
    "a peer lost its keepalive": ("wg", "set", "wg0", "peer", key("node2"), "persistent-keepalive", "0"),
    "an address was removed": ("ip", "address", "del", "10.42.0.1/16", "dev", "wg0"),
    "an address was added": ("ip", "address", "add", "10.44.0.1/16", "dev", "wg0"),
    "a route was removed": ("ip", "-6", "route", "del", "fd99::/64", "dev", "wg0"),
    "the link is down": ("ip", "link", "set", "dev", "wg0", "down"),
    "the port is another one": ("wg", "set", "wg0", "listen-port", "40000"),
    "the MTU is another one": ("ip", "link", "set", "dev", "wg0", "mtu", "1300"),
    "the device is gone": ("ip", "link", "delete", "dev", "wg0"),
    "the key was cleared": ("wg", "set", "wg0", "private-key", "/dev/null"),
    "everything was wiped": ("wg", "setconf", "wg0", "/dev/null"),
}


@pytest.mark.parametrize("command", DRIFT.values(), ids=DRIFT)
def test_drift_is_repaired(host, command):
    wanted = applied(host)
    before = files()
    host.run(*command)
    assert host.call("apply", test=True)["backbone"]["result"] is None
    result = host.call("apply")["backbone"]
    assert result["changes"]
    assert str(CONFIG) not in result["changes"]
    assert_equals(host, wanted)
    assert files() == before


def test_a_key_set_by_hand_is_replaced_by_the_one_of_the_key_file(host):
    wanted = applied(host)
    host.run("wg", "set", "wg0", "private-key", "/dev/stdin", text=host.run("wg", "genkey"))
    result = host.call("apply")["backbone"]
    assert set(result["changes"]) == {"private key"}
    assert_equals(host, wanted)


def test_preshared_keys_go_to_the_device_and_into_the_file_and_nowhere_else(host):
    wanted = registered(host, *map(preshared, PEERS))
    changes = host.call("apply")["backbone"]["changes"]
    assert {changes[f"peer {each.name}"]["new"]["preshared_key"] for each in wanted.peers} == {"set"}
    shown = dict(line.split("\t") for line in host.run("wg", "show", "wg0", "preshared-keys").splitlines())
    assert shown == {each.public_key: each.preshared_key for each in wanted.peers}
    assert CONFIG.read_text().count("PresharedKey = ") == len(wanted.peers)
    assert stat.S_IMODE(CONFIG.stat().st_mode) == 0o600
    assert host.shared_secrets == set(shown.values())  # which the host looks for when the test is over


def test_a_second_run_with_preshared_keys_finds_nothing_to_do(host):
    registered(host, *map(preshared, PEERS))
    host.call("apply")
    before = host.picture()
    host.forget_commands()
    assert host.call("apply")["backbone"]["changes"] == {}
    assert host.writing_commands() == []
    assert host.picture() == before


def test_another_preshared_key_touches_only_its_peer(host):
    registered(host, *map(preshared, PEERS))
    host.call("apply")
    registered(host, preshared(PEERS[0], "renewed"), *map(preshared, PEERS[1:]))
    host.forget_commands()
    changes = host.call("apply")["backbone"]["changes"]
    facts = {"old": {"preshared_key": "set"}, "new": {"preshared_key": "changed"}}
    assert changes == {f"peer {PEERS[0].name}": facts, str(CONFIG): {"old": None, "new": "written"}}
    (command,) = host.device_commands()
    assert command[:6] == ["wg", "set", "wg0", "peer", PEERS[0].public_key, "preshared-key"]
    assert re.fullmatch(r"/dev/fd/\d+", command[6])
    assert command[7:] == []


def test_preshared_keys_that_cannot_be_set_are_not_in_the_error(host):
    registered(host, *map(preshared, PEERS))
    saying_all = 'for word; do [ ! -p "$word" ] || cat "$word" >&2; done; exit 1'
    host.put_program("wg", f'case "$*" in *preshared-key*) {saying_all}; esac; exec $real "$@"')
    message = host.error("apply")
    assert "(hidden)" in message


def test_a_device_with_preshared_keys_whose_file_was_damaged_can_be_come_back_to(host):
    wanted = registered(host, *map(preshared, PEERS))
    host.call("apply")
    CONFIG.write_text(CONFIG.read_text() + "Nonsense = 1\n")
    registered(host, *wanted.peers, mtu=1370)
    host.call("apply")
    assert CONFIG.read_text().count("PresharedKey = ") == len(wanted.peers)


def test_a_preshared_key_set_by_hand_is_removed_and_not_shown(host):
    applied(host)
    preshared = host.run("wg", "genpsk").strip()
    host.secrets.add(preshared)
    host.run("wg", "set", "wg0", "peer", key("node2"), "preshared-key", "/dev/stdin", text=preshared)
    result = host.call("apply")["backbone"]
    assert result["changes"]["peer node2"] == {"old": {"preshared_key": "set"}, "new": {"preshared_key": "removed"}}
    assert not host.device().peers[key("node2")].preshared_key


@pytest.mark.parametrize("damage", ["deleted", "truncated", "edited", "readable by all"])
def test_a_damaged_configuration_file_is_written_anew(host, damage):
    """A file that others could read stayed so, as only its text was compared."""
    applied(host)
    whole = CONFIG.read_text()
    if damage == "deleted":
        CONFIG.unlink()
    elif damage == "readable by all":
        CONFIG.chmod(0o644)
    else:
        CONFIG.write_text(whole[:200] if damage == "truncated" else whole.replace("25", "26"))
    host.forget_commands()
    result = host.call("apply")["backbone"]
    assert set(result["changes"]) == {str(CONFIG)}
    assert (CONFIG.read_text(), stat.S_IMODE(CONFIG.stat().st_mode)) == (whole, 0o600)
    assert host.writing_commands() == []


def test_only_what_differs_is_touched(host):
    applied(host)
    registered(host, *PEERS[:2], peer("node4", "10.42.0.44/32", endpoint="[::1]:4444"))
    host.forget_commands()
    host.call("apply")
    assert host.device_commands() == [["wg", "set", "wg0", "peer", key("node4"), "allowed-ips", "10.42.0.44/32"]]


def test_something_that_changes_the_device_back_at_once_is_an_error_that_says_so(host):
    applied(host)
    registered(host, *PEERS, peer("node5", "10.42.0.5/32"))
    before = files()
    host.put_program("wg", f'$real "$@" && if [ "$1" = set ]; then $real set wg0 peer {key("node5")} remove; fi')
    message = host.error("apply")
    assert "wg0 is still not what it should be" in message
    assert "peer node5" in message
    assert files() == before


# -- endpoints


def test_an_endpoint_that_is_a_name_is_resolved(host):
    applied(host, peer("node2", "10.42.0.2/32", endpoint="localhost:4444"))
    assert host.device().peers[key("node2")].endpoint in ("127.0.0.1:4444", "[::1]:4444")
    assert "Endpoint = localhost:4444" in CONFIG.read_text()
    host.forget_commands()
    assert host.call("apply")["backbone"]["changes"] == {}


@pytest.fixture
def bad_names(host, monkeypatch):
    """Names below slow.example never come back, and those below bad.example do not exist."""
    stop = threading.Event()
    real = socket.getaddrinfo

    def getaddrinfo(name, *args, **kwargs):
        if name.endswith("slow.example"):
            stop.wait(30)
        if name.endswith(".example"):
            raise socket.gaierror(-2, "Name or service not known")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(host.library("node.endpoints"), "RESOLVE_SECONDS", 0.5)
    yield host
    stop.set()


@pytest.mark.parametrize("name", ["bad.example", "slow.example"])
def test_a_name_that_does_not_resolve_delays_nobody(bad_names, caplog, name):
    """Names were looked up twice a run, so that a slow one cost twice its time."""
    started = time.monotonic()
    with caplog.at_level(logging.WARNING):
        far = [peer(f"far{number}", f"10.42.9.{number}/32", endpoint=f"n{number}.{name}:1") for number in range(9)]
        wanted = applied(bad_names, *PEERS, *far)
    assert time.monotonic() - started < 20  # of 30 for a slow name
    assert_equals(bad_names, wanted)
    peers = bad_names.device().peers
    assert peers[key("far3")].endpoint is None
    assert peers[key("node2")].endpoint == "127.0.0.1:4444"
    warnings = [record.getMessage() for record in caplog.records if "does not resolve" in record.getMessage()]
    assert len(warnings) == 9, warnings
    assert f"the endpoint n3.{name}:1 of far3 does not resolve" in warnings[3]


def test_a_name_that_begins_to_resolve_during_a_run_does_not_make_it_fail(host, monkeypatch):
    """The device was compared with the new answer, and something else on the machine was blamed for the difference."""
    answers = iter([socket.gaierror(-3, "Temporary failure in name resolution")])
    real = socket.getaddrinfo

    def getaddrinfo(name, *args, **kwargs):
        for error in answers:
            raise error
        return real(name, *args, **kwargs)

    registered(host, peer("node2", "10.42.0.2/32", endpoint="localhost:4444"))
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert host.call("apply")["backbone"]["result"] is True
    assert host.device().peers[key("node2")].endpoint is None
    assert set(host.call("apply")["backbone"]["changes"]) == {"peer node2"}
    assert host.device().peers[key("node2")].endpoint is not None


def session(host):
    """A live session with a second device, wg9, whose packets come from 127.0.0.1:51829. Returns the views's peer."""
    own = host.call("keypair", "wg0")
    private = host.run("wg", "genkey")
    make_device(host, "wg9")
    host.run("wg", "set", "wg9", "listen-port", "51829", "private-key", "/dev/stdin", text=private)
    other = peer(
        "node2", "10.42.0.2/32", endpoint="127.0.0.1:51829", public_key=host.run("wg", "pubkey", text=private).strip()
    )
    applied(host, other)
    host.run("wg", "set", "wg9", "peer", own, "endpoint", "127.0.0.1:51820", "persistent-keepalive", "1")
    host.run("ip", "link", "set", "dev", "wg9", "up")
    wait_until(lambda: host.device().peers[other.public_key].latest_handshake)
    return other


def test_a_peer_that_roams_back_at_once_is_no_error(host):
    """
    The endpoint of a live session is the peer's to choose. With a new endpoint in the view, a packet of the peer before
    the device was read again made the run fail, as did every later one, and the file was never written.
    """
    other = session(host)
    moved = peer("node2", "10.42.0.2/32", endpoint="127.0.0.1:51830", public_key=other.public_key)
    registered(host, moved)
    host.put_program("wg", '$real "$@" && case "$*" in *" endpoint "*) sleep 1.5;; esac')
    assert host.call("apply")["backbone"]["result"] is True
    assert host.device().peers[other.public_key].endpoint == "127.0.0.1:51829"
    assert "Endpoint = 127.0.0.1:51830" in CONFIG.read_text()
    assert host.call("apply")["backbone"]["changes"] == {}


# -- what others set up


@pytest.mark.parametrize("function", ["apply", "sync", "apply_interface", "remove"])
def test_a_configuration_file_of_somebody_else_is_refused_and_untouched(host, function):
    registered(host)
    CONFIG.write_text("[Interface]\nListenPort = 51820\n")
    before = host.picture()
    if function == "sync":
        result = host.call("sync")["networks"]["backbone"]
        assert result["result"] is False
        message = result["comment"]
    else:
        arguments = {"apply": (), "apply_interface": ("wg0", ["10.9.0.1/24"]), "remove": ("wg0",)}
        message = host.error(function, *arguments[function])
    assert f"{CONFIG} was not written by these modules" in message
    assert "wg-quick down wg0" in message
    assert host.picture() == before


@pytest.mark.parametrize("text", ["", "\n"])
def test_an_empty_configuration_file_is_nobodys(host, text):
    wanted = registered(host)
    CONFIG.write_text(text)
    if text:
        assert "was not written by these modules" in host.error("apply")
    else:
        host.call("apply")
        assert_equals(host, wanted)


def test_a_wireguard_device_of_somebody_else_is_refused_and_untouched(host):
    registered(host)
    make_device(host, "wg0")
    host.run("wg", "set", "wg0", "listen-port", "4242", "private-key", "/dev/stdin", text=host.run("wg", "genkey"))
    before = host.picture()
    assert "a device wg0 exists that was not set up from here" in host.error("apply")
    assert host.picture() == before


def test_a_device_of_another_kind_is_refused_and_untouched(host):
    registered(host)
    host.run("ip", "link", "add", "name", "wg0", "type", "veth", "peer", "name", "other0")
    before = host.picture()
    message = host.error("apply")
    assert "wg0" in message
    assert "not supported" in message
    assert host.picture() == before


def test_an_interface_of_another_network_is_refused(host):
    applied(host)
    before = host.picture()
    host.set_networks(view(host.call("public_key", "wg0"), network="storage"))
    assert "wg0 was set up for the network backbone" in host.error("apply")
    assert host.picture() == before


def test_an_interface_set_up_by_explicit_arguments_is_not_taken_over_by_a_network(host):
    """The message spoke of a network None."""
    host.call("apply_interface", "wg0", ["10.9.0.1/24"])
    registered(host)
    message = host.error("apply")
    assert "wg0 was set up for explicit arguments" in message
    assert "None" not in message


def test_an_interface_of_a_network_is_not_taken_over_by_explicit_arguments(host):
    applied(host)
    message = host.error("apply_interface", "wg0", ["10.9.0.1/24"])
    assert "wg0 was set up for the network backbone" in message
    assert "not for explicit arguments" in message


def test_a_network_of_somebody_elses_interface_is_not_taken_over(host):
    """A route that another interface has already: an error, and the route stays where it is."""
    host.run("ip", "link", "add", "name", "lan0", "type", "veth", "peer", "name", "lan1")
    host.run("ip", "address", "add", "192.168.40.1/24", "dev", "lan0")
    host.run("ip", "link", "set", "dev", "lan1", "up")
    host.run("ip", "link", "set", "dev", "lan0", "up")
    registered(host)
    message = host.error("apply")
    assert "192.168.40.0/24" in message
    assert "File exists" in message
    assert "dev lan0" in host.run("ip", "route", "show", "192.168.40.0/24")


# -- views that cannot be


def broken(host, **fields):
    data = view(host.call("public_key", "wg0")).to_dict()
    peer_fields = {name[5:]: fields.pop(name) for name in list(fields) if name.startswith("peer_")}
    data["peers"]["node2"].update(peer_fields)
    data.update(fields)
    del data["digest"]
    host.set_pillar({"wireguard": {"networks": {"backbone": data}}})


INVALID = {
    "no interface": {"interface": None},
    "a long name": {"interface": "a" * 16},
    "a path as name": {"interface": "../wg0"},
    "a bad address": {"addresses": ["10.42.0.300/16"]},
    "an address with a zone": {"addresses": ["fe80::1%eth0/64"]},
    "a bad port": {"port": 70000},
    "text as port": {"port": "51820"},
    "a small MTU": {"mtu": 1000},
    "an unknown key": {"adresses": []},
    "a bad key": {"peer_public_key": "nonsense"},
    "a network with host bits": {"peer_allowed_ips": ["10.42.0.2/16"]},
    "the default route": {"peer_allowed_ips": ["0.0.0.0/0"]},
    "another's network": {"peer_allowed_ips": ["10.42.0.3/32"]},
    "another's key": {"peer_public_key": key("node3")},
    "an endpoint without port": {"peer_endpoint": "node2.example.com"},
    "a command": {"peer_endpoint": "a:1\nPostUp = touch /tmp/owned"},
    "a list of peers": {"peers": [1]},
    "no mapping at all": {"peers": {"node2": None}},
}


@pytest.mark.parametrize("fields", INVALID.values(), ids=INVALID)
def test_a_view_that_cannot_be_applied_is_an_error_before_anything_is_touched(host, fields):
    applied(host)
    broken(host, **fields)
    before = host.picture()
    host.forget_commands()
    for function in ("apply", "diff"):
        message = host.error(function)
        assert "wg0" in message or "backbone" in message or "peers node2 and node3" in message, message
    assert host.writing_commands() == []
    assert host.picture() == before


def test_the_nodes_own_key_as_a_peers_key_names_the_peer(host):
    applied(host)
    broken(host, peer_public_key=host.call("public_key", "wg0"))
    assert "peer node2 has this node's own public key" in host.error("apply")


@pytest.mark.parametrize("function", ["apply", "diff", "sync"])
def test_a_pillar_with_errors_touches_nothing(host, function):
    applied(host)
    before = host.picture()
    data = {"_errors": ["Failed to load ext_pillar wireguard: mesh.yml:3: unknown key"], "wireguard": {"networks": {}}}
    host.set_pillar(data)
    message = host.error(function)
    assert "the pillar has errors, nothing was changed" in message
    assert "mesh.yml:3: unknown key" in message
    assert host.picture() == before


# -- failures in the middle


FAILING = {
    "ip address": ("ip", '"address add"*'),
    "ip link up": ("ip", '"link set dev wg0 up"'),
    "ip route": ("ip", '*"route add"*'),
    "wg set key": ("wg", '*"private-key"*'),
    "wg set peers": ("wg", '*" peer "*'),
}


@pytest.mark.parametrize("case", FAILING.values(), ids=FAILING)
def test_a_command_that_fails_leaves_the_old_file_and_the_next_run_finishes(host, case):
    name, pattern = case
    applied(host, PEERS[1])
    if name == "wg" or "link" in pattern:
        host.delete_device()  # so that there is such a command
    old = CONFIG.read_bytes()
    wanted = registered(host, *PEERS, addresses=("10.42.0.1/16", "fd42::1/64", "10.44.0.1/16"))
    program = host.put_program(name, f'case "$*" in {pattern}) echo out of order >&2; exit 7;; esac; exec $real "$@"')
    message = host.error("apply")
    assert "failed with code 7: out of order" in message
    assert CONFIG.read_bytes() == old
    assert host.call("diff")["backbone"]["commands"]
    program.unlink()
    assert host.call("apply")["backbone"]["result"] is True
    assert_equals(host, wanted)


def test_a_run_that_was_killed_in_the_middle_is_finished_by_the_next(host):
    applied(host, PEERS[1])
    old = CONFIG.read_bytes()
    wanted = registered(host, *PEERS)
    host.put_program("ip", 'case "$*" in *"route add"*) kill -9 $PPID;; esac; exec $real "$@"')
    with pytest.raises(RuntimeError, match="died"):
        Fork(host.functions["wireguard.apply"]).result()
    assert CONFIG.read_bytes() == old
    (host.disk / "bin" / "ip").unlink()
    assert host.call("apply")["backbone"]["result"] is True
    assert_equals(host, wanted)
    assert sorted(os.listdir(ETC)) == ["wg0.conf", "wg0.key"]


def test_an_error_shows_the_end_of_what_a_program_wrote(host):
    """wireguard-go writes a large box before it says what is wrong; the message had the beginning of the box only."""
    registered(host)
    host.put_program("ip", 'case "$*" in *"link add"*) exit 2;; esac; exec $real "$@"')
    box = "for i in 1 2 3 4 5 6 7 8; do echo ----------------------------------------; done >&2"
    host.put_program("wireguard-go", f"{box}; echo the tunnel is out of order >&2; exit 1")
    assert "the tunnel is out of order" in host.error("apply")


def test_without_wireguard_the_error_says_what_to_install(host, monkeypatch):
    registered(host)
    monkeypatch.setenv("WG_QUICK_USERSPACE_IMPLEMENTATION", "no-such-program")
    host.put_program(
        "ip", 'case "$*" in *"link add"*) echo Error: Unknown device type. >&2; exit 2;; esac; exec $real "$@"'
    )
    message = host.error("apply")
    assert "this kernel has no WireGuard" in message
    assert "Install the kernel module, or wireguard-go" in message
    assert not CONFIG.exists()


@pytest.mark.parametrize("program", ["wg", "ip"])
def test_a_program_that_is_missing_is_named_with_its_package(host, monkeypatch, program):
    registered(host)
    kept = {name: Path(f"{folder}/{name}") for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
            for name in ("wg", "ip", "wireguard-go") if os.path.exists(f"{folder}/{name}")}  # fmt: skip
    bin_dir = host.disk / "few"
    bin_dir.mkdir()
    for name, path in kept.items():
        if name != program:
            (bin_dir / name).symlink_to(path)
    monkeypatch.setenv("PATH", str(bin_dir))
    package = {"wg": "wireguard-tools", "ip": "iproute2"}[program]
    assert f"{program} is not installed: install {package}" in host.error("apply")


@pytest.fixture(params=["full", "read-only"])
def bad_disk(request, host):
    """The host with one peer, and an /etc/wireguard that takes no new file."""
    applied(host, PEERS[1])

    def spoil():
        if request.param == "full":
            with pytest.raises(OSError, match="No space"), open(ETC / "filler", "wb") as filler:
                filler.write(b"x" * 4096 * 64)
        else:
            host.run("mount", "-o", "remount,ro", str(ETC))

    def repair():
        if request.param == "full":
            (ETC / "filler").unlink()
        else:
            host.run("mount", "-o", "remount,rw", str(ETC))

    host.run("mount", "-o", "remount,size=64k", str(ETC))
    return host, {"full": "No space left on device", "read-only": "Read-only file system"}[request.param], spoil, repair


def test_a_disk_that_cannot_be_written_is_a_clear_error_and_costs_no_tunnel(bad_disk):
    """An OSError came through, with a traceback instead of a message; one network's hid the results of all others."""
    host, reason, spoil, repair = bad_disk
    old = CONFIG.read_bytes()
    wanted = registered(host, *PEERS)
    spoil()
    message = host.error("apply")
    assert reason in message
    assert str(ETC) in message
    assert CONFIG.read_bytes() == old
    assert set(host.device().peers) >= {key("node3")}
    synced = host.call("sync")["networks"]["backbone"]
    assert synced["result"] is False
    assert reason in synced["comment"]
    state = host.state("present", "backbone")
    assert (state["result"], reason in state["comment"]) == (False, True)
    repair()
    assert host.call("apply")["backbone"]["result"] is True
    assert_equals(host, wanted)
    assert sorted(os.listdir(ETC)) == ["wg0.conf", "wg0.key"]


def test_a_key_that_cannot_be_written_is_a_clear_error(bad_disk):
    host, reason, spoil, _ = bad_disk
    spoil()
    message = host.error("keypair", "wg5")
    assert reason in message
    assert str(ETC) in message
    assert not (ETC / "wg5.key").exists()


def test_a_directory_that_is_not_there_is_made_for_root_only(host, monkeypatch):
    place = host.disk / "etc" / "wireguard"
    monkeypatch.setattr(host.library("node.config_files"), "CONFIG_DIR", str(place))
    host.call("keypair", "wg0")
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    (place / "wg0.key").unlink()  # it is a secret outside of its place


# -- several at once


def test_concurrent_runs_on_one_interface_do_not_collide(host):
    """The device was looked at before the lock was taken, when another run had it half made."""
    wanted = registered(host)
    runs = [Fork(host.functions["wireguard.apply"]) for _ in range(6)]
    results = [run.result()["backbone"] for run in runs]
    assert [result["result"] for result in results] == [True] * 6
    assert sum(1 for result in results if result["changes"]) == 1
    assert_equals(host, wanted)


def test_concurrent_runs_with_another_view_end_with_one_of_the_two(host):
    public_key = host.call("keypair", "wg0")
    views = [view(public_key), view(public_key, peer("node7", "10.42.0.7/32"), addresses=("10.42.0.1/16",))]

    def run(wanted):
        host.set_networks(wanted)
        return host.functions["wireguard.apply"](force=True, reason="addresses go")

    for started in [Fork(run, wanted) for wanted in views * 3]:
        assert started.result()["backbone"]["result"] is True
    device = host.device()
    (last,) = [wanted for wanted in views if set(wanted.addresses) == device.addresses]
    assert_equals(host, last)
    host.set_networks(last)
    assert host.call("apply")["backbone"]["changes"] == {}


def test_whoever_waits_too_long_for_another_run_gives_up_with_a_message(host, monkeypatch):
    registered(host)
    monkeypatch.setattr(host.library("node.lock"), "LOCK_SECONDS", 0.3)
    with host.lock("wg0"):
        assert "another apply has been working on wg0" in host.error("apply")
    assert host.call("apply")["backbone"]["result"] is True


def test_the_lock_of_a_killed_run_does_not_block_the_next(host, monkeypatch):
    registered(host)

    def die():
        with host.lock("wg0"):
            os.kill(os.getpid(), 9)

    with pytest.raises(RuntimeError, match="died"):
        Fork(die).result()
    monkeypatch.setattr(host.library("node.lock"), "LOCK_SECONDS", 1)
    assert host.call("apply")["backbone"]["result"] is True


# -- explicit arguments


EXPLICIT = {
    "addresses": ["10.9.0.1/24"],
    "port": 51821,
    "mtu": 1400,
    "peers": {"router": {"public_key": key("router"), "allowed_ips": ["10.9.0.2/32"], "endpoint": "127.0.0.1:4444"}},
}


def test_an_interface_is_made_of_explicit_arguments(host):
    result = host.call("apply_interface", "wg5", **EXPLICIT)
    assert result["result"] is True
    device = host.device("wg5")
    assert (device.addresses, device.port, device.mtu) == ({"10.9.0.1/24"}, 51821, 1400)
    assert device.peers[key("router")].endpoint == "127.0.0.1:4444"
    assert device.public_key == host.call("public_key", "wg5")
    assert host.call("managed") == {"wg5": None}
    assert host.events == []
    host.forget_commands()
    assert host.call("apply_interface", "wg5", **EXPLICIT)["changes"] == {}
    assert host.writing_commands() == []


def test_a_test_run_of_explicit_arguments_changes_nothing(host):
    before = host.picture()
    result = host.call("apply_interface", "wg5", **EXPLICIT, test=True)
    assert result["result"] is None
    assert result["changes"]
    assert host.picture() == before


def test_a_private_key_file_of_ones_own_is_used_and_left_where_it_is(host):
    own = ETC / "mine.key"
    own.write_text(host.run("wg", "genkey"))
    before = files()["mine.key"]
    host.call("apply_interface", "wg5", ["10.9.0.1/24"], private_key_file=str(own))
    assert host.device("wg5").public_key == host.run("wg", "pubkey", text=own.read_text()).strip()
    assert not (ETC / "wg5.key").exists()
    host.call("remove", "wg5")
    assert files() == {"mine.key": before}


@pytest.mark.parametrize("test", [False, True])
def test_a_private_key_file_that_is_missing_is_an_error_that_names_it(host, test):
    message = host.error("apply_interface", "wg5", ["10.9.0.1/24"], private_key_file="/etc/wireguard/no.key", test=test)
    assert "/etc/wireguard/no.key does not exist" in message
    assert files() == {}


@pytest.mark.parametrize(
    "arguments",
    [
        {"interface": "wg 5"},
        {"addresses": "10.9.0.1/24"},
        {"addresses": ["10.9.0.1/240"]},
        {"port": 0},
        {"mtu": "big"},
        {"peers": ["router"]},
        {"peers": {"router": {"public_key": "nonsense"}}},
        {"peers": {"router": {}}},
    ],
)
def test_explicit_arguments_that_make_no_sense_are_errors_that_touch_nothing(host, arguments):
    before = host.picture()
    assert "wireguard interface" in host.error("apply_interface", **{"interface": "wg5", **EXPLICIT, **arguments})
    assert host.picture() == before


# -- removal


def test_an_interface_is_removed_and_its_key_kept_aside(host):
    applied(host)
    private = (ETC / "wg0.key").read_text()
    result = host.call("remove", "wg0")
    assert result["result"] is True
    assert host.device() is None
    (aside,) = os.listdir(ETC)
    assert re.fullmatch(r"wg0\.key\.removed-\d{8}-\d{6}", aside)
    assert (ETC / aside).read_text() == private
    assert stat.S_IMODE((ETC / aside).stat().st_mode) == 0o600
    assert f"its key is kept in {ETC / aside}" in result["comment"]
    assert result["changes"] == {"interface wg0": {"old": "present", "new": None}}


def test_a_second_removal_does_nothing(host):
    applied(host)
    host.call("remove", "wg0")
    before = host.picture()
    host.forget_commands()
    assert host.call("remove", "wg0") == {"result": True, "changes": {}, "comment": "wg0 is not set up"}
    assert host.writing_commands() == []
    assert host.picture() == before


def test_a_test_run_of_a_removal_removes_nothing(host):
    applied(host)
    before = host.picture()
    assert host.call("remove", "wg0", test=True)["result"] is None
    assert host.picture() == before


def test_a_removal_without_a_device_or_key_takes_away_what_is_left(host):
    """The comment said that the key was kept in None."""
    applied(host)
    host.run("ip", "link", "delete", "dev", "wg0")
    (ETC / "wg0.key").unlink()
    result = host.call("remove", "wg0")
    assert result["comment"] == "wg0 was removed"
    assert os.listdir(ETC) == []


def test_concurrent_removals_do_not_collide(host):
    """The slower one failed, for the file that it wanted to remove was gone."""
    applied(host)
    runs = [Fork(host.functions["wireguard.remove"], "wg0") for _ in range(4)]
    results = [run.result() for run in runs]
    assert all(result["result"] is True for result in results)
    assert sum(1 for result in results if result["changes"]) == 1


def test_a_removal_that_fails_is_finished_by_the_next(host):
    applied(host)
    program = host.put_program("ip", 'case "$*" in "link delete"*) echo busy >&2; exit 2;; esac; exec $real "$@"')
    assert "busy" in host.error("remove", "wg0")
    assert host.call("managed") == {"wg0": "backbone"}
    program.unlink()
    assert host.call("remove", "wg0")["result"] is True
    assert host.device() is None


def test_an_interface_set_up_again_after_its_removal_gets_a_new_key(host):
    first = applied(host).public_key
    host.call("remove", "wg0")
    assert applied(host).public_key != first
    assert len([name for name in os.listdir(ETC) if "removed" in name]) == 1


# -- boot


def test_the_service_is_enabled_for_boot_and_disabled_on_removal(host, monkeypatch):
    registered(host)
    services = Services(host, monkeypatch)
    announced = host.call("apply", test=True)["backbone"]["changes"]
    assert announced["wg-quick@wg0"] == {"old": "disabled", "new": "enabled"}
    assert services.calls == []
    host.call("apply")
    assert host.call("apply")["backbone"]["changes"] == {}
    assert services.calls == [("enable", "wg-quick@wg0")]
    host.call("remove", "wg0")
    assert services.calls[1:] == [("disable", "wg-quick@wg0")]


def test_the_service_is_left_alone_where_the_configuration_says_so(host, monkeypatch):
    registered(host)
    host.configure(wireguard={"enable_service": False})
    services = Services(host, monkeypatch)
    assert host.call("apply")["backbone"]["changes"]
    assert host.call("remove", "wg0")["changes"]
    assert services.calls == []


def test_a_service_that_cannot_be_enabled_is_an_error_that_says_what_works(host, monkeypatch):
    wanted = registered(host)
    Services(host, monkeypatch, works=False)
    assert "wg-quick@wg0 could not be enabled: wg0 works" in host.error("apply")
    assert_equals(host, wanted)


def test_without_systemd_no_service_is_asked_about(host):
    registered(host)
    host.functions["service.enabled"] = lambda name: pytest.fail("asked")
    assert host.call("apply")["backbone"]["result"] is True


def test_the_module_has_its_own_idea_of_english(host, monkeypatch):
    """Programs are run with LC_ALL=C, whatever the minion's locale is."""
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    seen = []
    real = subprocess.run
    monkeypatch.setattr(
        subprocess, "run", lambda *args, **kwargs: seen.append(kwargs.get("env")) or real(*args, **kwargs)
    )
    host.functions["wireguard.show"]()
    assert {env["LC_ALL"] for env in seen} == {"C"}


def test_the_helper_mounts_are_not_the_machines(host):
    """The tests' own promise: what happens here happens on file systems and devices of their own."""
    mount("tmpfs", str(ETC), "tmpfs", MS_NOSUID)
    assert os.listdir(ETC) == []
    assert sorted(os.listdir("/sys/class/net")) == ["lo"]
