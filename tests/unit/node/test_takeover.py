"""An interface of somebody else is taken over with its key, sessions, hooks and preshared keys, and given back."""

import pytest
from views import key, peer, view

from saltext.wireguard.errors import NodeError
from saltext.wireguard.node import config_files, takeover

PRIVATE = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
PRESHARED = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE="
HOOK = "iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE"
TEXT = f"""[Interface]
PrivateKey = {PRIVATE}
Address = 10.42.0.1/16
ListenPort = 51820
MTU = 1380
DNS = 10.42.0.53
PreUp = sysctl -w net.ipv4.ip_forward=1
PostUp = {HOOK}

# node2
[Peer]
PublicKey = {key("node2")}
PresharedKey = {PRESHARED}
AllowedIPs = 10.42.0.2/32
Endpoint = 127.0.0.1:4444
PersistentKeepalive = 25
"""
NODE2 = peer("node2", "10.42.0.2/32", endpoint="127.0.0.1:4444", keepalive=25)


def own_key(host):
    return host.machine.run(["wg", "pubkey"], PRIVATE).strip()


def bring_up(host):
    """What wg-quick makes of the file."""
    (host.disk / "key").write_text(PRIVATE)
    (host.disk / "preshared").write_text(PRESHARED)
    host.run("ip", "link", "add", "wg0", "type", "wireguard")
    host.run("wg", "set", "wg0", "private-key", str(host.disk / "key"), "listen-port", "51820")
    words = ["preshared-key", str(host.disk / "preshared"), "endpoint", "127.0.0.1:4444"]
    words += ["persistent-keepalive", "25", "allowed-ips", "10.42.0.2/32"]
    host.run("wg", "set", "wg0", "peer", key("node2"), *words)
    host.run("ip", "address", "add", "10.42.0.1/16", "dev", "wg0")
    host.run("ip", "link", "set", "dev", "wg0", "mtu", "1380")
    host.run("ip", "link", "set", "dev", "wg0", "up")
    host.machine.devices["wg0"].peers[key("node2")].handshake = 1000
    host.forget_commands()


@pytest.fixture
def living(host):
    """A wg0 of somebody else, up, and a pillar that has this node with the same."""
    host.config.write_text(TEXT)
    bring_up(host)
    host.set_networks(view(own_key(host), NODE2, addresses=("10.42.0.1/16",)))
    return host


def take(host, **arguments):
    return host.call("adopt", **arguments)["networks"]["backbone"]


def announce(host):
    return host.call("adopt", announce=True, signed=True)


def copies(host):
    return sorted(path.name for path in host.etc.glob("*.adopted-*"))


def test_an_apply_does_not_take_over_leaves_no_new_key_behind_and_names_the_way(living):
    """It made a key that the interface does not have, and said "move the file away", which led into an outage."""
    before = living.picture()
    for function in ("apply", "sync"):
        said = str(living.call(function)) if function == "sync" else living.error(function)
        assert "`salt-run wireguard.adopt` on the master" in said
    assert living.picture() == before


def test_the_key_of_the_device_is_announced_and_nothing_else_happens(living):
    living.set_networks(view(None, addresses=()))
    device = living.device()
    answer = announce(living)
    assert living.call("public_key") == own_key(living)
    assert own_key(living) in answer["wireguard/register"][0]["statement"]
    assert (living.etc / "wg0.key").stat().st_mode & 0o777 == 0o600
    assert living.device() == device
    assert living.config.read_text() == TEXT
    assert living.writing_commands() == []


def test_another_key_that_is_where_ours_are_is_put_aside(living):
    other = living.call("keypair")
    announce(living)
    assert living.call("public_key") == own_key(living) != other
    assert len([*living.etc.glob("wg0.key.removed-*")]) == 1


def test_it_is_taken_over_without_a_command_that_writes(living):
    announce(living)
    device = living.device()
    part = take(living)
    assert part["result"] is True, part
    assert living.writing_commands() == []
    assert living.device() == device
    assert config_files.written("wg0") is not None
    (copy,) = copies(living)
    assert (living.etc / copy).read_text() == TEXT
    assert (living.etc / copy).stat().st_mode & 0o777 == 0o600
    assert f"the old configuration is kept in {living.etc / copy}" in part["comment"]
    assert "kept of it: DNS, PreUp, PostUp" in part["comment"]


