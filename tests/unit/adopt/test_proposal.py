"""The mesh file that is proposed leads to what is there, and is no longer than a person would write it."""

import itertools
import time

import hypothesis
from hypothesis import strategies

from factories import public_key
from saltext.wireguard.adopt.networks import join
from saltext.wireguard.adopt.proposal import Difference, propose
from saltext.wireguard.meshfile.parse import parse_mesh
from saltext.wireguard.model.inventory import FoundPeer, Inventory
from unit.adopt.living import Machine, link, look


def proposal(*machines, known=(), **settings):
    looks = look(*machines, **settings)
    return propose(join(looks), [*looks, *known], [])


def full(*machines):
    for one, other in itertools.combinations(machines, 2):
        link(one, other)
    return machines


def webs(count, first=1):
    return [Machine(f"web{n}", f"10.42.0.{n}", f"192.0.2.{n}:51820") for n in range(first, first + count)]


def test_a_full_mesh_is_a_list_of_nodes():
    found = proposal(*full(*webs(2), Machine("nat", "10.42.0.9")))
    assert (found.differences, found.left_out, found.problems) == ((), (), ())
    assert (
        found.text
        == """\
networks:
  wg0:
    subnets: [10.42.0.0/24]
    nodes:
      nat: {addresses: [10.42.0.9], endpoint: false}
      web1: {addresses: [10.42.0.1], endpoint: 192.0.2.1}
      web2: {addresses: [10.42.0.2], endpoint: 192.0.2.2}
"""
    )


def hub_and_spokes():
    hub = Machine("hub", "10.42.0.1", "hub.example.com:51821", 51821)
    spokes = [Machine(f"office{n}", f"10.42.0.{n}", port=51821) for n in range(2, 12)]
    for spoke in spokes:
        link(spoke, hub, behind=["10.42.0.0/24"])
    phone = Machine("alice's phone", "10.42.0.77", is_minion=False)
    link(phone, hub)
    return hub, *spokes, phone


def test_a_hub_with_spokes_and_a_phone():
    found = proposal(*hub_and_spokes())
    assert found.differences == ()
    assert (
        found.text
        == f"""\
networks:
  wg0:
    port: 51821
    subnets: [10.42.0.0/24]
    nodes:
      "office*": {{endpoint: false}}
      hub: {{addresses: [10.42.0.1], endpoint: hub.example.com, hub: true}}
{chr(10).join(f"      office{n}: {{addresses: [10.42.0.{n}]}}" for n in range(2, 12))}
    peers:
      alice-s-phone: {{public_key: "{public_key("alice's phone")}", addresses: [10.42.0.77]}}
"""
    )


def test_a_glob_that_another_minion_would_match_is_not_proposed():
    found = proposal(*hub_and_spokes(), known=["office-printer"])
    assert "office*" not in found.text
    assert found.differences == ()


def test_sites_follow_from_inside_endpoints():
    ams = [
        Machine(f"ams{n}", f"10.42.0.{n}", f"203.0.113.{n}:51820", site="a", inside=f"192.168.1.{n}:51820")
        for n in range(1, 4)
    ]
    found = proposal(*full(*ams, *webs(2, 20)))
    assert found.differences == ()
    assert '"ams*": {site: site1}' in found.text
    assert "ams2: {addresses: [10.42.0.2], endpoint: 203.0.113.2, endpoints: {site1: 192.168.1.2}}" in found.text


def test_pairs_that_are_not_all_become_links_between_groups():
    web, backup = webs(3), Machine("backup", "10.42.0.30")
    db = [Machine(f"db{n}", f"10.42.0.{n}", f"192.0.2.{n}:51820") for n in (20, 21)]
    for one, other in (*itertools.product(web, db), *((backup, each) for each in db)):
        link(one, other)
    found = proposal(*web, *db, backup)
    assert found.differences == ()
    assert "links: [[group, db]]" in found.text


