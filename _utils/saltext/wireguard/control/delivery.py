"""Delivers the configuration of an external peer: to the terminal or into a file, as text or as a QR code."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import ConfigError
from ..formats import external_peer
from ..system import files

# Pictures of a wg-quick file.
PICTURES = ("qr", "png")


class Delivery:
    """
    Where a configuration goes, and in which form.

    :param form: one of ``external_peer.FORMS`` or ``PICTURES``
    :param file: a path that does not exist yet; None for the terminal
    :raises ConfigError: where that is not possible
    """

    def __init__(self, form: str, file: object) -> None:
        if form not in (*external_peer.FORMS, *PICTURES):
            raise ConfigError(f"there is no format {form}; it can be {', '.join((*external_peer.FORMS, *PICTURES))}")
        self.form = form
        self.is_picture = form in PICTURES
        self.form_of_text = "wg-quick" if self.is_picture else form
        self.file = os.path.abspath(str(file)) if file else None
        if self.is_picture:
            _segno(form)
        if self.file is None:
            self._check_terminal()
        elif os.path.lexists(self.file):
            raise ConfigError(f"{self.file} exists already; remove it, or choose another `file=`")

    def _check_terminal(self) -> None:
        if self.form == "png":
            raise ConfigError("format=png needs `file=`, the path to write the picture to")
        if not sys.stdout.isatty():
            raise ConfigError(
                "the configuration is shown on a terminal only, and this is none; `file=` is the path to write it to,"
                " readable for you alone"
            )

    @contextlib.contextmanager
    def ready(self, text: str) -> Iterator[Callable[[], None]]:
        """Do everything that can fail, and yield a function that does the rest. Raises ConfigError."""
        content = self._content(text)
        if self.file is None:
            yield lambda: print(content, flush=True)
            return
        file = self.file
        files.remove_leftovers(file)
        with contextlib.ExitStack() as stack:
            try:
                finished = stack.enter_context(files.temporary(file, content))
            except OSError as exc:
                raise ConfigError(f"{file} could not be written: {exc.strerror}; nothing was exported") from exc
            yield lambda: os.rename(finished, file)

    def _content(self, text: str) -> str | bytes:
        return picture(external_peer.without_comments(text), self.form) if self.is_picture else text


def picture(text: str, form: str) -> str | bytes:
    """A QR code of the text: for a terminal, or the content of a PNG file. Raises ConfigError."""
    segno = _segno(form)
    try:
        code = segno.make(text, error="l", micro=False)
    except segno.DataOverflowError as exc:
        raise ConfigError(
            f"{len(text.encode())} bytes do not fit into a QR code, which has room for 2953: link the peer with fewer"
            " nodes, such as a hub, or use another format"
        ) from exc
    if form == "png":
        png = io.BytesIO()
        code.save(png, kind="png", scale=4)
        return png.getvalue()
    drawn = io.StringIO()
    code.terminal(drawn, compact=True)
    return drawn.getvalue()


def _segno(form: str) -> Any:
    try:
        import segno
    except ImportError as exc:
        raise ConfigError(
            f"format={form} needs the Python package segno on this machine: `salt-pip install segno` where Salt has a"
            " Python of its own, else `pip install segno`"
        ) from exc
    return segno
