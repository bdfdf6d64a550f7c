"""What a node itself says of its network; real packets and routers are for the lab."""

from views import registered

from saltext.wireguard.model.netcheck import LocalNet


def test_a_network_whose_device_is_gone_is_an_error_of_that_network_and_of_the_command(host):
    registered(host)
    host.call("apply")
    host.machine.devices.clear()
    answer = host.call("netcheck")["networks"]
    assert LocalNet.from_dict(answer["backbone"]) == LocalNet(error="wg0 is not set up")
    assert host.module.__context__ == {"retcode": 1}


def test_a_network_that_there_is_not_is_an_error(host):
    assert "has no interface of the WireGuard network 'other'" in host.error("netcheck", network="other")


def test_a_minion_in_no_network_has_nothing_to_say(host):
    assert host.call("netcheck") == {"networks": {}}
