"""What the master takes in, with real signatures, a real registry and a real mesh file."""

import json
import logging
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from factories import accept, master_of, mesh_text, public_key, registration, salt_key
from saltext.wireguard.errors import ConfigError, MeshError, RegistryError
from saltext.wireguard.master import master as master_module
from saltext.wireguard.master.master import Master
from saltext.wireguard.model import statements
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, UNKNOWN, Report, Rollback


@pytest.fixture
def master(tmp_path):
    made = master_of(tmp_path, "a: {}, b: {}, c: {}")
    for name in "abz":
        accept(made, name)
    return made


def event(statement, signer=None, sender=None):
    signed = statements.sign(statement, salt_key(signer or statement.node).private_pem)
    return {"id": sender or statement.node, "data": {"signed": signed}, "_stamp": "2026-01-01T00:00:00"}


def says(master, statement, **kwargs):
    tag = REPORT_TAG if isinstance(statement, Report) else REGISTER_TAG
    return master.hear(tag, event(statement, **kwargs))


def believed(master):
    rows = {key: (row.public_key, row.serial) for key, row in master.registry.snapshot().rows.items()}
    return rows, {key: (each.digest, each.salt_key) for key, each in master.registry.applied().items()}


def reasons(master):
    return {status.member.node: status.reason for status in master.status()}


def logged(caplog):
    """What our modules logged; plugins of pytest have threads that log as well."""
    return [entry for entry in caplog.records if entry.name.startswith("saltext.wireguard")]


def refused(master):
    return [(each.node, each.network, each.reason, each.count) for each in master.registry.refusals()]


# --- Salt's options --------------------------------------------------------------------------------------------------

OPTS = {
    "cachedir": "/var/cache/salt/master",
    "pki_dir": "/etc/salt/pki/master",
    "ext_pillar": [{"git": []}, {"wireguard": {"mesh": "/srv/wireguard/mesh.yml"}}],
}


def test_the_paths_come_from_the_options_of_the_salt_master():
    assert Master.from_opts(OPTS) == Master(
        "/srv/wireguard/mesh.yml", "/etc/salt/pki/master/minions", "/var/cache/salt/master/wireguard"
    )


def test_the_key_directory_of_a_cluster_is_that_of_the_cluster():
    opts = {**OPTS, "cluster_id": "c1", "cluster_pki_dir": "/mnt/pki"}
    assert Master.from_opts(opts).keys_dir == "/mnt/pki/minions"


@pytest.mark.parametrize(("own", "node"), [("node1_master", "node1"), ("node1", "node1")])
def test_a_minion_on_the_masters_machine_is_known_by_the_masters_id(own, node):
    assert Master.from_opts({**OPTS, "id": own}).own_minion == node


def test_the_nodes_that_others_are_reached_through_come_last(master):
    Path(master.mesh_path).write_text(mesh_text("a: {hub: true}, b: {routes: [192.168.40.0/24]}, '*': {}"))
    assert replace(master, own_minion="z").last() == {"a", "b", "z"}


@pytest.mark.parametrize(
    "ext_pillar",
    [
        None,
        [],
        {},
        {"wireguard": {"mesh": "x"}},
        ["wireguard"],
        [None, 1],
        [{"wireguard": None}],
        [{"wireguard": {}}],
        [{"wireguard": "mesh.yml"}],
        [{"wireguard": {"mesh": None}}],
        [{"wireguard": {"mesh": ["x"]}}],
    ],
)
def test_options_without_a_mesh_file_are_an_error_that_says_what_to_write(ext_pillar):
    with pytest.raises(ConfigError, match=r"ext_pillar:\n  - wireguard:\n      mesh: /srv/wireguard/mesh.yml"):
        Master.from_opts({**OPTS, "ext_pillar": ext_pillar})


def test_options_that_keep_keys_elsewhere_are_an_error_that_says_what_to_write():
    with pytest.raises(ConfigError, match=r"'mmap_key' \(keys.cache_driver\).*set keys.cache_driver to localfs_key"):
        Master.from_opts({**OPTS, "keys.cache_driver": "mmap_key"})


LONG = "a secret that is long enough for this"


def test_a_secret_of_the_options_is_what_preshared_keys_come_from(master):
    want_preshared_keys(master)
    configured = Master.from_opts({**OPTS, "ext_pillar": [{"wireguard": {"mesh": "x", "preshared_secret": LONG}}]})
    there = replace(master, configured_secret=configured.configured_secret)
    assert there.secret().text == LONG
    assert not Path(master.state_dir, "preshared.secret").exists()
    with pytest.raises(ConfigError, match="change it where it is kept, restart salt-master, and run `salt-run wire"):
        there.renew_secret("me", "")


@pytest.mark.parametrize(
    ("value", "why"), [("sdb://vault/x", "could not be looked up"), ("c2VjcmV0", "at least 32"), (5, "at least 32")]
)
def test_a_secret_that_was_not_looked_up_or_is_short_is_an_error_that_does_not_show_it(value, why):
    options = {**OPTS, "ext_pillar": [{"wireguard": {"mesh": "x", "preshared_secret": value}}]}
    with pytest.raises(ConfigError, match=why) as caught:
        Master.from_opts(options)
    assert str(value) not in str(caught.value).replace("32", "")


