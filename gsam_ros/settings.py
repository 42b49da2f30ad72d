"""How a setting is declared: default, range and description in one place.

The ROS node declares its parameters from these dataclasses, and the command line its options, so
a name, a default, a range and a description are written once.
"""

from __future__ import annotations

from dataclasses import field, fields
from typing import Any


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
        runtime: whether it can change between two frames of a running machine.
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
