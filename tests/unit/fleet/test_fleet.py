import hashlib
import threading
import time
from dataclasses import replace
from ipaddress import ip_address

import pytest

from databases import sqlite_registry
from factories import (
    accepted,
    membership,
    mesh,
    mesh_text,
    network,
    public_key,
    registration,
    row,
    snapshot,
)
from saltext.wireguard.errors import MeshError
from saltext.wireguard.fleet import fleet
from saltext.wireguard.fleet.fleet import Fleet
from saltext.wireguard.meshfile.parse import parse_mesh
from saltext.wireguard.model.offers import Offers
from saltext.wireguard.model.view import Peer, View
from saltext.wireguard.registry import registrations
from saltext.wireguard.registry.rows import Boots
from saltext.wireguard.registry.salt_keys import AcceptedKey

V4 = {name: ip_address(f"10.42.0.{number}") for number, name in enumerate("abcde", 1)}
ROWS = [row(name, address, endpoints=(f"192.0.2.{number}",)) for number, (name, address) in enumerate(V4.items(), 1)]
PHONE = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.200]}}"


def join(nodes="'*': {}", rows=ROWS, keys="abcde", **kwargs):
    return Fleet(mesh(nodes, **kwargs), snapshot(*rows), keys if isinstance(keys, dict) else accepted(*keys), 0.0)


def view(joined, node="a"):
    return joined.views(node)["net"]


def names(joined, node="a"):
    return [peer.name for peer in view(joined, node).peers]


def peer_of(joined, name, node="a"):
    return next(peer for peer in view(joined, node).peers if peer.name == name)


def problems(*args, **kwargs):
    with pytest.raises(MeshError) as caught:
        join(*args, **kwargs)
    return [(problem.file, problem.line, problem.message) for problem in caught.value.problems]


# --- who takes part --------------------------------------------------------------------------------------------------


def test_a_view_has_all_others_in_order_of_name():
    assert names(join(), "c") == ["a", "b", "d", "e"]


def test_who_is_not_in_the_mesh_file_is_nobodys_peer():
    joined = join("a: {}, c: {}, d: {}")
    assert names(joined) == ["c", "d"]
    assert joined.views("b") == {}


@pytest.mark.parametrize("odd", ["a (old key)", "x@PRIVATE_KEY@", "-a", "a..b", "a b", "ü", "x" * 254, "a\n", "", "'"])
def test_an_id_that_is_not_like_a_host_name_is_left_out_with_the_reason(odd):
    """Such ids were taken for something else: another node's old key, a placeholder, an option."""
    joined = join(rows=[*ROWS, row(odd, ip_address("10.42.0.9"))], keys=accepted(*"abcde", odd))
    assert names(joined) == ["b", "c", "d", "e"]
    assert joined.views(odd) == {}
    assert joined.networks["net"].membership.why_not(odd).startswith("its minion id is not made of letters")


def test_an_id_that_differs_from_one_of_the_mesh_file_in_case_only_is_left_out_with_the_reason():
    joined = join("'*': {}, a: {}", rows=[*ROWS, row("A", ip_address("10.42.0.9"))], keys=accepted(*"abcde", "A"))
    assert names(joined) == ["b", "c", "d", "e"]
    assert joined.views("A") == {}
    assert joined.networks["net"].membership.why_not("A").startswith("the mesh file has a: two ids that differ")
    assert joined.networks["net"].membership.why_not("a") is None


def test_a_minion_is_no_peer_of_the_mesh_file_in_capital_letters():
    joined = join(peers=PHONE, rows=[*ROWS, row("Phone", ip_address("10.42.0.9"))], keys=accepted(*"abcde", "Phone"))
    assert joined.networks["net"].membership.why_not("Phone") == "a peer of the mesh file has its name"


