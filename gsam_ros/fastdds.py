"""Fast DDS: its profile, and room for the shared memory by which images are sent."""

from __future__ import annotations

import os
import shutil
from typing import TypeVar

PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Kilted reads the one, Jazzy the other."""

_PLACE = "/dev/shm"
_LEAST = 64 << 20
"""Bytes, for a camera driver, the node and two listeners: each takes 17 MB with our profile."""


T = TypeVar("T")


def profile_variables(profile: T) -> dict[str, T | str]:
    """Environment of processes that send raw images, which Fast DDS's default shared memory loses.

    A profile that somebody has set in one of the variables stays, and counts for the other as well.
    Other middlewares read neither.
    """
    set_already = [name for name in PROFILE_VARIABLES if os.environ.get(name)]
    value = os.environ[set_already[0]] if set_already else profile
    return {name: value for name in PROFILE_VARIABLES if name not in set_already}


def shortage() -> str:
    """What is wrong and what to do, for people; empty where there is room, or no profile is set."""
    if not any(os.environ.get(name) for name in PROFILE_VARIABLES):
        return ""
    try:
        free = shutil.disk_usage(_PLACE).free
    except FileNotFoundError:  # not Linux
        return ""
    if free >= _LEAST:
        return ""
    return (
        f"{_PLACE} has {free / 1e6:.0f} MB free, and Fast DDS takes 17 MB of it for each process: "
        "images may go by UDP and get lost; start a container with --shm-size=1g, or clear what "
        "killed processes left (fastdds shm clean)"
    )
