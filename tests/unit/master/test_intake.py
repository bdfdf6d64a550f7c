"""What the master takes in, with real signatures, a real registry and a real mesh file."""

import json
import logging
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from factories import mesh_text, public_key, registration
from saltext.wireguard.errors import MeshError, RegistryError
from saltext.wireguard.master.intake import hear
from saltext.wireguard.master.status import leftovers
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Report
from saltext.wireguard.registry import generation, pace
from speaking import believed, event, logged, refused, says


def test_a_registration_is_news_and_puts_the_node_into_the_views_of_the_others(master):
    assert says(master, registration("a")) is True
    assert says(master, registration("b")) is True
    assert [peer.name for peer in master.moment().fleet().views("a")["net"].peers] == ["b"]


def test_a_registration_is_news_once(master):
    says(master, registration("a"))
    assert says(master, registration("a")) is False
    assert refused(master) == []


def test_a_report_is_news_once(master):
    assert says(master, Report("a", "net", "digest", 1)) is True
    assert says(master, Report("a", "net", "digest", 1)) is False
    assert refused(master) == []


def test_who_sends_a_statement_does_not_matter(master):
    assert says(master, registration("a"), sender="b") is True


@pytest.mark.parametrize("tag", ["", "salt/job/1/ret/a", "wireguard/other", REGISTER_TAG + "/x", "wireguard", None])
def test_events_with_other_tags_are_no_news(master, tag, tmp_path):
    assert hear(master, tag, event(registration("a"))) is False
    assert not (tmp_path / "state").exists()


def test_a_registration_is_taken_in_while_mesh_file_and_registry_contradict_each_other(master, tmp_path):
    """The contradiction concerns others, and the node would have had to come again."""
    says(master, registration("a"))
    (tmp_path / "mesh.yml").write_text(mesh_text("a: {}, b: {}, later: {addresses: [10.42.0.1]}"))
    with pytest.raises(MeshError):
        master.moment().fleet()
    assert says(master, registration("b")) is True


def deep(levels):
    found = []
    for _ in range(levels):
        found = [found]
    return found


GOOD = event(registration("a"))


HOSTILE = {
    "none": None,
    "text": "text",
    "bytes": b"\xff\x00",
    "number": 10**100,
    "list": [],
    "empty": {},
    "no data": {"id": "a"},
    "data none": {"data": None},
    "data text": {"data": "signed"},
    "data list": {"data": [GOOD["data"]]},
    "signed none": {"data": {"signed": None}},
    "signed list": {"data": {"signed": [1, 2]}},
    "signed deep": {"data": {"signed": deep(5000)}},
    "statement deep": {"data": {"signed": {"statement": "[" * 8000, "signature": "QUJD"}}},
    "statement of bytes": {"data": {"signed": {"statement": b"{}", "signature": b"QUJD"}}},
    "statement of another type": {"data": {"signed": {"statement": {"node": "a"}, "signature": "QUJD"}}},
    "huge": {"data": {"signed": {"statement": "x" * 5_000_000, "signature": "QUJD"}}},
    "not ASCII": {"data": {"signed": {"statement": "\ud800", "signature": "\udfff"}}},
    "no signature": {"id": "a", "data": {"signed": {"statement": GOOD["data"]["signed"]["statement"]}}},
    "line breaks": {
        "id": "a\nforged line",
        "data": {"signed": {"statement": json.dumps({"node": "a\nb", "network": "n"}), "signature": "QUJD"}},
    },
    "escapes": {
        "id": "\x1b[2J",
        "data": {"signed": {"statement": json.dumps({"node": "\x1b[2J", "network": "\r"}), "signature": "QUJD"}},
    },
    "lone surrogate as sender": {"id": "\ud800", "data": {}},
    "format as sender": {"id": "%s%n%(x)s", "data": {}},
    "deep sender": {"id": deep(5000), "data": {}},
    "long sender": {"id": "x" * 1_000_000, "data": {}},
    "sender of bytes": {"id": b"\xff", "data": {}},
}


