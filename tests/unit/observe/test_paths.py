"""How pings come back between the nodes of a network."""

from ipaddress import ip_address

from factories import accepted, mesh, public_key, row, snapshot
from saltext.wireguard.fleet.fleet import Fleet
from saltext.wireguard.model.probe import Echo, Probe
from saltext.wireguard.observe.paths import Path, paths

FINE = Echo(5, 5, 0.5)


def look(probes, **changes):
    rows = [row("a", ip_address("10.42.0.1")), row("b", ip_address("10.42.0.2"), **changes)]
    fleet = Fleet(mesh(), snapshot(*rows), accepted(*"ab"), 10.0)
    return {(path.source, path.target): path for path in paths("net", fleet.networks["net"], probes)}


def test_there_is_a_path_in_each_direction():
    assert [*look({})] == [("a", "b"), ("b", "a")]


def test_of_a_node_that_says_nothing_or_only_an_error_nothing_is_known():
    found = look({"a": Probe(error="wg0 is not set up")})
    assert {path.loss for path in found.values()} == {None}


def test_a_peer_that_is_missing_or_has_no_address_loses_everything():
    found = look({"a": Probe(), "b": Probe({public_key("a"): {}})})
    assert [path.loss for path in found.values()] == [1, 1]


def test_the_ip_version_that_is_worse_counts():
    path = Path("net", "a", "b", {4: FINE, 6: Echo(5, 1, 2.5)})
    assert (path.loss, path.rtt) == (0.8, 2.5)


def test_a_peer_that_rotated_is_found_by_its_next_key():
    found = look({"a": Probe({public_key("b2"): {4: FINE}})}, next_key=public_key("b2"))
    assert found["a", "b"].loss == 0
