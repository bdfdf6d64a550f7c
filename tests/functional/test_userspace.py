"""wireguard-go, where the kernel has no WireGuard, started as it has to be whatever the minion's environment is."""

import pytest

pytest.importorskip("salt")

from hosts import PEERS, registered
from wgmachines.nodes import why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.mark.parametrize("variable", ["LOG_LEVEL=verbose", "WG_PROCESS_FOREGROUND=1"])
def test_a_device_comes_up_whatever_the_environment_says_of_wireguard_go(host, monkeypatch, variable):
    """It stayed on our pipe with LOG_LEVEL in the environment, and was ended after 60 s: no device."""
    monkeypatch.setenv(*variable.split("="))
    registered(host, *PEERS)
    assert host.call("apply")["backbone"]["result"] is True
    assert host.device().up
