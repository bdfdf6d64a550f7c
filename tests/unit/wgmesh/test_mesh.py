import re
from ipaddress import ip_address, ip_network

import pytest
from wgmesh.model import Endpoint, Network, NodeEntry, NodeSettings, Place

PLACE = Place("mesh.yml", 1)
ADDRESS = ip_address("10.42.0.5")


def network(*nodes: NodeEntry) -> Network:
    return Network("n", PLACE, subnets=(ip_network("10.42.0.0/16"), ip_network("fd42:42::/64")), nodes=nodes)


@pytest.mark.parametrize(
    ("address", "subnet"),
    [("10.42.3.4", "10.42.0.0/16"), ("fd42:42::9", "fd42:42::/64"), ("10.43.0.1", None), ("fd43::1", None)],
)
def test_subnet_of_is_the_subnet_that_contains_the_address(address, subnet):
    assert network().subnet_of(ip_address(address)) == (ip_network(subnet) if subnet else None)


# --- which entry wins ------------------------------------------------------------------------------------------------


def test_who_is_in_no_entry_is_no_member():
    assert network(NodeEntry("web*", PLACE), NodeEntry("db1", PLACE)).settings("mail1") is None


def test_ids_and_globs_are_compared_case_sensitively():
    assert network(NodeEntry("web*", PLACE), NodeEntry("db1", PLACE)).settings("WEB1") is None


def test_less_specific_entries_supply_defaults_setting_by_setting():
    everybody, web = NodeEntry("*", PLACE, port=1), NodeEntry("web*", PLACE, endpoint=False)
    web1 = NodeEntry("web1", PLACE, addresses=(ADDRESS,))
    assert network(everybody, web, web1).settings("web1") == NodeSettings((ADDRESS,), False, 1)


@pytest.mark.parametrize(
    ("everybody", "web", "web1", "expires"),
    [
        (None, None, None, None),
        (1, None, None, 1),
        (3, 1, None, 1),
        (1, 3, None, 3),
        (1, 3, 2, 2),
        (None, 0, None, 0),
        (1, None, 0, 0),
    ],
)
def test_the_most_specific_entry_that_has_one_says_when_a_node_expires(everybody, web, web1, expires):
    entries = (("*", everybody), ("web*", web), ("web1", web1))
    settings = network(*(NodeEntry(pattern, PLACE, expires=time) for pattern, time in entries)).settings("web1")
    assert settings == NodeSettings((), None, 51820, expires)


@pytest.mark.parametrize(
    ("patterns", "winner"),
    [
        (("web1", "web*"), "web1"),
        (("web*", "web1"), "web1"),
        (("*", "web*"), "web*"),
        (("web*", "*"), "web*"),
        (("*eb1", "w*"), "*eb1"),
        (("w*b*", "we*"), "we*"),
        (("we*", "w*b*"), "we*"),
        (("web?", "*eb1"), "*eb1"),
        (("*eb1", "web?"), "web?"),
        (("web[0-9]", "we*"), "web[0-9]"),
        (("web[123456789]", "web1*"), "web1*"),
        (("web[]1]", "we*"), "web[]1]"),
        (("web[!2]", "*b1"), "web[!2]"),
    ],
)
def test_the_most_specific_entry_wins(patterns, winner):
    entries = (NodeEntry(pattern, PLACE, port=1000 + index) for index, pattern in enumerate(patterns))
    settings = network(*entries).settings("web1")
    assert settings is not None
    assert patterns[settings.port - 1000] == winner


# --- endpoints -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("db1", "db1", None),
        ("db1.example.com.", "db1.example.com.", None),
        ("db1.example.com:51821", "db1.example.com", 51821),
        ("192.0.2.1", "192.0.2.1", None),
        ("192.0.2.1:1", "192.0.2.1", 1),
        ("2001:DB8:0::1", "2001:db8::1", None),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("[2001:db8::1]:65535", "2001:db8::1", 65535),
        ("3com.example", "3com.example", None),
    ],
)
def test_an_endpoint_is_read(text, host, port):
    assert Endpoint.parse(text) == Endpoint(host, port)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "write host"),
        (":51820", "write host"),
        ("db1:", "its port"),
        ("db1:0", "its port"),
        ("db1:65536", "its port"),
        ("db1:051820", "its port"),
        ("db1:\uff15\uff11", "its port"),
        ("[::1]:", "its port"),
        ("[db1]:51820", "'db1' is not an IPv6 address"),
        ("[192.0.2.1]:51820", "is not an IPv6 address"),
        ("fe80::1%eth0", "zone"),
        ("1:2:3", "is not an IPv6 address"),
        ("[::1]x", "is not an IPv6 address"),
        ("192.0.2.256", "is not an IPv4 address"),
        ("1.2.3", "is not an IPv4 address"),
        ("0x7f000001", "is not an IPv4 address"),
        ("51820", "is not an IPv4 address"),
        ("0.0.0.0", "nobody can be called at 0.0.0.0"),
        ("[::]:51820", "nobody can be called"),
        ("ff02::1", "nobody can be called"),
        ("a_b.example", "write host"),
        ("-a.example", "write host"),
        ("a..b", "write host"),
        ("a b", "write host"),
        ("bücher.example", "write host"),
        ("a" * 64, "write host"),
        (".".join(["a" * 63] * 4), "write host"),
        ("db1\n:51820", "write host"),
    ],
)
def test_what_is_no_endpoint_is_refused_with_a_reason(text, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        Endpoint.parse(text)


@pytest.mark.parametrize("text", ["db1", "db1:51821", "192.0.2.1:1", "[2001:db8::1]", "[2001:db8::1]:51821"])
def test_an_endpoint_prints_as_it_was_written(text):
    assert str(Endpoint.parse(text)) == text


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [("db1", "db1:51820"), ("db1:1", "db1:1"), ("2001:db8::1", "[2001:db8::1]:51820"), ("[2001:db8::1]:1", None)],
)
def test_an_endpoint_without_a_port_takes_the_default_one(endpoint, text):
    assert Endpoint.parse(endpoint).with_port(51820) == (text or endpoint)


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [("db1:1", None), ("10.0.0.1.example", None), ("192.0.2.1:1", "192.0.2.1"), ("[2001:db8::1]", "2001:db8::1")],
)
def test_an_endpoint_is_an_address_or_a_name(endpoint, address):
    assert Endpoint.parse(endpoint).address == (ip_address(address) if address else None)
