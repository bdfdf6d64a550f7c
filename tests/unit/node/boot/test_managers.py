"""One boot manager in the place of another."""

import pytest

from saltext.wireguard.model.view import View
from saltext.wireguard.node.boot import managers

SETUP = managers.Setup(View("wg0", ()), "/etc/wireguard/wg0.key", {})


class Recorded:
    """A manager that has to do what is in ``changes``, and writes down what it is asked to do."""

    def __init__(self, name, calls, changes):
        self._name, self._calls, self._changes = name, calls, changes

    def missing(self, setup):
        return self._changes

    def left(self, interface):
        return self._changes

    def enable(self, setup):
        self._calls.append(f"enable {self._name}")

    def disable(self, interface):
        self._calls.append(f"disable {self._name}")


CHANGES = {"service": {"old": "disabled", "new": "enabled"}}


@pytest.mark.parametrize(
    ("missing", "left", "calls"),
    [
        (CHANGES, CHANGES, ["enable new", "disable old"]),
        (CHANGES, {}, ["enable new"]),
        ({}, CHANGES, ["disable old"]),
        ({}, {}, []),
    ],
)
def test_one_manager_has_the_interface_before_another_lets_it_go(missing, left, calls):
    seen = []
    managers.Replacement(Recorded("new", seen, missing), Recorded("old", seen, left)).enable(SETUP)
    assert seen == calls


def test_a_removed_interface_comes_up_by_neither_manager():
    seen = []
    managers.Replacement(Recorded("new", seen, {}), Recorded("old", seen, {})).disable("wg0")
    assert seen == ["disable new", "disable old"]