def test_an_id_that_is_a_groups_name_has_none_of_its_links():
    nodes = "'a': {groups: [web]}, 'b': {groups: [db]}, '*': {}"
    rows, keys = [*ROWS, row("db", ip_address("10.42.0.9"))], accepted(*"abcde", "db")
    assert names(join(nodes, rows=rows, keys=keys, extra="links: [[web, db]]"), "db") == []
    assert names(join(nodes, rows=rows, keys=keys, extra="links: [[db, '*']]"), "db") == ["b"]


def test_whose_key_is_not_accepted_is_nobodys_peer():
    joined = join(keys="abd")
    assert names(joined) == ["b", "d"]
    assert joined.views("c") == {}


def test_who_has_not_registered_is_nobodys_peer():
    assert names(join(rows=ROWS[:2])) == ["b"]


def test_whose_registration_was_signed_with_another_salt_key_is_nobodys_peer():
    keys = {**accepted(*"abc"), "b": AcceptedKey(b"", "installed anew")}
    joined = join(rows=ROWS[:3], keys=keys)
    assert names(joined) == ["c"]
    assert (view(joined, "b").public_key, view(joined, "b").peers) == (None, ())


def test_nothing_of_those_who_do_not_take_part_is_in_anybodys_view():
    joined = join("a: {}, b: {}, d: {}, e: {}", keys="abce", rows=ROWS[:4])
    views = [each for node in "abcde" for each in joined.views(node).values()]
    told = repr([replace(each, withdrawn=()).to_dict() for each in views])  # these are named to be dropped
    for row_left_out in ROWS[2:]:
        assert row_left_out.public_key not in told
        assert f"{row_left_out.addresses[0]}/" not in told


def test_a_member_that_has_not_registered_is_told_of_no_peers_and_no_addresses():
    joined = join("'*': {port: 1234}", rows=ROWS[1:], extra="mtu: 1400")
    subnets = {"expected_subnets": ("10.42.0.0/24",)}
    assert view(joined) == View("wg0", (), network="net", port=1234, mtu=1400, generation=2, **subnets)


def test_addresses_of_the_mesh_file_are_not_told_before_the_node_has_registered():
    assert view(join("a: {addresses: [10.42.0.50]}", rows=[])).addresses == ()


def test_members_are_all_that_the_mesh_file_and_the_keys_let_in_registered_or_not():
    found = {member.node: member.row is not None for _, member in join(rows=ROWS[:1], keys="ab").members()}
    assert found == {"a": True, "b": False}


def test_a_minion_with_the_name_of_an_external_peer_is_left_out():
    keys = accepted(*"ab", "phone")
    joined = join(rows=[*ROWS, row("phone", ip_address("10.42.0.9"))], keys=keys, peers=PHONE)
    assert joined.views("phone") == {}
    assert peer_of(joined, "phone").public_key == public_key("phone")
    assert peer_of(joined, "phone").allowed_ips == ("10.42.0.200/32",)


def test_a_node_that_the_registry_remembers_was_a_member():
    joined = join("a: {}", keys="a")
    assert [joined.was_member(node) for node in ("a", "b", "z")] == [True, True, False]


def test_a_node_of_two_networks_has_a_view_of_each():
    text = mesh()
    other = replace(text.networks[0], name="other", interface="wg1", port=51821)
    both = replace(text, networks=(*text.networks, other))
    rows = [*ROWS[:2], row("a", ip_address("10.42.0.9"), network="other")]
    views = Fleet(both, snapshot(*rows), accepted("a", "b"), 0.0).views("a")
    assert {name: (each.interface, each.addresses) for name, each in views.items()} == {
        "net": ("wg0", ("10.42.0.1/24",)),
        "other": ("wg1", ("10.42.0.9/24",)),
    }
    assert [peer.name for peer in views["other"].peers] == []


# --- what a view says ------------------------------------------------------------------------------------------------


def test_a_view_says_what_the_interface_must_be():
    told = view(join("'*': {}", extra="mtu: 1400", rows=[row("a", V4["a"], serial=77)]))
    assert replace(told, peers=()) == View(
        interface="wg0",
        addresses=("10.42.0.1/24",),
        network="net",
        generation=2,
        port=51820,
        mtu=1400,
        public_key=public_key("a"),
        serial=77,
        offered=(),
    )


