"""Hosts that an operator vouches for, which have no accepted Salt key: what they are given, and what ends it."""

import os

import pytest

from factories import accept, master_of, mesh_text, public_key, registration, salt_key
from saltext.wireguard.errors import RefusedError
from saltext.wireguard.master.decisions import enroll, networks_to_enroll
from saltext.wireguard.master.intake import announce, hear
from saltext.wireguard.master.status import BY_SSH, ENROLLED, own_removal, registered, statuses
from saltext.wireguard.master.warnings import warnings
from saltext.wireguard.model import statements
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Report
from saltext.wireguard.model.view import REGISTER


@pytest.fixture
def master(tmp_path):
    """Two registered minions, and a host that was enrolled by alice."""
    made = master_of(tmp_path, "a: {}, b: {}, host: {}")
    for name in "ab":
        accept(made, name)
        assert says(made, registration(name))
    alice_enrolls(made)
    return made


def alice_enrolls(master, key="host"):
    enroll(master, registration("host", public_key=public_key(key)), "alice")


def says(master, statement, signer=None):
    tag = REPORT_TAG if isinstance(statement, Report) else REGISTER_TAG
    signed = statements.sign(statement, salt_key(signer or statement.node).private_pem)
    return hear(master, tag, {"id": statement.node, "data": {"signed": signed}})


def write_mesh(master, *args, **kwargs):
    with open(master.mesh_path, "w") as handle:
        handle.write(mesh_text(*args, **kwargs))


def view(master, node):
    return master.moment().views(node)["net"]


def peers(master, node="a"):
    return {peer.name: peer.public_key for peer in view(master, node).peers}


def why(master):
    return {status.member.node: status.reason for status in statuses(master.moment())}["host"]


def whats(master):
    return [(entry.what, entry.who) for entry in master.registry.audit.history("host")]


def test_an_enrolled_host_is_a_peer_of_the_others_and_has_them_as_peers(master):
    assert peers(master)["host"] == public_key("host")
    found = view(master, "host")
    assert (found.public_key, found.waiting, found.addresses) == (public_key("host"), None, ("10.42.0.3/24",))
    assert sorted(peers(master, "host")) == ["a", "b"]
    assert master.is_trusted("host")


def test_it_is_shown_as_by_ssh_and_asked_for_nothing(master):
    assert why(master) == BY_SSH
    assert "host" not in registered(master.moment())


def test_who_enrolled_it_is_in_the_history_once_for_each_key(master):
    alice_enrolls(master)
    alice_enrolls(master, "another key")
    assert whats(master) == [("enrolled", "alice"), ("enrolled", "alice")]
    assert peers(master)["host"] == public_key("another key")


def test_an_operator_who_enrolls_has_decided_what_policies_ask_for(master):
    write_mesh(master, "'*': {}, new: {}", extra="admit: manual\n    rekey: manual")
    enroll(master, registration("new"), "alice")
    alice_enrolls(master, "another key")
    assert (peers(master)["new"], peers(master)["host"]) == (public_key("new"), public_key("another key"))


def test_it_leaves_with_its_entry_in_the_mesh_file_and_is_told_so(master):
    write_mesh(master, "a: {}, b: {}")
    assert "host" not in peers(master)
    assert master.moment().views("host") == {}


def test_it_leaves_by_revocation_until_it_is_readmitted_and_is_not_enrolled_meanwhile(master):
    master.registry.admissions.revoke("net", "host", "alice", "stolen")
    assert "host" not in peers(master)
    assert master.moment().views("host") == {}
    with pytest.raises(RefusedError, match="host was revoked by alice"):
        alice_enrolls(master)
    assert "salt-ssh host state.apply wireguard" in own_removal(master.moment(), "host", ["net"])
    master.registry.admissions.readmit("net", "host", "alice", "")
    assert "host" in peers(master)


def test_it_is_a_member_of_the_networks_alone_in_which_it_was_enrolled(master):
    with open(master.mesh_path, "a") as handle:
        handle.write("  other: {interface: wg1, port: 51821, subnets: [10.43.0.0/24], nodes: {'*': {}}}\n")
    assert list(master.moment().views("host")) == ["net"]


# -- who could gain anything from that