def want_preshared_keys(master):
    Path(master.mesh_path).write_text(mesh_text("'*': {}", extra="preshared_keys: true"))


def test_no_secret_is_made_as_long_as_no_network_wants_preshared_keys(master):
    assert master.secret() is None
    assert master.fleet()
    assert not Path(master.state_dir, "preshared.secret").exists()


def test_only_the_pillar_has_preshared_keys(master):
    says(master, registration("a"))
    says(master, registration("b"))
    want_preshared_keys(master)
    (peer,) = master.views("a")["net"].peers
    assert peer.preshared_key == master.secret().key(public_key("a"), public_key("b"))
    assert peer.preshared_key not in str([each.to_dict() for each in master.fleet().views("a").values()])


def test_a_renewed_secret_makes_every_node_out_of_date(master):
    says(master, registration("a"))
    want_preshared_keys(master)
    before = master.fleet().digests()
    assert master.fleet().digests() == before
    master.renew_secret("me", "an administrator left")
    assert master.fleet().digests() != before
    last = master.registry.history()[-1]
    assert (last.node, last.what, last.who, last.why) == ("a", "preshared", "me", "an administrator left")


def test_a_secret_that_nobody_uses_is_not_renewed(master):
    with pytest.raises(ConfigError, match=r"no network of .* has `preshared_keys: true`"):
        master.renew_secret("me", "")


# --- what is right ---------------------------------------------------------------------------------------------------


def test_a_registration_is_news_and_puts_the_node_into_the_views_of_the_others(master):
    assert says(master, registration("a")) is True
    assert says(master, registration("b")) is True
    assert [peer.name for peer in master.fleet().views("a")["net"].peers] == ["b"]


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
    assert master.hear(tag, event(registration("a"))) is False
    assert not (tmp_path / "state").exists()


def test_a_registration_is_taken_in_while_mesh_file_and_registry_contradict_each_other(master, tmp_path):
    """The contradiction concerns others, and the node would have had to come again."""
    says(master, registration("a"))
    (tmp_path / "mesh.yml").write_text(mesh_text("a: {}, b: {}, later: {addresses: [10.42.0.1]}"))
    with pytest.raises(MeshError):
        master.fleet()
    assert says(master, registration("b")) is True


# --- what is not believed --------------------------------------------------------------------------------------------


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
        assert master.hear(tag, hostile) is False
        assert master.hear(tag, hostile) is False
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
    before = believed(master), master.fleet().digests()
    assert master.hear(REGISTER_TAG, forged) is False
    assert (believed(master), master.fleet().digests()) == before
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
    assert master.leftovers() == []


def test_a_node_that_left_may_still_report(master, tmp_path):
    says(master, registration("a"))
    (tmp_path / "mesh.yml").write_text(mesh_text("b: {}"))
    assert says(master, Report("a", "net", "digest", 1)) is True
    assert master.leftovers() == [("net", "a")]


@pytest.mark.parametrize(("forged", "reason"), FORGED_REPORTS.values(), ids=FORGED_REPORTS)
def test_a_report_that_is_not_believed_changes_nothing_and_is_kept_with_its_reason(master, forged, reason):
    says(master, Report("a", "net", "digest", 5))
    before = believed(master)
    assert master.hear(REPORT_TAG, forged) is False
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


# --- who is out of date ----------------------------------------------------------------------------------------------


def report(master, node, serial=1):
    digest = master.fleet().views(node)["net"].digest
    says(master, Report(node, "net", digest, serial))


def test_members_that_never_said_anything_have_never_registered(master):
    assert reasons(master) == {"a": "never registered", "b": "never registered"}


def test_a_node_that_registered_has_still_to_report(master):
    says(master, registration("a"))
    assert reasons(master)["a"] == "never reported"


def test_a_node_that_reports_the_digest_of_its_view_is_in_sync(master):
    says(master, registration("a"))
    report(master, "a")
    assert reasons(master)["a"] is None


def test_a_node_that_joins_makes_the_others_out_of_date(master):
    says(master, registration("a"))
    report(master, "a")
    says(master, registration("b"))
    assert reasons(master) == {"a": "out of date", "b": "never reported"}


def test_a_node_that_leaves_makes_the_others_out_of_date(master, tmp_path):
    for node in "ab":
        says(master, registration(node))
    for node in "ab":
        report(master, node)
    assert reasons(master) == {"a": None, "b": None}
    (tmp_path / "minions" / "b").unlink()
    assert reasons(master) == {"a": "out of date"}


def test_a_node_that_was_installed_anew_has_never_registered(master):
    says(master, registration("a"))
    report(master, "a")
    accept(master, "a", key="a installed anew")
    assert reasons(master)["a"] == "never registered"


def test_the_report_of_an_earlier_installation_does_not_count(master):
    says(master, registration("a"))
    report(master, "a")
    accept(master, "a", key="a installed anew")
    says(master, registration("a"), signer="a installed anew")
    assert reasons(master)["a"] == "never reported"


