"""What a node says of pings to its peers; the real packets are for the lab."""

import pytest
from views import registered

from saltext.wireguard.model.probe import Probe


def test_a_network_whose_device_is_gone_is_an_error_of_that_network_and_of_the_command(host):
    registered(host)
    host.call("apply")
    host.machine.devices.clear()
    answer = host.call("probe")["networks"]
    assert Probe.from_dict(answer["backbone"]) == Probe(error="wg0 is not set up")
    assert host.module.__context__ == {"retcode": 1}


@pytest.mark.parametrize("count", [0, 101, True, "5"])
def test_a_count_that_makes_no_sense_is_an_error(host, count):
    assert host.error("probe", count=count) == "count must be a whole number from 1 to 100"


def test_so_is_a_network_that_there_is_not(host):
    assert "has no interface of the WireGuard network 'other'" in host.error("probe", network="other")
