"""Names in the hosts file: with the tunnel, and after it. In these tests, /etc/hosts is a mount, as in a container."""

import os
import socket
import stat
from pathlib import Path

import pytest

pytest.importorskip("salt")

from hosts import PEERS, in_words, peer, registered
from saltext.wireguard.model.hosts import HostName, Hosts
from saltext.wireguard.model.statements import REPORT_TAG

MACHINES = [("node1", "10.42.0.1"), ("node2", "10.42.0.2"), ("node3", "10.42.0.3")]
ADDED = {"host names": {"old": None, "new": "10.42.0.1 node1, 10.42.0.2 node2, 10.42.0.3 node3"}}


def names(*machines, domain=None):
    return Hosts(tuple(HostName(name, (address,)) for name, address in machines or MACHINES), domain)


def want(host, *machines, **settings):
    """A pillar with these names; returns the view."""
    hosts = names(*machines, domain=settings.pop("domain", None))
    return registered(host, *settings.pop("peers", PEERS), hosts=hosts, **settings)


@pytest.fixture
def file(host):
    """The hosts file as it is in a container: a mount, which cannot be replaced."""
    return Path("/etc/hosts")


@pytest.fixture
def replaceable(host, monkeypatch):
    """The hosts file as it is elsewhere."""
    path = host.disk / "hosts"
    path.write_text("127.0.0.1 localhost\n")
    monkeypatch.setattr(host.library("node.hosts_file"), "HOSTS_FILE", str(path))
    return path


@pytest.fixture(params=["a mount", "a file"])
def any_file(request, host):
    return request.getfixturevalue("file" if request.param == "a mount" else "replaceable")


def block(*lines, network="backbone"):
    marks = [f"# {word} WireGuard network {network} (saltext-wireguard)" for word in ("BEGIN", "END")]
    return "".join(f"{line}\n" for line in [marks[0], *lines, marks[1]])


ALL = block("10.42.0.1 node1", "10.42.0.2 node2", "10.42.0.3 node3")


def test_names_are_written_and_found(host, file):
    want(host)
    assert host.call("apply")["backbone"]["changes"]["host names"] == ADDED["host names"]
    assert file.read_text() == "127.0.0.1 localhost\n" + ALL
    assert socket.gethostbyname("node2") == "10.42.0.2"


def test_a_name_with_an_underscore_is_found(host, file):
    want(host, ("node1", "10.42.0.1"), ("web_1", "10.42.0.2"))
    host.call("apply")
    assert socket.gethostbyname("web_1") == "10.42.0.2"


def test_what_is_right_is_not_written_again(host, any_file):
    want(host)
    host.call("apply")
    before = any_file.stat()
    host.forget_commands()
    assert host.call("apply")["backbone"]["changes"] == {}
    assert host.call("sync")["networks"]["backbone"]["changed"] == []
    assert host.writing_commands() == []
    after = any_file.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_a_test_run_says_what_a_run_then_changes_and_writes_nothing(host, any_file):
    want(host)
    host.call("apply")
    want(host, *MACHINES[:2], ("node9", "10.42.0.9"))
    text = any_file.read_text()
    expected = {"old": "10.42.0.3 node3", "new": "10.42.0.9 node9"}
    foretold = host.call("apply", test=True)["backbone"]
    assert foretold["changes"]["host names"] == expected
    assert foretold["comment"].startswith("wg0 would be changed: ")
    assert any_file.read_text() == text
    assert host.call("apply")["backbone"]["changes"]["host names"] == expected
    assert any_file.read_text() == "127.0.0.1 localhost\n" + block(
        "10.42.0.1 node1", "10.42.0.2 node2", "10.42.0.9 node9"
    )


def test_a_change_of_names_alone_does_not_touch_the_device(host, file):
    want(host)
    host.call("apply")
    want(host, *MACHINES[:2])
    host.forget_commands()
    assert set(host.call("apply")["backbone"]["changes"]) == {"host names", "/etc/wireguard/wg0.conf"}
    assert host.writing_commands() == []


