"""A wg-quick@ unit is enabled and active as the interface is, and never changes the device."""

import pytest
from views import registered

from unit.node.boot.services import Services

SERVICE = "wg-quick@wg0"


def apply(host):
    return host.call("apply")["backbone"]["changes"]


def test_the_service_is_enabled_for_boot_and_disabled_on_removal(host, monkeypatch):
    registered(host)
    services = Services(host, monkeypatch)
    announced = host.call("apply", test=True)["backbone"]["changes"]
    assert announced[SERVICE] == {"old": "disabled", "new": "enabled"}
    assert services.calls == []
    apply(host)
    assert apply(host) == {}
    assert (services.calls, services.active) == ([("enable", SERVICE)], {SERVICE})
    host.call("remove", "wg0")
    assert (services.calls[1:], services.active) == ([("disable", SERVICE)], set())
    assert services.drop_ins() == []


def test_the_service_may_have_another_name(host, monkeypatch):
    registered(host)
    host.configure(wireguard={"lookup:services": {"wg-quick": "our-wg"}})
    services = Services(host, monkeypatch)
    assert "our-wg@wg0" in apply(host)
    assert (services.enabled, services.active) == ({"our-wg@wg0"}, {"our-wg@wg0"})
    host.call("remove", "wg0")
    assert (services.enabled, services.active) == (set(), set())


@pytest.mark.parametrize("names", ["our-wg", {"wg-quick": "a b"}, {"wg-quick": 5}, ["wg-quick"]], ids=str)
def test_a_name_that_no_service_can_have_is_an_error(host, monkeypatch, names):
    registered(host)
    host.configure(wireguard={"lookup:services": names})
    Services(host, monkeypatch)
    assert "wireguard:lookup:services must be a mapping" in host.error("apply")
    assert host.device() is None


def test_a_service_that_is_enabled_and_not_active_is_made_active_without_a_change_of_the_device(host, monkeypatch):
    """It was left inactive by the first apply, so that `systemctl start` failed: the device exists already."""
    registered(host)
    host.configure(wireguard={"enable_service": False})
    apply(host)
    host.configure(wireguard={"enable_service": True})
    services = Services(host, monkeypatch)
    services.enabled.add(SERVICE)
    before = host.device()
    assert apply(host) == {SERVICE: {"old": "inactive", "new": "active"}}
    assert services.active == {SERVICE}
    assert host.device() == before
    assert apply(host) == {}


@pytest.mark.parametrize("state", ["active", "activating", "deactivating", "reloading"])
def test_a_service_that_systemd_works_on_is_no_difference(host, monkeypatch, state):
    registered(host)
    apply(host)
    services = Services(host, monkeypatch)
    services.enabled.add(SERVICE)
    services.states[SERVICE] = state
    assert apply(host) == {}


def test_a_start_that_hangs_is_ended_on_removal(host, monkeypatch):
    """On a name that does not resolve, wg-quick may wait for ever."""
    registered(host)
    services = Services(host, monkeypatch)
    apply(host)
    services.states[SERVICE] = "activating"
    host.call("remove", "wg0")
    assert services.states[SERVICE] == "inactive"


def test_the_service_is_left_alone_where_the_configuration_says_so(host, monkeypatch):
    registered(host)
    host.configure(wireguard={"enable_service": False})
    services = Services(host, monkeypatch)
    assert apply(host)
    assert host.call("remove", "wg0")["changes"]
    assert services.calls == []


def test_a_service_that_cannot_be_enabled_is_an_error_that_says_what_works(host, monkeypatch):
    wanted = registered(host)
    Services(host, monkeypatch, works=False)
    assert "wg-quick@wg0 could not be enabled: wg0 works" in host.error("apply")
    assert set(host.device().peers) == {peer.public_key for peer in wanted.peers}


def test_a_job_that_fails_leaves_no_drop_in_behind(host, monkeypatch):
    """With it, the unit would do nothing by hand and at the next boot."""
    registered(host)
    services = Services(host, monkeypatch)
    host.machine.failing["systemctl start*"] = "Job failed."
    assert "Job failed." in host.error("apply")
    assert services.drop_ins() == []


def test_a_directory_with_another_drop_in_stays(host, monkeypatch):
    registered(host)
    Services(host, monkeypatch)
    other = host.disk / "units" / f"{SERVICE}.service.d" / "other.conf"
    other.parent.mkdir(parents=True)
    other.write_text("[Service]\nNice=5\n")
    apply(host)
    assert [path.name for path in other.parent.iterdir()] == ["other.conf"]


def test_without_systemd_no_service_is_asked_about(host):
    registered(host)
    host.functions["service.enabled"] = lambda name: pytest.fail("asked")
    assert host.call("apply")["backbone"]["result"] is True
