"""What a mesh file has no use for of YAML, or is none."""

import pytest

from meshing import TINY, network, problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("networks:\n\tx: 1", "mesh.yml:2: not valid YAML: while scanning for the next token"),
        (
            "networks: [1,\nb: 2",
            "mesh.yml:2: not valid YAML: while parsing a flow sequence that began in line 1, did not find",
        ),
        ("networks:\n  *: {}", "mesh.yml:2: not valid YAML: while scanning an alias"),
        ("networks:\n  *web: {}", "mesh.yml:2: YAML aliases are not used in a mesh file; put '*web' in quotes"),
        ("a: &a [*a]", "mesh.yml:1: YAML aliases are not used"),
        (TINY + "---\n" + TINY, "mesh.yml:6: a second YAML document"),
        (network("<<: {port: 1}"), "mesh.yml:3: merge keys ('<<') are not used; give shared settings in a glob entry"),
        (network("port: 1\nport: 2"), "mesh.yml:4: duplicate key 'port', first given at mesh.yml:3; keep one"),
        (network(nodes="a: {}, 'a': {}"), "mesh.yml:4: duplicate key 'a', first given at mesh.yml:4"),
        (network("? [a]\n: b"), "mesh.yml:3: a key must be a word, not a list"),
        (network("port: !!int 5"), "mesh.yml:3: YAML tags are not used in a mesh file; remove 'tag:yaml.org,2002:int'"),
        (network("mtu: ! 5"), "mesh.yml:3: YAML tags are not used in a mesh file; remove '!'"),
        (network("subnets: !x [10.42.0.0/16]"), "mesh.yml:3: YAML tags are not used in a mesh file; remove '!x'"),
        ("a: \x00", "mesh.yml:1: the file contains '\\x00'"),
        ("a: 1\nb: \udcff", "mesh.yml:2: the file contains '\\udcff'"),
        ("[" * 50, "mesh.yml:1: lists and mappings are nested too deeply"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_would_be_right(text, problem):
    assert [line for line in problems(text) if problem in line]