def test_lines_around_the_block_stay_to_the_byte(host, any_file):
    before, after = b"127.0.0.1 localhost # caf\xe9\r\n\n", b"10.0.0.7 printer\n\xff"
    any_file.write_bytes(before + block("10.42.0.9 gone").encode() + after)
    want(host)
    host.call("apply")
    assert any_file.read_bytes() == before + ALL.encode() + after
    host.call("remove", "wg0")
    assert any_file.read_bytes() == before + after


def test_owner_mode_and_attributes_of_the_file_stay(host, replaceable):
    os.chown(replaceable, 12, 34)
    os.chmod(replaceable, 0o664)
    want(host)
    host.call("apply")
    now = replaceable.stat()
    assert (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)) == (12, 34, 0o664)
    assert [path.name for path in host.disk.iterdir() if path.name.endswith(".tmp")] == []


def test_a_new_file_that_another_writer_takes_for_a_leftover_is_no_error(host, replaceable, monkeypatch):
    """A minion and salt-ssh on one machine met, and one said that the hosts file could not be written."""
    hosts_file = host.library("node.hosts_file")
    rename = os.rename

    def meet(new, path):
        if path == str(replaceable):
            host.library("system.files").remove_leftovers(path)
        rename(new, path)

    monkeypatch.setattr(hosts_file.os, "rename", meet)
    want(host)
    assert host.call("apply")["backbone"]["result"] is True
    assert replaceable.read_text() == "127.0.0.1 localhost\n" + ALL


def test_a_link_is_followed(host, replaceable):
    target = host.disk / "real"
    replaceable.rename(target)
    replaceable.symlink_to(target)
    want(host)
    host.call("apply")
    assert replaceable.is_symlink()
    assert target.read_text().endswith(ALL)


def test_a_file_that_is_missing_is_made_for_everybody_to_read(host, replaceable):
    replaceable.unlink()
    want(host)
    host.call("apply")
    assert replaceable.read_text() == ALL
    assert stat.S_IMODE(replaceable.stat().st_mode) == 0o644


# -- what goes


@pytest.mark.parametrize("way", ["node", "network", "turned off"])
def test_the_block_goes_with_the_node_the_network_and_when_it_is_turned_off(host, any_file, way):
    want(host)
    host.call("apply")
    if way == "node":
        assert host.call("remove", "wg0")["changes"]["host names"] == {"old": ADDED["host names"]["new"], "new": None}
    elif way == "network":
        host.set_pillar({"wireguard": {"networks": {}}})
        host.call("sync")
    else:
        registered(host)
        assert host.call("apply")["backbone"]["changes"]["host names"]["new"] is None
    assert any_file.read_text() == "127.0.0.1 localhost\n"


def test_a_peer_that_is_dropped_loses_its_name_and_the_report_is_that_of_the_view_without_it(host, file):
    wanted = want(host)
    host.call("apply")
    said = host.call("delta", {"backbone": [PEERS[1].public_key]}, signed=True)
    assert "node3" not in file.read_text()
    without = want(host, *MACHINES[:2], peers=(PEERS[0], PEERS[2]))
    assert f'"{without.digest}"' in said[REPORT_TAG][0]["statement"].replace("\\", "")
    assert wanted.digest != without.digest


def test_a_clone_that_stands_down_has_no_names(host, file):
    want(host)
    host.call("apply")
    want(host, clones=(host.library("node.config_files").boot_name(),))
    host.call("sync")
    assert file.read_text() == "127.0.0.1 localhost\n"


def test_networks_have_blocks_of_their_own(host, file):
    want(host)
    host.call("apply")
    both = [
        want(host),
        want(
            host,
            ("node2", "10.43.0.2"),
            interface="wg1",
            network="storage",
            port=51830,
            addresses=("10.43.0.1/24",),
            peers=(peer("node2", "10.43.0.2/32"),),
        ),
    ]
    host.set_networks(*both)
    host.call("apply")
    assert file.read_text() == "127.0.0.1 localhost\n" + ALL + block("10.43.0.2 node2", network="storage")
    host.call("remove", "wg0")
    assert file.read_text() == "127.0.0.1 localhost\n" + block("10.43.0.2 node2", network="storage")


# -- names that lead elsewhere


