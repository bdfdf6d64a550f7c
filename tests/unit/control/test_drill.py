"""What is foretold of a node that is off, and a drill that is done really."""

import pytest

from factories import mesh_text
from operating import operator_of
from saltext.wireguard.control import drill as verbs
from saltext.wireguard.errors import ConfigError
from unit.control.test_drain import BEHIND, HUBS, SUBNET, carrier, fleet_of

LINKS = "links: [[h, '*'], [i, '*']]"


@pytest.fixture
def fleet(tmp_path):
    return fleet_of(tmp_path, HUBS, "abhi", extra=LINKS)


def drill(fleet, off="h", really=None):
    return verbs.drill(operator_of(fleet), off, None, really, 0.5)


def test_a_drill_says_who_would_lose_what_and_what_takes_over_and_touches_nothing(fleet):
    said = drill(fleet)
    assert said["takes_over"] == [{"network": "net", "behind": [SUBNET], "to": "i", "nodes": ["a", "b"]}]
    assert said["lost"] == []
    assert said["answer"] == (
        f"without h, its peers would lose h itself, and a, b: {SUBNET} in network net, until i takes over"
    )
    assert fleet.jobs == []
    assert fleet.master.registry.snapshot().drains == {}


def test_what_nothing_takes_over_is_lost(tmp_path):
    fleet = fleet_of(tmp_path, "'*': {}, g: {routes: [192.168.44.0/24]}", "ag")
    said = drill(fleet, "g")
    assert said["lost"] == [{"network": "net", "behind": [BEHIND], "nodes": ["a"]}]
    assert said["answer"].endswith(f"a: {BEHIND} in network net, lost")


def test_without_a_plain_node_only_itself_is_lost(fleet):
    assert drill(fleet, "a")["answer"] == "without a, its peers would lose a itself, and nothing else"


def test_a_drill_that_is_done_really_moves_all_and_moves_them_back(fleet, monkeypatch):
    seen = []
    monkeypatch.setattr(verbs.time, "sleep", lambda seconds: seen.append((seconds, carrier(fleet, "a"))))
    said = drill(fleet, really="60s")
    assert seen == [(60, ["i"])]
    assert (said["moved"], said["moved_back"]) == ("2 nodes moved to i", "2 nodes moved to h")
    assert carrier(fleet, "a") == ["h"]


def test_a_drill_that_is_interrupted_is_taken_back(fleet, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(verbs.time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        drill(fleet, really="60s")
    assert carrier(fleet, "a") == ["h"]


def test_a_drill_whose_master_died_ends_by_itself(fleet, monkeypatch):
    """The registry knows when it is over: the next reconcile moves the nodes back, and the engine knows when."""

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(verbs, "undrain", killed)
    monkeypatch.setattr(verbs.time, "sleep", killed)
    monkeypatch.setattr(verbs, "GRACE_SECONDS", -59.0)
    with pytest.raises(KeyboardInterrupt):
        drill(fleet, really="60s")
    assert carrier(fleet, "a") == ["i"]
    until = fleet.master.moment().unguarded.valid_until
    (lapses,) = [each.until for each in fleet.master.registry.snapshot().drains.values()]
    assert until == lapses
    monkeypatch.setattr("saltext.wireguard.master.master.time.time", lambda: lapses)
    monkeypatch.setattr("saltext.wireguard.registry.drains.time.time", lambda: lapses)
    before = fleet.master.registry.snapshot().generation
    assert fleet.master.moment().unguarded.generation == before + 1
    fleet.reconcile()
    assert carrier(fleet, "a") == ["h"]
    assert fleet.master.registry.audit.history("h")[-1].what == "undrained"


@pytest.mark.parametrize(("really", "why"), [("soon", "'soon' is not a duration"), ("2h", "from 5s to 1h")])
def test_a_drill_takes_a_sensible_time(fleet, really, why):
    with pytest.raises(ConfigError, match=f"^really: .*{why}"):
        drill(fleet, really=really)


def test_nobody_loses_anything_without_a_stranger(fleet):
    fleet.mesh.write_text(mesh_text(HUBS.replace("'*': {endpoint: false}", "a: {}, b: {}"), extra=LINKS))
    with pytest.raises(ConfigError, match="x is not in any network"):
        drill(fleet, "x")
