"""A mesh drawn, and its page written; the nodes are stand-ins."""

import json
import os
import stat

import pytest

from answering import Fleet
from operating import operator_of
from saltext.wireguard.control.report import drawn, report
from saltext.wireguard.errors import ConfigError
from saltext.wireguard.report.page import recall

PEERS = "peers: {phone: {public_key: mz8OIWOFMGdsAaGpl4S01Wzn7LBVlnBHSn9cBWJTsFs=, addresses: [10.42.0.9]}}"


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path, "abc")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "mesh.html"


def write(fleet, file, network=None, probe=False, **options):
    return report(operator_of(fleet, **options), str(file), network, probe, 0.2)


def values(file):
    return json.loads(file.read_text().partition('id="data">')[2].partition("</script>")[0])["networks"][0]


# -- graph


def test_a_drawing_has_the_members_and_asks_nobody(fleet):
    (network,) = json.loads(drawn(operator_of(fleet), None, "json"))["networks"]
    assert [node["name"] for node in network["nodes"]] == ["a", "b", "c"]
    assert fleet.jobs == []


@pytest.mark.parametrize(("network", "form"), [("other", "dot"), (None, "png")])
def test_there_is_no_drawing_of_what_there_is_not(fleet, network, form):
    with pytest.raises(ConfigError, match=r"there is no (network other|format png)"):
        drawn(operator_of(fleet), network, form)


# -- report


def test_the_page_has_what_is_configured_proved_and_seen(fleet, file):
    fleet.mesh.write_text(fleet.mesh.read_text() + f"    {PEERS}\n")
    fleet.reconcile()
    fleet.forget()
    fleet.broken = {"c": "wg0 is not set up"}
    answer = write(fleet, file)
    assert fleet.functions == [("wireguard.status", ["a", "b", "c"])]
    assert answer == {
        "answer": f"{file} has 4 nodes, 0 pairs to look at and 0 warnings",
        "file": str(file),
        "bytes": file.stat().st_size,
        "changes": [],
    }
    assert values(file)["names"] == ["a", "b", "c", "phone"]
    assert values(file)["states"] == ".uuu" + "u.uu" + "??.?" + "???."
    known = recall(file.read_text()).nodes
    assert known["net", "a"].addresses == ("10.42.0.1",)
    assert known["net", "c"].problem == "wg0 is not set up"
    assert known["net", "phone"].addresses == ("10.42.0.9",)
    assert "joined" in file.read_text()


def test_with_probe_the_nodes_ping_each_other(fleet, file):
    fleet.lost = {("a", "b")}
    write(fleet, file, probe=True)
    assert [function for function, _ in fleet.functions] == ["wireguard.status", "wireguard.probe"]
    found = values(file)
    assert found["loss"] == [-1, 100, 0, 0, -1, 0, 0, 0, -1]
    assert found["rtt"] == [-1, -1, 50, 50, -1, 50, 50, 50, -1]


def test_without_a_salt_master_the_page_has_what_the_registry_knows(fleet, file):
    write(fleet, file, running=False)
    assert fleet.jobs == []
    assert "cannot be asked: no salt-master runs here" in file.read_text()


def test_the_next_report_says_what_has_changed(fleet, file):
    write(fleet, file)
    fleet.off = {"c"}
    fleet.accept("d")
    fleet.register("d")
    fleet.reconcile()
    answer = write(fleet, file)
    assert answer["changes"] == ["c is not in sync: out of date", "c says nothing of itself: no answer", "d is new"]
    assert "<li>d is new</li>" in file.read_text()


def test_only_the_owner_can_read_a_new_page_and_a_later_one_keeps_its_mode(fleet, file):
    write(fleet, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    write(fleet, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_page_that_somebody_else_put_there_does_not_decide_who_reads_the_next_one(fleet, file):
    """In /tmp, anybody could lay a report down with a mode of their choice, and root would fill it."""
    write(fleet, file)
    os.chown(file, 12345, 12345)
    file.chmod(0o666)
    write(fleet, file)
    status = file.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, os.getegid(), 0o600)


def test_a_node_that_is_no_member_is_not_shown_as_one_in_sync(fleet, file):
    """The mesh file may name a node before its Salt key is accepted."""
    fleet.mesh.write_text(fleet.mesh.read_text().replace("'*': {}", "'*': {}, later: {}"))
    write(fleet, file)
    assert recall(file.read_text()).nodes["net", "later"].why == "no member: its Salt key is not accepted"


def test_a_file_that_is_no_report_stays_as_it_is(fleet, file):
    file.write_text("precious")
    with pytest.raises(ConfigError, match=r"mesh.html is not overwritten: it is no report of these modules. Remove it"):
        write(fleet, file)
    assert file.read_text() == "precious"
    assert fleet.jobs == []


def test_no_other_kind_of_file_can_be_made_by_a_report(fleet, tmp_path):
    """Who may run this by API would make any file of root's."""
    with pytest.raises(ConfigError, match=r"file must end with \.html"):
        write(fleet, tmp_path / "nologin")
    assert not (tmp_path / "nologin").exists()


def test_no_link_is_followed(fleet, file, tmp_path):
    target = tmp_path / "target.html"
    write(fleet, target)
    before = target.read_text()
    file.symlink_to(target)
    with pytest.raises(ConfigError, match="it is no regular file"):
        write(fleet, file)
    assert (target.read_text(), file.is_symlink()) == (before, True)


def test_what_a_killed_writer_left_behind_goes_away(fleet, file):
    leftover = file.with_name(".mesh.html.abcdefgh.tmp")
    leftover.write_text("half")
    write(fleet, file)
    assert not leftover.exists()
    assert sorted(os.listdir(file.parent)) == ["mesh.html", "mesh.yml", "minions", "state"]


def test_a_folder_that_is_not_there_is_an_error(fleet, tmp_path):
    with pytest.raises(ConfigError, match=r"no/mesh.html could not be written: No such file or directory"):
        write(fleet, tmp_path / "no" / "mesh.html")


def test_another_network_is_an_error_before_anybody_is_asked(fleet, file):
    with pytest.raises(ConfigError, match="there is no network other"):
        write(fleet, file, network="other")
    assert fleet.jobs == []
