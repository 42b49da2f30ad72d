"""Where files that are not Python lie: in the source tree, or in what ROS 2 calls `share`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import gsam_ros

_SOURCE_TREE = Path(gsam_ros.__file__).resolve().parent.parent


def share_folders(package: str) -> Iterator[Path]:
    """Where a package's files can lie: our own source, installations, then the fallback in it."""
    if package == "gsam_ros":
        yield _SOURCE_TREE
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    for prefix in [*filter(None, prefixes), sys.prefix]:
        yield Path(prefix) / "share" / package
    yield _SOURCE_TREE / "third_party" / package
    yield Path(sys.prefix) / "share" / "gsam_ros" / "third_party" / package  # pip puts it there


def shared_file(relative: str) -> Path:
    """A file of this package, for example "config/fastdds.xml".

    Raises:
        FileNotFoundError: neither the source tree nor an installation holds it.
    """
    sought = [folder / relative for folder in share_folders("gsam_ros")]
    for path in sought:
        if path.is_file():
            return path
    raise FileNotFoundError(f"none of {', '.join(map(str, sought))}: install gsam_ros again")