def test_a_machine_with_its_id_and_a_key_that_nobody_accepted_is_not_believed(master):
    before = (peers(master), whats(master))
    assert not says(master, registration("host", serial=2**62, public_key=public_key("evil")), signer="evil")
    assert not says(master, Report("host", "net", "absent", 2**62), signer="evil")
    assert peers(master) == before[0]
    assert why(master) == BY_SSH
    assert [what for what in whats(master) if what not in before[1]] == [("refused", "master")]


def test_such_a_machine_whose_key_is_pending_is_named(master):
    assert warnings(master.moment()) == []
    pre = f"{master.keys_dir}_pre"
    os.mkdir(pre)
    with open(f"{pre}/host", "wb") as handle:
        handle.write(salt_key("host").public_pem)
    (warning,) = warnings(master.moment())
    assert warning.startswith("a machine presents itself as host, which was enrolled by ssh: accept its Salt key only")


def test_nobody_else_can_register_its_public_key(master):
    assert not says(master, registration("b", serial=2, public_key=public_key("host")))
    assert peers(master)["b"] == public_key("b")


def test_a_host_that_brings_the_public_key_of_a_minion_is_not_enrolled(master):
    with pytest.raises(RefusedError, match="is already that of a"):
        alice_enrolls(master, "a")


def test_a_node_that_registered_by_itself_is_not_to_be_enrolled(master):
    with pytest.raises(RefusedError, match="a has registered by its minion"):
        networks_to_enroll(master.moment(), "a")


# -- its minion takes over


def test_an_accepted_minion_keeps_its_tunnels_and_is_asked_to_register(master):
    accept(master, "host")
    assert peers(master)["host"] == public_key("host")
    assert view(master, "host").waiting == REGISTER
    assert why(master) == ENROLLED


def test_its_registration_with_the_same_key_changes_nothing_for_the_others(master):
    accept(master, "host")
    before = view(master, "a").digest
    assert says(master, registration("host"))
    assert view(master, "a").digest == before
    assert view(master, "host").waiting is None
    assert why(master) == "never reported"
    assert whats(master)[-1] == ("registered", "host")


def test_from_then_on_only_its_salt_key_counts(master):
    accept(master, "host")
    says(master, registration("host"))
    accept(master, "host", "another installation")
    assert "host" not in peers(master)
    os.unlink(f"{master.keys_dir}/host")
    assert (master.is_trusted("host"), "host" in peers(master)) == (False, False)


def test_another_key_waits_for_an_operator_where_the_policy_says_so(master):
    write_mesh(master, "a: {}, b: {}, host: {}", extra="rekey: manual")
    accept(master, "host")
    assert says(master, registration("host", public_key=public_key("another key")))
    assert peers(master)["host"] == public_key("host")
    assert view(master, "host").waiting == "rekey"


# -- public keys in the mesh file


FIXED = f"a: {{}}, b: {{}}, host: {{public_key: {public_key('host')}, addresses: [10.42.0.9]}}"


def test_a_public_key_in_the_mesh_file_lets_no_other_be_registered_enrolled_or_announced(master):
    write_mesh(master, FIXED)
    accept(master, "host")
    assert not says(master, registration("host", public_key=public_key("another key")))
    with pytest.raises(RefusedError, match=r"is not the one in the mesh file \(.*mesh.yml:4\), which fixes it"):
        alice_enrolls(master, "another key")
    assert says(master, registration("host"))
    signed = statements.sign(
        statements.Rotation("host", "net", public_key("host"), public_key("next"), 7), salt_key("host").private_pem
    )
    with pytest.raises(RefusedError, match="which fixes it"):
        announce(master, signed, ("net", "host"), "alice", "")


def test_nobody_else_can_register_a_public_key_that_the_mesh_file_gives_to_a_node(master):
    write_mesh(master, FIXED)
    master.registry.admissions.revoke("net", "host", "alice", "")
    assert not says(master, registration("b", serial=2, public_key=public_key("host")))
    assert "is that of host in the mesh file" in master.registry.audit.refusals()[0].reason


def test_who_registered_another_key_before_takes_part_no_more_until_it_has_that_one(master):
    write_mesh(master, FIXED.replace("b: {}", f"b: {{public_key: {public_key('new b')}, addresses: [10.42.0.8]}}"))
    assert "b" not in peers(master)
    assert (view(master, "b").public_key, view(master, "b").peers) == (None, ())
    assert says(master, registration("b", serial=2, public_key=public_key("new b")))
    assert peers(master)["b"] == public_key("new b")
