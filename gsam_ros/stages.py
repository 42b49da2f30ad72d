"""When the stages of a frame's way through the pipeline began and ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Stage(NamedTuple):
    """One run of a stage; one that ran twice is there twice.

    Attributes:
        name: of the stage.
        begin: seconds on a steady clock, `time.perf_counter` unless its holder says otherwise.
        end: likewise.
    """

    name: str
    begin: float
    end: float


def milliseconds(stages: Iterable[Stage]) -> dict[str, float]:
    """How long each stage took in all its runs, in the order in which the stages first ran."""
    taken: dict[str, float] = {}
    for name, begin, end in stages:
        taken[name] = taken.get(name, 0.0) + 1e3 * (end - begin)
    return taken


def since(stages: Iterable[Stage], moment: float) -> Sequence[Stage]:
    """The same, counted from a moment on the same clock."""
    return [Stage(name, begin - moment, end - moment) for name, begin, end in stages]
