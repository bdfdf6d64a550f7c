import socket
import threading

import pytest

from saltext.wireguard.system import resolve
from saltext.wireguard.system.resolve import resolve_names


@pytest.fixture
def resolver(monkeypatch):
    """slow*: comes back after the test, with an answer. bad*: does not exist. Yields the names that were asked for."""
    stop = threading.Event()
    asked = []

    def getaddrinfo(name, *args, **kwargs):
        asked.append(name)
        if name.startswith("slow"):
            stop.wait(30)
        if name.startswith("bad"):
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (address, 0)) for address in ("192.0.2.1", "192.0.2.2")]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield asked
    stop.set()


def test_a_name_has_its_addresses_in_the_order_of_the_resolver(resolver):
    assert resolve_names(["good"], 5) == {"good": ("192.0.2.1", "192.0.2.2")}


def test_a_name_that_does_not_resolve_is_left_out(resolver):
    assert resolve_names(["bad", "good"], 5).keys() == {"good"}


def test_a_name_that_hangs_delays_no_other_and_the_caller_no_longer_than_it_said(resolver):
    assert resolve_names(["slow1", "slow2", "good"], 0.3).keys() == {"good"}


def test_names_are_looked_up_once_and_no_more_than_the_bound_at_a_time(resolver, monkeypatch):
    monkeypatch.setattr(resolve, "MAX_THREADS", 3)
    resolve_names(["slow1", "slow1", "slow2", "slow3", "slow4", "slow5"], 0.2)
    assert sorted(resolver) == ["slow1", "slow2", "slow3"]


def test_a_label_that_dns_cannot_have_is_no_error():
    assert resolve_names([f"{'x' * 64}.example"], 5) == {}


def test_nothing_to_look_up_is_no_work():
    assert resolve_names([], 5) == {}
