"""How long the address of a node that is gone stays its own."""

import contextlib

import pytest

from databases import BACKENDS
from factories import membership, network, registration
from registering import addresses, register
from saltext.wireguard.errors import PoolExhaustedError
from saltext.wireguard.registry import boots as boots_module
from saltext.wireguard.registry import generation, registrations
from saltext.wireguard.registry import registry as module


@pytest.fixture(params=BACKENDS)
def registry(request, tmp_path):
    return request.param(tmp_path)


DAY = 86_400
SMALL = "10.42.0.0/31"  # room for two


@pytest.fixture
def clock(monkeypatch):
    """The registry's clock, at noon of some day."""
    clock = Clock(1_800_000_000.0)
    for each in (module, registrations, boots_module, generation):
        monkeypatch.setattr(each, "time", clock)
    return clock


class Clock:
    def __init__(self, now):
        self.now = now

    def time(self):
        return self.now

    def time_ns(self):
        return int(self.now * 1e9)


def fill(registry):
    """Of the nodes a and b, which have all addresses, a goes away."""
    for node in ("a", "b"):
        register(registry, registration(node), network(subnets=SMALL))
    registry.settle(membership(network(subnets=SMALL), {"b"}))


def days_until_given(registry, clock):
    """After how many days, with two looks a day at who is gone, the address of the node that is gone is another's."""
    net = network(subnets=SMALL)
    registry.settle(membership(net, {"b"}))
    clock.now += 1  # so that no rounding matters
    for look in range(60):
        with contextlib.suppress(PoolExhaustedError):
            register(registry, registration("c", look + 1), net, members={"b", "c"})
            return look / 2
        clock.now += DAY / 2
        registry.settle(membership(net, {"b"}))
    return None


def test_the_address_of_a_node_that_is_gone_is_given_to_another_after_the_quarantine(registry, clock):
    """It was kept for ever, until the pool was full of nodes that were gone."""
    fill(registry)
    assert days_until_given(registry, clock) == 7
    assert addresses(registry, "c") == ["10.42.0.0"]


def test_a_node_that_is_gone_for_a_moment_keeps_its_address_and_a_later_quarantine_is_as_long(registry, clock):
    fill(registry)
    for _ in range(6):
        clock.now += DAY
        registry.settle(membership(network(subnets=SMALL), {"b"}))
    registry.settle(membership(network(subnets=SMALL), {"a", "b"}))
    assert addresses(registry) == ["10.42.0.0"]
    registry.settle(membership(network(subnets=SMALL), {"b"}))
    assert days_until_given(registry, clock) == 7


def test_a_node_that_is_seen_to_be_gone_once_more_is_no_news(registry, clock):
    fill(registry)
    before = registry.snapshot()
    assert registry.settle(membership(network(subnets=SMALL), {"b"})) is False
    assert registry.snapshot() is before


def test_a_node_that_only_an_operator_excluded_keeps_its_address(registry, clock):
    for node in ("a", "b"):
        register(registry, registration(node), network(subnets=SMALL))
    registry.settle(membership(network(subnets=SMALL), {"b"}, suspended={"a"}))
    assert addresses(registry) == ["10.42.0.0"]


@pytest.mark.parametrize("years", [-10, 10])
def test_a_clock_that_is_set_does_not_end_a_quarantine_nor_make_it_last_for_ever(registry, clock, years):
    fill(registry)
    clock.now += years * 365 * DAY
    assert days_until_given(registry, clock) == (6 if years > 0 else 7)  # it counts as a day, or not at all


def test_a_clock_that_was_wrong_when_a_node_went_and_is_put_right_does_not_matter(registry, clock):
    clock.now += 3650 * DAY
    fill(registry)
    clock.now -= 3650 * DAY
    assert days_until_given(registry, clock) == 7


def test_time_in_which_nobody_looked_does_not_count(registry, clock):
    """The master may have been off for long, or the registry may be one that was put back from a backup."""
    fill(registry)
    clock.now += 3 * DAY
    registry.settle(membership(network(subnets=SMALL), {"b"}))
    clock.now += 300 * DAY
    assert days_until_given(registry, clock) == 5


def test_a_quarantine_ends_also_if_somebody_looks_once_a_month(registry, clock):
    fill(registry)
    months = 0
    while months < 20:
        clock.now += 30 * DAY
        months += 1
        registry.settle(membership(network(subnets=SMALL), {"b"}))
        with contextlib.suppress(PoolExhaustedError):
            register(registry, registration("c", months), network(subnets=SMALL), members={"b", "c"})
            break
    assert months == 7
