"""The beacon as Salt's own machinery runs it: validated, at its interval, with its settings."""

import pytest

pytest.importorskip("salt")

import salt.beacons
import salt.loader

from hosts import key, registered

CONFIGURATION = [{"looks": 2}, {"drift": 0}, {"interval": 1}]


@pytest.fixture
def beacons(host):
    """Salt's beacons of a node that has what it must have."""
    registered(host)
    host.call("apply")
    functions = salt.loader.minion_mods(host.opts, utils=salt.loader.utils(host.opts))
    host.opts["beacons"] = {"wireguard": CONFIGURATION}
    host.opts["loop_interval"] = 1
    made = salt.beacons.Beacon(host.opts, functions)
    assert process(made) == []  # Salt lets the first interval pass
    return made


def process(beacons, config=CONFIGURATION):
    """One round of Salt's: (tag, data). Nobody is at the other ends of the tunnels, which is told as well."""
    events = beacons.process({"wireguard": list(config)}, {})
    return [(each["tag"], each["data"]) for each in events if not each["tag"].endswith("/peer_down")]


def test_what_happens_on_a_real_device_becomes_an_event_of_salt(host, beacons):
    assert process(beacons) == []
    host.delete_device()
    assert process(beacons) == []
    ((tag, data),) = process(beacons)
    assert tag == "salt/beacon/node1/wireguard/interface_gone"
    assert data == {"what": "interface_gone", "interface": "wg0", "network": "backbone", "id": "node1"}
    host.call("apply")
    assert process(beacons) == []
    assert [tag.rpartition("/")[2] for tag, _ in process(beacons)] == ["interface_back"]


def test_a_peer_that_roamed_is_told_with_its_name(host, beacons):
    process(beacons)
    host.run("wg", "set", "wg0", "peer", key("node2"), "endpoint", "127.0.0.1:5555")
    assert process(beacons) == []
    ((tag, data),) = process(beacons)
    assert tag.endswith("/endpoint_moved")
    assert (data["peer"], data["old"], data["new"]) == ("node2", "127.0.0.1:4444", "127.0.0.1:5555")


def test_it_looks_at_its_interval_alone(host, beacons):
    config = [*CONFIGURATION[:2], {"interval": 10}]
    host.delete_device()
    rounds = [len(process(beacons, config)) for _ in range(35)]
    assert sum(rounds) == 1
    assert rounds.index(1) > 15


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"looks": 3}, "must be a list of mappings"),
        ([{"looks": 3}], "needs an interval in seconds, such as 10"),
        ([{"interval": 10}, {"looks": 0}], "looks of the beacon wireguard must be a whole number from 1 to 100"),
        ([{"interval": 10, "drift": True}], "drift of the beacon wireguard must be a whole number from 0 to 86400"),
        ([{"interval": 10, "at_most": "6"}], "at_most of the beacon wireguard must be a whole number from 1 to 1000"),
        ([{"interval": 10}, {"look": 3}], "has no setting 'look'; it has at_most, drift, looks"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused_with_the_reason(beacons, config, said):
    valid, comment = beacons.beacons["wireguard.validate"](config)
    assert not valid
    assert said in comment


def test_what_salt_itself_puts_into_a_configuration_is_valid(beacons):
    ours = [{"looks": 3}, {"at_most": 60}, {"drift": 600}]
    of_salt = [{"interval": 10}, {"disable_during_state_run": True}, {"enabled": True}, {"_beacon_name": "wireguard"}]
    assert beacons.beacons["wireguard.validate"]([*ours, *of_salt])[0]


def test_on_a_minion_without_the_modules_it_is_silent(host):
    bare = salt.loader.beacons(host.opts, {})
    assert bare["wireguard.beacon"]([{"looks": 1}]) == []