def test_a_full_mesh_with_phones_that_only_one_of_it_knows():
    web = webs(3)
    full(*web)
    phones = [Machine(f"phone{n}", f"10.42.0.{n}", is_minion=False) for n in (70, 71)]
    for phone in phones:
        link(phone, web[0])
    found = proposal(*web, *phones)
    assert found.differences == ()
    assert "links: [[web, web], [phone, web1]]" in found.text
    assert '"web*": {groups: [web]}' in found.text


def test_networks_behind_machines_and_routers():
    web = webs(3)
    web[0].behind = ("192.168.40.0/24",)
    router = Machine("router", "10.42.0.9", "router.example.com:4500", is_minion=False, behind=("172.16.0.0/12",))
    full(*web)
    for each in web:
        link(router, each)
    found = proposal(*web, router)
    assert found.differences == ()
    assert "web1: {addresses: [10.42.0.1], endpoint: 192.0.2.1, routes: [192.168.40.0/24]}" in found.text
    assert 'endpoint: "router.example.com:4500", routes: [172.16.0.0/12]}' in found.text


def test_what_the_file_cannot_say_is_a_difference():
    web = webs(3)
    full(*web)
    web[0].peers["web2"].append("PersistentKeepalive = 7")  # which the node keeps
    web[1].peers["web1"][3] = "AllowedIPs = 10.42.0.1/32, 192.168.7.0/24"
    found = proposal(*web)
    assert set(found.differences) == {
        Difference("wg0", "web3", "web1", "allowed_ips", "10.42.0.1/32", "10.42.0.1/32, 192.168.7.0/24"),
    }


def test_of_several_keepalives_behind_nat_the_usual_one_is_proposed():
    nats = [Machine(f"nat{n}", f"10.42.0.{n}") for n in (7, 8, 9)]
    (web,) = webs(1)
    for nat, keepalive in zip(nats, (10, 20, 20), strict=True):
        link(nat, web, keepalive=keepalive)
    found = proposal(web, *nats)
    assert "keepalive: 20" in found.text
    assert found.differences == (Difference("wg0", "nat7", "web1", "keepalive", "10", "20"),)


def test_a_peer_that_one_side_forgot_is_a_difference_on_one_side():
    web = webs(3)
    full(*web)
    del web[0].peers["web3"]
    found = proposal(*web)
    (difference,) = found.differences
    assert (difference.node, difference.peer, difference.what, difference.new) == ("web3", "web1", "peer", None)


def test_a_minion_id_that_is_a_glob_or_none_of_a_host_is_left_out_by_name():
    """A minion chooses its id, and `*` among the nodes would have let everybody in."""
    found = proposal(*full(*webs(2), Machine("*", "10.42.0.66")))
    assert found.left_out == ("no node of a mesh can have the id '*'",)
    assert '"*"' not in found.text.partition("networks:")[2]


def test_a_stranger_without_an_address_is_left_out_by_name():
    web = full(*webs(2))
    web[0].peers["x"] = ["# somebody", "[Peer]", f"PublicKey = {public_key('x')}"]
    found = proposal(*web)
    assert found.left_out == (f"the peer somebody ({public_key('x')}) has no address of its own",)
    assert "# Left out: the peer somebody" in found.text


def test_of_two_networks_with_one_interface_only_the_larger_is_proposed():
    looks = {
        **look(*full(*webs(3))),
        **look(*full(Machine("x", "10.9.0.1", "192.0.2.8:51820"), Machine("y", "10.9.0.2"))),
    }
    found = propose(join(looks), looks, [])
    assert found.left_out == ("the network of x, y: another network has the interface wg0 already",)
    assert "10.9.0" not in found.text.partition("networks:")[2]


# -- any network


