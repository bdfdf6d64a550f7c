"""What a node found when it examined a peer, on the way to the master."""

import json
from dataclasses import replace

import pytest

from factories import public_key
from saltext.wireguard.model.examination import Counters, Examination, Look, Target

LOOK = Look(
    public_key("b"),
    "b.example.com:51820",
    ("192.0.2.2",),
    "192.0.2.2:51820",
    "eth0",
    ("10.42.0.2/32",),
    Counters(None, 0, 0),
    Counters(-7, 10, 20),
    {"10.42.0.2": Target("wg0", True, False)},
)
FOUND = Examination("wg0", True, public_key("a"), 51820, 1420, (4, 6), ("inet filter input",), {"b": LOOK})


@pytest.mark.parametrize("found", [FOUND, replace(FOUND, looks={"b": Look()}), Examination(error="wg0 is not set up")])
def test_it_comes_back_as_it_was_sent(found):
    assert Examination.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize(
    "change",
    [
        {"interface": "../wg0"},
        {"up": 1},
        {"port": 65536},
        {"forwards": [4, 5, 6]},
        {"drops": ["\x1b[2J"]},
        {"drops": "text"},
        {"looks": {"b": {"endpoint": "\x1b[2J"}}},
        {"looks": {"b": {"allowed_ips": ["10.42.0.2/33"]}}},
        {"looks": {"b": {"before": {"age": 1.5, "received": 0, "sent": 0}}}},
        {"looks": {"b": {"after": {"received": 0}}}},
        {"looks": {"b": {"targets": {"text": {"small": True, "full": True}}}}},
        {"looks": {"b": {"targets": {"10.42.0.2": {"small": 1, "full": True}}}}},
        {"looks": {"\n": {}}},
    ],
)
def test_what_no_node_sends_is_an_error_and_no_more(change):
    assert Examination.from_dict({**FOUND.to_dict(), **change}).error == "its answer is malformed"


@pytest.mark.parametrize("data", [None, [], "text", {}])
def test_so_is_what_is_no_answer_at_all(data):
    assert Examination.from_dict(data).error == "its answer is malformed"
