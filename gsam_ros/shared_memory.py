"""Room for Fast DDS's shared memory, by which processes of one machine send each other images."""

from __future__ import annotations

import os
import shutil

from gsam_ros.launching import PROFILE_VARIABLES

_PLACE = "/dev/shm"
_LEAST = 64 << 20
"""Bytes, for a camera driver, the node and two listeners: each takes 17 MB with our profile."""


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
