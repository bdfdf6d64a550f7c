"""An interface goes on without us, as it is."""

import pytest
from views import PEERS, registered

from saltext.wireguard.errors import NodeError
from saltext.wireguard.formats.foreign import parse_wg_quick
from saltext.wireguard.node import leaving


@pytest.fixture
def member(host):
    registered(host, *PEERS)
    host.call("apply")
    host.forget_commands()
    return host


def test_the_device_stays_and_the_file_is_a_plain_one_with_all_that_it_had(member):
    device, before = member.device(), member.config.read_text()
    part = member.call("leave")["networks"]["wg0"]
    assert (part["result"], part["comment"]) == (True, f"wg0 is nobody's, and goes on by {member.config}")
    assert member.device() == device
    assert member.writing_commands() == []
    first, _, rest = member.config.read_text().partition("\n")
    assert "does not manage it any more" in first
    assert rest == before.partition("\n")[2]
    assert member.config.stat().st_mode & 0o777 == 0o600
    assert {peer.public_key for peer in parse_wg_quick(member.config.read_text()).peers} == device.peers.keys()


def test_afterwards_nothing_of_ours_touches_it(member):
    member.call("leave")
    before = member.picture()
    assert "was not written by these modules" in str(member.call("sync"))
    assert member.call("managed") == {}
    assert member.picture() == before
    assert member.call("leave") == {"networks": {}}


def test_it_can_be_taken_over_again_and_then_has_the_very_file_that_it_had(member):
    before = member.config.read_text()
    member.call("leave")
    member.call("adopt", announce=True)
    assert member.call("adopt")["networks"]["backbone"]["result"] is True
    assert member.config.read_text() == before
    assert member.writing_commands() == []


def test_a_test_run_changes_nothing(member):
    before = member.picture()
    assert member.call("leave", test=True)["networks"]["wg0"]["result"] is None
    assert member.picture() == before


def test_a_file_that_cannot_be_written_is_an_error_of_that_interface(member, monkeypatch):
    def fail(*_args):
        raise NodeError("the disk is full")

    monkeypatch.setattr(leaving.files, "replace_text", fail)
    assert member.call("leave")["networks"]["wg0"] == {"result": False, "comment": "the disk is full"}
    assert member.call("managed") == {"wg0": "backbone"}


def test_a_network_that_there_is_not_is_an_error(member):
    assert "no interface of the WireGuard network 'other'" in member.error("leave", "other")
