"""Which ROS 2 to use: the one that is sourced, or wheels."""

import os
import subprocess
from pathlib import Path

WHEELS = ("jazzy", "kilted")


def sourced(python: str) -> str | None:
    """Return the distribution of the ROS 2 environment that is sourced, None where none is.

    Raises:
        SystemExit: when one is sourced and this Python cannot import its rclpy, or it is too old.
    """
    distribution = os.environ.get("ROS_DISTRO")
    if not distribution or not os.environ.get("AMENT_PREFIX_PATH"):
        return None
    check = _import(python, "rclpy")
    if check.returncode:
        cause = "\n    ".join(check.stderr.strip().splitlines()[-2:])
        raise SystemExit(
            f"ROS 2 {distribution} is sourced, but {python} cannot import its rclpy:\n"
            f"    {cause}\n"
            "Choose the Python it was built for (make setup PYTHON=/usr/bin/python3), or open a "
            "shell without ROS 2 to have the wheels installed."
        )
    if _import(python, "rclpy.parameter_event_handler").returncode:  # Humble and Iron have none
        raise SystemExit(
            f"ROS 2 {distribution} is sourced, and Jazzy is the oldest that this package runs on: "
            "source a newer one, or open a shell without ROS 2 to have the wheels installed."
        )
    return distribution


def _import(python: str, module: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-c", f"import {module}"], check=False, capture_output=True, text=True
    )


def has_package(name: str, *, other_than: Path) -> bool:
    """Say whether a package is part of the sourced environment, outside one prefix."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return any(
        (Path(prefix) / "share" / name).is_dir()
        for prefix in prefixes
        if prefix and Path(prefix).resolve() != other_than.resolve()
    )
