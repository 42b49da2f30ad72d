"""The node's parameters: declared, read and documented from the settings' dataclasses.

`python -m gsam_ros.node.parameters > config/gsam.yaml` writes the parameter file.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from gsam_ros.node.settings import NodeSettings
from gsam_ros.pipeline.settings import Settings
from gsam_ros.settings import leaves, with_values

S = TypeVar("S")


def all_leaves() -> list[tuple[str, Any, dict[str, Any]]]:
    """Every parameter as (name, default, metadata): the node's own, then the pipeline's."""
    return leaves(NodeSettings()) + leaves(Settings())


def declare(node: Node) -> None:
    """Declare every setting as a parameter with its default, range and description.

    Raises:
        rclpy.exceptions.ParameterException: a value from the command line or a parameter file has
            another type than the default or lies outside the range.
    """
    for name, default, about in all_leaves():
        value = list(default) if isinstance(default, tuple) else default
        node.declare_parameter(name, value, _descriptor(default, about))


def unknown_overrides(node: Node, *, of_topics: bool = False) -> list[str]:
    """Names that were given on the command line or in a parameter file and that nobody declared.

    ROS passes over them in silence, and a user's typing error with them.

    Args:
        node: was given them.
        of_topics: ask for those of topics' quality of service, which are declared with the topic;
            else for all others.
    """
    given = node._parameter_overrides  # rclpy shows them nowhere else
    return sorted(
        name
        for name in given
        if not node.has_parameter(name) and name.startswith("qos_overrides.") == of_topics
    )


def read(node: Node, defaults: S) -> S:
    """`defaults` with every value replaced by that of the node's parameter of the same name.

    Raises:
        SettingError: a value outside its range, where `S` checks.
    """
    names = [name for name, _, _ in leaves(defaults)]
    return with_values(defaults, {name: node.get_parameter(name).value for name in names})


def as_yaml() -> str:
    """A parameter file that holds every parameter with its default and what it means."""
    lines = [
        "# Every parameter of gsam_node with its default. Those marked [runtime] can be changed",
        "# while the node runs (ros2 param set); the others are read when it is configured.",
        "/**:",
        "  ros__parameters:",
    ]
    group: list[str] = []
    for name, default, about in all_leaves():
        *parents, last = name.split(".")
        for depth, parent in enumerate(parents):
            if parents[: depth + 1] != group[: depth + 1]:
                lines.append(f"{' ' * (4 + 2 * depth)}{parent}:")
        group = parents
        indent = " " * (4 + 2 * len(parents))
        comment = _comment(about)
        lines += textwrap.wrap(
            comment, 100, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
        )
        value = list(default) if isinstance(default, tuple) else default
        lines.append(f"{indent}{last}: {json.dumps(value)}")
    return "\n".join(lines) + "\n"


def _descriptor(default: Any, about: Mapping[str, Any]) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=about["description"])
    if about["choices"]:
        descriptor.additional_constraints = "one of: " + ", ".join(about["choices"])
    low, high = about["low"], about["high"]
    if low is not None and isinstance(default, float):
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(low), to_value=float(high))
        ]
    elif low is not None:
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
    return descriptor


def _comment(about: Mapping[str, Any]) -> str:
    """The description with what is allowed."""
    comment: str = about["description"]
    if about["choices"]:
        comment += f" ({' | '.join(about['choices'])})"
    elif about["low"] is not None:
        comment += f" ({about['low']:g} to {about['high']:g})"
    return f"{comment} [runtime]" if about["runtime"] else comment


if __name__ == "__main__":
    print(as_yaml(), end="")
