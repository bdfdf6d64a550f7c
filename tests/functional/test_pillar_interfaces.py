"""Interfaces that a pillar describes by hand, without a mesh file and without a registration."""

import pytest

pytest.importorskip("salt")

from hosts import ETC, key, registered

ROUTER = {"public_key": key("router"), "allowed_ips": ["10.9.0.2/32"], "endpoint": "127.0.0.1:4444", "keepalive": 25}
WG1 = {"addresses": ["10.9.0.1/24"], "port": 51821, "peers": {"router": ROUTER}}


def describe(host, **interfaces):
    host.set_pillar({"wireguard": {"interfaces": interfaces, "install_packages": False}})


def test_an_interface_becomes_what_the_pillar_says_and_is_then_left_alone(host):
    describe(host, wg1=WG1)
    first = host.state("present", "wg1")
    assert first["result"] is True
    assert set(first["changes"]) >= {"device", "listen port", "address 10.9.0.1/24", "peer router"}
    assert host.device("wg1").addresses == {"10.9.0.1/24"}
    host.forget_commands()
    second = host.state("present", "wg1")
    assert (second["result"], second["changes"]) == (True, {})
    assert host.writing_commands() == []
    assert host.events == []


def test_a_changed_peer_is_changed_on_the_live_device(host):
    describe(host, wg1=WG1)
    host.call("apply")
    describe(host, wg1={**WG1, "peers": {"router": {**ROUTER, "allowed_ips": ["10.9.0.2/32", "192.168.7.0/24"]}}})
    changes = host.state("present", "wg1")["changes"]
    assert set(changes) == {"peer router", "route 192.168.7.0/24", "/etc/wireguard/wg1.conf"}
    assert host.device("wg1").peers[key("router")].allowed_ips == {"10.9.0.2/32", "192.168.7.0/24"}


def test_a_preshared_key_comes_onto_the_device_and_into_no_output(host):
    secret = host.run("wg", "genpsk").strip()
    describe(host, wg1={**WG1, "peers": {"router": {**ROUTER, "preshared_key": secret}}})
    first = host.state("present", "wg1")
    assert first["result"] is True
    assert secret not in str(first)
    assert secret in host.run("wg", "show", "wg1", "preshared-keys")
    assert host.state("present", "wg1")["changes"] == {}


def test_the_pillar_of_another_formula_is_said_to_be_that_and_stops_nothing_of_ours(host):
    """It stopped every apply with `write addresses:`, as if somebody had forgotten them."""
    theirs = {"listen_port": 51820, "private_key": key("secret"), "peers": [{"peer": key("a"), "allowed_ips": []}]}
    wanted = registered(host)
    networks = {wanted.network: wanted.to_dict()}
    host.set_pillar({"wireguard": {"networks": networks, "interfaces": {"wg7": theirs}, "install_packages": False}})
    assert host.call("apply").keys() == {wanted.network}
    assert host.device("wg7") is None
    shown = host.salt("state.show_sls", "wireguard.networks")
    (said,) = [part for part in shown["wireguard_of_another_formula"]["test"] if "warnings" in part]
    assert "`salt-run wireguard.adopt`" in said["warnings"]
    assert "wireguard_interface_wg7" not in shown
    assert f"wireguard_network_{wanted.network}" in shown


def test_without_peers_yet_it_has_a_key_that_its_peers_can_be_told(host):
    describe(host, wg1={"addresses": ["10.9.0.1/24"]})
    host.call("apply", "wg1")
    assert host.call("public_key", "wg1") == host.device("wg1").public_key


def test_a_test_run_changes_nothing_and_says_what_it_would_do(host):
    describe(host, wg1=WG1)
    before = host.picture()
    assert host.state("present", "wg1", test=True)["result"] is None
    assert host.call("apply", test=True)["wg1"]["result"] is None
    assert host.picture() == before


def test_it_goes_together_with_a_network_and_stays_when_the_network_goes(host):
    wanted = registered(host)
    networks = {"backbone": wanted.to_dict()}
    host.set_pillar({"wireguard": {"networks": networks, "interfaces": {"wg1": WG1}}})
    assert sorted(host.call("apply")) == ["backbone", "wg1"]
    assert sorted(host.call("diff")) == ["backbone", "wg1"]
    assert host.call("diff", "wg1")["wg1"]["commands"] == []
    host.set_pillar({"wireguard": {"networks": {}, "interfaces": {"wg1": WG1}}})
    assert host.state("gone", "x", [])["changes"].keys() == {"wg0"}
    assert host.device("wg1")


def test_the_sls_makes_it_present_without_a_word_of_what_is_in_it(host):
    describe(host, wg1=WG1)
    chunks = host.salt("state.show_sls", "wireguard")
    state = chunks["wireguard_interface_wg1"]["wireguard"]
    assert {"name": "wg1"} in state
    assert key("router") not in str(chunks)


def test_an_interface_that_has_the_name_of_another_is_refused(host):
    wanted = registered(host)
    for name in ("wg0", "backbone"):
        host.set_pillar({"wireguard": {"networks": {"backbone": wanted.to_dict()}, "interfaces": {name: WG1}}})
        answer = host.state("present", name)
        assert (answer["result"], answer["changes"]) == (False, {})
        assert f"has an interface {name}, which is" in answer["comment"]


@pytest.mark.parametrize(
    ("interfaces", "said"),
    [
        ([], "wireguard:interfaces in the pillar of this minion must be a mapping"),
        ({"wg1": None}, "wireguard:interfaces:wg1 in the pillar: write `addresses:`, a list such as [10.9.0.1/24]"),
        ({"wg1": {"port": 1}}, "wireguard:interfaces:wg1 in the pillar: write `addresses:`"),
        ({"wg1": {**WG1, "adresses": []}}, "wg1 in the pillar: unknown key 'adresses'; the known keys are addresses,"),
        ({"wg1": {**WG1, "public_key": key("x")}}, "wg1 in the pillar: unknown key 'public_key'"),
        ({"wg1": {**WG1, "port": "51821"}}, "wg1 in the pillar: wireguard interface: port: must be a whole number"),
        ({"wg1": {**WG1, "peers": {"router": {}}}}, "wg1 in the pillar: wireguard interface: peer 'router': 'public_"),
        ({"wg1": {**WG1, "peers": {"router": {**ROUTER, "endpoint": "x"}}}}, "has no port: write x:51820, for example"),
        ({"wg1 x": WG1}, "is no interface name: 1 to 15 letters"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_changes_nothing(host, interfaces, said):
    host.set_pillar({"wireguard": {"interfaces": interfaces}})
    answer = host.state("present", "wg1")
    assert (answer["result"], answer["changes"]) == (False, {})
    assert said in answer["comment"]
    assert list(ETC.iterdir()) == []
