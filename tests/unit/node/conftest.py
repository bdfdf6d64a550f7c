"""A minion on a machine that is made up, for tests of what a node decides."""

import pytest


@pytest.fixture
def host(tmp_path, monkeypatch, caplog):
    """Looks for secrets where none belong when the test is over."""
    pytest.importorskip("salt")
    from unit.node.host import Host

    made = Host(tmp_path, monkeypatch)
    yield made
    made.assert_no_secret_is_out(caplog.text)


@pytest.fixture
def tunnels(host, monkeypatch):
    """The other ends of the host's tunnels."""
    from unit.node.tunnels import Tunnels

    return Tunnels(host, monkeypatch)
