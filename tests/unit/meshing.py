"""Mesh files, and what is wrong with them."""

from pathlib import Path

import pytest

from saltext.wireguard.errors import MeshError
from saltext.wireguard.meshfile.mesh import Mesh, Network
from saltext.wireguard.meshfile.parse import parse_mesh

ROOT = Path(__file__).parents[2]
KEY = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
TINY = """\
networks:
  backbone:
    subnets: [10.42.0.0/16, "fd42:42::/64"]
    nodes:
      '*': {}
"""


def mesh(text: str) -> Mesh:
    return parse_mesh([("mesh.yml", text)])


def problems(*texts: str) -> list[str]:
    """What is wrong with the files mesh.yml, mesh2.yml, ..., one line each."""
    with pytest.raises(MeshError) as caught:
        parse_mesh([(f"mesh{number or ''}.yml".replace("1", "2"), text) for number, text in enumerate(texts)])
    return str(caught.value).split("\n")


def network(settings: str = "", nodes: str = "'*': {}", peers: str = "") -> str:
    """A mesh file: network settings from line 3, the only node entry or entries at the last line but one."""
    lines = ["networks:", "  backbone:", *(f"    {line}" for line in settings.splitlines())]
    if "subnets" not in settings:
        lines.append('    subnets: [10.42.0.0/16, "fd42:42::/64"]')
    lines += [f"    nodes: {{{nodes}}}"]
    return "\n".join([*lines, *([f"    peers: {{{peers}}}"] if peers else [])]) + "\n"


def only(text: str) -> Network:
    return mesh(text).networks[0]


OVERLAP = "overlaps 10.42.0.0/16 at mesh.yml:3"
BOTH = """\
networks:
  a: {subnets: [10.42.0.0/16], nodes: {x: {endpoint: X.example}, '*': {}}}
  b:
    subnets: [10.43.0.0/16]
    nodes: {'*': {}}
"""
