"""What an operator gives to a function of the runner: whether it fits, and what each argument may be."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import salt.exceptions

from ..model import fields
from ..wording import quoted

# An argument of one name is the same in all functions. These are looked at where they are used.
ELSEWHERE = ("event", "canary", "batch", "stop_after", "valid_for", "count", "until", "really")


def offered(checked: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """
    ``checked``, which calls the function with arguments that fit, as Salt is to see it: it takes any argument.

    Otherwise, for a name that is unknown, Salt prints usage and exits with 0; and by API, it drops the argument and
    runs the rest, such as a reconcile of everybody for one with a mistyped `canary`.
    """
    functools.update_wrapper(checked, function)
    del checked.__wrapped__  # type: ignore[attr-defined]  # which Salt would look at
    signature = inspect.signature(function)
    others = inspect.Parameter("unknown", inspect.Parameter.VAR_KEYWORD)
    parameters = [*signature.parameters.values(), others]
    checked.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return checked


def fitting(function: Callable[..., Any], args: Sequence[Any], kw: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by name. Raises the error that ``salt-run`` prints as a message where they make no sense."""
    name = f"wireguard.{function.__name__}"
    given = {key: value for key, value in kw.items() if not key.startswith("__")}  # Salt has some of its own
    try:
        bound = inspect.signature(function).bind(*args, **given)
    except TypeError as exc:
        raise salt.exceptions.NotImplemented(f"{name}: {exc}; see `salt-run -d {name}`") from exc
    defaults = inspect.signature(function).parameters
    return {key: _checked(name, key, value, defaults[key].default) for key, value in bound.arguments.items()}


def _checked(function: str, name: str, value: Any, default: object) -> Any:
    if value is default or name in ELSEWHERE:
        return value
    try:
        return CHECKS[name](value)
    except ValueError as exc:
        raise salt.exceptions.NotImplemented(f"{function}: {name} {exc}") from exc


def _text(value: object) -> str:
    """The command line makes a number of what looks like one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {quoted(value)}; on a command line, quote it twice, such as '\"1.0\"'")
    return value


def _sentence(value: object) -> str:
    if isinstance(value, Mapping | list | tuple):
        raise ValueError(f"must be text, not {quoted(value)}")
    return "" if value is None else str(value)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"must be a number of seconds, not {quoted(value)}")
    return value


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"must be a whole number from 1 on, not {quoted(value)}")
    return value


def _minions(value: object) -> str | list[str]:
    return "*" if value == "*" else fields.list_of(_text)(value)


CHECKS: Mapping[str, Callable[[object], Any]] = {
    **dict.fromkeys(("a", "b", "file", "format", "mesh", "name", "network", "node", "off", "public_key", "tag"), _text),
    **dict.fromkeys(("anonymous", "everybody", "force", "probe", "rekey", "wait"), fields.boolean),
    **dict.fromkeys(("files", "new", "old", "take", "write"), _text),
    "contact": _minions,
    "copy_to": _text,
    "limit": _number,
    "reason": _sentence,
    "secret": fields.boolean,
    "timeout": _seconds,
}
