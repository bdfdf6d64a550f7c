"""Applying a view to a real device: what must differ is changed, and nothing else is."""

import os
import stat

import pytest

pytest.importorskip("salt")

from hosts import ETC, PEERS, files, key, peer, preshared, registered, view, wait_until
from isolation import MS_NOSUID, Fork, mount

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
    assert "Address =" not in stripped
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


def test_preshared_keys_that_cannot_be_set_are_not_in_the_error(host):
    registered(host, *map(preshared, PEERS))
    saying_all = 'for word; do [ ! -p "$word" ] || cat "$word" >&2; done; exit 1'
    host.put_program("wg", f'case "$*" in *preshared-key*) {saying_all}; esac; exec $real "$@"')
    message = host.error("apply")
    assert "(hidden)" in message


# -- endpoints


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


def test_a_device_of_another_kind_is_refused_and_untouched(host):
    registered(host)
    host.run("ip", "link", "add", "name", "wg0", "type", "veth", "peer", "name", "other0")
    before = host.picture()
    message = host.error("apply")
    assert "wg0" in message
    assert "not supported" in message
    assert host.picture() == before


def test_a_network_of_somebody_elses_interface_is_not_taken_over(host):
    """A route that another interface has already: it is named, and stays where it is."""
    host.run("ip", "link", "add", "name", "lan0", "type", "veth", "peer", "name", "lan1")
    host.run("ip", "address", "add", "192.168.40.1/24", "dev", "lan0")
    host.run("ip", "link", "set", "dev", "lan1", "up")
    host.run("ip", "link", "set", "dev", "lan0", "up")
    registered(host)
    assert "192.168.40.0/24" in host.call("apply")["backbone"]["comment"]
    assert "dev lan0" in host.run("ip", "route", "show", "192.168.40.0/24")


# -- failures in the middle


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


# -- removal


def test_concurrent_removals_do_not_collide(host):
    """The slower one failed, for the file that it wanted to remove was gone."""
    applied(host)
    runs = [Fork(host.functions["wireguard.remove"], "wg0") for _ in range(4)]
    results = [run.result() for run in runs]
    assert all(result["result"] is True for result in results)
    assert sum(1 for result in results if result["changes"]) == 1


def test_the_helper_mounts_are_not_the_machines(host):
    """The tests' own promise: what happens here happens on file systems and devices of their own."""
    mount("tmpfs", str(ETC), "tmpfs", MS_NOSUID)
    assert os.listdir(ETC) == []
    assert sorted(os.listdir("/sys/class/net")) == ["lo"]
