"""
The configuration of a peer that is not a minion: made here once, handed to the operator, and kept nowhere.

What a runner returns becomes an event and goes into the job cache, so a private key is never in what is returned here.
It goes to the terminal or into a file.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from dataclasses import dataclass

from ..errors import ConfigError
from ..formats import external_peer
from ..master.external_peers import view_with_key
from ..master.intake import membership
from ..model.keys import PrivateKey, parse_public_key
from ..model.view import View
from ..system.files import beside, remove_leftovers
from ..system.keypair import generate, public_of

# These show a wg-quick file.
PICTURES = ("qr", "png")


@dataclass(frozen=True)
class Exported:
    """What was handed out. ``has_key``: whether the private key is in it, or a placeholder."""

    view: View
    has_key: bool


def export(master, network, peer, delivery, public_key, rekey, who, why):
    """
    Make a key pair unless there is a public key, hand the configuration out, and remember the public key.

    :param network: of the mesh file, which has the ``peer``
    :param public_key: that of the peer, if it has made its key pair itself
    :param rekey: whether the key that it has may be dropped
    :raises WireguardError: and then the peer is as it was, unless the message says otherwise
    """
    _, members = membership(master, network.name, master.accepted())
    before = master.registry.prepare_export(network, peer.name, members, members.suspended)
    key, private = _key_pair(peer, before, public_key, rekey)
    if delivery.form in PICTURES and private is None:
        raise ConfigError(f"format={delivery.form} is of use only with the private key, which is not known here")
    view = view_with_key(master.moment(), network.name, peer.name, key)
    with delivery.ready(external_peer.text(view, peer.name, private, delivery.form_of_text)) as hand_out:
        master.registry.export(before, key, view.digest, who, why)
        try:
            hand_out()
        except OSError as exc:
            raise ConfigError(
                f"{peer.name} has a new key, and its configuration could not be handed out: {exc.strerror}. Put that"
                " right, and run this again with rekey=True"
            ) from exc
    return Exported(view, private is not None)


def _key_pair(peer, before, public_key, rekey):
    """The peer's public key, and the private one if it is made now."""
    given = parse_public_key(str(public_key)) if public_key else None
    if peer.public_key:
        if rekey or given not in (None, peer.public_key):
            raise ConfigError(f"the mesh file has the public key of {peer.name}: change it there")
        return peer.public_key, None
    if before.public_key and not rekey and given != before.public_key:
        day = time.strftime("%Y-%m-%d", time.localtime(before.exported))
        raise ConfigError(
            f"{peer.name} was exported on {day}, and its private key was not kept. `public_key={before.public_key}`"
            " shows what it must have now, with a placeholder for the private key; with `rekey=True` it gets another"
            " key, and the old one is dropped"
        )
    if given:
        return given, None
    private = generate()
    return public_of(private), PrivateKey(private)


class Delivery:
    """
    Where a configuration goes, and in which form.

    :param form: one of ``external_peer.FORMS`` or ``PICTURES``
    :param file: a path that does not exist yet; None for the terminal
    :raises ConfigError: where that is not possible
    """

    def __init__(self, form, file):
        if form not in (*external_peer.FORMS, *PICTURES):
            raise ConfigError(f"there is no format {form}; it can be {', '.join((*external_peer.FORMS, *PICTURES))}")
        self.form = form
        self.form_of_text = "wg-quick" if form in PICTURES else form
        self.file = os.path.abspath(str(file)) if file else None
        if form in PICTURES:
            _segno(form)
        if self.file is None:
            self._check_terminal()
        elif os.path.lexists(self.file):
            raise ConfigError(f"{self.file} exists already; remove it, or choose another `file=`")

    def _check_terminal(self):
        if self.form == "png":
            raise ConfigError("format=png needs `file=`, the path to write the picture to")
        if not sys.stdout.isatty():
            raise ConfigError(
                "the configuration is shown on a terminal only, and this is none; `file=` is the path to write it to,"
                " readable for you alone"
            )

    @contextlib.contextmanager
    def ready(self, text):
        """Do all that can fail; what this gives does the rest. Raises ConfigError."""
        content = self._content(text)
        if self.file is None:
            yield lambda: print(content, flush=True)
            return
        remove_leftovers(self.file)
        with contextlib.ExitStack() as stack:
            try:
                finished = stack.enter_context(beside(self.file, content))
            except OSError as exc:
                raise ConfigError(f"{self.file} could not be written: {exc.strerror}; nothing was exported") from exc
            yield lambda: os.rename(finished, self.file)

    def _content(self, text):
        if self.form not in PICTURES:
            return text
        return picture(external_peer.without_comments(text), self.form)


def picture(text, form):
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


def _segno(form):
    try:
        import segno
    except ImportError as exc:
        raise ConfigError(
            f"format={form} needs the Python package segno on this machine: `salt-pip install segno` where Salt has a"
            " Python of its own, else `pip install segno`"
        ) from exc
    return segno
