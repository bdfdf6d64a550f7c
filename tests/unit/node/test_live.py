"""What a node says of its peers when the master puts together what all see."""

from views import key, registered

from saltext.wireguard.model.live import LiveInterface, LivePeer


def interfaces(host):
    return {network: LiveInterface.from_dict(data) for network, data in host.call("status")["networks"].items()}


def test_a_node_tells_of_the_peers_of_each_of_its_networks(host, tunnels):
    registered(host)
    host.call("apply")
    tunnels.connect(key("node2"))
    tunnels.wait(7)
    interface = interfaces(host)["backbone"]
    assert (interface.interface, interface.up, interface.mtu) == ("wg0", True, 1380)
    assert interface.peers[key("node2")] == LivePeer("127.0.0.1:4444", 7, 0, 0)
    assert interface.peers[key("node3")] == LivePeer(None, None, 0, 0)


def test_a_network_whose_device_is_gone_is_an_error_of_that_network_and_of_the_command(host):
    registered(host)
    host.call("apply")
    host.machine.devices.clear()
    assert interfaces(host) == {"backbone": LiveInterface(error="wg0 is not set up")}
    assert host.module.__context__ == {"retcode": 1}


def test_a_minion_in_no_network_has_nothing_to_tell(host):
    assert host.call("status") == {"networks": {}}
