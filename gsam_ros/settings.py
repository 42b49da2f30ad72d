"""How a setting is declared: default, range and description in one place.

The ROS node declares its parameters from these dataclasses, and the command line its options, so
a name, a default, a range and a description are written once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, fields, replace
from difflib import get_close_matches
from typing import Any, TypeVar

S = TypeVar("S")


class SettingError(ValueError):
    """A setting that can't be used; the message names it and the values that can."""


def setting(
    default: Any,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    runtime: bool = False,
) -> Any:
    """A dataclass field that carries what users need to know of it.

    Args:
        default: the value that needs no tuning.
        description: one sentence, with the unit.
        low: the least value allowed, inclusive.
        high: the greatest value allowed, inclusive.
        choices: the values allowed, where they are words.
        runtime: whether it can change between two frames of a running pipeline.
    """
    metadata = {
        "description": description,
        "low": low,
        "high": high,
        "choices": choices,
        "runtime": runtime,
    }
    return field(default=default, metadata=metadata)


def leaves(settings: Any, prefix: str = "") -> list[tuple[str, Any, dict[str, Any]]]:
    """Every setting as (dotted name, value, metadata), in the order of declaration."""
    found: list[tuple[str, Any, dict[str, Any]]] = []
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        if entry.metadata:
            found.append((prefix + entry.name, value, dict(entry.metadata)))
        else:
            found.extend(leaves(value, f"{prefix}{entry.name}."))
    return found


def check(settings: Any) -> None:
    """Refuse values outside their range.

    Raises:
        SettingError: names the setting, its value and what is allowed.
    """
    for name, value, about in leaves(settings):
        low, high, choices = about["low"], about["high"], about["choices"]
        if choices and value not in choices:
            raise SettingError(f"{name} is {value!r}: give one of {', '.join(choices)}")
        if low is not None and not low <= value <= high:
            raise SettingError(f"{name} is {value}: give a value from {low} to {high}")


def with_values(settings: S, values: Mapping[str, Any], prefix: str = "") -> S:
    """The settings with those values that `values` has under their dotted names.

    Raises:
        SettingError: a value outside its range, where `S` checks.
    """
    changed: dict[str, Any] = {}
    for entry in fields(settings):  # type: ignore[arg-type]
        name, old = prefix + entry.name, getattr(settings, entry.name)
        if not entry.metadata:
            changed[entry.name] = with_values(old, values, f"{name}.")
        elif name in values:
            changed[entry.name] = tuple(values[name]) if isinstance(old, tuple) else values[name]
    return replace(settings, **changed)  # type: ignore[type-var]


def with_texts(settings: S, assignments: Sequence[str]) -> S:
    """The settings with values as they are typed on a command line: "detector.rate=2".

    Raises:
        SettingError: an unknown name, a value of another type or outside its range.
    """
    known = {name: value for name, value, _ in leaves(settings)}
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise SettingError(f"{assignment!r} sets nothing: write NAME=VALUE")
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingError(f"there is no setting {name!r}{hint}")
        values[name] = _value(name, text, type(known[name]))
    return with_values(settings, values)


def _value(name: str, text: str, kind: type) -> Any:
    if kind is str:
        return text
    if kind is tuple:
        return tuple(entry.strip() for entry in text.strip("[]").split(","))
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise SettingError(f"{name} is {text!r}: give true or false")
    try:
        return kind(text)
    except ValueError:
        whole = "whole " if kind is int else ""
        raise SettingError(f"{name} is {text!r}: give a {whole}number") from None
