"""Taking everything of ours off a machine."""

import pytest
from views import PEERS, registered

from saltext.wireguard.device.offered_endpoints import device

LEFT = {"wireguard": {"networks": {}}}


@pytest.fixture
def member(host):
    """A node of a network that has an interface described by hand, too, and has left by now."""
    registered(host, *PEERS)
    host.call("apply")
    host.call("apply_interface", "wg7", ["10.9.0.1/24"])
    host.set_pillar(LEFT)
    host.forget_commands()
    return host


def names(host):
    return sorted(path.name for path in host.etc.iterdir())


def test_everything_goes_but_the_keys_and_the_comment_says_what_stays(member):
    done = member.call("clean")
    assert (done["result"], {*done["changes"]}) == (True, {"interface wg0", "interface wg7"})
    assert member.machine.devices == {}
    assert [name[:15] for name in names(member)] == ["wg0.key.removed", "wg7.key.removed"]
    assert "kept: " in done["comment"]
    assert all(str(path) in done["comment"] for path in member.etc.iterdir())


def test_a_second_time_nothing_happens(member):
    member.call("clean")
    member.forget_commands()
    again = member.call("clean")
    assert (again["result"], again["changes"], member.writing_commands()) == (True, {}, [])


def test_keys_go_if_asked_also_those_of_interfaces_that_went_earlier(member):
    member.call("remove", "wg7")
    assert len(member.call("clean", purge=True)["changes"]) == 3
    assert names(member) == []
    assert member.call("clean", purge=True)["changes"] == {}


@pytest.mark.parametrize("purge", [False, True])
def test_a_test_run_says_how_much_goes_and_changes_nothing(member, purge):
    before = member.picture()
    told = member.call("clean", purge=purge, test=True)
    assert (told["result"], member.picture()) == (None, before)
    assert len(told["changes"]) == len(member.call("clean", purge=purge)["changes"])


def test_a_test_run_where_nothing_is_left_is_a_success(host):
    assert host.call("clean", test=True) == {
        "result": True,
        "changes": {},
        "comment": "This machine has nothing of a WireGuard network",
    }


@pytest.mark.parametrize("test", [False, True])
def test_a_node_that_the_mesh_file_still_has_is_refused(host, test):
    """The next sync would set it up again, and until then the others would wait for it."""
    registered(host, *PEERS)
    host.call("apply")
    before = host.picture()
    message = host.error("clean", test=test)
    assert message.startswith("refused, and nothing was changed: the mesh file still has this node in network backbone")
    assert host.picture() == before


def test_an_interface_that_the_pillar_still_describes_is_refused(host):
    host.set_pillar({"wireguard": {"interfaces": {"wg1": {"addresses": ["10.9.0.1/24"]}}}})
    assert "the pillar of this minion still has the interface wg1" in host.error("clean")


def test_whoever_is_managed_through_the_tunnel_is_not_cut_off(member):
    member.configure(master_ip="10.42.0.9", master_port=4506)
    member.machine.ways["10.42.0.9"] = "wg0"
    before = member.picture()
    assert "10.42.0.9, from where this machine is managed, is reached through wg0" in member.error("clean")
    assert member.picture() == before
    member.machine.ways["10.42.0.9"] = "eth0"
    assert member.call("clean")["result"] is True


def test_by_force_it_goes_and_the_reason_is_in_the_log(member, caplog):
    registered(member, *PEERS)
    assert "needs a reason" in member.error("clean", force=True)
    assert member.call("clean", force=True, reason="scrapped")["result"] is True
    assert "by force: scrapped" in caplog.text


def test_a_pillar_with_errors_is_no_sign_that_the_node_has_left(member):
    member.set_fresh_pillar({"_errors": ["mesh.yml:3: wrong"]})
    assert "the pillar has errors, so nothing was changed" in member.error("clean")


def test_interfaces_of_others_are_left_alone_and_named(member):
    member.run("ip", "link", "add", "wg8", "type", "wireguard")
    (member.etc / "wg9.conf").write_text("[Interface]\n")
    assert member.call("unmanaged") == ["wg8", "wg9"]
    assert "not ours, and left alone: wg8, wg9" in member.call("clean")["comment"]
    assert "wg8" in member.machine.devices
    assert "wg9.conf" in names(member)


@pytest.mark.parametrize(("route", "found"), [('[{"dev": "wg0"}]', "wg0"), ('[{"dev": 5}]', None), ("", None)])
def test_the_device_of_a_route_is_what_ip_says(route, found):
    assert device(route) == found
