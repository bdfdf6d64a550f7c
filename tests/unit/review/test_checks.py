"""What is wrong with a mesh, or probably not meant."""

import re
from dataclasses import replace
from ipaddress import ip_address

import pytest

from factories import mesh_text, public_key, row
from judging import NOW, PHONE, errors, found, registered, two_networks, warnings
from saltext.wireguard.meshfile.parse import parse_mesh
from saltext.wireguard.registry.rows import Waiting
from saltext.wireguard.review.lint import lint

# --- tunnel in tunnel ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["a: {endpoint: 10.42.0.9}, b: {}", "a: {endpoints: {x: '10.42.0.9:1'}}, b: {}"])
def test_an_endpoint_in_the_networks_own_subnet_is_swallowed_by_the_tunnel(who):
    (text,) = warnings(who)
    assert re.match(r"mesh.yml:4: a's endpoint 10\.42\.0\.9(:1)? is in the network's own 10\.42\.0\.0/24: ", text)


def test_the_endpoint_of_a_peer_is_looked_at_as_well():
    (text,) = warnings("a: {}", peers=PHONE.replace("}", ", endpoint: 10.42.0.9}"))
    assert "mesh.yml:5: phone's endpoint 10.42.0.9:51820 is in the network's own" in text


def test_a_name_that_resolves_into_the_networks_own_subnet_says_to_what():
    (text,) = warnings("a: {endpoint: a.example}, b: {}", names={"a.example": ("10.42.0.9",)})
    assert "a's endpoint a.example (10.42.0.9 for this machine) is in the network's own 10.42.0.0/24" in text


def test_nodes_that_offer_addresses_in_the_networks_own_subnet_are_one_warning_at_the_subnets():
    (text,) = warnings(known=registered("a@10.42.0.77", "b@10.42.0.78", "c@192.0.2.1"))
    assert text.startswith("mesh.yml:3: the endpoints that a, b offered are in the network's own 10.42.0.0/24")


def test_what_a_node_offers_does_not_matter_where_the_file_says_otherwise():
    nodes = "a: {endpoint: 192.0.2.7}, b: {endpoint: false}, c: {}"
    assert warnings(nodes, known=registered("a@10.42.0.77", "b@10.42.0.78", "c")) == []


@pytest.mark.parametrize("address", ["10.42.0.5", "10.42.0.5:1234"])
def test_a_node_called_at_its_own_address_in_the_mesh_is_an_error(address):
    (text,) = errors(f"a: {{addresses: [10.42.0.5], endpoint: '{address}'}}, b: {{}}")
    assert text.startswith(f"mesh.yml:4: a's endpoint {address} is inside the mesh, so it can be reached only through")


def test_a_node_called_at_the_address_that_it_was_given_is_an_error():
    (text,) = errors("a: {endpoint: 10.42.0.1}, b: {}", known=registered("a", "b"))
    assert "a's endpoint 10.42.0.1" in text


def test_two_networks_through_each_other_are_errors_on_both_sides():
    text = two_networks(
        "a: {addresses: [10.42.0.5], endpoint: 10.43.0.5}, b: {}",
        "a: {addresses: [10.43.0.5], endpoint: 10.42.0.5}, b: {}",
        "mtu: 1340",
        "mtu: 1280",
    )
    one, other = map(str, found(text).errors)
    assert one.startswith("mesh.yml:6: a's endpoint 10.43.0.5 is inside the mesh, so it can be reached only through")
    assert "the tunnel (via a of other) that it is meant to open" in one
    assert "mesh.yml:12: a's endpoint 10.42.0.5" in other


def test_a_network_through_another_is_no_error():
    text = two_networks("a: {addresses: [10.42.0.5]}, b: {}", "a: {endpoint: 10.42.0.5}, b: {}", "", "mtu: 1360")
    assert found(text) == found(two_networks("a: {}", "b: {}"))


def test_an_endpoint_in_a_network_behind_a_node_is_swallowed_by_the_tunnel():
    (text,) = warnings("gw: {routes: [192.168.40.0/24]}, a: {endpoint: 192.168.40.7}, b: {}")
    assert text.startswith("mesh.yml:4: a's endpoint 192.168.40.7 is in 192.168.40.0/24 behind gw: ")
    (text,) = warnings("gw: {routes: [192.168.40.0/24], endpoint: 192.168.40.1}, b: {}")
    assert "gw's endpoint 192.168.40.1 is in 192.168.40.0/24 behind gw: " in text