def test_who_deletes_a_kept_setting_with_the_line_above_it_is_rid_of_it(living):
    announce(living)
    take(living)
    text = living.config.read_text()
    living.config.write_text(text.replace(f"# Kept\nPostUp = {HOOK}\n", ""))
    assert living.call("apply")["backbone"]["changes"] == {}
    assert HOOK not in living.config.read_text()
    assert "# Kept\nDNS = 10.42.0.53\n" in living.config.read_text()


def test_a_peer_that_has_roamed_is_left_where_it_is(living, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1010.0)
    announce(living)
    living.machine.devices["wg0"].peers[key("node2")].endpoint = "192.0.2.77:4000"
    take(living)
    assert living.writing_commands() == []
    assert living.device().peers[key("node2")].endpoint == "192.0.2.77:4000"


def test_hooks_and_preshared_keys_stay_in_the_file_that_boots_and_in_what_follows(living):
    announce(living)
    take(living)
    for _ in range(2):
        text = living.config.read_text()
        assert f"# Kept\nPostUp = {HOOK}\n" in text
        assert "# Kept\nDNS = 10.42.0.53\n" in text
        assert f"# Kept\nPresharedKey = {PRESHARED}" in text
        living.set_networks(view(own_key(living), NODE2, peer("node3", "10.42.0.3/32"), addresses=("10.42.0.1/16",)))
        assert set(living.call("apply")["backbone"]["changes"]) <= {"peer node3", str(living.config)}
    assert living.call("apply")["backbone"]["changes"] == {}
    assert living.device().peers[key("node2")].preshared_key
    assert living.call("drift")["networks"]["backbone"]["changes"] == []


def test_a_keepalive_that_the_mesh_file_does_not_ask_for_is_kept_until_it_asks_for_another(living):
    announce(living)
    without = peer("node2", "10.42.0.2/32", endpoint="127.0.0.1:4444")
    living.set_networks(view(own_key(living), without, addresses=("10.42.0.1/16",)))
    take(living)
    assert living.writing_commands() == []
    assert "# Kept\nPersistentKeepalive = 25\n" in living.config.read_text()
    assert living.call("apply")["backbone"]["changes"] == {}
    assert living.call("drift")["networks"]["backbone"]["changes"] == []
    other = peer("node2", "10.42.0.2/32", endpoint="127.0.0.1:4444", keepalive=10)
    living.set_networks(view(own_key(living), other, addresses=("10.42.0.1/16",)))
    living.call("apply")
    assert living.device().peers[key("node2")].keepalive == 10
    assert "# Kept\nPersistentKeepalive" not in living.config.read_text()


def test_of_a_device_without_files_no_peer_gets_lost_either(living):
    living.config.unlink()
    announce(living)
    living.run("wg", "set", "wg0", "peer", key("alice"), "allowed-ips", "10.42.0.77/32")
    assert f"does not have 1 of its peers ({key('alice')})" in take(living)["comment"]
    living.run("wg", "set", "wg0", "peer", key("alice"), "remove")
    living.forget_commands()
    assert take(living)["result"] is True
    assert living.writing_commands() == []
    assert f"PresharedKey = {PRESHARED}" in living.config.read_text()


def test_a_pair_keeps_its_preshared_key_when_the_other_end_gets_another_public_key(living):
    announce(living)
    take(living)
    rotating = peer("node2", "10.42.0.2/32", endpoint="127.0.0.1:4444", keepalive=25, next_key=key("next"))
    living.set_networks(view(own_key(living), rotating, addresses=("10.42.0.1/16",)))
    living.call("apply")
    assert living.device().peers[key("next")].preshared_key == living.device().peers[key("node2")].preshared_key


def test_what_is_kept_is_not_in_the_digest_that_the_master_compares(living):
    announce(living)
    living.events.clear()
    take(living)
    wanted = view(own_key(living), NODE2, addresses=("10.42.0.1/16",)).digest
    assert wanted in str(living.events)
    living.events.clear()
    living.call("delta", {"backbone": [key("somebody")]})
    assert wanted in str(living.events)


