"""Addresses follow the mesh file, and others hear of those that left."""

from pathlib import Path

from factories import mesh_text, public_key, registration
from saltext.wireguard.master.settling import drop_arguments, settle
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
    (peers, words) = drop_arguments(moment, left)
    assert peers == {"net": [public_key("a")]}
    assert words == {"__kwarg__": True, "generation": moment.snapshot.generation, "withdrawn": peers}


def test_a_drop_of_a_node_that_an_edit_took_out_withdraws_no_trust(master):
    """Its peers may put it back on trial: it may be what their administrator reaches them through."""
    for node in "ab":
        says(master, registration(node))
    settle(master)
    Path(master.mesh_path).write_text(mesh_text("b: {}"))
    (peers, words) = drop_arguments(master.moment(), settle(master))
    assert peers == {"net": [public_key("a")]}
    assert words["withdrawn"] == {"net": []}
