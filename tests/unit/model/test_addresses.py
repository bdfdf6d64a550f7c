"""Which addresses another machine can be reached at."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltext.wireguard.model.addresses import can_be_endpoint, ipv4_first, is_local, usable, why_not_reachable
from saltext.wireguard.model.endpoint import Endpoint

NEVER = ["0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "::", "ff02::1", "::ffff:192.0.2.1", "fe80::1"]
LOCAL = ["127.0.0.1", "127.9.9.9", "169.254.1.1", "240.0.0.1", "::1"]
GOOD = ["192.0.2.1", "10.0.0.1", "100.64.0.1", "198.18.0.1", "2001:db8::1", "fd00::1"]


@pytest.mark.parametrize("text", [*NEVER, "fe80::1%eth0", "2001:db8::1%1"])
def test_an_address_that_leads_nowhere_is_no_endpoint(text):
    assert why_not_reachable(ip_address(text))
    assert not can_be_endpoint(ip_address(text))


@pytest.mark.parametrize("text", LOCAL)
def test_an_address_that_leads_somewhere_else_from_each_machine_is_an_endpoint_only_for_who_wrote_it(text):
    assert is_local(ip_address(text))
    assert why_not_reachable(ip_address(text)) is None
    assert not can_be_endpoint(ip_address(text))


@pytest.mark.parametrize("text", GOOD)
def test_any_other_address_is_an_endpoint(text):
    assert can_be_endpoint(ip_address(text))


def test_of_what_a_resolver_says_only_usable_addresses_are_taken():
    """One name with such an address raised ValueError for all networks of a node: it could not even drop a peer."""
    assert usable([*NEVER, "fe80::1%eth0", "fd00::1%\n", "", "web1", "127.0.0.1", "192.0.2.1", "2001:DB8:0::1"]) == [
        "127.0.0.1",  # a proxy on this machine
        "192.0.2.1",
        "2001:db8::1",
    ]


@given(st.ip_addresses())
def test_what_is_usable_is_an_endpoint_in_a_mesh_file_and_in_a_view(address):
    for text in usable([str(address)]):
        assert Endpoint.parse(Endpoint(text, 1).with_port(1)).address == address


@given(st.text())
def test_nothing_that_a_resolver_says_raises(text):
    usable([text])


def test_ipv4_comes_first():
    texts = ["10.0.0.1", "10.0.0.2", "::2"]
    assert [str(each) for each in ipv4_first(map(ip_address, reversed(texts)))] == texts