def test_preshared_keys_of_the_mesh_file_replace_those_that_were_kept(living):
    announce(living)
    take(living)
    new = peer("node2", "10.42.0.2/32", endpoint="127.0.0.1:4444", keepalive=25, preshared=True, preshared_key=key("p"))
    living.set_networks(view(own_key(living), new, addresses=("10.42.0.1/16",), preshared="name of the secret"))
    living.call("apply")
    assert PRESHARED not in living.config.read_text()
    assert f"PresharedKey = {key('p')}" in living.config.read_text()


def test_a_test_run_changes_nothing(living):
    announce(living)
    before = living.picture()
    assert take(living, test=True)["result"] is None
    assert living.picture() == before


def test_it_needs_the_registration_first(living):
    assert "is not registered with its key yet" in take(living)["comment"]
    assert copies(living) == []


def test_of_a_machine_that_has_nothing_nothing_is_taken_and_no_key_made(host):
    host.set_networks(view(None, addresses=()))
    before = host.picture()
    assert announce(host)["wireguard/register"] == []
    assert take(host) == {
        "result": True,
        "changed": [],
        "comment": "wg0 is new: `state.apply wireguard` sets it up",
    }
    assert host.picture() == before


def test_an_interface_of_another_name_is_not_passed_over(living):
    """It got a second device beside the one that works."""
    living.set_networks(view(None, addresses=(), interface="wg7"))
    for part in (announce(living)["networks"]["backbone"], take(living)):
        assert part["result"] is False
        assert "has no wg7 of somebody else, but wg0: correct `interface:`" in part["comment"]


def test_what_was_taken_over_is_ours_already(living):
    announce(living)
    take(living)
    before = living.picture()
    assert take(living)["comment"] == "wg0 is ours already"
    assert announce(living)["wireguard/register"] == []
    assert living.picture() == before


def test_a_key_in_a_line_where_none_belongs_is_in_no_error(living):
    """What was wrong with the line was told with the line's value."""
    announce(living)
    living.config.write_text(TEXT.replace("MTU = 1380", f"MTU = {PRIVATE}"))
    comment = take(living)["comment"]
    assert "line 5: MTU" in comment
    assert PRIVATE not in comment


@pytest.mark.parametrize(
    ("old", "new", "objection"),
    [
        ("", f"[Peer]\n# alice\nPublicKey = {key('alice')}\n", "does not have 1 of its peers (alice)"),
        ("AllowedIPs = 10.42.0.2/32", "AllowedIPs = 10.42.0.2/32, 0.0.0.0/0", "default route leads into the tunnel"),
        ("MTU = 1380", "Table = 7", "its routes are in the table 7"),
        ("Endpoint = 127.0.0.1:4444", "Endpoint = nonsense nonsense", "line 15: Endpoint"),
    ],
)
def test_what_would_get_lost_is_refused_and_nothing_changed_unless_it_is_forced(living, old, new, objection):
    announce(living)
    living.config.write_text(TEXT.replace(old, new) if old else TEXT + new)
    before = living.picture()
    part = take(living)
    assert part["result"] is False
    assert objection in part["comment"]
    assert living.picture() == before
    assert take(living, force=True, reason="meant")["result"] is True


def test_a_program_that_would_go_on_bringing_it_up_is_named_with_its_line(living, monkeypatch):
    monkeypatch.setattr("saltext.wireguard.node.other_managers.ROOT", str(living.disk))
    file = living.disk / "etc/network/interfaces"
    file.parent.mkdir()
    file.write_text("auto lo\nauto wg0\n")
    announce(living)
    part = take(living)
    assert f"ifupdown ({file}:2) would bring it up beside our own file" in part["comment"]


def test_a_device_with_another_key_than_its_file_is_not_guessed_about(living):
    living.config.write_text(TEXT.replace(PRIVATE, PRESHARED))
    part = announce(living)["networks"]["backbone"]
    assert "has another private key than" in part["comment"]
    assert not (living.etc / "wg0.key").exists()


def test_a_power_cut_after_the_copy_leaves_the_old_file_and_the_next_apply_finishes(living, monkeypatch):
    announce(living)

    class PowerCut(BaseException):
        pass

    def die(*_args):
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(takeover.apply, "converge_locked", die)
        with pytest.raises(PowerCut):
            take(living)
    assert living.config.read_text() == TEXT
    assert len(copies(living)) == 1
    living.call("apply")
    assert config_files.written("wg0") is not None
    assert f"PostUp = {HOOK}" in living.config.read_text()
    assert f"PresharedKey = {PRESHARED}" in living.config.read_text()
    assert len(copies(living)) == 1


