"""Arguments that make no sense are errors, whatever the way by which they come."""

import ast
from pathlib import Path

import pytest
import salt.exceptions
import salt.utils.args

from saltext.wireguard.control.arguments import CHECKS, ELSEWHERE, fitting
from saltext.wireguard.control.operator import command

RUNNERS = Path(__file__).parents[3] / "_runners"


def revoke(node, network=None, reason="", timeout=20, force=False, limit=1, contact="*"):
    return node, network, reason, timeout, force, limit, contact


@pytest.mark.parametrize(("args", "kw"), [([], {}), (["a"] * 9, {}), (["a"], {"node": "b"}), (["a"], {"rason": "b"})])
def test_arguments_that_do_not_fit_are_an_error_that_names_the_function(args, kw):
    """Salt printed usage, and exited with 0."""
    assert fitting(revoke, ["a"], {"network": "b"}) == {"node": "a", "network": "b"}
    with pytest.raises(salt.exceptions.NotImplemented, match=r"^wireguard\.revoke: .*; see `salt-run -d wireguard"):
        fitting(revoke, args, kw)


def test_a_mistyped_name_gets_as_far_as_that():
    """By API, Salt dropped `cannary=web1`, and ran a reconcile of all nodes."""
    specification = salt.utils.args.get_function_argspec(command(revoke))
    assert (specification.args[0], specification.keywords) == ("node", "unknown")
    with pytest.raises(salt.exceptions.NotImplemented, match="'rason'"):
        command(revoke)("a", rason="stolen")


def test_what_salt_adds_is_no_argument():
    assert command(revoke)("a", __pub_user="root") == revoke("a")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("node", True, "node must be text, not True; on a command line, quote it twice"),
        ("node", 1.1, "node must be text, not 1.1"),
        ("network", ["a"], r"network must be text, not \['a'\]"),
        ("reason", {}, "reason must be text"),
        ("timeout", "20", "timeout must be a number of seconds, not '20'"),
        ("timeout", 0, "timeout must be a number of seconds, not 0"),
        ("timeout", float("nan"), "timeout must be a number of seconds, not nan"),
        ("force", "no", "force must be true or false, not 'no'"),
        ("limit", 0, "limit must be a whole number from 1 on, not 0"),
        ("contact", "web1", "contact must be a list, not 'web1'"),
    ],
)
def test_an_argument_of_the_wrong_type_is_an_error(name, value, message):
    """`force='no'` was taken for a yes, and `timeout='20'` ended in a traceback."""
    with pytest.raises(salt.exceptions.NotImplemented, match=rf"^wireguard\.revoke: {message}"):
        command(revoke)(**{"node": "a", name: value})


@pytest.mark.parametrize(
    ("name", "value", "expected"), [("node", 10, "10"), ("reason", 4711, "4711"), ("reason", None, "")]
)
def test_what_the_command_line_takes_for_a_number_is_text_again(name, value, expected):
    """A minion whose id is 10 was not in any network."""
    assert fitting(revoke, [], {"node": "a", name: value})[name] == expected


def test_what_stands_in_the_place_of_nothing_is_left_alone():
    assert command(revoke)("a", None, "", 20, False, 1, "*") == revoke("a")


def test_every_argument_of_the_runner_is_looked_at_here_or_where_it_is_used():
    trees = [ast.parse(path.read_text()) for path in RUNNERS.glob("*.py")]
    functions = [each for tree in trees for each in tree.body if isinstance(each, ast.FunctionDef)]
    assert {each.arg for function in functions for each in function.args.args} == {*CHECKS, *ELSEWHERE}
