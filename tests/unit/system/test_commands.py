"""Running commands: what a failure says, and what it must not."""

import os

import pytest

from saltext.wireguard.errors import NodeError
from saltext.wireguard.system.commands import run, run_with_secrets

PUBLIC = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
PRIVATE = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="


def failing_on(said, *words):
    """The message of a command that fails with this on its standard error."""
    with pytest.raises(NodeError) as caught:
        run(["sh", "-c", "cat >&2; exit 1", *words], stdin=said)
    return str(caught.value)


def test_what_a_command_printed_on_standard_error_is_the_reason():
    assert failing_on("RTNETLINK answers: File exists\n").endswith("failed with code 1: RTNETLINK answers: File exists")


@pytest.mark.parametrize("key", [PRIVATE, PRIVATE.rstrip("="), PRIVATE[:-3], PRIVATE[2:]])
def test_a_key_that_a_command_quotes_is_not_repeated(key):
    """`wg` quotes a key file that it cannot read, and what it said went into returns, the job cache and logs."""
    message = failing_on(f"Key is not the correct length or format: `{key}'")
    assert message.endswith("failed with code 1: Key is not the correct length or format: `(hidden)'")


def test_a_public_key_that_the_command_names_is_repeated():
    message = failing_on(f"no peer {PUBLIC}, but {PRIVATE}", PUBLIC)
    assert message.endswith(f"no peer {PUBLIC}, but (hidden)")


def test_a_key_is_hidden_also_where_a_long_message_is_cut():
    assert PRIVATE[-10:] not in failing_on(PRIVATE + "." * 280)


def test_of_a_command_about_secrets_nothing_is_repeated():
    with pytest.raises(NodeError, match=r"failed with code 1$"):
        run(["sh", "-c", "echo something >&2; exit 1"], secret=True)


def test_secrets_are_read_from_files_that_are_in_no_directory(tmp_path):
    out = tmp_path / "out"
    script = 'for word; do case "$word" in /*) cat "$word" ;; *) printf "%s " "$word" ;; esac; done > "$0"'
    run_with_secrets(["sh", "-c", script, str(out), "a", "@", "b", "@"], {5: PRIVATE, 7: PUBLIC})
    assert out.read_text() == f"a {PRIVATE}b {PUBLIC}"


def test_a_command_that_fails_with_secrets_says_none_and_leaves_no_file_open():
    before = os.listdir("/proc/self/fd")
    with pytest.raises(NodeError) as caught:
        run_with_secrets(["sh", "-c", 'cat "$0" >&2; exit 1', "@"], {3: PRIVATE})
    assert str(caught.value).endswith("failed with code 1: (hidden)")
    assert "/dev/fd/" in str(caught.value)
    assert os.listdir("/proc/self/fd") == before
