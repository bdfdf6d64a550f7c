from ipaddress import ip_address, ip_network

import pytest

from saltext.wireguard.meshfile import mesh
from saltext.wireguard.meshfile.mesh import Network, NodeEntry, NodeSettings, Place

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


def test_what_is_remembered_of_nodes_does_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(mesh, "_MOST_REMEMBERED", 10)
    found = network(NodeEntry("*", PLACE, mtu=1300), NodeEntry("a", PLACE, mtu=1400))
    for number in range(100):
        assert found.settings(f"n{number}").mtu == 1300
        assert found.settings("a").mtu == 1400
        assert len(found._settings) <= 12


def test_a_node_takes_part_with_both_ip_versions_unless_an_entry_says_otherwise():
    given = {"*": None, "old-*": frozenset({4}), "old-gw": frozenset({4, 6})}
    found = network(*(NodeEntry(pattern, PLACE, ip_versions=versions) for pattern, versions in given.items()))
    versions = {node: sorted(found.settings(node).ip_versions) for node in ("web1", "old-1", "old-gw")}
    assert versions == {"web1": [4, 6], "old-1": [4], "old-gw": [4, 6]}
