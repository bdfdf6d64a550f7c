"""A network whose interface gets another name: the same key, one device, and a way back."""

import json
from dataclasses import replace

import pytest
from views import PEERS, key, peer, registered, view

from saltext.wireguard.node import config_files, watchdog


@pytest.fixture
def renamed(host):
    """A node with wg0, whose pillar says wgnew by now; and that view."""
    wanted = replace(registered(host, *PEERS), interface="wgnew")
    host.call("apply")
    host.machine.devices["wg0"].peers[key("node2")].handshake = 2**32
    host.events.clear()
    host.set_networks(wanted)
    return host, wanted


def keys_of(host):
    return {path.name: path.read_text() for path in host.etc.glob("*.key*")}


def left(host):
    """What there is: devices and files."""
    return sorted(host.machine.devices), sorted(path.name for path in host.etc.iterdir())


BEFORE = (["wg0"], ["wg0.conf", "wg0.key"])
AFTER = (["wgnew"], ["wgnew.conf", "wgnew.key"])


@pytest.mark.parametrize("function", ["apply", "sync"])
@pytest.mark.parametrize("port", [51820, 51830])
def test_a_new_name_is_a_new_name_and_the_key_stays(renamed, function, port):
    """A new key was made and registered; the port was in use, or both devices stayed."""
    host, wanted = renamed
    host.set_networks(replace(wanted, port=port))
    secret = keys_of(host)["wg0.key"]
    host.call(function)
    assert left(host) == AFTER
    assert keys_of(host) == {"wgnew.key": secret}
    device = host.device("wgnew")
    assert (device.public_key, device.port, set(device.peers)) == (
        wanted.public_key, port, {each.public_key for each in PEERS}
    )  # fmt: skip
    assert not [tag for tag, _ in host.events if tag == "wireguard/register"]
    assert host.call("managed") == {"wgnew": "backbone"}
    assert host.call("apply")["backbone"]["changes"] == {}


def test_a_test_run_says_so_and_touches_nothing(renamed):
    host, _ = renamed
    before = host.picture()
    result = host.call("apply", test=True)["backbone"]
    assert result["result"] is None
    assert result["changes"]["interface wg0"] == {"old": "present", "new": None}
    assert result["changes"]["device"] == {"old": None, "new": "wgnew"}
    assert "live sessions cut off: 1" in result["comment"]
    assert host.picture() == before
    assert set(host.call("apply")["backbone"]["changes"]) == set(result["changes"])


@pytest.mark.parametrize("failing", ["ip link add*wgnew*", "wg set wgnew private-key*", "ip link set dev wgnew up"])
def test_what_does_not_work_brings_the_old_interface_back(renamed, failing):
    host, _ = renamed
    host.machine.programs.discard("wireguard-go")
    before, secret = host.device(), keys_of(host)
    host.machine.failing[failing] = "out of order"
    assert "out of order" in host.error("apply")
    assert left(host) == BEFORE
    assert keys_of(host) == secret
    after = host.device()
    assert (after.public_key, after.port, after.addresses, after.routes, set(after.peers)) == (
        before.public_key, before.port, before.addresses, before.routes, set(before.peers)
    )  # fmt: skip
    host.machine.failing.clear()
    host.call("apply")
    assert left(host) == AFTER


def test_a_rename_that_cuts_the_master_off_is_rolled_back(renamed, tunnels):
    """A firewall that lets only wg0 pass is one way to that."""
    host, wanted = renamed
    host.configure(wireguard={"confirm_seconds": 30}, master_ip="192.0.2.254", master_port=4506)
    tunnels.connect(key("node2"))
    real = tunnels.host.machine.run

    def run(words, stdin=None):
        if words[:3] == ["ip", "link", "add"]:
            tunnels.master = words[4] != "wgnew"
        return real(words, stdin)

    host.machine.run = run
    assert "the Salt master" in host.error("apply")
    assert left(host) == BEFORE
    assert tunnels.watchdogs == []
    tunnels.master = True
    host.machine.run = real
    host.set_networks(replace(wanted, port=51830))
    host.call("apply")
    assert left(host) == AFTER


