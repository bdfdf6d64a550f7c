"""How pings came back, on the way to the master."""

import json

import pytest

from factories import public_key
from saltext.wireguard.model.probe import Echo, Probe

KEY = public_key("a")
PROBE = Probe({KEY: {4: Echo(5, 4, 0.25), 6: Echo(5, 0, None)}})


@pytest.mark.parametrize("probe", [PROBE, Probe(), Probe({KEY: {}}), Probe(error="wg0 is not set up")])
def test_it_comes_back_as_it_was_sent(probe):
    assert Probe.from_dict(json.loads(json.dumps(probe.to_dict()))) == probe


@pytest.mark.parametrize(("sent", "received", "loss"), [(5, 5, 0), (5, 4, 0.2), (5, 0, 1), (0, 0, 0)])
def test_loss_is_the_share_that_did_not_come_back(sent, received, loss):
    assert Echo(sent, received, None).loss == pytest.approx(loss)


@pytest.mark.parametrize(
    "echo",
    [
        [5, 4],
        [5, 4, 0.2, 1],
        [5, -1, 0.2],
        [101, 0, None],
        [5, 4, float("nan")],
        [5, 4, float("inf")],
        [5, 4, -0.1],
        [5, 6, 0.1],
        [5, 0, 0.1],
        [5, 4, None],
        [5, 4, True],
        [5, 4, "0.2"],
        None,
        "text",
    ],
)
def test_what_no_node_sends_is_an_error_and_no_more(echo):
    assert Probe.from_dict({"peers": {KEY: {"4": echo}}}).error == "its answer is malformed"


@pytest.mark.parametrize("data", [None, [], "text", {}, {"peers": {"no key": {}}}, {"peers": {KEY: []}}])
def test_so_is_what_is_no_answer_at_all(data):
    assert Probe.from_dict(data).error == "its answer is malformed"
