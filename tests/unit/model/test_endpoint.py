import re
from ipaddress import ip_address

import pytest

from saltext.wireguard.model.endpoint import Endpoint, never_used


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
        ("0.0.0.0", "'0.0.0.0' is not an endpoint: 0.0.0.0 is no machine's address"),
        ("0.1.2.3", "no machine's address"),
        ("[::]:51820", "no machine's address"),
        ("ff02::1", "a multicast address"),
        ("255.255.255.255:51820", "a broadcast address"),
        ("[fe80::1]:51820", "link-local"),
        ("::ffff:192.0.2.1", "an IPv4 address in IPv6 notation"),
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


@pytest.mark.parametrize(
    ("texts", "unused"),
    [
        (["192.0.2.1", "2001:db8::1"], []),
        (["fd00::1", "192.0.2.1", "db1"], ["db1"]),
        (["2a00::1", "fd00::1"], []),
        (["fd00::1", "2a00::1"], ["2a00::1"]),
        (["192.0.2.1", "192.0.2.2"], []),
        (["192.0.2.1", "192.0.2.2", "192.0.2.1"], ["192.0.2.1"]),
        (["2a00::1", "192.0.2.1", "192.0.2.2", "2a00::2", "db1"], []),
        (["db1", "db2"], ["db2"]),
        (["db1", "192.0.2.1"], ["192.0.2.1"]),
        (["2a00::1", "192.0.2.1", "db1"], []),
        (["2a00::1", "fd00::1", "192.0.2.1", "db1"], ["db1"]),
    ],
)
def test_of_a_list_nobody_calls_what_all_have_something_better_for(texts, unused):
    assert never_used([Endpoint(text) for text in texts]) == [Endpoint(text) for text in unused]