def test_a_name_that_is_defined_by_hand_stays_as_it_is(host, file):
    file.write_text("127.0.0.1 localhost\n192.0.2.7 Node2\n")
    want(host)
    host.call("apply")
    assert file.read_text().endswith(block("10.42.0.1 node1", "10.42.0.3 node3"))


def test_a_name_at_which_a_peer_is_called_does_not_lead_into_the_tunnel(host, file):
    want(host, peers=(peer("node2", "10.42.0.2/32", endpoint="Node2:4444"),))
    host.call("apply")
    assert file.read_text().endswith(block("10.42.0.1 node1", "10.42.0.3 node3"))


def test_a_name_in_the_mesh_that_becomes_an_endpoint_is_not_called_through_the_tunnel(host, file):
    """Its peer would not have come back, and the change that takes the name away been rolled back, time and again."""
    want(host)
    host.call("apply")
    want(host, peers=(peer("node2", "10.42.0.2/32", endpoint="node2:4444"),))
    assert host.call("apply")["backbone"]["result"] is True
    (called,) = host.device().peers.values()
    assert called.endpoint != "10.42.0.2:4444"
    assert file.read_text().endswith(block("10.42.0.1 node1", "10.42.0.3 node3"))


@pytest.mark.parametrize("master", ["node2", "node2:4506", ["other", "node2"]])
def test_the_name_of_the_salt_master_does_not_lead_into_the_tunnel(host, file, master):
    """Else nobody could repair a mesh that does not work."""
    host.configure(master=master)
    want(host)
    host.call("apply")
    assert file.read_text().endswith(block("10.42.0.1 node1", "10.42.0.3 node3"))


def test_with_all_names_taken_there_is_no_block_and_nothing_to_change(host, file):
    file.write_text("192.0.2.7 node1\n")
    want(host, MACHINES[0])
    host.call("apply")
    assert file.read_text() == "192.0.2.7 node1\n"
    assert host.call("apply")["backbone"]["changes"] == {}


# -- what goes wrong


def test_a_broken_block_is_a_clear_error_and_the_tunnel_works(host, file):
    text = f"127.0.0.1 localhost\n{ALL}".replace("# END", "# FIN")
    file.write_text(text)
    wanted = want(host)
    assert "is broken" in host.call("apply", test=True)["backbone"]["changes"]["host names"]["old"]
    assert (
        "; left out: host names (/etc/hosts: the lines that begin and end the block of network backbone are not one"
        " pair (line 2): remove them, and what was between them; "
    ) in host.call("apply")["backbone"]["comment"]
    assert file.read_text() == text
    assert set(host.device().peers) == {each.public_key for each in wanted.peers}
    file.write_text("127.0.0.1 localhost\n")
    host.call("apply")
    assert file.read_text() == "127.0.0.1 localhost\n" + ALL


def test_a_broken_block_does_not_keep_an_interface_up(host, file):
    want(host)
    host.call("apply")
    file.write_text(ALL + ALL)
    assert "are not one pair (line 1, 5, 6, 10)" in host.error("remove", "wg0")
    assert host.device() is None
    file.write_text("")
    host.call("remove", "wg0")
    assert host.call("managed") == {}


def test_somebody_who_edits_the_block_has_it_put_right(host, file):
    want(host)
    host.call("apply")
    file.write_text(file.read_text().replace("10.42.0.2 node2", "6.6.6.6 node2"))
    changes = in_words(host.call("drift")["networks"]["backbone"])
    assert changes == {"host names": {"old": "6.6.6.6 node2", "new": "10.42.0.2 node2"}}
    host.call("apply")
    assert file.read_text().endswith(ALL)


def test_names_wait_until_the_tunnel_was_found_to_work(host, file):
    """With a name that leads into a tunnel that is then rolled back, nobody would be found."""
    want(host)
    host.call("apply")
    text = file.read_text()
    host.library("node.trial").Trial.failure = lambda self: "it does not work"
    want(host, ("node9", "10.42.0.9"), peers=(peer("node9", "10.42.0.9/32"), *PEERS))
    assert "was rolled back" in host.error("apply")
    assert file.read_text() == text
