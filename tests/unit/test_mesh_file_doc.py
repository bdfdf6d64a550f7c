"""docs/mesh-file.md and the JSON Schema beside it say of every key what the model makes of it."""

import importlib.machinery
import importlib.util
import json
import re
from pathlib import Path

import pytest
import yaml

from saltext.wireguard.errors import MeshError
from saltext.wireguard.meshfile.parse import parse_mesh
from saltext.wireguard.meshfile.reading import REQUIRED

jsonschema = pytest.importorskip("jsonschema")

REPO = Path(__file__).resolve().parents[2]
KEY = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
ODD = [None, True, -1, 1.5, 70_000_000_000, "", "a\nb", "-", [], {}, [[]], [None], [{}], [5], {"": 1}, {"a b": {}}]
RIGHT = [
    *(1, 25, 1400, 0, False, "auto", "manual", "wg1", "30d", "2027-01-01", "2027-01-01T18:00:00Z", "ams", KEY),
    *("db1.example.com", "db1.example.com:51821", "[2001:db8::1]:1", "192.0.2.1"),
    *(["10.42.0.5"], ["10.43.0.0/24"], ["web"], [["web1", "*"]], {"ams": "192.0.2.1"}, {"web1": None}),
]


def load_generator():
    loader = importlib.machinery.SourceFileLoader("mesh_file_schema", str(REPO / ".ci/schema"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


generator = load_generator()
SCHEMA = json.loads(generator.SCHEMA.read_text())
KEYS = [(table, name) for table, keys in generator.TABLES.items() for name in keys]


def key_of(table, name):
    return generator.TABLES[table][name]


class Json(yaml.SafeLoader):
    """Reads YAML as editors do, who know no dates."""


Json.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def schema_accepts(text):
    return jsonschema.Draft7Validator(SCHEMA).is_valid(yaml.load(text, Json))


def model_accepts(text):
    try:
        return bool(parse_mesh([("mesh.yml", text)]).networks)
    except MeshError:
        return False


def whole():
    """A small mesh with all that keys can be in, and what has the keys of each table."""
    node, peer = {}, {"public_key": KEY, "addresses": ["10.42.9.1"]}
    network = {"subnets": ["10.42.0.0/16"], "nodes": {"web1": node}, "peers": {"phone": peer}}
    mesh = {"networks": {"backbone": network}}
    return mesh, {"mesh": mesh, "network": network, "node": node, "peer": peer}


def mesh_with(table, name, value):
    mesh, inner = whole()
    if table == "peer":
        inner["network"]["preshared_keys"] = True  # without which a peer has none
    else:
        del inner["network"]["peers"]  # some keys are not possible with peers
    inner[table][name] = value
    return json.dumps(mesh)


def mesh_without(table, name):
    mesh, inner = whole()
    del inner[table][name]
    return json.dumps(mesh)


@pytest.mark.parametrize("table", generator.TABLES)
def test_the_page_has_a_table_of_exactly_the_keys_that_the_model_knows_with_their_types_and_defaults(table):
    documented = {name: (kind, default) for name, (kind, default, _) in generator.documented(table).items()}
    assert documented == {name: (key.type, key.default) for name, key in generator.TABLES[table].items()}


@pytest.mark.parametrize(("table", "name"), KEYS)
def test_a_documented_default_is_what_counts_without_the_key(table, name):
    for value in generator.value_of(key_of(table, name).default):
        said, unsaid = (parsed(table, text) for text in (mesh_with(table, name, value), json.dumps(whole()[0])))
        assert (getattr(said, name) or False) == (getattr(unsaid, name) or False)


def parsed(table, text):
    network = parse_mesh([("mesh.yml", text)]).networks[0]
    return {"network": network, "node": network.settings("web1"), "peer": (*network.peers, None)[0]}[table]


@pytest.mark.parametrize(("table", "name"), [each for each in KEYS if key_of(*each).default == REQUIRED])
def test_a_required_key_cannot_be_left_out(table, name):
    text = mesh_without(table, name)
    assert not model_accepts(text)
    assert not schema_accepts(text)


def test_other_keys_can_be_left_out():
    text = json.dumps(whole()[0])
    assert model_accepts(text)
    assert schema_accepts(text)


def test_every_mesh_in_the_documentation_is_valid():
    pages = (path.read_text() for path in sorted(generator.PAGE.parent.rglob("*.md")))
    for block in re.findall(r"```yaml\n(networks:.*?)```", "".join(pages), re.DOTALL):
        assert model_accepts(block), block
        assert schema_accepts(block), block


def test_the_schema_is_what_the_model_and_the_page_make_it():
    """If not: `make schema` writes it."""
    assert generator.SCHEMA.read_text() == generator.text()


def test_the_schema_is_one():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("example", sorted((REPO / "examples").glob("*.yml")), ids=lambda path: path.name)
def test_the_schema_accepts_every_example(example):
    assert schema_accepts(example.read_text())


@pytest.mark.parametrize(("table", "name"), KEYS)
def test_the_schema_accepts_what_the_model_accepts(table, name):
    texts = [mesh_with(table, name, value) for value in RIGHT + ODD]
    assert [text for text in texts if model_accepts(text) and not schema_accepts(text)] == []


@pytest.mark.parametrize(("table", "name"), KEYS)
def test_the_schema_refuses_values_of_a_wrong_type_as_the_model_does(table, name):
    texts = [mesh_with(table, name, value) for value in ODD]
    assert [text for text in texts if schema_accepts(text) and not model_accepts(text)] == []


@pytest.mark.parametrize(("table", "name"), [each for each in KEYS if "minimum" in key_of(*each).schema])
def test_the_bounds_of_numbers_are_those_of_the_model(table, name):
    schema = key_of(table, name).schema
    low, high = schema["minimum"], schema["maximum"]
    for value, right in [(low - 1, False), (low, True), (high, True), (high + 1, False)]:
        text = mesh_with(table, name, value)
        assert (model_accepts(text), schema_accepts(text)) == (right, right), text


@pytest.mark.parametrize("table", generator.TABLES)
def test_the_schema_refuses_unknown_keys_as_the_model_does(table):
    text = mesh_with(table, "colour", 1)
    assert not model_accepts(text)
    assert not schema_accepts(text)


@pytest.mark.parametrize(
    "text",
    [
        "networks: {a: {subnets: 10.42.0.0/16, nodes: {'*': {}}}}",
        "networks: {a: {subnets: [10.42.0.0], nodes: {'*': {}}}}",
        "networks: {'a b': {subnets: [10.42.0.0/16], nodes: {'*': {}}}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: [web1]}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: }}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: {'web 1': {}}}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: {web1: yes}}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: {web1: {groups: web}}}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: {web1: {endpoint: true}}}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: {web1: {endpoints: {ams: false}}}}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: {web1: {expires: never}}}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: {web1: {hub: 1}}}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: {web1: {addresses: [10.42.0.5/16]}}}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: {'*': {}}, links: [[a, b, c]]}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: {'*': {}}, links: [a, b]}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: {'*': {}}, port: '51820'}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: {'*': {}}, admit: always}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: {'*': {}}, rotate_every: 30}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: {'*': {}}, rotate_every: 1d12h}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: {'*': {}}, interface: a-name-that-is-too-long}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: {'*': {}}, peers: {p: [10.42.9.1]}}}",
        "networks: {a: {subnets: [10.42.0.0/16], nodes: {b: }, peers: {p: {public_key: x, addresses: [10.42.9.1]}}}}",
    ],
)
def test_the_schema_refuses_wrong_files_as_the_model_does(text):
    assert not model_accepts(text)
    assert not schema_accepts(text)