def test_who_is_not_told_of_the_route_calls_by_another_way():
    gw = "gw: {routes: [192.168.40.0/24], site: x, endpoint: 192.168.40.1}"
    assert warnings(f"{gw}, b: {{site: x}}, c: {{site: x}}") == []
    assert warnings(f"{gw}, b: {{site: x}}, c: {{}}", extra="links: [[gw, b]]") == []
    assert len(warnings(f"{gw}, b: {{site: x}}, c: {{}}", extra="links: [[gw, '*']]")) == 1
    assert (
        warnings(gw.replace("endpoint: 192.168.40.1", "endpoints: {x: 192.168.40.1}") + ", b: {site: x}, c: {}") == []
    )


def test_it_is_found_who_meets_by_way_of_a_hub():
    text = mesh_text("'nat*': {endpoint: false}, far: {endpoint: false}, hub: {hub: true}, '*': {}")
    ((network, relayed),) = found(text, known=registered("nat1", "nat2", "hub", "a")).relayed
    assert (network, relayed.hub, relayed.pairs, relayed.nodes) == ("net", "hub", 3, ("far", "nat1", "nat2"))


def test_pairs_that_meet_by_way_of_a_hub_are_no_matter():
    assert warnings("'*': {}, a: {endpoint: false}, b: {endpoint: false}, hub: {hub: true}") == []


# --- MTU -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mtu", "endpoint", "fits"),
    [
        (1440, "192.0.2.1", None),
        (1441, "192.0.2.1", 1440),
        (1500, "", 1440),
        (1420, "'[2001:db8::1]:1'", None),
        (1421, "'[2001:db8::1]:1'", 1420),
        (8920, "192.0.2.1", None),
        (8920, "8.8.8.8", 1440),
    ],
)
def test_an_mtu_must_leave_room_for_what_wireguard_adds(mtu, endpoint, fits):
    found = warnings(f"a: {{endpoint: {endpoint}}}, b: {{}}" if endpoint else "a: {}", extra=f"mtu: {mtu}")
    assert [re.search(r"^mesh.yml:5: mtu \d+ is too large .* write at most (\d+)$", text)[1] for text in found] == (
        [str(fits)] if fits else []
    )


@pytest.mark.parametrize(
    ("inner", "outer", "fits"),
    [("", "", None), ("mtu: 1400", "", 1360), ("mtu: 1360", "", None), ("mtu: 1340", "mtu: 1380", 1320)],
)
def test_packets_of_a_network_through_another_must_fit_into_it(inner, outer, fits):
    text = two_networks("a: {addresses: [10.42.0.5]}, b: {}", "a: {endpoint: 10.42.0.5}, b: {}", outer, inner)
    messages = [str(each) for each in found(text).warnings]
    assert len(messages) == (1 if fits else 0)
    for message in messages:
        assert message.startswith(
            f"mesh.yml:{11 if inner else 7}: a's endpoint 10.42.0.5 is reached through network one"
        )
        assert message.endswith(f"fit in if its own `mtu` is at most {fits}")


def test_a_minion_that_globs_of_two_networks_name_cannot_have_one_port_in_both():
    known = registered("wab")
    text = two_networks("'w*': {port: 7}", "'*b': {port: 7}")
    (found,) = [str(each) for each in lint(parse_mesh([("mesh.yml", text)]), NOW, known).errors]
    assert found == "mesh.yml:12: wab has port 7 in networks 'one' and 'other'; change one"
    assert not lint(parse_mesh([("mesh.yml", text)]), NOW, registered("wa", "bb")).errors


# --- addresses -------------------------------------------------------------------------------------------------------


def test_a_network_that_may_grow_is_nearly_full_at_nine_tenths():
    """A /28 has 14 addresses."""
    nodes = "'*': {}, " + ", ".join(f"n{number}: {{}}" for number in range(12))
    assert warnings(nodes, subnets="10.42.0.0/28") == []
    (text,) = warnings(nodes + ", more: {}", subnets="10.42.0.0/28")
    assert text.startswith("mesh.yml:3: network net has 1 of 14 IPv4 addresses free; add a subnet")


def test_a_small_subnet_made_to_measure_is_not_nearly_full():
    assert warnings("a: {}, b: {}", subnets="10.42.0.0/30") == []
    assert warnings("a: {}, b: {}", subnets="10.42.0.0/31, 'fd42::/127'") == []
    (text,) = warnings("a: {}, '*': {}", subnets="10.42.0.0/30", known=registered("a", "b"))
    assert "has 0 of 2 IPv4 addresses free" in text


def test_more_nodes_than_addresses_are_an_error():
    (text,) = errors("a: {}, b: {}", peers=PHONE.replace("0.200", "0.1"), subnets="10.42.0.0/30, 'fd42::/64'")
    assert text == "mesh.yml:3: network net needs 3 IPv4 addresses and has 2; add a subnet"