def test_a_view_says_what_the_node_may_offer_and_what_it_is_known_to_offer():
    nodes = "'*': {withhold: [10.0.0.0/8]}, a: {offer: [eth1]}"
    rows = [row("a", V4["a"], endpoints=("192.0.2.7",)), *ROWS[1:]]
    told = view(join(nodes, rows=rows))
    assert (told.offers, told.offered) == (Offers(("eth1",), ("10.0.0.0/8",)), ("192.0.2.7",))
    assert view(join(nodes, rows=ROWS[1:])).offers == told.offers
    assert told.digest != view(join("'*': {}", rows=rows)).digest
    assert View.from_dict(told.to_dict(), "net") == told


EXITS = "'*': {via: c}, b: {via: false}, c: {exit: true}"


def test_a_view_names_the_exit_of_a_node_and_the_exit_forwards():
    joined = join(EXITS)
    told = {node: (view(joined, node).via, view(joined, node).forwarding) for node in "abc"}
    assert told == {"a": ("c", False), "b": (None, False), "c": (None, True)}
    assert peer_of(joined, "c").allowed_ips == ("0.0.0.0/0", "10.42.0.3/32")


def test_until_its_exit_has_registered_a_node_has_its_own_way():
    told = view(join(EXITS, rows=[each for each in ROWS if each.node != "c"]))
    assert told.via is None


def test_an_exit_whose_key_was_deleted_leaves_no_other_way():
    told = view(join(EXITS, keys="ab"))
    assert (told.via, [peer.name for peer in told.peers]) == ("c", ["b"])


def test_the_ports_of_other_networks_stay_outside_of_an_exit():
    one = mesh(EXITS).networks[0]
    other = replace(mesh().networks[0], name="other", interface="wg1", port=51830)
    joined = Fleet(replace(mesh(), networks=(one, other)), snapshot(*ROWS), accepted(*"abc"), 0.0)
    assert {node: view(joined, node).other_ports for node in "ab"} == {"a": (51830,), "b": ()}


def test_an_exit_is_not_among_those_that_others_are_reached_through():
    settings = mesh(EXITS).networks[0].settings("c")
    assert (settings.forwards, settings.carries) == (True, False)


def test_a_view_names_the_boot_that_is_believed_and_those_of_clones():
    boots = {
        ("a", ROWS[0].salt_key): Boots("one", ("two",)),
        ("a", "another"): Boots("other", ("others",)),
    }
    told = Fleet(mesh("'*': {}"), replace(snapshot(*ROWS), boots=boots), accepted(*"abcde"), 0.0)
    assert (view(told).boot, view(told).clones) == ("one", ("two",))
    assert (view(told, "b").boot, view(told, "b").clones) == (None, ())


def test_addresses_have_the_prefix_length_of_their_subnet_ipv4_first():
    both = row("a", ip_address("10.42.0.1"), ip_address("fd42::1"))
    assert view(join(rows=[both], subnets="'fd42::/64', 10.42.0.0/24")).addresses == ("10.42.0.1/24", "fd42::1/64")


def test_a_peer_may_use_its_own_addresses_and_no_others():
    both = row("b", ip_address("10.42.0.2"), ip_address("fd42::2"))
    joined = join(rows=[ROWS[0], both], subnets="10.42.0.0/24, 'fd42::/64'")
    assert peer_of(joined, "b").allowed_ips == ("10.42.0.2/32", "fd42::2/128")


def test_the_mesh_file_overrules_an_allocated_address():
    joined = join("b: {addresses: [10.42.0.50]}, '*': {}")
    assert view(joined, "b").addresses == ("10.42.0.50/24",)
    assert peer_of(joined, "b").allowed_ips == ("10.42.0.50/32",)


