"""What the launch files share. They import it, so it needs neither launch nor the models."""

from __future__ import annotations

import os
from typing import TypeVar

_PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Kilted reads the one, Jazzy the other."""

T = TypeVar("T")


def profile_variables(profile: T) -> dict[str, T | str]:
    """Environment of processes that send raw images, which Fast DDS's default shared memory loses.

    A profile that somebody has set in one of the variables stays, and counts for the other as well.
    Other middlewares read neither.
    """
    set_already = [name for name in _PROFILE_VARIABLES if os.environ.get(name)]
    value = os.environ[set_already[0]] if set_already else profile
    return {name: value for name in _PROFILE_VARIABLES if name not in set_already}