def test_several_subnets_are_one_room():
    assert warnings("a: {}, b: {}, c: {}, d: {}", subnets="10.42.0.0/30, 10.42.1.0/30") == []


def test_addresses_of_nodes_that_are_gone_are_not_free():
    gone = row("gone", ip_address("10.42.0.6"))
    (text,) = errors(subnets="10.42.0.0/29", known=registered("a", "b", "c", "d", "e", keys="a b c d e f", gone=gone))
    assert "needs 7 IPv4 addresses and has 6" in text


def test_an_address_that_the_file_gives_replaces_the_one_that_was_given_which_is_not_free_at_once():
    known = registered("z", "b")
    nodes = "z: {addresses: [10.42.0.3]}, b: {}, c: {}, d: {}, e: {}"
    assert errors(nodes, subnets="10.42.0.0/29", known=known) == []
    (text,) = errors(nodes + ", f: {}", subnets="10.42.0.0/29", known=known)
    assert "needs 7 IPv4 addresses and has 6" in text


def test_what_is_excluded_is_no_room():
    assert errors("a: {}, b: {}", subnets="10.42.0.0/29", extra="exclude: [10.42.0.1-10.42.0.4]") == []
    (text,) = errors("a: {}, b: {}, c: {}", subnets="10.42.0.0/29", extra="exclude: [10.42.0.1-10.42.0.4]")
    assert "needs 3 IPv4 addresses and has 2" in text


def test_an_excluded_address_that_the_file_names_takes_no_room_of_others():
    nodes = "a: {addresses: [10.42.0.2]}, b: {}, c: {}"
    assert errors(nodes, subnets="10.42.0.0/29", extra="exclude: [10.42.0.1-10.42.0.4]") == []


def test_who_keeps_an_address_that_was_excluded_since_is_named():
    (text,) = warnings(extra="exclude: [10.42.0.2-10.42.0.9]", known=registered("a", "b"))
    assert text == (
        "mesh.yml:5: b (10.42.0.2): allocated before the exclusion, and kept; to change that, give them `addresses:`"
    )


def test_a_subnet_that_is_smaller_than_what_is_used_is_an_error_that_names_who_is_outside():
    (text,) = errors(
        "a: {addresses: [10.42.0.130]}, '*': {}", subnets="10.42.0.128/25", known=registered("a", "b", "c")
    )
    assert text.startswith(
        "mesh.yml:3: 2 nodes of network net have addresses outside its subnets (mesh.yml:3):"
        " b (10.42.0.2), c (10.42.0.3). Write subnets that contain these, or give the nodes others by `addresses:`"
    )


def test_a_subnet_that_grows_is_no_mistake():
    assert errors(subnets="10.42.0.0/16", known=registered("a", "b")) == []


# --- names -----------------------------------------------------------------------------------------------------------

NAMED = "a: {endpoint: good.example}, b: {endpoint: 'bad.example:1'}, c: {endpoint: 192.0.2.1}"


def test_a_name_that_does_not_resolve_is_a_warning():
    (text,) = warnings(NAMED, names={"good.example": ("192.0.2.2",)})
    assert text.startswith("mesh.yml:4: bad.example does not resolve on this machine: ")


def test_names_that_nobody_looked_up_are_not_judged():
    assert warnings(NAMED) == []


def test_when_none_of_several_names_resolves_the_machine_is_suspected_once():
    (text,) = warnings(NAMED, names={})
    assert "this machine resolves none of the endpoints' names, so it may have no DNS: bad.example, good" in text


# --- minions ---------------------------------------------------------------------------------------------------------


def test_entries_that_no_accepted_minion_matches_are_warnings():
    one, other = warnings("'web*': {}, 'wbe*': {}, db1: {}, bd1: {}", known=registered("web1", "db1"))
    assert "no accepted minion has the id bd1" in one
    assert "no accepted minion matches 'wbe*'" in other


def test_ids_of_a_list_are_looked_at_one_by_one():
    (warning,) = warnings("'L@web1,wbe2': {}", known=registered("web1"))
    assert "no accepted minion has the id wbe2" in warning


def test_a_nodegroup_that_only_the_master_knows_is_a_warning():
    assert any("'N@office' matches nobody here" in warning for warning in warnings("N@office: {}"))


def test_an_entry_that_has_expired_may_stay_without_a_minion():
    assert warnings("'*': {}, gone: {expires: 2020-01-01}", known=registered("a")) == []


