"""The cameras of a replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gsam_ros.recordings.result_topics import NODE


@dataclass(frozen=True)
class Stream:
    """One camera of a replay.

    Attributes:
        image: the topic of the recording that the node subscribes.
        results: the name below which the node publishes, "/gsam_node/left".
    """

    image: str
    results: str


def streams_of(cameras: Sequence[str]) -> list[Stream]:
    """Those of cameras whose images lie on /NAME/image."""
    return [Stream(f"/{name}/image", f"{NODE}/{name}") for name in cameras]
