"""Applying a view: what is decided, said and refused. What `wg` and `ip` make of it is tried on real devices."""

import json
import logging
import os
import re
import socket
import stat
import threading
import time
from dataclasses import replace

import pytest
from views import PEERS, key, peer, preshared, registered, view

from saltext.wireguard.device import forwarding
from saltext.wireguard.model.hosts import HostName, Hosts
from saltext.wireguard.node import config_files, devices, endpoints, lock
from unit.node.host import files


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
    assert files(host.etc) == {}


def test_an_interface_can_have_no_peers_at_all(host):
    host.set_networks(replace(view(host.call("keypair", "wg0")), peers=()))
    assert host.call("apply")["backbone"]["result"] is True
    assert host.device().peers == {}


# -- the second run


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
    assert {"device", "peer node2", str(host.config)} <= set(result["changes"])
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
    assert files(host.etc) == {}
    assert host.events == []


def foreign(host):
    host.set_networks(view(None))
    host.config.write_text("[Interface]\n")


def waits_for_a_decision(host):
    host.set_networks(replace(view(None), waiting="admit"))


def waits_with_another_key(host):
    host.call("keypair", "wg0")
    host.set_networks(replace(view(key("the old one")), waiting="rekey"))


def has_no_master_and_another_key(host):
    host.configure(master_uri=None)
    host.call("keypair", "wg0")
    host.set_networks(view(key("the old one")))


def has_a_backend_that_is_none(host):
    host.configure(wireguard={"backend": "magic"})
    host.set_networks(view(None))


@pytest.mark.parametrize(
    "scene",
    [foreign, waits_for_a_decision, waits_with_another_key, has_no_master_and_another_key, has_a_backend_that_is_none],
)
def test_a_test_run_refuses_what_the_run_refuses_with_the_same_words(host, scene):
    """It promised that the interface would be registered and set up."""
    scene(host)
    announced = host.error("apply", test=True)
    assert host.events == []
    assert host.error("apply", wait=0.01) == announced
    assert host.state("present", "backbone", test=True)["result"] is False


def test_a_test_run_without_a_master_and_a_key_says_that_a_person_must_act_and_makes_none(host):
    """It promised that the interface would be registered and set up, which takes a master."""
    host.configure(master_uri=None)
    host.set_networks(view(None))
    message = host.error("apply", test=True)
    assert "runs without a master, and it has no key yet" in message
    assert host.call("sync", test=True)["networks"]["backbone"] == {"result": False, "comment": message}
    assert files(host.etc) == {}
    assert "Write this key into the mesh file" in host.error("apply")


def test_a_test_run_does_not_mind_that_another_key_waits(host):
    wanted = registered(host)
    host.set_networks(replace(wanted, waiting="rekey"))
    assert host.call("apply", test=True)["backbone"]["result"] is None
    assert host.call("apply")["backbone"]["result"] is True


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


def test_show_of_a_device_that_is_not_there_is_an_error(host):
    """It was none, which no program took for a mistyped name."""
    assert host.error("show", "wg0") == "there is no interface wg0"
    assert host.call("show") == {}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("gone", "backbone"), "networks: must be a list, not 'backbone'"),
        (("enrollment", "wg0"), "interfaces: must be a list, not 'wg0'"),
        (("keypair", "../wg0"), "interface: '../wg0' is no interface name"),
        (("public_key", ""), "interface: '' is no interface name"),
        (("delta", {"backbone": "a key"}), "drop: must be a list, not 'a key'"),
        (("delta", ["backbone"]), r"drop: must be a mapping, not \['backbone'\]"),
    ],
)
def test_an_argument_of_the_wrong_type_is_an_error_and_nothing_else(host, call, message):
    """Of `networks: backbone`, a text, every network counted as kept whose name is a part of it, and no other."""
    assert re.match(message, host.error(*call))
    assert not list(host.etc.iterdir())
    assert host.call("show") == {}


