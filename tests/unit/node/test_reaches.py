"""Which addresses a node counts when the master asks it whom it reaches; the real packets are for the lab."""

import contextlib

import pytest
from views import peer, registered

from saltext.wireguard.model.statements import REACHED, Reached
from saltext.wireguard.node import echo_sockets
from saltext.wireguard.registry.evidence import verify

HUB1 = peer("hub1", "10.42.0.2/32", "10.42.0.0/16")
HUB2 = peer("hub2", "10.42.0.3/32")
OWN = "10.42.0.1"


class Sockets:
    """Answers come from these addresses."""

    def __init__(self, alive):
        self.alive = alive
        self.asked = set()

    def send(self, sizes, number):
        self.asked |= set(sizes)

    def replies(self, seconds):
        return [(address, 1, 84) for address in sorted(self.alive & self.asked)]


@pytest.fixture
def ask(host, monkeypatch):
    registered(host, HUB1, HUB2)
    host.call("apply")

    def asked(targets, alive=(), by=None):
        sockets = Sockets(set(alive))
        monkeypatch.setattr(echo_sockets, "opened", lambda _: contextlib.nullcontext(sockets))
        monkeypatch.setattr("saltext.wireguard.node.reaches.SECONDS", 0.01)
        said = host.call("reaches", "backbone", "question 1", targets, by)
        return said, sockets.asked

    return asked


def test_a_name_is_reached_if_one_of_its_addresses_answers_and_that_is_signed(host, ask):
    targets = {"through": ["10.42.0.7", "10.42.0.8"], "other": ["10.42.0.3"]}
    said, asked = ask(targets, alive=["10.42.0.8"])
    assert said["networks"] == {"backbone": {"reached": ["through"]}}
    (signed,) = said[REACHED]
    statement, _ = verify(signed, Reached, host.accepted_keys())
    assert statement == Reached("node1", "backbone", "question 1", ("through",))
    assert asked == {"10.42.0.3", "10.42.0.7", "10.42.0.8"}


def test_its_own_addresses_do_not_count(ask):
    said, asked = ask({"through": [OWN, "10.42.0.7"]}, alive=[OWN])
    assert said["networks"]["backbone"]["reached"] == []
    assert asked == {"10.42.0.7"}


def test_what_is_reached_without_the_hub_says_nothing_about_the_hub(ask):
    said, asked = ask({"through": ["10.42.0.3", "10.42.0.7"]}, alive=["10.42.0.3"], by={"through": "hub1"})
    assert said["networks"]["backbone"]["reached"] == []
    assert asked == {"10.42.0.7"}


def test_a_node_that_reaches_nothing_that_way_has_no_vote(ask):
    said, _ = ask({"through": [OWN, "10.42.0.3"]}, alive=["10.42.0.3"], by={"through": "hub1"})
    assert said[REACHED] == []
    assert said["networks"]["backbone"]["comment"] == "wg0 does not reach any of 10.42.0.1, 10.42.0.3 that way"


@pytest.mark.parametrize("targets", ["all", {"x": ["10.42.0.0/16"]}, {f"{number}": [OWN] for number in range(11)}])
def test_other_targets_are_an_error(host, targets):
    assert host.error("reaches", "backbone", "question 1", targets).startswith("targets: ")
