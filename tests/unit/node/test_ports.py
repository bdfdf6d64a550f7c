"""Who has the port that an interface cannot have."""

import pytest
from views import registered

from saltext.wireguard.errors import NodeError
from saltext.wireguard.node import ports

IN_USE = "RTNETLINK answers: Address already in use"
PROCESSES = (("dns masq", 812, 4), ("dns masq", 812, 5), ("ntpd", 9, 1))
USERS = ",".join(f'("{name}",pid={pid},fd={fd})' for name, pid, fd in PROCESSES)
SS = f"UNCONN 0 0 0.0.0.0:51820 0.0.0.0:* users:({USERS})\n"


@pytest.fixture
def ss(host):
    """What `ss` prints from now on."""

    def prints(text):
        host.machine.programs.add("ss")
        host.machine.handlers["ss"] = lambda words: text if words[-1] == "sport = :51820" else ""

    return prints


def test_the_processes_that_have_the_port_are_named(host, ss):
    ss(SS)
    registered(host)
    host.machine.failing["ip link set dev wg0 up"] = IN_USE
    message = host.error("apply")
    assert "wg0: UDP port 51820 is in use by dns masq (process 812), ntpd (process 9). End that, or give" in message
    assert IN_USE in message


def test_another_wireguard_interface_that_has_it_is_named(host, ss):
    """In the kernel, no process has its socket."""
    ss("UNCONN 0 0 0.0.0.0:51820 0.0.0.0:*\n")
    host.run("ip", "link", "add", "wg7", "type", "wireguard")
    host.run("wg", "set", "wg7", "listen-port", "51820")
    assert ports.holder("wg0", 51820) == "the WireGuard interface wg7"
    assert ports.holder("wg7", 51820) is None


@pytest.mark.parametrize("is_there", [True, False])
def test_what_nobody_names_is_said_to_be_unknown(host, ss, is_there):
    if is_there:
        ss("")
    registered(host)
    host.machine.failing["ip link set dev wg0 up"] = IN_USE
    assert "is in use by something that `ss -uanp` does not name" in host.error("apply")


def test_every_other_error_stays_as_it_is(host):
    error = NodeError("`ip link set dev wg0 up` failed with code 2: RTNETLINK answers: No such device")
    assert ports.explained(error, "wg0", 51820) is error
    assert ports.explained(NodeError(IN_USE), "wg0", None).args == (IN_USE,)
