"""Addresses follow the mesh file, and others hear of those that left."""

from pathlib import Path

from factories import mesh_text, public_key, registration
from saltext.wireguard.master.deltas import delta_arguments
from saltext.wireguard.master.settling import settle
from saltext.wireguard.model.statements import Report
from speaking import says


def test_settling_gives_all_members_addresses_of_a_new_subnet(master, tmp_path):
    for node in "ab":
        says(master, registration(node))
    (tmp_path / "mesh.yml").write_text(mesh_text(subnets="10.42.0.0/24, 'fd42::/64'"))
    settle(master)
    assert master.moment().fleet().views("b")["net"].addresses == ("10.42.0.2/24", "fd42::2/64")


def test_a_drop_bears_the_generation_and_says_whose_trust_was_withdrawn(master):
    """Nodes heed nothing older from then on, and let these keys go on no trial."""
    for node in "ab":
        says(master, registration(node))
    settle(master)
    master.registry.admissions.revoke("net", "a", "alice", "")
    left = settle(master)
    moment = master.moment()
    (peers, words) = delta_arguments(moment, left)
    assert peers == {"net": [public_key("a")]}
    assert words == {"__kwarg__": True, "generation": moment.snapshot.generation, "withdrawn": peers}


def test_a_drop_of_a_node_that_an_edit_took_out_withdraws_no_trust(master):
    """Its peers may put it back on trial: it may be what their administrator reaches them through."""
    for node in "ab":
        says(master, registration(node))
    settle(master)
    Path(master.mesh_path).write_text(mesh_text("b: {}"))
    (peers, words) = delta_arguments(master.moment(), settle(master))
    assert peers == {"net": [public_key("a")]}
    assert words["withdrawn"] == {"net": []}


def generation(master):
    return master.moment().unguarded.generation


def test_an_edit_of_links_alone_makes_later_views_than_all_before(master):
    """Both views bore one generation, so a node that had the new one took the old one that came late."""
    for node in "ab":
        says(master, registration(node))
    settle(master)
    before = generation(master)
    Path(master.mesh_path).write_text(mesh_text("a: {groups: [x]}, b: {}", extra="links: [[x, x]]"))
    unsettled = generation(master)
    assert master.moment().views("a")["net"].generation == unsettled
    settle(master)
    assert before < unsettled < generation(master)
    assert master.registry.snapshot().generation == generation(master)


def test_an_edit_that_is_taken_back_makes_later_views_again(master):
    says(master, registration("a"))
    text = Path(master.mesh_path).read_text()
    found = []
    for each in (text, text + "# edited\n", text):
        Path(master.mesh_path).write_text(each)
        settle(master)
        found.append(generation(master))
    assert found == sorted(set(found))


def test_a_network_more_or_less_makes_later_views_of_the_other_one(master):
    says(master, registration("a"))
    settle(master)
    before = generation(master)
    other = "  other: {interface: wg9, port: 51999, subnets: [10.99.0.0/24], nodes: {a: {}}}\n"
    Path(master.mesh_path).write_text(Path(master.mesh_path).read_text() + other)
    assert {view.generation for view in master.moment().views("a").values()} == {before + 1}
    settle(master)
    assert generation(master) > before + 1


def test_settling_what_is_settled_comes_to_no_other_generation(master):
    says(master, registration("a"))
    settle(master)
    before = master.registry.snapshot()
    settle(master)
    assert master.registry.snapshot() is before


def test_a_report_of_a_view_that_was_not_settled_is_no_word_of_a_registry_from_a_backup(master):
    """Each node that applied an edit before the next reconcile would have made all others' views new ones."""
    says(master, registration("a"))
    settle(master)
    Path(master.mesh_path).write_text(mesh_text("a: {}, b: {}, c: {}", extra="mtu: 1300"))
    view = master.moment().views("a")["net"]
    before = master.registry.snapshot()
    says(master, Report("a", "net", view.digest, 2, generation=view.generation))
    assert master.registry.snapshot() is before
