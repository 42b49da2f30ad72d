"""Time of a message that `rosbags` read."""

from __future__ import annotations

from typing import Any


def stamp_of(header: Any) -> int:
    """Nanoseconds of a std_msgs/Header."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)
