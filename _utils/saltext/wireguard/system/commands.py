"""Commands that this machine runs, such as ``wg`` and ``ip``."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence

from ..errors import NodeError
from ..wording import without_keys
from . import machine

_PACKAGES = {"wg": "wireguard-tools", "ip": "iproute2"}


def run(
    command: Sequence[str],
    stdin: str | None = None,
    check: bool = True,
    secret: bool = False,
    files: Sequence[int] = (),
) -> str:
    """
    Run a command and return its standard output.

    :param check: whether an exit code other than 0 is an error
    :param secret: keep its standard error out of messages; its standard output never gets into one
    :param files: descriptors to pass on, which the command opens as ``/dev/fd/N``
    :raises NodeError: where the command is missing, fails, or takes longer than a minute; quotes no private key
    """
    shown = " ".join(command)[:200]
    try:
        done = machine.here.execute(command, stdin, files)
    except FileNotFoundError as exc:
        package = _PACKAGES.get(command[0], command[0])
        raise NodeError(f"{command[0]} is not installed: install {package}") from exc
    except OSError as exc:
        raise NodeError(f"`{shown}` could not be run: {exc.strerror}; see the kernel's log, and apply again") from exc
    except subprocess.TimeoutExpired as exc:
        raise NodeError(f"`{shown}` did not end within {machine.COMMAND_SECONDS:g} s") from exc
    if check and done.returncode:
        # `wg` quotes what it cannot read. Of keys, only the public ones that the command itself names are repeated.
        reason = "" if secret else f": {without_keys(done.stderr.strip(), command)[-300:]}"
        raise NodeError(f"`{shown}` failed with code {done.returncode}{reason}")
    return done.stdout


def run_with_secrets(command: Sequence[str], secrets: Mapping[int, str]) -> None:
    """
    Run a command that reads secrets from files. They go through pipes, so they are neither in its arguments nor on the
    disk.

    :param secrets: index of a word of the command -> the secret in the file that this word is to name
    :raises NodeError: as ``run`` does
    """
    with contextlib.ExitStack() as stack:
        pipes = {place: stack.enter_context(_pipe(secret)) for place, secret in secrets.items()}
        words = [f"/dev/fd/{pipes[place]}" if place in pipes else word for place, word in enumerate(command)]
        run(words, files=list(pipes.values()))


@contextlib.contextmanager
def _pipe(text: str) -> Iterator[int]:
    """The reading end of a pipe that holds this text. It must fit into the pipe's buffer."""
    reading, writing = os.pipe()
    try:
        os.write(writing, text.encode())
        os.close(writing)
        yield reading
    finally:
        os.close(reading)