def test_a_node_that_rolled_back_what_it_must_have_says_why(master):
    says(master, registration("a"))
    wanted = master.fleet().views("a")["net"].digest
    says(master, Report("a", "net", UNKNOWN, 1, rollback=Rollback(wanted, "no peer came back", 5)))
    assert reasons(master)["a"] == "rolled back: no peer came back"


def test_a_node_that_rolled_back_something_else_is_merely_out_of_date(master):
    says(master, registration("a"))
    says(master, Report("a", "net", UNKNOWN, 1, rollback=Rollback("other", "no peer came back", 5)))
    assert reasons(master)["a"] == "out of date"


def test_a_rollback_is_one_entry_of_the_history_however_often_it_is_told(master):
    says(master, registration("a"))
    for serial, at in enumerate([5, 5, 6], 1):
        says(master, Report("a", "net", UNKNOWN, serial, rollback=Rollback("tried", "no peer came back", at)))
    entries = [entry for entry in master.registry.history() if entry.what == "rolled_back"]
    assert [(entry.node, entry.who, entry.why) for entry in entries] == [("a", "a", "no peer came back")] * 2
    assert entries[0].details == {"digest": "tried"}


def test_a_report_of_the_wrong_digest_is_out_of_date(master):
    says(master, registration("a"))
    says(master, Report("a", "net", "0" * 64, 1))
    assert reasons(master)["a"] == "out of date"


def test_a_status_carries_the_digest_that_is_wanted(master):
    says(master, registration("a"))
    wanted = {status.member.node: status.wanted for status in master.status()}
    assert wanted == {"a": master.fleet().digests()["net", "a"], "b": None}


def test_a_key_that_is_deleted_while_the_status_is_made_does_no_harm(master, monkeypatch):
    """The accepted keys were looked at twice: a key deleted in between raised KeyError and ended the reconcile."""
    says(master, registration("a"))
    report(master, "a")
    looks = []
    load = master_module.load_salt_keys

    def load_then_delete(directory):
        keys = load(directory)
        looks.append(set(keys))
        return keys if len(looks) == 1 else {}

    monkeypatch.setattr(master_module, "load_salt_keys", load_then_delete)
    assert set(reasons(master)) == {"a", "b"}


def test_settling_gives_all_members_addresses_of_a_new_subnet(master, tmp_path):
    for node in "ab":
        says(master, registration(node))
    (tmp_path / "mesh.yml").write_text(mesh_text(subnets="10.42.0.0/24, 'fd42::/64'"))
    master.settle()
    assert master.fleet().views("b")["net"].addresses == ("10.42.0.2/24", "fd42::2/64")


def test_threads_that_ask_while_nodes_register_get_consistent_answers(master):
    """The engine takes in events in one thread while another reconciles."""
    wrong = []
    done = threading.Event()

    def watch():
        while not done.is_set():
            for status in master.status():
                if (status.member.row is None) != (status.wanted is None):
                    wrong.append(status)

    threads = [threading.Thread(target=watch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for serial in range(1, 30):
        for node in "ab":
            says(master, registration(node, serial, public_key=public_key(f"{node}{serial}")))
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert master.fleet().views("a")["net"].serial == 29


# --- machines that boot ----------------------------------------------------------------------------------------------


def test_a_member_whose_machine_came_up_anew_is_to_be_looked_at_until_that_is_settled(master):
    says(master, registration("a", 1, boot="one"))
    says(master, registration("b", 1, boot="one"))
    assert master.just_booted() == set()
    says(master, registration("a", 2, boot="two"))
    assert master.just_booted() == {"a"}
    master.registry.settle_boots({"a"})
    assert master.just_booted() == set()


def test_a_registration_calls_for_a_reconcile_and_a_report_only_when_a_machine_came_up_anew(master):
    """With the reactor, a reconcile for each of many reports would never end."""
    says(master, registration("a", 1, boot="one"))
    says(master, Report("a", "net", "0" * 64, 1, "one"))
    assert master.calls_for_reconcile(REGISTER_TAG)
    assert not master.calls_for_reconcile(REPORT_TAG)
    says(master, Report("a", "net", "0" * 64, 2, "two"))
    assert master.calls_for_reconcile(REPORT_TAG)


def test_of_a_salt_key_that_is_accepted_no_more_no_boot_is_looked_at(master):
    says(master, registration("a", 1, boot="one"))
    says(master, registration("a", 2, boot="two"))
    accept(master, "a", key="b")
    assert master.just_booted() == set()


def test_a_clone_changes_the_digest_and_a_boot_does_not(master):
    """So a node whose clone was found is asked, and the clone with it; and no node for having booted."""

    def digest():
        return master.fleet().digests()["net", "a"]

    says(master, registration("a", 1, boot="original"))
    before = digest()
    says(master, Report("a", "net", "0" * 64, 2, "clone"))
    assert digest() == before
    says(master, Report("a", "net", "0" * 64, 3, "original"))
    assert digest() != before
