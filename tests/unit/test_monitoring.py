"""What the examples and the page on monitoring name is what nodes and master write."""

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

pytest.importorskip("salt")

from answering import Fleet
from factories import accept
from operating import operator_of
from saltext.wireguard.control import metrics
from saltext.wireguard.formats.node_metrics import node_metrics
from saltext.wireguard.formats.prometheus import render
from unit.formats.test_node_metrics import NOW, interface, peer

REPO = Path(__file__).resolve().parents[2]
EXAMPLES = REPO / "examples/monitoring"
DASHBOARD = json.loads((EXAMPLES / "wireguard-dashboard.json").read_text())
RULES = [
    rule
    for group in yaml.safe_load((EXAMPLES / "wireguard.rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]
TESTS = yaml.safe_load((EXAMPLES / "wireguard.rules_test.yaml").read_text())["tests"]
# Of node_exporter itself.
OTHERS = {"node_textfile_mtime_seconds": {"instance", "file"}}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The metrics that nodes and a master write: name -> names of labels, with those that Prometheus adds."""
    fleet = Fleet(tmp_path_factory.mktemp("fleet"), "ab")
    accept(fleet.master, "c")
    text = render(node_metrics([interface(peer("db1", 7))], 10, NOW)) + metrics.metrics(operator_of(fleet), None)
    found = {}
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            found.setdefault(each.name, set()).update(each.labels, {"instance"})
    return found


def named(text):
    return set(re.findall(r"\b(?:wireguard|node)_[a-z_]+", text))


def queries():
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    return [*panels, *(rule["expr"] for rule in RULES)]


@pytest.mark.parametrize("query", queries())
def test_every_metric_of_a_query_is_written_and_has_the_labels_that_it_asks_for(query, written):
    for name in named(query) - {"node_not_in_sync"}:
        assert name in {**written, **OTHERS}, name
    for name, matchers in re.findall(r"(\w+)\{([^}]*)\}", query):
        assert set(re.findall(r"(\w+)(?==|!=)", matchers)) <= {**written, **OTHERS}[name], name


def test_the_variables_of_the_dashboard_are_labels_that_there_are(written):
    for variable in DASHBOARD["templating"]["list"]:
        query = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"])
        if query:
            assert query[2] in written[query[1]]


def test_the_panels_of_the_dashboard_do_not_overlap_and_have_ids_of_their_own():
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_every_metric_has_a_row_in_the_page_and_the_page_has_no_other(written):
    page = (REPO / "docs/monitoring.md").read_text()
    rows = re.findall(r"^\| ((?:`wireguard_\w+`(?:, )?)+) \|", page, re.MULTILINE)
    assert named(" ".join(rows)) == {re.sub("_(sum|count)$", "", name) for name in written}


def test_every_alert_is_made_to_fire_and_says_what_to_do():
    """By promtool, in tests/functional/test_monitoring.py."""
    fired = {each["alertname"] for test in TESTS for each in test["alert_rule_test"] if each.get("exp_alerts")}
    assert fired == {rule["alert"] for rule in RULES}
    assert all(rule["annotations"]["remedy"] for rule in RULES)


def test_functions_that_remedies_name_exist():
    sources = "\n".join(
        path.read_text() for folder in ("_modules", "_runners") for path in (REPO / folder).glob("*.py")
    )
    for rule in RULES:
        for function in re.findall(r"wireguard\.(\w+)", rule["annotations"]["remedy"]):
            assert f"def {function}(" in sources, rule["alert"]
