"""Figures with names and notes, for the terminal, for Markdown and for JSON."""

from __future__ import annotations

from collections.abc import Sequence

Row = tuple[str, str, str]
"""Name, value, what it means."""


def as_text(table: Sequence[Row]) -> str:
    """Aligned columns for a terminal."""
    widths = [max(len(row[i]) for row in table) for i in range(2)]
    return "\n".join(
        f"{name:<{widths[0]}}  {value:>{widths[1]}}  {note}".rstrip() for name, value, note in table
    )


def as_markdown(table: Sequence[Row]) -> str:
    """A Markdown table."""
    lines = ["| figure | value | |", "|---|---:|---|"]
    return "\n".join([*lines, *(f"| {name} | {value} | {note} |" for name, value, note in table)])


def without_nan(value: object) -> object:
    """NaN as None, wherever it lies in dicts, lists and tuples: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value
