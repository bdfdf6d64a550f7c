"""What is in the way of a network on this machine: `check` finds it, and the first apply refuses what cannot work."""

import json

import pytest
from views import PEERS, key, peer, registered, view

from saltext.wireguard.model.view import View
from saltext.wireguard.node import other_managers, preflight

LAN = "192.168.40.0/24"
NEW = View("wg0", (), network="backbone", port=51820, expected_subnets=("10.42.0.0/16",), expected_routes=(LAN,))


@pytest.fixture(autouse=True)
def nothing_else_is_here(host, monkeypatch):
    monkeypatch.setattr(other_managers, "ROOT", str(host.disk))
    monkeypatch.setattr(preflight, "TUN", str(host.disk))
    monkeypatch.setattr("saltext.wireguard.node.endpoints.resolve_names", lambda hosts, seconds: {})


def checked(host):
    """What was found, and whether the interface can be set up."""
    before = host.picture()
    part = host.call("check")["networks"]["backbone"]
    assert host.picture() == before
    assert host.writing_commands() == []
    return [f"{each['subject']} ({each['found']})" for each in part["findings"]], part["result"]


def link(name, address, prefix):
    return {"ifname": name, "addr_info": [{"local": address, "prefixlen": prefix, "scope": "global"}]}


def holds_port(host, *names):
    host.machine.programs.add("ss")
    users = ",".join(f'("{name}",pid=7,fd=4)' for name in names)
    host.machine.handlers["ss"] = lambda words: f"UNCONN 0 0 0.0.0.0:51820 0.0.0.0:* users:({users})\n"


@pytest.fixture(params=["new", "registered"])
def network(request, host):
    """The same is found before a node has registered and afterwards."""
    if request.param == "new":
        host.set_networks(NEW)
    else:
        registered(host, *PEERS)
    host.forget_commands()


@pytest.mark.usefixtures("network")
class TestBeforeTheFirstApply:
    def test_nothing_is_in_the_way(self, host):
        assert checked(host) == ([], True)

    def test_ipv6_that_is_off_is_in_the_way_of_a_part(self, host):
        host.machine.ipv6 = False
        found, can_be = checked(host)
        assert found in ([], ["IPv6 (it is off on this machine)"])
        assert can_be

    def test_a_route_that_the_machine_has_itself_is_named(self, host):
        host.machine.others.append({"dst": LAN, "gateway": "10.0.0.1", "dev": "eth0"})
        assert checked(host) == ([f"route {LAN} (this machine has one via 10.0.0.1 dev eth0)"], True)

    def test_a_network_of_another_interface_is_named(self, host):
        host.machine.links.append(link("eth0", "10.42.5.1", 24))
        assert checked(host) == (["all of network 10.42.0.0/16 (eth0 has 10.42.5.0/24)"], True)

    def test_a_port_that_somebody_has_stops_it(self, host):
        holds_port(host, "dnsmasq")
        assert checked(host) == (["UDP port 51820 (in use by dnsmasq (process 7))"], False)

    def test_a_kernel_without_wireguard_needs_wireguard_go(self, host, monkeypatch):
        host.machine.module = False
        assert checked(host) == ([], True)
        monkeypatch.setattr(preflight, "TUN", "/no/such/device")
        assert checked(host) == (["wireguard-go (it needs /no/such/device, which is missing)"], False)
        host.machine.programs.discard("wireguard-go")
        assert checked(host) == (["WireGuard (this kernel has none, and there is no wireguard-go)"], False)
        host.machine.module = None  # a container, whose kernel may have it
        assert checked(host) == ([], True)

    def test_a_container_that_may_not_make_devices_cannot_have_it(self, host):
        host.machine.capable = False
        assert checked(host) == (["network devices (this minion lacks the capability CAP_NET_ADMIN)"], False)

    def test_a_foreign_interface_stops_it(self, host):
        host.config.write_text("[Interface]\n")
        (found,), can_be = checked(host)
        assert "was not written by these modules" in found
        assert not can_be

    def test_a_setting_that_means_nothing_stops_it(self, host):
        host.configure(wireguard={"backend": "upstart"})
        (found,), can_be = checked(host)
        assert "wireguard:backend is 'upstart'" in found
        assert not can_be

    def test_a_firewall_that_has_the_port_closed_is_named(self, host):
        chain = {"family": "inet", "table": "filter", "name": "input", "hook": "input", "policy": "drop"}
        host.machine.programs.add("nft")
        host.machine.handlers["nft"] = lambda words: json.dumps({"nftables": [{"chain": chain}]})
        (found,), can_be = checked(host)
        assert "the firewall drops what no rule accepts in inet filter input" in found
        assert can_be

    def test_a_rule_of_another_vpn_is_named(self, host):
        host.machine.rules[4] = [{"priority": 100, "src": "all", "table": "200"}]
        assert checked(host) == ([], True)
        host.machine.defaults.add("200")
        assert checked(host) == (["its IPv4 routes (`ip -4 rule` 100, lookup 200, comes first)"], True)

    def test_a_master_behind_the_tunnel_is_named(self, host):
        host.configure(master_ip="192.168.40.9", master_port=4506)
        assert checked(host) == (
            [f"a way to the Salt master beside the tunnel (its address 192.168.40.9 is in {LAN})"],
            True,
        )

    @pytest.mark.parametrize(
        ("told", "said"), [("no", ["the right time for sure (no NTP client keeps the clock)"]), ("yes", [])]
    )
    def test_a_clock_that_nobody_keeps_is_named(self, host, told, said):
        host.machine.programs.add("timedatectl")
        host.machine.handlers["timedatectl"] = lambda words: told + "\n"
        assert checked(host) == (said, True)

    def test_a_clock_before_our_time_is_named(self, host, monkeypatch):
        monkeypatch.setattr(preflight.time, "time", lambda: 86400.0 * 365)
        (found,), can_be = checked(host)
        assert found == "the right time (the clock says 1971-01-01)"
        assert can_be

    @pytest.mark.parametrize("installs", [True, False])
    def test_missing_tools_stop_it_unless_the_state_installs_them(self, host, installs):
        host.configure(wireguard={"install_packages": installs})
        host.machine.programs.discard("ip")
        assert checked(host) == (["ip (not installed)"], installs)


