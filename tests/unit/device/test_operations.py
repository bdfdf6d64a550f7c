"""What a list of steps amounts to: command lines."""

from saltext.wireguard.device.operations import (
    PEERS_PER_COMMAND,
    PRESHARED_KEY,
    Operation,
    PresharedKeyOf,
    command_lines,
    preshared_keys,
    wg_set,
)
from saltext.wireguard.model.changes import Change, Kind


def operation(*argv):
    return Operation(Change(Kind.PEER, "a", None, "set"), argv)


def test_all_peers_are_set_by_one_command():
    assert wg_set("wg0", [("peer", "a", "remove"), ("peer", "b", "remove")]) == [
        ("wg", "set", "wg0", "peer", "a", "remove", "peer", "b", "remove")
    ]


def test_a_command_does_not_become_too_long():
    commands = wg_set("wg0", [("peer", str(number), "remove") for number in range(PEERS_PER_COMMAND + 1)])
    assert [command.count("peer") for command in commands] == [PEERS_PER_COMMAND, 1]


def test_without_anything_to_set_there_is_no_command():
    assert wg_set("wg0", []) == []


def test_only_neighbouring_settings_of_the_interface_become_one_command():
    """The order counts: an address must not come after the peers that need it."""
    link = ("ip", "link", "set", "dev", "wg0", "up")
    steps = [("wg", "set", "wg0", "listen-port", "1"), ("wg", "set", "wg0", "fwmark", "2"), link]
    steps += [("wg", "set", "wg0", "peer", "a"), ("wg", "set", "wg1", "peer", "b")]
    assert command_lines([operation(*step) for step in steps], "wg0") == [
        ("wg", "set", "wg0", "listen-port", "1", "fwmark", "2"),
        link,
        ("wg", "set", "wg0", "peer", "a"),
        ("wg", "set", "wg1", "peer", "b"),
    ]


def test_an_effect_of_another_operation_needs_no_command():
    assert command_lines([operation()], "wg0") == []


def test_a_text_that_reads_like_the_word_for_a_preshared_key_is_only_a_text():
    """The word was known by what it reads, so whoever could write it somewhere into a command got a secret there."""
    command = ("peer", PRESHARED_KEY, "preshared-key", PresharedKeyOf("a"), "preshared-key", PresharedKeyOf("b"))
    assert preshared_keys(command, {"a": "secret"}) == {3: "secret", 5: ""}