def test_a_glob_whose_minions_all_have_entries_of_their_own_is_matched():
    assert warnings("'web*': {}, web1: {port: 1}", known=registered("web1")) == []


def test_a_network_without_any_accepted_minion_is_one_warning():
    (text,) = warnings("a: {}, b: {}", known=registered("c"))
    assert text == "mesh.yml:4: no accepted minion is in network net: see `salt-key -L`"
    assert warnings("", known=registered("c")) == []


def test_a_minion_that_a_peer_has_the_name_of_is_left_out():
    (text,) = warnings("'*': {}", peers=PHONE, known=registered("a", keys="a phone"))
    assert text.startswith("mesh.yml:5: the minion phone is no member, as this peer has its name")


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.1.1", "'[::1]:51820'"])
def test_an_endpoint_that_is_another_machine_for_everybody_is_questioned(address):
    (text,) = warnings(f"a: {{endpoint: {address}}}")
    assert "is local to each machine" in text


def test_a_name_that_leads_to_the_machine_itself_is_questioned():
    (text,) = warnings("a: {endpoint: a.example}", names={"a.example": ("127.0.1.1", "fe80::1%eth0")})
    assert "a's endpoint a.example resolves on this machine to 127.0.1.1, fe80::1%eth0, where no machine" in text
    assert warnings("a: {endpoint: a.example}", names={"a.example": ("127.0.1.1", "192.0.2.1")}) == []


@pytest.mark.parametrize("name", ["eth0", "enp3s0", "wlan0", "docker0", "br0", "bond0", "ens192"])
def test_an_interface_that_is_called_like_another_device_is_questioned(name):
    (text,) = warnings(extra=f"interface: {name}")
    assert f"interface {name} is a usual name of other devices" in text


@pytest.mark.parametrize("name", ["wg0", "mesh", "backbone", "wg-eth0", "energy", "brain", "tunnel"])
def test_an_interface_that_is_called_like_nothing_else_is_not(name):
    assert warnings(extra=f"interface: {name}") == []


@pytest.mark.parametrize(
    ("domain", "is_questioned"), [("com", True), ("DE", True), ("internal", False), ("a.b", False)]
)
def test_a_top_level_domain_is_questioned(domain, is_questioned):
    found = warnings(extra=f"hosts: true\n    domain: {domain}")
    assert bool(found) is is_questioned
    assert all("top-level domain" in text for text in found)


def test_a_minion_whose_id_cannot_be_a_nodes_is_left_out_and_warned_of():
    (text,) = warnings("'*': {}", known=registered("a", keys="a a(b"))
    assert text.startswith("mesh.yml:4: the minion 'a(b' is no member: its minion id is not made of letters")


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ("a: {}", r"^mesh\.yml:4: network net would lose 3 of its 4 nodes at once: .* does not list b, c, d; "),
        ("a: {}, b: {}", None),
    ],
)
def test_the_loss_of_most_of_a_network_is_a_warning(nodes, message):
    known = registered("a", "b", "c", "d")
    known = replace(known, snapshot=replace(known.snapshot, noted={"net": frozenset("abcd")}))
    found = warnings(nodes, known=known)
    assert [bool(re.search(message, text)) for text in found] == ([True] if message else [])


def test_a_network_that_the_file_has_no_more_is_told_where_the_file_begins():
    known = registered("a", keys="a b c d")
    known = replace(known, snapshot=replace(known.snapshot, noted={"old": frozenset("abcd")}))
    (text,) = warnings(known=known)
    assert text.startswith("mesh.yml:2: network old would lose 4 of its 4 nodes at once: the mesh file (mesh.yml) has")


# --- what the registry says ------------------------------------------------------------------------------------------


def test_an_address_and_a_key_of_a_registered_node_given_to_another_are_errors():
    peer = f"phone: {{public_key: {public_key('a')}, addresses: [10.42.0.2]}}"
    key, address = errors(peers=peer, known=registered("a", "b"))
    assert "10.42.0.2 was already given to b" in key
    assert "the public key of peer 'phone' is that of the minion 'a'" in address


@pytest.mark.parametrize("owner", ["a", "phone", "b"])
def test_who_waits_with_the_key_of_another_is_taken_for_a_clone(owner):
    known = registered("a", keys="a b clone")
    keys = {"b": public_key("b"), "clone": public_key(owner)}
    waiting = {("net", node): Waiting("net", node, "admit", key, "", NOW) for node, key in keys.items()}
    (text,) = warnings(peers=PHONE, known=replace(known, snapshot=replace(known.snapshot, waiting=waiting)))
    assert f"clone, which waits to be admitted, has the public key of {owner}: a cloned machine?" in text
