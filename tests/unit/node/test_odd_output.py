"""Whatever `wg` and `ip` print, a function of the minion answers, or fails by an error that names the command."""

import random
import subprocess

import pytest
from salt.exceptions import CommandExecutionError
from views import key, peer, registered

from unit.device.test_output_fuzz import mutated_json, mutated_text

CALLS = {
    "apply": lambda host: host.call("apply"),
    "sync": lambda host: host.call("sync"),
    "delta": lambda host: host.call("delta", {"backbone": [key("node2")]}),
    "reresolve": lambda host: host.call("reresolve"),
    "show": lambda host: host.call("show"),
    "diff": lambda host: host.call("diff"),
    "drift": lambda host: host.call("drift"),
    "record": lambda host: host.call("record", "backbone"),
    "rotate_prepare": lambda host: host.call("rotate_prepare", "backbone"),
    "rotate_switch": lambda host: host.call("rotate_switch", "backbone", wait=0),
    "rotate_abort": lambda host: host.call("rotate_abort", "backbone"),
    "gone": lambda host: host.call("gone", []),
    "remove": lambda host: host.call("remove", "wg0"),
}
ODD = ["", "\n", "\0", "null", "[", "[" * 5000, "[null]", "[[]]", '[{"ifname": []}]', "\t\t\t", "�" * 10, "x" * 100_000]


@pytest.fixture
def applied(host):
    """A node with peers, on a machine where what a command prints can be made odd by ``host.odd(words, text)``."""
    registered(host, peer("node2", "10.42.0.2/32"), peer("node3", "10.42.0.3/32", endpoint="192.0.2.3:4444"))
    host.call("apply")
    real = host.machine.execute

    def execute(command, stdin, files):
        done = real(command, stdin, files)
        if done.returncode or not is_read(command):
            return done
        return subprocess.CompletedProcess(done.args, 0, host.odd(command, done.stdout), "")

    host.machine.execute = execute
    return host


def is_read(command):
    return command[:2] == ["wg", "show"] or "show" in command or "get" in command


def answers_or_fails_with_reason(host, call):
    """An interface's error stands in the answer, any other is the one that Salt prints as a message."""
    try:
        answer = CALLS[call](host)
    except CommandExecutionError as exc:
        answer = str(exc)
        said = answer
    else:
        said = "wg0"
    assert answer is not None
    assert "`" in said or "wg0" in said


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("call", CALLS)
def test_output_of_another_shape_is_an_error_that_says_where(applied, call, odd):
    """There were TypeErrors and KeyErrors, which ended the state run of a whole minion."""
    applied.odd = lambda command, text: odd
    answers_or_fails_with_reason(applied, call)


@pytest.mark.parametrize("odd_one", ["wg show wg0 dump", "ip -json address show dev wg0"])
def test_the_error_names_the_command(applied, odd_one):
    applied.odd = lambda command, text: "[[1]]" if " ".join(command) == odd_one else text
    assert f"`{odd_one}`" in applied.error("show")
    (result,) = applied.call("sync")["networks"].values()
    assert f"`{odd_one}`" in str(result)


@pytest.mark.parametrize("call", CALLS)
def test_so_is_output_that_is_almost_right(applied, call):
    for seed in range(40):
        chance = random.Random(seed)

        def odd(command, text, chance=chance):
            if chance.random() < 0.5:
                return text
            return mutated_json(chance, text) if text[:1] == "[" else mutated_text(chance, text)

        applied.odd = odd
        answers_or_fails_with_reason(applied, call)
