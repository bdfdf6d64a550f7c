"""How the lab talks to the person in front of it: progress on stderr, and one error that says what to do."""

import sys


class LabError(Exception):
    """A command cannot do what was asked; the text is one line that says why and what to do about it."""


def progress(text: str) -> None:
    """Tell what takes time right now. Stdout stays free for results."""
    print(f"lab: {text}", file=sys.stderr, flush=True)