def test_managed_lists_only_files_of_ours(host):
    applied(host)
    (host.etc / "office.conf").write_text("[Interface]\nListenPort = 51821\n")
    (host.etc / "notes.txt").write_text(
        "# Managed by Salt (saltext-wireguard), network backbone. Changes made here are lost.\n"
    )
    assert host.call("managed") == {"wg0": "backbone"}


# -- changes and drift


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
    assert changes == {f"peer {PEERS[0].name}": facts, str(host.config): {"old": None, "new": "written"}}
    (command,) = host.device_commands()
    assert command[:6] == ["wg", "set", "wg0", "peer", PEERS[0].public_key, "preshared-key"]
    assert re.fullmatch(r"/dev/fd/\d+", command[6])
    assert command[7:] == []


@pytest.mark.parametrize("damage", ["deleted", "truncated", "edited", "readable by all"])
def test_a_damaged_configuration_file_is_written_anew(host, damage):
    """A file that others could read stayed so, as only its text was compared."""
    applied(host)
    whole = host.config.read_text()
    if damage == "deleted":
        host.config.unlink()
    elif damage == "readable by all":
        host.config.chmod(0o644)
    else:
        host.config.write_text(whole[:200] if damage == "truncated" else whole.replace("25", "26"))
    host.forget_commands()
    result = host.call("apply")["backbone"]
    assert set(result["changes"]) == {str(host.config)}
    assert (host.config.read_text(), stat.S_IMODE(host.config.stat().st_mode)) == (whole, 0o600)
    assert host.writing_commands() == []


def test_only_what_differs_is_touched(host):
    applied(host)
    registered(host, *PEERS[:2], peer("node4", "10.42.0.44/32", endpoint="[::1]:4444"))
    host.forget_commands()
    host.call("apply")
    assert host.device_commands() == [["wg", "set", "wg0", "peer", key("node4"), "allowed-ips", "10.42.0.44/32"]]


# -- endpoints


