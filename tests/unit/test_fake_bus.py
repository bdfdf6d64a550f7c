"""The fake bus keeps the contract that the real one keeps."""

import pytest

from bus_contract import CONTRACT
from fake_bus import FakeBus


@pytest.mark.parametrize("holds", CONTRACT, ids=[each.__name__ for each in CONTRACT])
def test_the_fake_bus_keeps_the_contract(holds):
    bus = FakeBus({"node1", "node2", "node3"})
    bus.off = {"node3"}
    holds(bus, ["node1", "node2"], "node3")
