"""What the launch files share. They import it, so it needs neither launch nor the models."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Kilted reads the one, Jazzy the other."""

BOOLEANS = ["true", "false", "True", "False", "1", "0"]
"""What launch itself takes for one, in its conditions."""

RVIZ_SHOWS = ("overlay", "instance_cloud")
"""The node's topics that config/gsam.rviz shows."""

T = TypeVar("T")


def is_true(text: str) -> bool:
    """Whether one of `BOOLEANS` says yes."""
    return text in ("true", "True", "1")


def profile_variables(profile: T) -> dict[str, T | str]:
    """Environment of processes that send raw images, which Fast DDS's default shared memory loses.

    A profile that somebody has set in one of the variables stays, and counts for the other as well.
    Other middlewares read neither.
    """
    set_already = [name for name in PROFILE_VARIABLES if os.environ.get(name)]
    value = os.environ[set_already[0]] if set_already else profile
    return {name: value for name in PROFILE_VARIABLES if name not in set_already}


def failing(reason: str) -> Callable[[Any], None]:
    """What an OpaqueFunction calls to end a launch with exit status 1; `reason` is logged.

    Only an exception gives another status than 0, and launch_ros doesn't stand one that comes when
    the launch is ending.
    """

    def fail(context: Any) -> None:
        if not context.is_shutdown:
            raise RuntimeError(reason)

    return fail
