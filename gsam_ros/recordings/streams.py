"""Where the node publishes the results of a camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NODE = "/gsam_node"
"""The node's full name where it is in no namespace; its results lie below."""


@dataclass(frozen=True)
class Stream:
    """One camera of a replay.

    Attributes:
        image: the topic of the recording that the node subscribes.
        results: the name below which the node publishes, "/gsam_node/left".
    """

    image: str
    results: str


def streams_of(cameras: Sequence[str], node: str = NODE) -> list[Stream]:
    """Those of cameras whose images lie on /NAME/image."""
    return [Stream(f"/{name}/image", f"{node}/{name}") for name in cameras]