def test_the_watchdog_brings_the_old_interface_back_where_the_run_died(renamed, tunnels, monkeypatch):
    host, _ = renamed
    host.configure(wireguard={"confirm_seconds": 30})
    monkeypatch.setattr(
        "saltext.wireguard.node.trial.Trial.failure", lambda _: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        host.call("apply")
    assert left(host)[0] == ["wgnew"]
    watchdog.main(host.opts["cachedir"], "wgnew", tunnels.watchdogs[0])
    assert left(host) == BEFORE


POINTS = ["wgnew.key", "wgnew.conf", "wg0.key", "wg0.conf"]


@pytest.mark.parametrize("point", POINTS)
def test_the_next_run_finishes_what_a_power_cut_left(renamed, monkeypatch, point):
    """Written or removed is the file last of all that was done."""
    host, wanted = renamed
    from saltext.wireguard.system import files

    def cut_after(real):
        def wrapped(path, *args, **kwargs):
            real(path, *args, **kwargs)
            if path.endswith(f"/{point}"):
                raise KeyboardInterrupt

        return wrapped

    with monkeypatch.context() as patched:
        for name in ("add", "replace", "remove"):
            patched.setattr(files, name, cut_after(getattr(files, name)))
        with pytest.raises(KeyboardInterrupt):
            host.call("apply")
    assert config_files.managed().keys() & {"wg0", "wgnew"}
    secret = {*keys_of(host).values()}
    host.call("apply")
    assert left(host) == AFTER
    assert {*keys_of(host).values()} == secret
    assert host.device("wgnew").public_key == wanted.public_key


def test_an_old_key_of_the_new_name_is_kept_under_another_one_and_not_used(renamed):
    host, wanted = renamed
    (host.etc / "wgnew.key").write_text(host.run("wg", "genkey"))
    host.call("apply")
    assert host.device("wgnew").public_key == wanted.public_key
    assert [name for name in left(host)[1] if name.startswith("wgnew.key.removed-")]


def test_a_peer_that_is_trusted_no_more_does_not_come_back_with_the_old_interface(renamed):
    host, wanted = renamed
    peers = tuple(each for each in wanted.peers if each.name != "node3")
    host.set_networks(replace(wanted, peers=peers, withdrawn=(key("node3"),), generation=5))
    host.machine.programs.discard("wireguard-go")
    host.machine.failing["ip link add*wgnew*"] = "out of order"
    host.error("apply")
    assert left(host) == BEFORE
    assert key("node3") not in host.device().peers
    assert key("node3") not in host.config.read_text()


def test_an_older_pillar_does_not_bring_the_old_name_back(renamed):
    host, wanted = renamed
    host.set_networks(replace(wanted, generation=5))
    host.call("apply")
    host.set_networks(replace(wanted, interface="wg0", generation=4))
    assert "older than what was applied here" in host.error("apply")
    assert left(host) == AFTER


def test_a_revocation_meets_both_where_a_power_cut_left_both(renamed, monkeypatch):
    host, _ = renamed
    with monkeypatch.context() as patched:
        patched.setattr("saltext.wireguard.node.renaming.finish", lambda *_: None)
        host.call("apply")
    assert sorted(host.call("managed")) == ["wg0", "wgnew"]
    host.call("delta", {"backbone": [key("node3")]}, generation=7, withdrawn={"backbone": [key("node3")]})
    for name in ("wg0", "wgnew"):
        assert key("node3") not in (host.etc / f"{name}.conf").read_text()
    assert sorted(host.machine.devices) == ["wgnew"]
    assert key("node3") not in host.device("wgnew").peers


def test_a_name_that_another_network_has_is_refused_and_nothing_changes(host):
    first = registered(host, *PEERS)
    second = view(host.call("keypair", "wg1"), peer("node9", "10.43.0.9/32"), interface="wg1", network="storage",
                  addresses=("10.43.0.1/16",), port=51821)  # fmt: skip
    host.set_networks(first, second)
    host.call("apply")
    host.set_networks(replace(first, interface="wg1"), replace(second, interface="wg0"))
    before = host.picture()
    assert "wg1 was set up for the network storage on this minion, and not for" in host.error("apply")
    assert host.picture() == before


def test_the_master_hears_that_the_new_interface_is_what_it_should_be(renamed):
    host, wanted = renamed
    host.call("apply")
    told = json.loads(host.events[-1][1]["signed"]["statement"])
    assert (told["network"], told["digest"]) == ("backbone", wanted.digest)


def test_nothing_of_an_interface_by_hand_is_taken_for_a_former_one(host):
    host.call("apply_interface", "wg1", addresses=["10.9.0.1/24"])
    host.call("apply_interface", "wg2", addresses=["10.9.1.1/24"])
    assert sorted(host.machine.devices) == ["wg1", "wg2"]
