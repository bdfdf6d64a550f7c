"""The output of ``ip -json``, checked as far as every reader needs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from ..errors import DeviceError


@contextlib.contextmanager
def parsing(command: str) -> Iterator[None]:
    """
    Turns whatever goes wrong while the output of a command is read into a DeviceError that names the command. It quotes
    nothing: in a shifted line, any field may be a secret.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise DeviceError(f"the output of {command} is malformed") from None


def objects(text: str, command: str) -> list[dict[str, Any]]:
    """The objects of one answer; none for empty output. Raises DeviceError."""
    with parsing(command):
        return _objects(json.loads(text) if text.strip() else [])


def answers(text: str, command: str) -> list[dict[str, Any]]:
    """The objects of many answers, one after the other, as ``ip -json -batch`` prints them. Raises DeviceError."""
    decoder, position, result = json.JSONDecoder(), 0, []
    with parsing(command):
        while position < len(text):
            answer, position = decoder.raw_decode(text, position)
            position += len(text[position:]) - len(text[position:].lstrip())
            result += _objects(answer)
    return result


def _objects(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise TypeError("not a list of objects")
    return value