def test_a_network_of_ipv6_alone_is_nothing_for_a_machine_without_it(host):
    host.machine.ipv6 = False
    host.set_networks(View("wg0", (), network="backbone", port=51820, expected_subnets=("fd42::/64",)))
    (first, _), can_be = checked(host)
    assert first == "IPv6 (it is off on this machine, and the network has no IPv4)"
    assert not can_be


def test_a_device_that_is_there_is_not_in_its_own_way(host):
    """wireguard-go has the port of its own device."""
    registered(host, *PEERS)
    host.call("apply")
    holds_port(host, "wireguard-go")
    host.forget_commands()
    assert checked(host) == ([], True)


def test_names_that_do_not_resolve_are_named(host):
    registered(host, peer("node2", "10.42.0.2/32", endpoint="gw.example.com:51820"))
    host.forget_commands()
    assert checked(host) == (["the endpoint gw.example.com:51820 of node2 (the name does not resolve here)"], True)


def test_an_address_that_another_interface_has_is_an_obstacle_and_everything_else_is_applied(host):
    """Packets to it went to whichever came first, and nobody was told."""
    host.machine.links.append(link("eth0", "10.42.0.1", 32))
    registered(host, *PEERS)
    part = host.call("apply")["backbone"]
    assert part["result"] is True
    assert "address 10.42.0.1 alone (eth0 has it too)" in part["comment"]
    assert set(host.device().peers) == {each.public_key for each in PEERS}


def test_rules_that_an_exit_cannot_be_sure_of_are_obstacles(host):
    host.machine.rules[4] = [{"priority": 100, "src": "all", "table": "200"}]
    host.machine.defaults.add("200")
    host.machine.others.append({"dst": "0.0.0.0/1", "dev": "tun0"})
    host.configure(master_ip="192.0.2.254", master_port=4506)
    gateway = peer("gw1", "0.0.0.0/0", "10.42.0.2/32")
    registered(host, gateway, addresses=("10.42.0.1/16",), via="gw1")
    comment = host.call("apply", test=True)["backbone"]["comment"]
    assert "all of the IPv4 default route through gw1 (`ip -4 rule` 100, lookup 200, comes first)" in comment
    assert "all of the IPv4 default route through gw1 (this machine has 0.0.0.0/1 dev tun0)" in comment


def impossible(host):
    holds_port(host, "dnsmasq")
    return "wg0 cannot be set up, and nothing was changed: UDP port 51820 (in use by dnsmasq (process 7)). End that, or"


@pytest.mark.parametrize("test", [True, False])
def test_the_first_apply_refuses_what_cannot_work_before_it_registers(host, test):
    """A node registered, and was a peer of all the others, for a device that could not come up."""
    said = impossible(host)
    host.set_networks(NEW)
    assert host.error("apply", test=test).startswith(said)
    assert host.events == []
    assert host.device() is None


def test_a_sync_refuses_it_too(host):
    said = impossible(host)
    host.set_networks(NEW)
    part = host.call("sync")["networks"]["backbone"]
    assert part["result"] is False
    assert part["comment"].startswith(said)
    assert host.events == []


def test_a_node_with_a_device_registers_again_whatever_is_in_the_way(host):
    registered(host, *PEERS)
    host.call("apply")
    host.set_networks(view(key("another")))
    impossible(host)
    assert host.call("sync")["networks"]["backbone"]["result"] is True


def test_a_minion_that_is_in_no_network_is_told_so(host):
    assert "the pillar says nothing about WireGuard for this minion" in host.error("check")


def test_what_is_found_is_shown_as_tables(host):
    from saltext.wireguard.control.text import render_return

    holds_port(host, "dnsmasq")
    host.set_networks(NEW)
    text = render_return({"node1": host.call("check")})
    assert "UDP port 51820 (in use by dnsmasq (process 7))" in text
    assert "End that, or give wg0 another `port:`" in text
    assert "wg0 cannot be set up on this machine" in text


def test_a_check_that_finds_what_stops_it_has_an_exit_code(host):
    host.observing.__context__.pop("retcode", None)
    host.set_networks(NEW)
    host.call("check")
    assert "retcode" not in host.observing.__context__
    holds_port(host, "dnsmasq")
    host.call("check")
    assert host.observing.__context__.pop("retcode") == 1