def test_an_allocated_address_of_the_other_ip_version_is_kept():
    both = row("a", ip_address("10.42.0.1"), ip_address("fd42::1"))
    joined = join("a: {addresses: ['fd42::50']}", rows=[both], subnets="10.42.0.0/24, 'fd42::/64'")
    assert view(joined).addresses == ("10.42.0.1/24", "fd42::50/64")


def test_an_allocated_address_that_is_in_no_subnet_any_more_is_left_out():
    assert view(join(subnets="10.9.0.0/24")).addresses == ()


def test_the_listen_port_is_what_the_mesh_file_says():
    assert view(join("a: {port: 1}, '*': {port: 2}")).port == 1


@pytest.mark.parametrize(
    ("settings", "offered", "endpoint"),
    [
        ("{}", ("192.0.2.1", "10.0.0.1"), "192.0.2.1:51820"),
        ("{}", ("2001:db8::1",), "[2001:db8::1]:51820"),
        ("{}", (), None),
        ("{port: 1}", ("192.0.2.1",), "192.0.2.1:1"),
        ("{endpoint: b.example.com}", ("192.0.2.1",), "b.example.com:51820"),
        ("{endpoint: 'b.example.com:9'}", ("192.0.2.1",), "b.example.com:9"),
        ("{endpoint: b.example.com, port: 1}", (), "b.example.com:1"),
        ("{endpoint: 'b.example.com:9', port: 1}", (), "b.example.com:9"),
        ("{endpoint: '2001:db8::9'}", (), "[2001:db8::9]:51820"),
        ("{endpoint: false}", ("192.0.2.1",), None),
    ],
)
def test_the_endpoint_is_that_of_the_mesh_file_else_the_best_that_the_node_offers(settings, offered, endpoint):
    joined = join(f"b: {settings}, '*': {{}}", rows=[ROWS[0], row("b", V4["b"], endpoints=offered)])
    assert peer_of(joined, "b").endpoint == endpoint


@pytest.mark.parametrize("inner", ["10.42.0.1", "10.42.0.2", "10.43.0.7", "10.42.0.9", "fd42::9"])
def test_an_address_from_inside_the_mesh_that_a_node_offers_is_used_by_nobody(inner):
    """A packet to there was wrapped by the same tunnel again and again, on every other node."""
    other = "{interface: wg1, port: 51821, subnets: [10.43.0.0/24], nodes: {x: {addresses: [10.43.0.7]}}}"
    peers = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.9, 'fd42::9']}}"
    text = mesh_text(subnets="10.42.0.0/24, 'fd42::/64'", peers=peers) + f"  other: {other}\n"
    rows = [ROWS[0], row("b", V4["b"], endpoints=(inner, "192.0.2.1"))]
    joined = Fleet(parse_mesh([("mesh.yml", text)]), snapshot(*rows), accepted(*"ab"), 10.0)
    assert peer_of(joined, "b").endpoint == "192.0.2.1:51820"
    assert joined.digests()["net", "a"] == view(joined).digest


def test_a_node_behind_nat_keeps_its_way_to_those_that_it_can_call_open():
    joined = join("a: {endpoint: false}, e: {endpoint: false}, '*': {}", extra="keepalive: 17", peers=PHONE)
    kept = {peer.name: (peer.endpoint is not None, peer.keepalive) for peer in view(joined).peers}
    assert kept == {"b": (True, 17), "c": (True, 17), "d": (True, 17), "e": (False, 0), "phone": (False, 0)}


def test_the_others_have_no_endpoint_of_a_node_behind_nat_and_send_it_no_keepalive():
    told = peer_of(join("a: {endpoint: false}, '*': {}"), "a", node="b")
    assert (told.endpoint, told.keepalive) == (None, 0)


def test_nodes_that_can_be_called_send_no_keepalive():
    assert {peer.keepalive for peer in view(join()).peers} == {0}


