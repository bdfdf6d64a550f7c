"""One network with all that is known of it."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from factories import accepted, mesh, public_key, row, snapshot
from saltext.wireguard.model.endpoint import Endpoint
from saltext.wireguard.model.view import Peer
from saltext.wireguard.review.context import Context, Known, Reached, used_endpoints, written_endpoints

PHONE = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.200], endpoint: 'phone.example:1'}}"
NOBODY = Known(snapshot(), {})
PLACE = mesh().networks[0].place


def context(nodes="'*': {}", known=None, names=None, **kwargs):
    parsed = mesh(nodes, **kwargs)
    return Context(parsed.networks[0], parsed, 0.0, known, names)


@pytest.mark.parametrize("known", [None, NOBODY])
def test_those_that_the_file_names_take_part_before_their_keys_are_accepted(known):
    found = context("a: {}, 'b*': {}", known, peers=PHONE)
    assert set(found.participants) == {"a", "phone"}
    assert set(found.members) == {"a"}


def test_those_that_a_glob_lets_in_take_part_where_their_keys_are_known():
    assert set(context("'b*': {}", Known(snapshot(), accepted("b1", "c1"))).members) == {"b1"}


def test_who_has_expired_takes_no_part():
    assert context("a: {expires: 1969-01-01}").members == {}


def test_endpoints_are_read_of_nodes_for_all_and_for_sites_and_of_peers():
    network = context("a: {endpoint: 192.0.2.1, endpoints: {x: a.example}}, b: {endpoint: false}", peers=PHONE).network
    assert [(name, str(endpoint)) for name, _, endpoint in written_endpoints(network)] == [
        *(("a", "192.0.2.1"), ("a", "a.example"), ("phone", "phone.example:1"))
    ]


def test_a_name_is_reached_at_what_it_resolves_to_and_that_holds_for_this_machine_only():
    found = context("a: {endpoint: a.example}", names={"a.example": ("192.0.2.7",)})
    (reached,) = found.reached
    assert (reached.name, reached.address, reached.is_certain) == ("a", ip_address("192.0.2.7"), False)
    assert str(reached) == "a's endpoint a.example (192.0.2.7 for this machine)"
    assert context("a: {endpoint: a.example}").reached == []


def test_what_a_registered_node_offers_counts_where_the_file_has_no_endpoint_of_it():
    rows = [row(name, ip_address(f"10.42.0.{i}"), endpoints=(f"192.0.2.{i}",)) for i, name in enumerate("ab", 1)]
    found = context("a: {endpoint: 198.51.100.1}, b: {}", Known(snapshot(*rows), accepted("a", "b")))
    assert {(each.name, each.host) for each in found.reached} == {("a", "198.51.100.1"), ("b", "192.0.2.2")}


def test_an_address_that_a_node_offers_is_certain():
    offered = Reached("a", PLACE, ip_address("192.0.2.1"))
    assert offered.is_certain
    assert not replace(offered, endpoint=Endpoint("a.example")).is_certain


def test_the_place_of_a_node_is_its_most_specific_entry_and_that_of_a_stranger_all_nodes():
    found = context("'*': {},\n a: {}", peers=PHONE)
    lines = {name: found.place_of(name).line for name in ("a", "b", "phone")}
    assert lines["a"] == lines["b"] + 1 < lines["phone"]


def test_the_endpoints_that_a_view_uses_are_those_of_its_peers_without_their_ports():
    peers = [Peer("a", public_key("a"), (), "192.0.2.1:51820"), Peer("b", public_key("b"), ())]
    assert used_endpoints(peers) == {("a", "192.0.2.1")}
