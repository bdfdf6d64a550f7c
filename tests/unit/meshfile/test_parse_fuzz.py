"""No text, however odd, makes ``parse`` raise anything but MeshError, or puts unprintable characters into messages."""

import contextlib

import pytest
import yaml

from saltext.wireguard.errors import MeshError
from saltext.wireguard.meshfile import yamltree
from saltext.wireguard.meshfile.parse import parse_mesh
from saltext.wireguard.model.endpoint import Endpoint

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")

WORDS = [
    *("networks", "backbone", "subnets", "nodes", "peers", "interface", "port", "mtu", "keepalive", "addresses"),
    *("endpoint", "public_key", "admit", "rekey", "rotate_every", "expires"),
    *(
        "<<",
        "*",
        "web*",
        "w[z-a]",
        "[!]",
        "db1",
        "",
        "null",
        "~",
        "on",
        "off",
        "true",
        "1",
        "0",
    ),
    *("51820", "-1", "1e3", ".nan", ".inf", "0x1F", "0o7", "1_0", "1:20", "190:20:30", "9" * 5000, "2026-01-01"),
    *("auto", "manual", "30d", "1h", "9" * 5000 + "d", "2026-02-30", "0000-00-00", "2026-01-01T18:00:00+02:00"),
    *("9999-12-31 23:59:59.9 -1:00", "0001-01-01t00:00:00+23:59"),
    *(
        "10.42.0.0/16",
        "fd42::/64",
        "10.42.0.5",
        "fd42::5",
        "fe80::1%1",
        "fd42::1%\x1b/64",
        "0.0.0.0/0",
        "::/0",
        "db1:51820",
        "[::1]:1",
    ),
    *(
        "2001:db8::1",
        "\ud800",
        "\x00",
        "\x85",
        "\u2028",
        "{}",
        "{earlier}",
        "%",
        "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=",
    ),
]
PIECES = [
    *WORDS,
    *(" ", "  ", "    ", "\n", "\n  ", "\n    ", "\n      ", "\t", ": ", ":", "- ", "? ", "{", "}", "[", "]", ", "),
    *(
        "&a ",
        "*a",
        "!!int ",
        "!!binary ",
        "!!python/object:os.system ",
        "!x ",
        "! ",
        "|\n",
        ">-\n",
        "# ",
        "'",
        '"',
        "\\",
    ),
    *("---\n", "...\n", "%YAML 1.1\n", "%TAG ! tag:x\n", "@", "`", "\ufeff"),
]
WORD = st.sampled_from(WORDS) | st.text(max_size=8)
TREE = st.recursive(
    WORD | st.integers() | st.booleans() | st.none() | st.floats() | st.dates() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD | st.integers() | st.none(), inner, max_size=4),
    max_leaves=12,
)
SETTINGS = st.dictionaries(st.sampled_from(WORDS[:16]) | WORD, TREE, max_size=5)
NETWORKS = st.fixed_dictionaries(
    {"subnets": TREE | st.just(["10.42.0.0/16"]), "nodes": st.dictionaries(WORD, SETTINGS | TREE, max_size=4)},
    optional={
        "peers": st.dictionaries(WORD, SETTINGS | TREE, max_size=3),
        "port": TREE,
        "interface": TREE,
        "mtu": TREE,
        "admit": TREE,
        "rekey": TREE,
        "rotate_every": TREE,
    },
)
MESHES = st.fixed_dictionaries({"networks": st.dictionaries(WORD, NETWORKS | TREE, max_size=3)})


@pytest.fixture(params=["SafeLoader", "CSafeLoader"], autouse=True, scope="module")
def loader(request):
    """Both of PyYAML's parsers, as either may be what an installation has."""
    if not hasattr(yaml, request.param):
        pytest.skip("PyYAML without libyaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yamltree, "_LOADER", getattr(yaml, request.param))
        yield


def problems(texts):
    try:
        parse_mesh([(f"mesh{number}.yml", text) for number, text in enumerate(texts)])
    except MeshError as error:
        return error.problems
    return ()


def read(*texts):
    assert all(problem.message.isprintable() for problem in problems(texts))


@hypothesis.given(st.lists(st.text(), max_size=3))
def test_any_text_is_parsed_or_refused(texts):
    read(*texts)


@hypothesis.given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_mix_of_yaml_syntax_is_parsed_or_refused(text):
    read(text)


@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.too_slow])
@hypothesis.given(MESHES | TREE, st.booleans())
def test_any_yaml_value_in_any_place_is_parsed_or_refused(tree, flow):
    read(yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=flow))


@hypothesis.given(
    st.text() | st.lists(st.sampled_from([*WORDS, ":", "[", "]", ".", "%", "\n"]), max_size=6).map("".join)
)
def test_any_text_is_an_endpoint_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        Endpoint.parse(text)


BOMB = "".join(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 20))


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 x\n" + BOMB,
        "networks: &n\n  a: *n\n",
        "&a [*a]",
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "\n".join(" " * depth + "a:" for depth in range(1000)),
        "networks: {a: {port: " + "9" * 100_000 + "}}",
        "? " * 10_000,
    ],
    ids=["alias bomb", "recursive mapping", "recursive list", "lists", "mappings", "items", "deep", "huge", "keys"],
)
def test_a_bomb_is_refused(text):
    with pytest.raises(MeshError):
        parse_mesh([("mesh.yml", text)])
