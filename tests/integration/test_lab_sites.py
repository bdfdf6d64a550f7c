"""Sites of the lab: LANs behind routers with NAT, and hosts without Salt."""

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def sites(lab):
    """Two sites with the same addresses behind their routers; of one host at each, a port is forwarded."""
    lab.up(0)
    lab.must("site", "ams")
    lab.must("site", "fra", "--ipv6")
    lab.add("gw@ams", "gw-fra@fra")
    lab.must("add", "--plain", "pc@ams", "pc-fra@fra", "phone")
    lab.must("forward", "ams", "41820", "gw")
    lab.must("forward", "fra", "41820", "gw-fra:51821")
    return lab


def pings(lab, host, address):
    return lab.exec(host, "ping", "-n", "-c1", "-W1", address).returncode == 0


def arrives(lab, sender, address, port, receiver, listen):
    """Whether a datagram to this address comes in at a host."""
    code = "import socket, sys; s = socket.socket(socket.{}, socket.SOCK_DGRAM); {}"
    family = "AF_INET6" if ":" in address else "AF_INET"
    wait = code.format(family, f"s.bind(('', {listen})); print(flush=True); s.settimeout(3); print(s.recv(9))")
    send = code.format(family, f"s.sendto(b'hello', ('{address}', {port}))")
    with subprocess.Popen(
        lab.argv("exec", receiver, "python3", "-c", wait), stdout=subprocess.PIPE, text=True
    ) as waits:
        assert waits.stdout.readline() == "\n"
        lab.must("exec", sender, "python3", "-c", send)
        return "hello" in waits.stdout.read()


def test_hosts_at_sites_are_minions_and_have_the_same_addresses(sites):
    assert sites.salt_json("*", "test.ping") == {"gw": True, "gw-fra": True}
    found = {name: (row["address"], row["site"]) for name, row in sites.status().items() if row["site"]}
    assert found == {
        "gw": ("192.168.1.11", "ams"),
        "gw-fra": ("192.168.1.11", "fra"),
        "pc": ("192.168.1.12", "ams"),
        "pc-fra": ("192.168.1.12", "fra"),
    }


def test_a_site_reaches_out_and_nobody_reaches_in(sites):
    assert pings(sites, "pc", "phone")
    assert pings(sites, "pc", "192.168.1.11")
    assert pings(sites, "pc-fra", "fd66::11")
    assert not pings(sites, "phone", "192.168.1.12")
    assert not pings(sites, "phone", "2001:db8::3:12")


def test_what_is_forwarded_comes_in_and_nothing_else(sites):
    assert arrives(sites, "phone", "ams", 41820, "gw", 51820)
    assert not arrives(sites, "phone", "ams", 51820, "gw", 51820)
    assert arrives(sites, "phone", "fra", 41820, "gw-fra", 51821)
    assert arrives(sites, "phone", "2001:db8::3:11", 51821, "gw-fra", 51821)
    assert not arrives(sites, "phone", "2001:db8::3:12", 51821, "pc-fra", 51821)


def test_a_host_at_a_site_survives_a_power_cut(sites):
    sites.off("gw")
    assert not pings(sites, "pc", "192.168.1.11")
    sites.on("gw")
    assert sites.salt_json("gw", "test.ping") == {"gw": True}


def test_a_plain_host_has_no_salt_and_its_disk_survives_a_power_cut(sites):
    assert sites.status()["phone"]["key"] is None
    sites.must("exec", "phone", "touch", "/etc/wireguard/kept.conf")
    sites.off("phone")
    sites.on("phone")
    sites.must("exec", "phone", "test", "-e", "/etc/wireguard/kept.conf")


def test_a_name_points_where_it_is_told_to_on_all_hosts(sites):
    sites.must("point", "vpn.example.com", "10.66.0.2", "fd66::11")
    assert "10.66.0.2" in sites.must("exec", "pc-fra", "getent", "ahostsv4", "vpn.example.com")
    sites.must("point", "vpn.example.com", "10.66.0.3")
    assert "10.66.0.3" in sites.must("exec", "pc", "getent", "hosts", "vpn.example.com")


def test_what_leads_nowhere_is_one_line_that_says_what_to_do(sites):
    for args, hint in [
        (["add", "db1@nowhere"], "'site nowhere'"),
        (["site", "gw"], "'remove'"),
        (["site", "ams"], "choose another name"),
        (["forward", "ams", "41820", "gw-fra"], "'add NAME@ams'"),
    ]:
        done = sites.run(*args)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert hint in done.stderr


def test_a_host_goes_with_what_was_forwarded_to_it_and_down_leaves_nothing(sites):
    sites.remove("gw-fra")
    assert "fra  10.66.0.3  LAN 192.168.1.0/24\n" in sites.must("status")
    sites.down()
    assert list(Path("/run/netns").glob(f"wglab-{sites.name}-*")) == []