def test_a_take_over_that_fails_leaves_the_old_file_alone(living, monkeypatch):
    announce(living)

    def fail(*_args):
        raise NodeError("no")

    monkeypatch.setattr(takeover.apply, "converge_locked", fail)
    assert take(living) == {"result": False, "comment": "no"}
    assert living.config.read_text() == TEXT
    assert copies(living) == []
    assert "was not written by these modules" in str(living.call("sync"))


def test_it_is_given_back_as_it_was_and_the_device_stays(living):
    announce(living)
    take(living)
    device = living.device()
    assert "would be as before" in living.call("unadopt", test=True)
    assert "as before the take-over" in living.call("unadopt")
    assert living.config.read_text() == TEXT
    assert copies(living) == []
    assert living.device() == device
    assert living.writing_commands() == []
    assert "nothing to put back" in living.error("unadopt")
    assert take(living)["result"] is True


def test_an_old_file_with_a_key_that_was_rotated_since_is_given_back_by_force_only(living):
    announce(living)
    take(living)
    (living.etc / "wg0.key").write_text(PRESHARED)
    assert "has another key now" in living.error("unadopt")
    living.call("unadopt", force=True, reason="meant")
    assert living.config.read_text() == TEXT


def test_an_old_file_with_a_peer_that_left_since_is_given_back_by_force_only(living):
    """It brought a revoked node back at the next boot, without a word."""
    announce(living)
    take(living)
    living.call("delta", {"backbone": [key("node2")]}, signed=True, generation=1)
    assert key("node2") not in living.config.read_text()
    before = living.picture()
    assert "would let in at the next boot whom wg0 has no longer as a peer: node2" in living.error("unadopt")
    assert living.picture() == before
    living.call("unadopt", force=True, reason="meant")
    assert living.config.read_text() == TEXT


def test_an_interface_that_was_never_taken_over_cannot_be_given_back(host):
    assert "was not taken over" in host.error("unadopt")


def test_a_purge_takes_the_old_files_too_as_there_is_a_key_in_them(living):
    announce(living)
    take(living)
    (copy,) = copies(living)
    living.set_networks()
    assert f"kept: {living.etc / copy}" in living.call("clean")["comment"]
    assert str(living.etc / copy) in living.call("clean", purge=True)["changes"]
    assert copies(living) == []


NETDEV = f"""[NetDev]
Name=wg0
Kind=wireguard

[WireGuard]
PrivateKey={PRIVATE}
ListenPort=51820

[WireGuardPeer]
PublicKey={key("node2")}
PresharedKey={PRESHARED}
AllowedIPs=10.42.0.2/32
"""


@pytest.fixture
def by_networkd(host):
    """A wg0 that systemd-networkd made from files of somebody else."""
    folder = host.disk / "networkd"
    folder.mkdir()
    (folder / "20-vpn.netdev").write_text(NETDEV)
    (folder / "20-vpn.network").write_text("[Match]\nName=wg0\n[Network]\nAddress=10.42.0.1/16\n")
    bring_up(host)
    host.set_networks(view(own_key(host), NODE2, addresses=("10.42.0.1/16",)))
    return host


def names(host):
    return sorted(path.name.partition(".adopted-")[0] for path in (host.disk / "networkd").iterdir())


def test_networkd_lets_go_and_gets_it_back(by_networkd):
    host = by_networkd
    announce(host)
    assert "was not written by these modules" in str(host.call("sync"))
    part = take(host)
    assert part["result"] is True, part
    assert not [*(host.disk / "networkd").glob("*.net*[!0-9]")]
    assert names(host) == ["20-vpn.netdev", "20-vpn.network"]
    assert f"PresharedKey = {PRESHARED}" in host.config.read_text()
    assert host.writing_commands() == []
    (host.disk / "networkd" / "20-vpn.netdev").write_text(NETDEV)  # as if power had failed before it was removed
    take(host)
    assert not (host.disk / "networkd" / "20-vpn.netdev").exists()
    host.call("unadopt")
    assert (host.disk / "networkd" / "20-vpn.netdev").read_text() == NETDEV
    assert not host.config.exists()
    assert host.device() is not None
