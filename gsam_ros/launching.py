"""What the launch files share. They import it, so it needs neither launch nor the models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

BOOLEANS = ["true", "false", "True", "False", "1", "0"]
"""What launch itself takes for one, in its conditions."""

RVIZ_SHOWS = ("overlay", "instance_cloud")
"""The node's topics that config/gsam.rviz shows."""


def is_true(text: str) -> bool:
    """Whether one of `BOOLEANS` says yes."""
    return text in ("true", "True", "1")


def failing(reason: str) -> Callable[[Any], None]:
    """What an OpaqueFunction calls to end a launch with exit status 1; `reason` is logged.

    Only an exception gives another status than 0, and launch_ros doesn't stand one that comes when
    the launch is ending.
    """

    def fail(context: Any) -> None:
        if not context.is_shutdown:
            raise RuntimeError(reason)

    return fail
