"""What is in the pillar's schedule; that Salt takes it is in tests/functional/test_pillar_loaded.py."""

from factories import public_key as key
from saltext.wireguard.model.schedule import schedule
from saltext.wireguard.model.view import Peer, View


def view(endpoint):
    return View("wg0", ("10.42.0.9/24",), (Peer("db1", key("db1"), ("10.42.0.1/32",), endpoint),))


def test_every_node_looks_whether_its_devices_are_there_when_its_minion_starts():
    """Salt runs a job with `seconds` at the start of a minion, unless `run_on_start` says otherwise."""
    job = schedule([view("192.0.2.1:51820")])["wireguard_report_drift"]
    assert (job["function"], job["return_job"]) == ("wireguard.report_drift", False)
    assert "seconds" in job
    assert "run_on_start" not in job


def test_names_are_looked_up_again_where_an_endpoint_of_any_network_is_one():
    assert "wireguard_reresolve" not in schedule([view("192.0.2.1:51820"), view(None)])
    job = schedule([view(None), view("db1.example.com:51820")])["wireguard_reresolve"]
    assert (job["function"], job["return_job"]) == ("wireguard.reresolve", False)


def test_who_has_no_network_has_nothing_to_do():
    assert schedule([]) == {}
