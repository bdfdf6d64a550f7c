"""What a node says of its network, on its way to the master."""

import json

import pytest

from saltext.wireguard.model.netcheck import LocalNet

LOCAL = LocalNet(51820, 1420, ("192.168.1.11", "2001:db8::11"), (4,), 3, ("db1",), {"db2": 1280})


def test_it_arrives_as_it_was():
    assert LocalNet.from_dict(json.loads(json.dumps(LOCAL.to_dict()))) == LOCAL


def test_an_error_arrives_as_one():
    error = LocalNet(error="wg0 is not set up")
    assert LocalNet.from_dict(error.to_dict()) == error


@pytest.mark.parametrize(
    "changes",
    [
        {"port": "51820"},
        {"mtu": None},
        {"addresses": ["router"]},
        {"addresses": ["192.0.2.1"] * 1001},
        {"default_routes": [5, 7]},
        {"silent": [["db1"]]},
        {"narrow": {"db1": -1}},
        {"narrow": {"a\nb": 1280}},
        {"asked": True},
    ],
)
def test_a_forged_answer_is_malformed(changes):
    assert LocalNet.from_dict({**LOCAL.to_dict(), **changes}) == LocalNet(error="its answer is malformed")


@pytest.mark.parametrize("data", [None, 5, "x", [], {}, {"result": False}])
def test_an_answer_of_any_shape_is_an_error(data):
    assert LocalNet.from_dict(data).error
