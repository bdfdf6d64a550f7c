"""docs/events.md names every event that there is, and no other."""

import ast
import re
from pathlib import Path

from saltext.wireguard.device.watch import WHATS
from saltext.wireguard.model.statements import FOLLOWING_TAG, REGISTER_TAG, REPORT_TAG
from saltext.wireguard.registry import history

REPO = Path(__file__).resolve().parents[2]
PAGE = (REPO / "docs/events.md").read_text()
FOLDERS = ("_utils", "_runners", "_engines", "_modules", "_beacons")
SOURCES = [path for place in FOLDERS for path in (REPO / place).rglob("*.py")]


def rows(heading):
    """The first cells of the table below a heading."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def strings(tree):
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_thing_that_can_happen_to_a_node_is_documented_in_the_order_of_the_alphabet():
    assert rows("What happened to a node") == sorted(history.WHATS)


def test_every_thing_that_is_documented_is_written_somewhere():
    elsewhere = [path for path in SOURCES if path.name != "history.py"]
    written = set().union(*(strings(ast.parse(path.read_text())) for path in elsewhere)) | {"refused", "pruned"}
    assert set(history.WHATS) <= written


def test_every_event_that_nodes_send_is_documented():
    assert rows("What nodes send") == sorted([REGISTER_TAG, REPORT_TAG, FOLLOWING_TAG])


def test_everything_that_the_beacon_tells_is_documented_in_the_order_of_the_alphabet():
    assert rows("What the beacon tells") == list(WHATS)


def test_every_field_of_the_payload_is_documented():
    assert rows("The payload") == list(history.Entry.__dataclass_fields__)
