"""What a node reports unasked."""

import json

from views import PEERS, registered


def said(host):
    """(network, digest) of the reports."""
    signed = [json.loads(data["signed"]["statement"]) for tag, data in host.events if tag == "wireguard/report"]
    return [(each["network"], each["digest"]) for each in signed]


def test_a_device_that_did_not_come_up_at_boot_is_reported_to_the_master(host):
    """The master had the node in sync, and nobody repaired it."""
    view = registered(host)
    host.call("apply")
    host.run("ip", "link", "delete", "wg0")
    assert host.call("report_drift") == {"wg0": ["device wg0"]}
    assert said(host) == [("backbone", view.digest), ("backbone", "missing")]


def test_once_it_is_there_again_the_master_hears_of_it(host):
    view = registered(host)
    host.call("apply")
    host.run("ip", "link", "delete", "wg0")
    host.call("report_drift")
    host.call("apply")
    assert said(host)[-1] == ("backbone", view.digest)
    host.events.clear()
    assert host.call("report_drift") == {}
    assert said(host) == []


def test_a_node_without_a_master_says_it_only_to_who_asked(host):
    registered(host)
    host.call("apply")
    host.configure(master_uri=None)
    host.events.clear()
    host.run("ip", "link", "delete", "wg0")
    assert host.call("report_drift") == {"wg0": ["device wg0"]}
    assert said(host) == []


def test_an_interface_by_hand_is_nobody_elses_business(host):
    host.call("apply_interface", "wg1", addresses=["10.9.0.1/24"])
    host.run("ip", "link", "delete", "wg1")
    assert host.call("report_drift") == {}


def drift_of(host):
    """What the last report says that others changed."""
    signed = [json.loads(data["signed"]["statement"]) for tag, data in host.events if tag == "wireguard/report"]
    return signed[-1]["drift"]


def test_what_others_changed_is_reported_and_that_it_is_as_it_was_once(host):
    """A reconcile did not see it, as the node counted as in sync."""
    view = registered(host, *PEERS)
    host.call("apply")
    assert host.call("report_drift") == {}
    host.run("ip", "address", "add", "10.42.0.9/16", "dev", "wg0")
    host.run("wg", "set", "wg0", "peer", PEERS[0].public_key, "remove")
    assert host.call("report_drift") == {"wg0": ["address 10.42.0.9/16", "peer node2"]}
    assert said(host)[-1] == ("backbone", view.digest)
    assert drift_of(host) == ["address 10.42.0.9/16", "peer node2"]
    host.run("ip", "address", "del", "10.42.0.9/16", "dev", "wg0")
    host.call("apply")
    assert drift_of(host) == []
    host.events.clear()
    assert host.call("report_drift") == {}
    assert host.events == []


def test_what_was_put_right_by_hand_is_reported_too(host):
    registered(host, *PEERS)
    host.call("apply")
    host.run("ip", "address", "add", "10.42.0.9/16", "dev", "wg0")
    host.call("report_drift")
    host.run("ip", "address", "del", "10.42.0.9/16", "dev", "wg0")
    for reports in (1, 0):
        host.events.clear()
        assert host.call("report_drift") == {}
        assert len(host.events) == reports
    assert host.call("apply")["backbone"]["changes"] == {}


def test_a_file_that_was_edited_is_reported(host):
    registered(host, *PEERS)
    host.call("apply")
    host.config.write_text(host.config.read_text() + "# mine\n")
    assert host.call("report_drift") == {"wg0": [str(host.config)]}
    assert said(host)[-1] == ("backbone", "unknown")


def test_a_peer_that_roamed_and_is_silent_now_was_changed_by_nobody(host):
    registered(host, *PEERS)
    host.call("apply")
    host.run("wg", "set", "wg0", "peer", PEERS[0].public_key, "endpoint", "192.0.2.9:7")
    assert host.call("report_drift") == {}


def test_nothing_is_said_in_the_middle_of_a_rotation(host):
    registered(host, *PEERS)
    host.call("apply")
    host.events.clear()
    (host.etc / "wg0.key").write_text((host.etc / "wg0.key").read_text().swapcase())
    assert host.call("report_drift") == {}
    assert host.events == []