@pytest.mark.parametrize("tag", [REGISTER_TAG, REPORT_TAG])
@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_event_is_one_line_in_the_log_and_counts_and_changes_nothing(master, caplog, tag, hostile):
    """A sender of deeply nested lists raised RecursionError, which ended the engine."""
    says(master, registration("b"))
    before = believed(master)
    with caplog.at_level(logging.DEBUG):
        assert hear(master, tag, hostile) is False
        assert hear(master, tag, hostile) is False
    assert believed(master) == before
    ((_, _, _, count),) = refused(master)
    assert count == 2
    messages = [entry.getMessage() for entry in logged(caplog)]
    assert len(messages) == 2
    assert all(message.isprintable() and len(message) < 1000 for message in messages)
    assert {entry.levelname for entry in logged(caplog)} == {"WARNING"}


FORGED = {
    "signed by another minion": (
        event(registration("a", 9, public_key=public_key("evil")), signer="b"),
        "a",
        "signature",
    ),
    "signed by nobody accepted": (event(registration("c", 9)), "c", "c is not an accepted minion"),
    "not in the mesh file": (event(registration("z", 9)), "z", "z is no member of network net: not in the mesh file"),
    "no such network": (event(registration("a", 9, network="x")), "a", "the mesh file has no network x"),
    "path as node": (event(replace(registration("b"), node="../minions/b"), signer="b"), "../minions/b", "accepted"),
    "another's public key": (event(registration("b", 9, public_key=public_key("a"))), "b", "already that of a"),
    "old": (event(registration("a", 4, public_key=public_key("old"))), "a", "its serial 4 is not newer than 5"),
    "a report": (event(Report("a", "net", "0", 9)), "a", "not a statement of the kind saltext-wireguard/registration"),
}


@pytest.mark.parametrize(("forged", "node", "reason"), FORGED.values(), ids=FORGED)
def test_a_registration_that_is_not_believed_changes_nothing_and_is_kept_with_its_reason(
    master, caplog, forged, node, reason
):
    says(master, registration("a", 5))
    before = believed(master), master.moment().fleet().digests()
    assert hear(master, REGISTER_TAG, forged) is False
    assert (believed(master), master.moment().fleet().digests()) == before
    ((kept_node, _, kept_reason, _),) = refused(master)
    assert kept_node == node
    assert reason in kept_reason
    (entry,) = logged(caplog)
    assert f"refused what came as {REGISTER_TAG} in the name of {node} for network " in entry.getMessage()


FORGED_REPORTS = {
    "signed by another minion": (event(Report("a", "net", "x", 9), signer="b"), "signature"),
    "not accepted": (event(Report("c", "net", "x", 9)), "c is not an accepted minion"),
    "no such network": (event(Report("a", "x", "x", 9)), "the mesh file has no network x"),
    "old": (event(Report("a", "net", "x", 4)), "its serial 4 is not newer than 5"),
    "a registration": (GOOD, "not a statement of the kind saltext-wireguard/report"),
}


def test_a_minion_that_was_never_in_the_network_has_nothing_to_report(master, tmp_path):
    """It would have been waited for in every reconcile, as one that left and has still to take its interface down."""
    (tmp_path / "mesh.yml").write_text(mesh_text("b: {}"))
    assert says(master, Report("a", "net", "digest", 1)) is False
    assert "a is no member of network net" in refused(master)[0][2]
    assert leftovers(master.moment()) == []


def test_a_node_that_left_may_still_report(master, tmp_path):
    says(master, registration("a"))
    (tmp_path / "mesh.yml").write_text(mesh_text("b: {}"))
    assert says(master, Report("a", "net", "digest", 1)) is True
    assert leftovers(master.moment()) == [("net", "a")]


@pytest.mark.parametrize(("forged", "reason"), FORGED_REPORTS.values(), ids=FORGED_REPORTS)
def test_a_report_that_is_not_believed_changes_nothing_and_is_kept_with_its_reason(master, forged, reason):
    says(master, Report("a", "net", "digest", 5))
    before = believed(master)
    assert hear(master, REPORT_TAG, forged) is False
    assert believed(master) == before
    assert reason in refused(master)[0][2]


def test_the_log_names_the_sender_that_the_event_names(master, caplog):
    says(master, registration("a"), signer="b", sender="b")
    assert logged(caplog)[0].getMessage().endswith("(the event names 'b' as its sender)")