def test_an_external_peer_is_everybodys_peer():
    partner = f"partner: {{public_key: {public_key('x')}, addresses: [10.42.0.201], endpoint: 'x.example.com:9'}}"
    joined = join(peers=f"{PHONE}, {partner}")
    for node in "abcde":
        assert peer_of(joined, "phone", node) == Peer("phone", public_key("phone"), ("10.42.0.200/32",))
        assert peer_of(joined, "partner", node) == Peer(
            "partner", public_key("x"), ("10.42.0.201/32",), "x.example.com:9"
        )


@pytest.mark.parametrize("settings", ["{hub: true}", "{routes: [192.168.40.0/24]}"])
def test_hubs_and_nodes_with_networks_behind_them_forward(settings):
    joined = join(f"a: {settings}, '*': {{}}")
    assert [view(joined, node).forwarding for node in "ab"] == [True, False]


def test_a_view_survives_the_way_to_the_minion():
    joined = join(
        "a: {endpoint: false, hub: true}, b: {endpoint: '2001:DB8:0::9'}, '*': {}",
        subnets="10.42.0.0/24, 'fd42::/64'",
        rows=[*ROWS[:2], row("c", V4["c"], ip_address("fd42::3"), endpoints=("2001:db8::3",))],
        peers=PHONE,
    )
    for node in "abc":
        told = view(joined, node)
        assert View.from_dict(told.to_dict(), "net") == told
        assert View.from_dict(told.to_dict(), "net").digest == told.digest


# --- contradictions --------------------------------------------------------------------------------------------------


def test_an_address_that_the_mesh_file_gives_to_one_node_and_another_has_already_is_a_problem():
    message = "10.42.0.2 was already given to b; choose another address, or give b one by `addresses:`"
    assert problems("a: {addresses: [10.42.0.2]}, '*': {}") == [("mesh.yml", 4, message)]


def test_it_is_a_problem_too_when_the_node_that_the_mesh_file_names_is_not_there_yet():
    assert len(problems("later: {addresses: [10.42.0.2]}, '*': {}")) == 1


def test_an_address_of_an_external_peer_that_a_node_has_already_is_a_problem():
    phone = PHONE.replace("10.42.0.200", "10.42.0.3")
    message = "10.42.0.3 was already given to c; choose another address, or give c one by `addresses:`"
    assert problems(peers=phone) == [("mesh.yml", 5, message)]


def test_a_public_key_of_an_external_peer_that_is_a_nodes_is_a_problem():
    phone = PHONE.replace(public_key("phone"), public_key("c"))
    message = "the public key of peer 'phone' is that of the minion 'c'; a peer has a key of its own"
    assert problems(peers=phone) == [("mesh.yml", 5, message)]


def test_all_contradictions_are_told_at_once():
    phone = PHONE.replace("10.42.0.200", "10.42.0.3").replace(public_key("phone"), public_key("c"))
    assert len(problems("a: {addresses: [10.42.0.2]}, '*': {}", peers=phone)) == 3


@pytest.mark.parametrize(
    ("nodes", "keys"),
    [
        ("b: {addresses: [10.42.0.2]}, '*': {}", "abcde"),
        ("a: {addresses: [10.42.0.2]}, b: {addresses: [10.42.0.1]}, '*': {}", "abcde"),
        ("a: {addresses: [10.42.0.2]}, '*': {}", "acde"),
        ("a: {addresses: [10.42.0.2]}, c: {}", "abcde"),
    ],
    ids=["the same", "swapped", "no key", "no member"],
)
def test_an_address_that_its_holder_need_not_keep_is_no_problem(nodes, keys):
    assert view(join(nodes, keys=keys)).public_key


# --- digests ---------------------------------------------------------------------------------------------------------

NODES = "a: {endpoint: false}, '*': {}"


def test_the_digests_are_those_of_the_views():
    joined = join(NODES, peers=PHONE, rows=ROWS[:4])
    assert joined.digests() == {("net", node): view(joined, node).digest for node in "abcd"}


