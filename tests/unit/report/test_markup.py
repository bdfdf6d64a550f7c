"""HTML from values: what others chose stays text."""

import json
import re
from xml.etree import ElementTree

import pytest

from drawings import HOSTILE, Seen
from saltext.wireguard.report.markup import Markup, code, data, element, joined, text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_text_and_attributes_stay_what_they_are(hostile):
    shown = "".join(char if char.isprintable() else "?" for char in hostile)
    seen = Seen(element("p", hostile, title=hostile))
    assert seen.elements == [("p", {"title": shown})]
    assert "".join(seen.words) == shown


@pytest.mark.parametrize("hostile", HOSTILE)
def test_it_is_xml_too(hostile):
    found = ElementTree.fromstring(element("svg", element("text", hostile), data_node=hostile))
    assert found.find("text").text == found.attrib["data-node"]


def test_elements_are_nested_and_none_is_nothing():
    made = element("p", "a & b", None, element("b", 1), class_="x", data_node=0, hidden="", title=None)
    assert made == '<p class="x" data-node="0" hidden="">a &amp; b<b>1</b></p>'
    assert joined(["<", Markup("<b>")]) == "&lt;<b>"


def test_elements_without_content_have_no_end():
    assert element("input", type="search") == '<input type="search">'


def test_numbers_have_one_digit_at_most():
    assert element("circle", cx=1.25, cy=2.0) == '<circle cx="1.2" cy="2"></circle>'


@pytest.mark.parametrize("hostile", HOSTILE)
def test_data_comes_back_as_it_was_and_cannot_end_its_element(hostile):
    written = data("data", {"name": hostile})
    inside = re.fullmatch(r'<script type="application/json" id="data">([^<>&]*)</script>', written)
    assert json.loads(inside[1]) == {"name": hostile}


@pytest.mark.parametrize("source", ["a</script>b", "a</SCRIPT >", "<!--"])
def test_a_script_of_ours_that_would_end_too_early_is_a_mistake(source):
    with pytest.raises(ValueError, match="too early"):
        code("script", source)


def test_what_is_markup_already_is_not_escaped_again():
    assert text(text("<")) == "&lt;"