def test_the_public_key_of_an_external_peer_is_refused(master, tmp_path):
    peers = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.200]}}"
    (tmp_path / "mesh.yml").write_text(mesh_text("'*': {}", peers=peers))
    assert says(master, registration("a", public_key=public_key("phone"))) is False
    assert refused(master)[0][2] == "its public key is that of the peer phone in the mesh file"


def test_a_minion_with_the_name_of_an_external_peer_is_refused(master, tmp_path):
    peers = f"b: {{public_key: {public_key('phone')}, addresses: [10.42.0.200]}}"
    (tmp_path / "mesh.yml").write_text(mesh_text("'*': {}", peers=peers))
    assert says(master, registration("b")) is False


def test_a_full_pool_is_a_refusal(master, tmp_path):
    (tmp_path / "mesh.yml").write_text(mesh_text(subnets="10.42.0.0/31"))
    assert [says(master, registration(node)) for node in "abz"] == [True, True, False]
    assert "has no free IPv4 address for z" in refused(master)[0][2]


def test_a_key_that_was_deleted_is_not_accepted_from_then_on(master, tmp_path):
    says(master, registration("a"))
    (tmp_path / "minions" / "a").unlink()
    assert says(master, registration("a", 2)) is False


def test_an_invalid_mesh_file_is_no_refusal_but_an_error(master, tmp_path):
    (tmp_path / "mesh.yml").write_text("networks: {net: {}}")
    with pytest.raises(MeshError):
        says(master, registration("a"))
    assert refused(master) == []


def test_a_broken_registry_is_no_refusal_but_an_error(master, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "registry.db").write_text("garbage " * 1000)
    with pytest.raises(RegistryError):
        says(master, registration("a"))


def test_a_registry_from_a_backup_comes_to_a_generation_later_than_what_nodes_have_heeded(master):
    """Nodes refuse what is older than what they have: nothing would ever have reached them again."""
    says(master, registration("a"))
    ahead = master.registry.snapshot().generation + 10**12
    says(master, Report("a", "net", "digest", 2, generation=ahead))
    assert master.registry.snapshot().generation > ahead


def test_a_report_of_an_older_generation_changes_no_generation(master):
    says(master, registration("a"))
    before = master.registry.snapshot().generation
    says(master, Report("a", "net", "digest", 2, generation=1))
    assert master.registry.snapshot().generation == before


def test_a_generation_of_days_to_come_is_refused(master):
    """By one such report, a member would have moved the generations of all others for ever."""
    says(master, registration("a"))
    before = master.registry.snapshot().generation
    assert not says(master, Report("a", "net", "digest", 2, generation=2**63 - 1))
    assert refused(master)[0][2] == f"its generation {2**63 - 1} is more than a day ahead of the master's clock"
    assert master.registry.snapshot().generation == before


def test_a_generation_of_days_to_come_that_the_registry_itself_gave_out_is_heard(master, monkeypatch):
    """The master's clock had been ahead: from when it was right again, no node's report was taken for days."""
    ahead = SimpleNamespace(**vars(time))
    ahead.time_ns = lambda: time.time_ns() + 10 * 86_400 * 10**9
    with monkeypatch.context() as patch:
        patch.setattr(generation, "time", ahead)
        says(master, registration("a"))
    given = master.registry.snapshot().generation
    assert given > time.time_ns() + 9 * 86_400 * 10**9
    assert says(master, Report("a", "net", "digest", 2, generation=given))
    assert not says(master, Report("a", "net", "another", 3, generation=given + 10**9))


def test_a_flood_of_what_a_member_truly_says_is_refused_without_a_look_at_the_registry(master, monkeypatch):
    """Each took 2 ms of the engine: 50 a second were a tenth of a core."""
    monkeypatch.setattr(pace, "AT_ONCE", 10)
    monkeypatch.setattr(pace, "A_SECOND", 0.0)
    for serial in range(1, 31):
        says(master, registration("a", serial))
    ((node, _, reason, count),) = refused(master)
    assert (node, reason, count) == ("a", "it is one of more than 0 statements a second", 20)
    assert master.registry.last_serials("a", master.accepted()["a"].fingerprint) == {"net": 10}
    assert says(master, registration("b"))
