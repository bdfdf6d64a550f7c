"""What a node reports unasked."""

import json

from views import registered


def said(host):
    """(network, digest) of the reports."""
    signed = [json.loads(data["signed"]["statement"]) for tag, data in host.events if tag == "wireguard/report"]
    return [(each["network"], each["digest"]) for each in signed]


def test_a_device_that_did_not_come_up_at_boot_is_reported_to_the_master(host):
    """The master had the node in sync, and nobody repaired it."""
    view = registered(host)
    host.call("apply")
    host.run("ip", "link", "delete", "wg0")
    assert host.call("report_missing") == ["wg0"]
    assert said(host) == [("backbone", view.digest), ("backbone", "missing")]


def test_once_it_is_there_again_the_master_hears_of_it(host):
    view = registered(host)
    host.call("apply")
    host.run("ip", "link", "delete", "wg0")
    host.call("report_missing")
    host.call("apply")
    assert said(host)[-1] == ("backbone", view.digest)
    host.events.clear()
    assert host.call("report_missing") == []
    assert said(host) == []


def test_a_node_without_a_master_says_it_only_to_who_asked(host):
    registered(host)
    host.call("apply")
    host.configure(master_uri=None)
    host.events.clear()
    host.run("ip", "link", "delete", "wg0")
    assert host.call("report_missing") == ["wg0"]
    assert said(host) == []


def test_an_interface_by_hand_is_nobody_elses_business(host):
    host.call("apply_interface", "wg1", addresses=["10.9.0.1/24"])
    host.run("ip", "link", "delete", "wg1")
    assert host.call("report_missing") == []
