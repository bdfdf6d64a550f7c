"""A network's interface gets another name on real devices, with a live session."""

import os
from dataclasses import replace

import pytest

pytest.importorskip("salt")

from hosts import ETC, registered, wait_until
from test_module_apply import session


@pytest.fixture
def live(host):
    """A node with wg0 and a live session with a peer, whose pillar says wgnew by now; and that view."""
    other = session(host)
    wanted = replace(registered(host, other), interface="wgnew")
    host.set_networks(wanted)
    host.events.clear()
    return host, wanted, other.public_key


def interfaces(host):
    return {name for name in os.listdir("/sys/class/net") if name not in ("lo", "wg9")}, sorted(os.listdir(ETC))


def has_session(host, interface, public_key):
    """Since the device was made: it begins with none."""
    return host.device(interface).peers[public_key].latest_handshake > 0


@pytest.mark.parametrize("seconds", [0, 30])
@pytest.mark.parametrize("port", [51820, 51999])
def test_the_session_goes_on_by_the_new_interface_with_the_same_key(live, seconds, port):
    """The other end sends to the old port until it hears from the new one."""
    host, wanted, other = live
    host.configure(wireguard={"confirm_seconds": seconds})
    host.set_networks(replace(wanted, port=port))
    assert host.call("apply")["backbone"]["result"] is True
    assert interfaces(host) == ({"wgnew"}, ["wgnew.conf", "wgnew.key"])
    assert host.device("wgnew").public_key == wanted.public_key
    host.run("wg", "set", "wgnew", "peer", other, "persistent-keepalive", "1")
    wait_until(lambda: has_session(host, "wgnew", other), 20)


def test_what_does_not_work_brings_the_old_interface_and_its_session_back(live):
    host, _, other = live
    host.configure(wireguard={"confirm_seconds": 30})
    program = host.put_program("wg", 'case "$*" in "set wgnew peer"*) exit 7;; esac; exec $real "$@"')
    assert "wgnew was rolled back, and is as it was before" in host.error("apply")
    assert interfaces(host) == ({"wg0"}, ["wg0.conf", "wg0.key"])
    program.unlink()
    host.run("wg", "set", "wg0", "peer", other, "persistent-keepalive", "1")
    wait_until(lambda: has_session(host, "wg0", other), 20)
    assert host.call("apply")["backbone"]["result"] is True
    assert interfaces(host) == ({"wgnew"}, ["wgnew.conf", "wgnew.key"])


def test_the_new_interface_boots_and_the_old_one_does_not(live):
    host, wanted, _ = live
    host.call("apply")
    host.run("ip", "link", "delete", "dev", "wgnew")
    host.run("wg-quick", "up", "wgnew")
    assert host.device("wgnew").public_key == wanted.public_key
    assert host.call("apply")["backbone"]["changes"] == {}