def answering(monkeypatch, *answers):
    """Let the resolver give these answers, the last one again and again: addresses, or errors."""
    left = list(answers)

    def getaddrinfo(name, *args, **kwargs):
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (answer, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_an_endpoint_that_is_a_name_is_resolved(host, monkeypatch):
    answering(monkeypatch, "192.0.2.4")
    applied(host, peer("node2", "10.42.0.2/32", endpoint="db1.example:4444"))
    assert host.device().peers[key("node2")].endpoint == "192.0.2.4:4444"
    assert "# Endpoint by name = db1.example:4444\nEndpoint = 192.0.2.4:4444\n" in host.config.read_text()
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
    monkeypatch.setattr(endpoints, "RESOLVE_SECONDS", 0.5)
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
    registered(host, peer("node2", "10.42.0.2/32", endpoint="db1.example:4444"))
    answering(monkeypatch, socket.gaierror(-3, "Temporary failure in name resolution"), "192.0.2.4")
    assert host.call("apply")["backbone"]["result"] is True
    assert host.device().peers[key("node2")].endpoint is None
    assert set(host.call("apply")["backbone"]["changes"]) == {"peer node2", str(host.config)}
    assert host.device().peers[key("node2")].endpoint is not None


# -- what others set up


@pytest.mark.parametrize("function", ["apply", "sync", "apply_interface", "remove"])
def test_a_configuration_file_of_somebody_else_is_refused_and_untouched(host, function):
    registered(host)
    host.config.write_text("[Interface]\nListenPort = 51820\n")
    before = host.picture()
    if function == "sync":
        result = host.call("sync")["networks"]["backbone"]
        assert result["result"] is False
        message = result["comment"]
    else:
        arguments = {"apply": (), "apply_interface": ("wg0", ["10.9.0.1/24"]), "remove": ("wg0",)}
        message = host.error(function, *arguments[function])
    assert f"{host.config} was not written by these modules" in message
    assert "`salt-run wireguard.adopt`" in message
    assert host.picture() == before


@pytest.mark.parametrize("text", ["", "\n"])
def test_an_empty_configuration_file_is_nobodys(host, text):
    wanted = registered(host)
    host.config.write_text(text)
    if text:
        assert "was not written by these modules" in host.error("apply")
    else:
        host.call("apply")
        assert_equals(host, wanted)


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
    assert "the pillar has errors, so nothing was changed" in message
    assert "mesh.yml:3: unknown key" in message
    assert host.picture() == before


# -- failures in the middle


FAILING = {
    "ip address": "ip address add*",
    "ip link up": "ip link set dev wg0 up",
    "wg set key": "wg *private-key*",
    "wg set peers": "wg * peer *",
}


@pytest.mark.parametrize("pattern", FAILING.values(), ids=FAILING)
def test_a_command_that_fails_leaves_the_old_file_and_the_next_run_finishes(host, pattern):
    applied(host, PEERS[1])
    if pattern.startswith("wg") or "link" in pattern:
        del host.machine.devices["wg0"]  # so that there is such a command
    old = host.config.read_bytes()
    wanted = registered(host, *PEERS, addresses=("10.42.0.1/16", "fd42::1/64", "10.44.0.1/16"))
    host.machine.failing[pattern] = "out of order"
    message = host.error("apply")
    assert "failed with code 7: out of order" in message
    assert host.config.read_bytes() == old
    assert host.call("diff")["backbone"]["commands"]
    host.machine.failing.clear()
    assert host.call("apply")["backbone"]["result"] is True
    assert_equals(host, wanted)


# -- what this machine cannot have

LAN = "192.168.40.0/24"  # node2 leads there
OURS = {"dst": LAN, "gateway": "10.0.0.1", "dev": "eth0", "flags": []}


def lefts(host, **kwargs):
    """(result, what is said to be left out, what is changed) of an apply."""
    result = host.call("apply", **kwargs)["backbone"]
    return result["result"], result["comment"].partition("; left out: ")[2], set(result["changes"])


@pytest.mark.parametrize("metric", [{}, {"metric": 100}], ids=["", "with a metric"])
def test_a_route_that_the_machine_has_itself_stays_and_all_else_is_applied(host, metric):
    """The command failed, and with it every later change of the node; with a metric, it was overridden in silence."""
    host.machine.others = [OURS | metric]
    wanted = registered(host, *PEERS)
    said = f"route {LAN} (this machine has one via 10.0.0.1 dev eth0{' metric 100' if metric else ''})"
    told = lefts(host, test=True)
    assert told == (None, said, told[2])
    assert lefts(host) == (True, said, (told[2] - {"device"}) | {"device"})
    assert host.device().routes == wanted.routes - {LAN}
    assert set(host.device().peers) == {each.public_key for each in PEERS}
    host.forget_commands()
    assert lefts(host) == lefts(host, test=True) == (True, said, set())
    assert host.writing_commands() == []


def test_a_later_change_is_applied_beside_a_route_that_is_taken(host):
    host.machine.others = [OURS]
    registered(host, *PEERS)
    host.call("apply")
    registered(host, *PEERS, peer("node9", "10.42.0.9/32", "192.168.90.0/24"))
    assert lefts(host)[2] == {"peer node9", "route 192.168.90.0/24", str(host.config)}


def test_a_route_that_is_taken_no_more_is_made(host):
    host.machine.others = [OURS]
    registered(host, *PEERS)
    host.call("apply")
    host.machine.others.clear()
    assert lefts(host) == (True, "", {f"route {LAN}"})
    assert LAN in host.device().routes


def test_a_route_that_goes_nowhere_is_somebody_elses_too(host):
    host.machine.others = [{"type": "blackhole", "dst": LAN, "flags": []}]
    registered(host, *PEERS)
    assert lefts(host)[1] == f"route {LAN} (this machine has one of type blackhole)"


def test_a_route_that_cannot_be_made_for_another_reason_fails_alone(host):
    registered(host, *PEERS)
    host.machine.failing["ip -4 route add*"] = "RTNETLINK answers: Network is unreachable"
    result, said, changes = lefts(host)
    assert result is True
    assert said.startswith(f"route {LAN} (`ip -4 route add {LAN} dev wg0` failed with code 7: RTNETLINK answers: Net")
    assert f"route {LAN}" not in changes
    assert "route fd99::/64" in changes


def test_a_machine_whose_ipv6_is_off_joins_by_ipv4_and_has_the_rest_once_it_is_on(host):
    """`ip address add` failed, and so the node could not join at all."""
    host.machine.ipv6 = False
    wanted = registered(host, *PEERS)
    said = "IPv6 (it is off on this machine)"
    told = lefts(host, test=True)
    assert lefts(host) == (True, said, told[2])
    assert host.device().addresses == {"10.42.0.1/16"}
    assert host.device().routes == {LAN}
    assert lefts(host) == lefts(host, test=True) == (True, said, set())
    answer = host.call("drift")["networks"]["backbone"]
    assert (answer["changes"], answer["digest"], answer["obstacles"]) == ([], wanted.digest, [said])
    before = host.config.read_text()
    host.machine.ipv6 = True
    assert lefts(host) == (True, "", {"address fd42::1/64", "route fd99::/64"})
    assert host.config.read_text() == before
    assert_equals(host, wanted)
    reports = [json.loads(data["signed"]["statement"]) for _, data in host.events]
    assert [(each["digest"], each["obstacles"]) for each in reports] == [(wanted.digest, [said]), (wanted.digest, [])]


def test_a_machine_without_ipv6_misses_nothing_in_a_network_of_ipv4(host):
    host.machine.ipv6 = False
    registered(host, peer("node2", "10.42.0.2/32"), addresses=("10.42.0.1/16",))
    assert lefts(host)[:2] == (True, "")


def test_forwarding_that_cannot_be_turned_on_is_named_and_does_not_stop_the_rest(host, monkeypatch):
    """In a container with a read-only /proc/sys."""
    host.machine.read_only = {*forwarding.FILES.values()}
    monkeypatch.setattr(devices, "forwarded", lambda: [4])
    registered(host, forwarding=True)
    result, said, changes = lefts(host)
    assert (result, said) == (True, f"IPv6 forwarding ({forwarding.FILES[6]} cannot be written)")
    assert "IPv6 forwarding" not in changes
    assert lefts(host)[2] == set()


def test_a_file_of_names_that_cannot_be_written_is_named_and_does_not_stop_the_rest(host):
    """The master never heard that the rest had been applied, and asked again and again."""
    broken = "# BEGIN WireGuard network backbone (saltext-wireguard)\n"
    (host.disk / "hosts").write_text(broken)
    registered(host, hosts=Hosts((HostName("node2", ("10.42.0.2",)),)))
    for _ in range(2):
        result, said, _changes = lefts(host)
        assert (result, said.partition(":")[0]) == (True, f"host names ({host.disk / 'hosts'}")
    assert host.events[-1][0] == "wireguard/report"
    assert (host.disk / "hosts").read_text() == broken


def test_the_master_hears_of_what_is_left_out_and_when_that_is_over(host):
    host.machine.others = [OURS]
    registered(host, *PEERS)
    for others, count in (([OURS], 1), ([OURS], 1), ([], 2), ([], 2)):
        host.machine.others = others
        host.call("apply")
        assert len(host.events) == count
    told = [json.loads(data["signed"]["statement"])["obstacles"] for _, data in host.events]
    assert told == [[f"route {LAN} (this machine has one via 10.0.0.1 dev eth0)"], []]


def test_drift_and_a_sync_name_what_is_left_out(host):
    host.machine.others = [OURS]
    registered(host, *PEERS)
    said = [f"route {LAN} (this machine has one via 10.0.0.1 dev eth0)"]
    assert host.call("sync", test=True)["networks"]["backbone"]["obstacles"] == said
    assert said[0] in host.call("sync")["networks"]["backbone"]["comment"]
    answer = host.call("drift")["networks"]["backbone"]
    assert (answer["obstacles"], answer["changes"]) == (said, [])


@pytest.mark.parametrize("program", ["wg", "ip"])
def test_a_program_that_is_missing_is_named_with_its_package(host, program):
    registered(host)
    host.machine.programs.discard(program)
    package = {"wg": "wireguard-tools", "ip": "iproute2"}[program]
    assert f"{program} is not installed: install {package}" in host.error("apply")


def test_a_directory_that_is_not_there_is_made_for_root_only(host, monkeypatch):
    place = host.disk / "elsewhere" / "wireguard"
    monkeypatch.setattr(config_files, "CONFIG_DIR", str(place))
    host.call("keypair", "wg0")
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


# -- several at once


def test_whoever_waits_too_long_for_another_run_gives_up_with_a_message(host, monkeypatch):
    registered(host)
    monkeypatch.setattr(lock, "LOCK_SECONDS", 0.3)
    with host.lock("wg0"):
        assert "another apply has been working on wg0" in host.error("apply")
    assert host.call("apply")["backbone"]["result"] is True


# -- explicit arguments


EXPLICIT = {
    "addresses": ["10.9.0.1/24"],
    "port": 51821,
    "mtu": 1400,
    "peers": {"router": {"public_key": key("router"), "allowed_ips": ["10.9.0.2/32"], "endpoint": "127.0.0.1:4444"}},
}


def test_a_test_run_of_explicit_arguments_changes_nothing(host):
    before = host.picture()
    result = host.call("apply_interface", "wg5", **EXPLICIT, test=True)
    assert result["result"] is None
    assert result["changes"]
    assert host.picture() == before


def test_a_private_key_file_of_ones_own_is_used_and_left_where_it_is(host):
    own = host.etc / "mine.key"
    own.write_text(host.run("wg", "genkey"))
    before = files(host.etc)["mine.key"]
    host.call("apply_interface", "wg5", ["10.9.0.1/24"], private_key_file=str(own))
    assert host.device("wg5").public_key == host.run("wg", "pubkey", text=own.read_text()).strip()
    assert not (host.etc / "wg5.key").exists()
    host.call("remove", "wg5")
    assert files(host.etc) == {"mine.key": before}


@pytest.mark.parametrize("test", [False, True])
def test_a_private_key_file_that_is_missing_is_an_error_that_names_it(host, test):
    message = host.error("apply_interface", "wg5", ["10.9.0.1/24"], private_key_file="/etc/wireguard/no.key", test=test)
    assert "/etc/wireguard/no.key does not exist" in message
    assert files(host.etc) == {}


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
    private = (host.etc / "wg0.key").read_text()
    result = host.call("remove", "wg0")
    assert result["result"] is True
    assert host.device() is None
    (aside,) = os.listdir(host.etc)
    assert re.fullmatch(r"wg0\.key\.removed-\d{8}-\d{6}", aside)
    assert (host.etc / aside).read_text() == private
    assert stat.S_IMODE((host.etc / aside).stat().st_mode) == 0o600
    assert f"its key is kept in {host.etc / aside}" in result["comment"]
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
    del host.machine.devices["wg0"]
    (host.etc / "wg0.key").unlink()
    result = host.call("remove", "wg0")
    assert result["comment"] == "wg0 was removed"
    assert os.listdir(host.etc) == []


def test_a_removal_that_fails_is_finished_by_the_next(host):
    applied(host)
    host.machine.failing["ip link delete*"] = "busy"
    assert "busy" in host.error("remove", "wg0")
    assert host.call("managed") == {"wg0": "backbone"}
    host.machine.failing.clear()
    assert host.call("remove", "wg0")["result"] is True
    assert host.device() is None


def test_an_interface_set_up_again_after_its_removal_gets_a_new_key(host):
    first = applied(host).public_key
    host.call("remove", "wg0")
    assert applied(host).public_key != first
    assert len([name for name in os.listdir(host.etc) if "removed" in name]) == 1
