"""Addresses follow the mesh file."""

from factories import mesh_text, registration
from saltext.wireguard.master.settling import settle
from speaking import says


def test_settling_gives_all_members_addresses_of_a_new_subnet(master, tmp_path):
    for node in "ab":
        says(master, registration(node))
    (tmp_path / "mesh.yml").write_text(mesh_text(subnets="10.42.0.0/24, 'fd42::/64'"))
    settle(master)
    assert master.moment().fleet().views("b")["net"].addresses == ("10.42.0.2/24", "fd42::2/64")