def test_the_digest_of_a_lonely_node_is_that_of_its_view():
    joined = join(NODES, rows=ROWS[:1])
    assert joined.digests() == {("net", "a"): view(joined).digest}


def test_equal_content_has_equal_digests_in_whatever_order_it_comes():
    forwards = join(NODES, peers=f"{PHONE}, x: {{public_key: {public_key('x')}, addresses: [10.42.0.201]}}")
    backwards = join(
        "'*': {}, a: {endpoint: false}",
        rows=ROWS[::-1],
        keys="ebdca",
        peers=f"x: {{public_key: {public_key('x')}, addresses: [10.42.0.201]}}, {PHONE}",
    )
    assert forwards.digests() == backwards.digests()


def test_the_order_in_which_addresses_come_makes_no_difference():
    both = [ip_address("10.42.0.2"), ip_address("fd42::2")]
    one, other = (
        join(rows=[ROWS[0], row("b", *found)], subnets="10.42.0.0/24, 'fd42::/64'") for found in (both, both[::-1])
    )
    assert one.digests() == other.digests()


def test_the_time_and_serial_of_a_registration_make_no_difference():
    later = [replace(each, serial=9, registered=9.0) for each in ROWS]
    assert join(rows=later).digests() == join().digests()


@pytest.mark.parametrize(
    ("change", "concerned"),
    [
        ({"rows": [*ROWS[:1], replace(ROWS[1], public_key=public_key("new")), *ROWS[2:]]}, "abcde"),
        ({"rows": [*ROWS[:1], replace(ROWS[1], endpoints=("192.0.2.99",)), *ROWS[2:]]}, "acde"),
        ({"rows": [*ROWS[:1], replace(ROWS[1], addresses=(ip_address("10.42.0.99"),)), *ROWS[2:]]}, "abcde"),
        ({"rows": ROWS[:4]}, "abcd"),
        ({"keys": "abcd"}, "abcd"),
        ({"nodes": "b: {port: 9}, '*': {}"}, "abcde"),
        ({"nodes": "b: {endpoint: x.example.com}, '*': {}"}, "acde"),
        ({"nodes": "b: {endpoint: false}, '*': {}"}, "abcde"),
        ({"nodes": "b: {addresses: [10.42.0.99]}, '*': {}"}, "abcde"),
        ({"extra": "mtu: 1400"}, "abcde"),
        ({"extra": "interface: wg7"}, "abcde"),
        ({"extra": "keepalive: 7"}, ""),
        ({"subnets": "10.42.0.0/16"}, "abcde"),
        ({"peers": PHONE}, "abcde"),
        ({"nodes": "b: {hub: true}, '*': {}"}, "abcde"),
        ({"nodes": "b: {routes: [192.168.40.0/24]}, '*': {}"}, "abcde"),
        ({"nodes": "b: {groups: [x]}, '*': {}"}, ""),
        ({"extra": "links: [[a, '*']]", "nodes": "a: {}, '*': {}"}, "bcde"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value or "nobody",
)
def test_a_change_changes_the_digests_of_those_whom_it_concerns_and_no_others(change, concerned):
    before, after = join().digests(), join(**change).digests()
    changed = [node for node in "abcde" if ("net", node) in after and before["net", node] != after["net", node]]
    assert "".join(changed) == concerned


def test_a_fleet_computes_its_digests_once():
    joined = join()
    assert joined.digests() is joined.digests()


def test_a_fleet_of_two_thousand_is_joined_and_every_view_is_complete():
    subnet = network(subnets="10.42.0.0/16").subnets[0]
    rows = [row(f"n{number:04}", subnet[number + 1], endpoints=("192.0.2.1",)) for number in range(2000)]
    joined = join(
        "'n0*': {endpoint: false}, '*': {}",
        rows=rows,
        keys=accepted(*(each.node for each in rows)),
        subnets="10.42.0.0/16",
    )
    digests = joined.digests()
    assert len(digests) == len(set(digests.values())) == 2000
    for node in ("n0000", "n0999", "n1000", "n1999"):
        assert names(joined, node) == [each.node for each in rows if each.node != node]
        assert digests["net", node] == view(joined, node).digest


def test_the_peers_of_a_large_fleet_are_shared_by_all_views():
    joined = join()
    assert peer_of(joined, "c", "a") is peer_of(joined, "c", "b")


# --- the fleet as it is now ------------------------------------------------------------------------------------------


@pytest.fixture
def registry(tmp_path):
    found = sqlite_registry(tmp_path)
    found.register(registration("a"), "salt key of a", membership(network(), ()))
    return found


def current(parsed, registry, keys):
    return fleet.current(registry.place, parsed, registry.snapshot(), keys, time.time())


def test_the_current_fleet_is_the_same_object_while_nothing_changed(registry):
    parsed, keys = mesh(), accepted("a")
    assert current(parsed, registry, keys) is current(parsed, registry, keys)


@pytest.mark.parametrize("what", ["mesh", "registry", "keys"])
def test_the_current_fleet_is_a_new_one_when_anything_changed(registry, what):
    parsed, keys = mesh(), accepted("a", "b")
    before = current(parsed, registry, keys)
    if what == "registry":
        registry.register(registration("b"), "salt key of b", membership(network(), ()))
    after = current(
        mesh("a: {port: 9}") if what == "mesh" else parsed, registry, accepted("a") if what == "keys" else keys
    )
    assert after.digests() != before.digests() or list(after.members()) != list(before.members())


def test_a_contradiction_is_told_every_time(registry):
    parsed, keys = mesh("later: {addresses: [10.42.0.1]}, '*': {}"), accepted("a")
    for _ in range(2):
        with pytest.raises(MeshError):
            current(parsed, registry, keys)


def test_fleets_of_different_registries_are_apart(registry, tmp_path):
    parsed, keys = mesh(), accepted("a")
    one = current(parsed, registry, keys)
    other = current(parsed, sqlite_registry(tmp_path / "other"), keys)
    assert (bool(one.digests()), bool(other.digests())) == (True, False)


def test_threads_that_ask_at_once_all_get_a_fleet_of_what_they_asked_about(registry, monkeypatch):
    monkeypatch.setattr(registrations, "spend", lambda *_: True)
    meshes = [mesh(f"'*': {{port: {port}}}") for port in (1, 2, 3)]
    keys = accepted("a", "b", "c")
    wrong = []

    def ask(parsed, port):
        for _ in range(200):
            joined = current(parsed, registry, keys)
            if joined.views("a")["net"].port != port or joined.digests()["net", "a"] != view(joined).digest:
                wrong.append(port)

    def change():
        for number in range(30):
            registry.register(
                registration("b", number + 1, port=number + 1), "salt key of b", membership(network(), ())
            )

    threads = [threading.Thread(target=ask, args=(parsed, port)) for port, parsed in enumerate(meshes, 1)]
    threads.append(threading.Thread(target=change))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    last = current(meshes[0], registry, keys)
    assert last.views("b")["net"].serial == 30


def test_a_digest_is_a_sha_256():
    assert len(bytes.fromhex(join().digests()["net", "a"])) == hashlib.sha256().digest_size


def test_a_member_that_has_not_registered_is_told_what_routes_to_expect():
    """Before its first apply it can tell what is in the way."""
    nodes = (
        "a: {site: x, ip_versions: [4], routes: [192.168.7.0/24]}, b: {routes: [192.168.4.0/24, fd99::/64]},"
        " c: {site: x, routes: [192.168.5.0/24]}, d: {site: y, routes: [192.168.6.0/24]}"
    )
    joined = join(nodes, rows=ROWS[1:])
    assert view(joined).expected_subnets == ("10.42.0.0/24",)
    assert view(joined).expected_routes == ("192.168.4.0/24", "192.168.6.0/24")