@strategies.composite
def networks(draw):
    """Machines of two sites and of none, phones, routers, and all pairs or hubs with spokes."""
    count = draw(strategies.integers(2, 8))
    port = draw(strategies.sampled_from([51820, 4500]))
    machines = []
    for n in range(1, count + 1):
        site = draw(strategies.sampled_from([None, None, "a", "b"]))
        endpoint = draw(strategies.sampled_from([None, f"203.0.113.{n}:{port}", f"n{n}.example.com:{port}"]))
        inside = f"192.168.{'ab'.index(site)}.{n}:{port}" if site and endpoint else None
        machines.append(Machine(f"node{n}", f"10.42.0.{n}", endpoint, port, site if inside else None, inside))
    for n in range(draw(strategies.integers(0, 2))):
        machines.append(Machine(f"phone{n}", f"10.42.0.{100 + n}", is_minion=False))
    if draw(strategies.booleans()):
        machines[0].endpoint, machines[0].site, machines[0].inside = f"hub.example.com:{port}", None, None
        behind = ["10.42.0.0/24"] if draw(strategies.booleans()) else []
        for spoke in machines[1:]:
            spoke.site = spoke.inside = None
            link(spoke, machines[0], behind=behind if spoke.is_minion else ())
    else:
        owner = draw(strategies.sampled_from(machines))
        owner.behind = ("172.20.0.0/16",) if owner.site is None else ()
        full(*machines)
    return machines


@hypothesis.given(networks())
def test_the_views_of_the_proposal_equal_the_files_peer_by_peer(machines):
    found = proposal(*machines)
    assert found.problems == ()
    assert found.left_out == ()
    assert found.differences == (), found.text


KEYS = [public_key(n) for n in range(6)]
NETWORKS = [
    "10.42.0.1/32",
    "10.42.0.2/32",
    "10.0.0.0/8",
    "10.42.0.0/24",
    "0.0.0.0/0",
    "::/0",
    "fd42::1/128",
    "127.0.0.1/32",
]
ADDRESSES = ["10.42.0.1/24", "10.42.0.1/32", "10.42.0.2/16", "127.0.0.1/8", "fd42::1/64", "fe80::1/64", "224.0.0.1/32"]
TEXTS = ["web1", "true", "*", "a: b", "#", "'\"", "{{ x }}", "é", "-", "x" * 200]
LIARS = strategies.builds(
    Inventory,
    interface=strategies.sampled_from(["wg0", "wg1", "eth0"]),
    public_key=strategies.sampled_from([*KEYS, None]),
    addresses=strategies.lists(strategies.sampled_from(ADDRESSES), max_size=3).map(tuple),
    port=strategies.sampled_from([0, 1, 51820, 65535]),
    is_port_written=strategies.booleans(),
    mtu=strategies.sampled_from([None, 0, 100, 1420, 65535]),
    problems=strategies.lists(strategies.sampled_from(TEXTS), max_size=2).map(tuple),
    peers=strategies.lists(
        strategies.builds(
            FoundPeer,
            strategies.sampled_from(KEYS),
            strategies.lists(strategies.sampled_from(NETWORKS), max_size=3, unique=True).map(tuple),
            strategies.sampled_from([None, "10.42.0.1:51820", "x.example.com:1", "[fd42::1]:51820"]),
            strategies.sampled_from([0, 25, 65535]),
            strategies.sampled_from([None, *TEXTS]),
        ),
        max_size=5,
        unique_by=lambda peer: peer.public_key,
    ).map(tuple),
)


@hypothesis.given(strategies.dictionaries(strategies.sampled_from(["a", "b", "web1", "yes", "1", "é x"]), LIARS))
def test_whatever_machines_claim_is_a_text_that_is_valid_or_says_why_not(claims):
    found = propose(join({name: {each.interface: each} for name, each in claims.items()}), claims, ["x"])
    assert found.problems or parse_mesh([("mesh.yml", found.text)])


def test_fifty_nodes_take_less_than_five_seconds_from_their_files():
    machines = full(*webs(50))
    started = time.monotonic()
    found = proposal(*machines)
    assert found.differences == ()
    assert time.monotonic() - started < 5
