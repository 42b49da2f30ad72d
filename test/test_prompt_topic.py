"""Prompts that come by a topic: each counts once, and what is old is told as such."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from std_msgs.msg import String

from gsam_ros.node.prompt_topic import PromptTopic


class Ends:
    """Stands for a node: keeps what it would call for messages, the volatile end first."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def create_subscription(self, kind: type, topic: str, call: Any, *_: Any, **__: Any) -> Any:
        self.calls.append(call)
        return SimpleNamespace()


@pytest.fixture
def heard() -> list[tuple[str, bool]]:
    return []


@pytest.fixture
def ends(heard) -> list[Any]:
    node = Ends()
    PromptTopic(node, "~/prompt", lambda text, from_before: heard.append((text, from_before)))  # type: ignore[arg-type]
    return node.calls


NOW = 10**9


def info(seconds: float) -> dict[str, int]:
    return {"source_timestamp": time.time_ns() + round(seconds * NOW)}


def test_a_message_that_both_ends_get_counts_once(ends, heard) -> None:
    volatile, kept = ends
    written = info(1)
    for end in (kept, volatile):
        end(String(data="mug."), written)
    volatile(String(data="mug."), info(2))
    assert heard == [("mug.", False), ("mug.", False)]


def test_what_was_latched_before_is_told_as_old(ends, heard) -> None:
    _, kept = ends
    kept(String(data="mug."), info(-100))
    assert heard == [("mug.", True)]


@pytest.mark.parametrize("first", [0, 1])
def test_a_writer_whose_clock_lags_is_not_taken_for_old(ends, heard, first: int) -> None:
    written = info(-3600)
    for end in (ends[first], ends[1 - first]):
        end(String(data="mug."), written)
    assert heard[-1] == ("mug.", False)
    assert len(heard) <= 2


def test_without_a_time_of_writing_nothing_is_taken_for_a_copy(ends, heard) -> None:
    for text in ("mug.", "ball.", "mug."):
        ends[0](String(data=text), {"source_timestamp": 0})
    assert [text for text, _ in heard] == ["mug.", "ball.", "mug."]
