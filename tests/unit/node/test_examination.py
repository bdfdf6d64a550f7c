"""What a node finds about a peer; the real packets are for the lab."""

import pytest
from views import key, registered

from saltext.wireguard.model.examination import Counters, Examination, Target
from saltext.wireguard.node import echo_sockets, examination
from unit.node.host import NODE

ADDRESS = "10.42.0.2"


@pytest.fixture
def examine(host, tunnels, monkeypatch):
    """Examine node2 from a host with an interface; pings to ``answering`` addresses come back."""

    class Sockets:
        def ask(self, sizes, number, seconds):
            return {address for address, size in sizes.items() if address == ADDRESS and size < 1000}

    class Opened:
        def __enter__(self):
            return Sockets()

        def __exit__(self, *exc_info):
            pass

    monkeypatch.setattr(echo_sockets, "opened", lambda interface: Opened())
    registered(host)
    host.call("apply")

    def run(targets=None):
        answer = host.call("examine", "backbone", {NODE: {"node2": [ADDRESS]}} if targets is None else targets)
        return Examination.from_dict(answer["networks"]["backbone"]) if answer["networks"] else None

    return run


def test_it_tells_of_the_interface_and_of_the_peer_that_was_pinged(host, tunnels, examine):
    tunnels.connect(key("node2"))
    found = examine()
    assert (found.interface, found.up, found.port, found.mtu, found.error) == ("wg0", True, 51820, 1380, None)
    look = found.looks["node2"]
    assert (look.public_key, look.endpoint) == (key("node2"), "127.0.0.1:4444")
    assert look.after == Counters(0, 0, 0)
    assert look.targets[ADDRESS] == Target(look.targets[ADDRESS].device, small=True, full=False)


def test_a_peer_that_the_configuration_does_not_have_has_no_key(host, examine):
    look = examine({NODE: {"other": [ADDRESS]}}).looks["other"]
    assert (look.public_key, look.after) == (None, None)


def test_a_machine_that_is_not_meant_does_nothing(host, examine):
    assert examine({"other": {"node2": [ADDRESS]}}) is None


def test_a_device_that_is_gone_is_said_so(host, examine):
    host.machine.devices.clear()
    assert examine().error == "wg0 is not set up"


def test_a_peer_at_a_link_local_address_is_reached_by_its_device():
    """An address with a zone was a traceback."""
    assert examination._path("[fe80::1%eth0]:51820") == "eth0"


@pytest.mark.parametrize(
    "targets", ["text", {NODE: ["node2"]}, {NODE: {"node2": ["--help"]}}, {NODE: {"node2": ADDRESS}}]
)
def test_targets_that_are_no_targets_are_an_error(host, examine, targets):
    assert host.error("examine", "backbone", targets).startswith("targets: ")
