"""HTML and SVG from values. Text that others chose can only become text: whatever is no ``Markup`` is escaped."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable

_WITHOUT_END = frozenset({"input", "link", "meta"})

Child = object
Attribute = str | int | float | None


class Markup(str):
    """Text that is HTML or SVG already."""


def text(value: object) -> Markup:
    """What was not printable, such as a control character or one that turns the direction of writing, is "?"."""
    if isinstance(value, Markup):
        return value
    shown = "".join(char if char.isprintable() else "?" for char in str(value))
    return Markup(html.escape(shown))


def joined(parts: Iterable[Child]) -> Markup:
    """One after the other. None is nothing."""
    return Markup("".join(text(part) for part in parts if part is not None))


def element(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """
    ``data_node`` becomes the attribute ``data-node``, and ``class_`` ``class``. One that is None is left out; "" stands
    for an attribute without value.
    """
    given = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None)
    opening = f"<{name}{''.join(f' {key}=' + chr(34) + _attribute(value) + chr(34) for key, value in given)}>"
    return Markup(opening if name in _WITHOUT_END else f"{opening}{joined(children)}</{name}>")


def _attribute(value: Attribute) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else text(value)


def code(kind: str, source: str) -> Markup:
    """A ``script`` or ``style`` of ours."""
    if f"</{kind}" in source.lower() or "<!--" in source:
        raise ValueError(f"the {kind} would end too early")
    return Markup(f"<{kind}>{source}</{kind}>")


def data(ident: str, value: object) -> Markup:
    """Data for scripts. Nothing in it can end the element."""
    written = json.dumps(value, separators=(",", ":"))
    for char in "<>&":
        written = written.replace(char, f"\\u{ord(char):04x}")
    return Markup(f'<script type="application/json" id="{ident}">{written}</script>')
