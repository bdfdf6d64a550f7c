"""What `salt '*' wireguard.FUNCTION` prints for people."""

import pytest
from views import PEERS, peer, registered

from saltext.wireguard.control.nodetext import tabulated
from saltext.wireguard.control.text import render_return
from saltext.wireguard.device.echo import PingResult
from unit.node.host import load


def ping(silent=(), narrow=()):
    return PingResult(1420, 3, tuple(silent), dict(narrow)).to_dict()


def lines(data):
    """The words of each line, without those of the columns."""
    return [line.split() for line in render_return(data).splitlines() if not line.startswith("  node ")]


def test_pings_of_a_fleet_are_one_table():
    """They were nested dictionaries, six lines for each node."""
    assert lines({"web1": {"backbone": ping(["db1"])}, "db1": {"backbone": ping(narrow={"web1": 1372})}})[:3] == [
        ["pings:"],
        ["db1", "backbone", "3", "-", "1420", "web1", "1372"],
        ["web1", "backbone", "3", "db1", "1420", "-"],
    ]


def test_only_what_is_to_be_done_is_commented_on():
    assert "comments" not in tabulated({"web1": {"backbone": ping()}})
    assert tabulated({"web1": {"backbone": ping(["db1"])}})["comments"] == [
        {"node": "web1", "network": "backbone", "comment": "no answer from db1"}
    ]


def test_a_node_that_returns_something_else_is_shown_as_well():
    shown = tabulated({"web1": {"backbone": ping()}, "db1": "ERROR: Minion did not return", "web2": {}})
    assert shown["others"] == {"db1": "ERROR: Minion did not return", "web2": {}}
    assert [row["node"] for row in shown["pings"]] == ["web1"]


def test_a_device_is_shown_with_its_peers_and_the_time_of_a_handshake_has_its_zone(host):
    registered(host, *PEERS)
    host.call("apply")
    host.machine.devices["wg0"].peers[PEERS[0].public_key].handshake = 1_700_000_000
    shown = tabulated({"web1": host.call("show")})
    assert [(row["interface"], row["up"]) for row in shown["interfaces"]] == [("wg0", True)]
    found = {row["peer"]: row["latest_handshake"] for row in shown["peers"]}
    assert found.keys() == {each.name for each in PEERS}
    assert found[PEERS[0].name][:11] in ("2023-11-14 ", "2023-11-15 ")
    assert found[PEERS[1].name] is None


def test_an_apply_and_what_a_sync_would_do_are_shown_like_a_plan(host):
    registered(host, PEERS[0])
    text = render_return({"web1": host.call("apply")})
    assert "web1  backbone  yes" in text
    assert f"+ peer {PEERS[0].name}" in text
    registered(host, PEERS[0], peer("new"))
    assert "+ peer new" in render_return({"web1": host.call("sync", test=True)})
    assert [line[:3] for line in lines({"web1": host.call("sync")})] == [["results:"], ["web1", "backbone", "yes"]]


def test_what_was_changed_by_hand_is_shown_like_a_plan(host):
    registered(host, PEERS[0])
    host.call("apply")
    host.machine.devices["wg0"].peers.clear()
    assert f"+ peer {PEERS[0].name}" in render_return({"web1": host.call("drift")})


@pytest.mark.parametrize(
    "odd",
    [
        *(None, 3, "text", [], [{"a": 1}], {"net": None}, {"net": {"result": True}}, {"networks": "x"}, {None: {}}),
        {"net": {**ping(), "narrow": 5}},
        {"net": {"result": True, "comment": "", "changes": {"mtu": 5}}},
        {"wg0": {"public_key": "", "port": 1, "mtu": 1, "up": 1, "addresses": 1, "routes": 1, "peers": {"k": {}}}},
        {"net": {"changes": [5], "more": 0, "digest": None, "live": 0, "live_keys": []}},
    ],
)
def test_whatever_a_node_returns_the_others_are_shown(odd):
    assert ["web1", "backbone", "3", "-", "1420", "-"] in lines({"evil": odd, "web1": {"backbone": ping()}})


def test_the_functions_that_people_read_have_the_outputter():
    module = load("_modules")
    assert {"ping", "show", "sync", "apply_"} <= module.__outputter__.keys()
    assert all(hasattr(module, name) for name in module.__outputter__)
