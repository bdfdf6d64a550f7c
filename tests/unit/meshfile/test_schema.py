"""Keys of a mesh file that are alike: what is read, and what the JSON Schema says of it."""

import re

import pytest

from meshing import network, only, problems
from saltext.wireguard.meshfile.mesh import Place
from saltext.wireguard.meshfile.reading import Scope
from saltext.wireguard.meshfile.scalars import NAME, TIME
from saltext.wireguard.meshfile.schema import by_name, choice, many, matching, period, switch, whole
from saltext.wireguard.meshfile.yamltree import Invalid, Report, load


def read(key, text):
    return key.read(Scope(Report()), load("mesh.yml", text, Report()))


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        (whole("port", 1, 65535, "`51820`"), "7", 7),
        (switch("hub"), "true", True),
        (choice("admit", ["auto", "manual"], "`auto`"), "manual", "manual"),
        (period("quarantine", "1h", "`7d`"), "2h", 7200),
    ],
)
def test_a_key_reads_its_value(key, text, value):
    assert read(key, text) == value


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        (whole("port", 1, 9, "`5`"), "10", "port must be a whole number from 1 to 9, not '10'"),
        (switch("hub"), "[true]", "hub must be true or false, not a list"),
        (choice("admit", ["auto", "manual"], "`auto`"), "{}", "admit must be auto or manual, not a mapping"),
        (period("quarantine", "1h", "`7d`"), "59m", "quarantine must be at least 1h, not '59m'"),
    ],
)
def test_a_wrong_value_is_an_error_at_its_place_with_the_name_of_the_key(key, text, message):
    with pytest.raises(Invalid, match=re.escape(message)) as caught:
        read(key, text)
    assert caught.value.place == Place("mesh.yml", 1)


def test_the_limits_of_a_number_are_in_its_schema_and_in_its_words():
    key = whole("port", 1, 9, "`5`")
    assert key.schema == {"type": "integer", "minimum": 1, "maximum": 9}
    assert key.type == "number, 1 to 9"


def test_a_pattern_means_the_whole_text_and_has_no_names_that_javascript_does_not_know():
    pattern = matching(TIME)["pattern"]
    assert "?P<" not in pattern
    assert re.search(pattern, "2027-01-01")
    assert not re.search(pattern, "x 2027-01-01")


def test_lists_have_an_item_and_mappings_have_names_as_keys():
    assert many({"type": "string"})["minItems"] == 1
    assert by_name({})["propertyNames"] == matching(NAME)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("off", 10, 600)),
        ("failover: auto", ("auto", 10, 600)),
        ("failover: off", ("off", 10, 600)),
        ("failover: false", ("off", 10, 600)),
        ("failover: ask\nfailover_after: 1m\nfailback: 1h", ("ask", 60, 3600)),
        ("failover: auto\nfailback: never", ("auto", 10, None)),
    ],
)
def test_failover_is_a_choice_and_two_times(text, expected):
    found = only(network(text))
    assert (found.failover, found.failover_after, found.failback) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("failover: yes", "failover must be auto or ask or off, not "),
        ("failover_after: 1s", "failover_after must be at least 5s, not '1s'"),
        ("failback: 0", "'0' is not a duration"),
    ],
)
def test_anything_else_about_failover_is_an_error(text, problem):
    (found,) = problems(network(text))
    assert problem in found


@pytest.mark.parametrize(("text", "exits"), [("g", ("g",)), ("[g]", ("g",)), ("[h, g]", ("h", "g")), ("false", ())])
def test_via_is_an_exit_or_several_in_order(text, exits):
    nodes = f"a: {{via: {text}}}, g: {{exit: true}}, h: {{exit: true}}"
    settings = only(network(nodes=nodes)).settings("a")
    assert (settings.exits, settings.via) == (exits, exits[0] if exits else None)


def test_each_of_several_exits_must_be_one():
    (found,) = problems(network(nodes="a: {via: [g, h]}, g: {exit: true}, h: {}"))
    assert "via: 'h' is no exit node; write `exit: true` there if it is to be one" in found
