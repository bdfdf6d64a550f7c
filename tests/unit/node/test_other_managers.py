"""Other programs that are configured to set up an interface of ours."""

import pytest
from views import view

from saltext.wireguard.node import other_managers

VIEW = view("k" * 43 + "=")
NM = "etc/NetworkManager/system-connections/office.nmconnection"
NETWORKD = "etc/systemd/network"


@pytest.fixture
def disk(host, monkeypatch):
    """Writes files of other programs, which run."""
    monkeypatch.setattr(other_managers, "ROOT", str(host.disk))
    for running in ("run/NetworkManager", "run/systemd/netif"):
        (host.disk / running).mkdir(parents=True)

    def write(path, text=""):
        (host.disk / path).parent.mkdir(parents=True, exist_ok=True)
        (host.disk / path).write_text(text)

    return write


def found():
    return [*map(str, other_managers.managing(VIEW))]


@pytest.mark.parametrize(
    ("program", "path", "text"),
    [
        ("NetworkManager", NM, "[connection]\nid=office\ntype=wireguard\ninterface-name=wg0\n"),
        ("netplan", "etc/netplan/60-wg.yaml", "network:\n  tunnels:\n    wg0:\n      mode: wireguard\n"),
        ("ifupdown", "etc/network/interfaces", "auto lo wg0\niface lo inet loopback\n"),
        ("ifupdown", "etc/network/interfaces.d/wg", "iface wg0 inet static\n  address 10.0.0.1/24\n"),
        ("ifcfg", "etc/sysconfig/network-scripts/ifcfg-wg0", "TYPE=wireguard\n"),
        ("systemd-networkd", f"{NETWORKD}/wg.netdev", "[NetDev]\nName=wg0\nKind=wireguard\n"),
        ("systemd-networkd", f"{NETWORKD}/10-all.network", "[Match]\nName=*\n\n[Network]\nDHCP=yes\n"),
        ("systemd-networkd", f"{NETWORKD}/10-all.network", "[Match]\nType=wireguard\n"),
        ("systemd-networkd", f"{NETWORKD}/10-all.network", "[Match]\nName=!eth* !lo\n"),
    ],
)
def test_a_program_that_has_the_interface_is_named_with_its_file(host, disk, program, path, text):
    disk(path, text)
    assert found() == [f"wg0 alone ({program} has it in {host.disk}/{path})"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (NM, "[connection]\ninterface-name=wg01\n"),
        ("etc/netplan/60-wg.yaml", "network:\n  ethernets:\n    eth0: {}  # not wg0: that is Salt's\n"),
        ("etc/network/interfaces", "auto lo\n# iface wg0 inet static\niface wg01 inet manual\n"),
        (f"{NETWORKD}/wg.netdev", "[NetDev]\nName=wg1\n"),
        (f"{NETWORKD}/10.network", "[Match]\nName=en* eth*\n\n[Link]\nName=wg0\n"),
        (f"{NETWORKD}/10.network", "[Match]\nType=ether\nName=*\n"),
        (f"{NETWORKD}/10.network", "[Match]\nName=*\nDriver=virtio_net\n"),
        (f"{NETWORKD}/10.network", "[Match]\nName=!wg* !lo\n"),
        (f"{NETWORKD}/10.network", "nonsense"),
    ],
)
def test_files_about_other_interfaces_are_in_nobodys_way(disk, path, text):
    disk(path, text)
    assert found() == []


def test_our_own_files_are_not_those_of_others(host, disk):
    host.run("ip", "link", "add", "dev", "wg0", "type", "wireguard")
    disk(f"{NETWORKD}/50-wg0.netdev", f"# {managed_by()}\n[NetDev]\nName=wg0\n")
    assert found() == []


def managed_by():
    from saltext.wireguard.formats import networkd

    return networkd.netdev(VIEW, "/etc/wireguard/wg0.key", {}).splitlines()[0].lstrip("# ")


@pytest.mark.parametrize(
    ("path", "text"), [(NM, "interface-name=wg0\n"), (f"{NETWORKD}/a.netdev", "[NetDev]\nName=wg0\n")]
)
def test_files_of_a_program_that_does_not_run_are_in_nobodys_way(host, disk, path, text):
    disk(path, text)
    (host.disk / "run/NetworkManager").rmdir()
    (host.disk / "run/systemd/netif").rmdir()
    assert found() == []


def test_a_foreign_file_with_our_port_is_named(host, disk):
    """At boot, the first of the two interfaces had the port, and the other did not come up."""
    (host.etc / "wg7.conf").write_text("[Interface]\nlistenport = 51820\n")
    (host.etc / "wg8.conf").write_text("[Interface]\nListenPort = 51821\n")
    (finding,) = other_managers.same_port(VIEW)
    assert str(finding) == f"UDP port 51820 alone ({host.etc}/wg7.conf has it too)"
