"""As much of ROS 2's `launch` as our launch files use, for machines where pip is all there is.

Nothing is started: `describe` runs a launch file's own code and tells which processes it would
start, with their command lines, and what starts which. Tests then run those for real.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).parent.parent


class Said(SimpleNamespace):
    """An action, event or handler with what it was given."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(given=given, **named)


class LaunchConfiguration(Said):
    def perform(self, context: dict[str, str]) -> str:
        [name] = self.given
        if name not in context and hasattr(self, "default"):
            return self.default
        return context[name]


class FindPackageShare(Said):
    def perform(self, _: dict[str, str]) -> str:
        return str(ROOT)


class PathJoinSubstitution(Said):
    def perform(self, context: dict[str, str]) -> str:
        return str(Path(*(performed(part, context) for part in self.given[0])))


def performed(value: Any, context: dict[str, str]) -> Any:
    return value.perform(context) if hasattr(value, "perform") else value


def kinds(*names: str) -> dict[str, type]:
    return {name: type(name, (Said,), {}) for name in names}


ACTIONS = kinds("DeclareLaunchArgument", "EmitEvent", "ExecuteProcess", "GroupAction",
                "IncludeLaunchDescription", "LogInfo", "OpaqueFunction", "RegisterEventHandler",
                "SetEnvironmentVariable", "TimerAction")  # fmt: skip
MODULES: dict[str, dict[str, Any]] = {
    "launch": kinds("Action", "EventHandler", "LaunchContext", "LaunchDescription"),
    "launch.actions": ACTIONS,
    "launch.event_handlers": kinds("OnProcessExit", "OnProcessIO", "OnProcessStart"),
    "launch.events": kinds("Shutdown"),
    "launch.events.process": kinds("ProcessExited", "ProcessIO"),
    "launch.substitutions": {
        "LaunchConfiguration": LaunchConfiguration,
        "PathJoinSubstitution": PathJoinSubstitution,
    },
    "launch_ros": {},
    "launch_ros.actions": kinds("LifecycleNode", "Node"),
    "launch_ros.substitutions": {"FindPackageShare": FindPackageShare},
}


@contextmanager
def stubbed() -> Iterator[None]:
    modules = {}
    for name, members in MODULES.items():
        modules[name] = ModuleType(name)
        vars(modules[name]).update(members)
    with patch.dict(sys.modules, modules):
        yield


def describe(file: str, **given: str) -> list[Any]:
    """The actions of launch/FILE under the arguments `given`: processes, nodes and handlers."""
    with stubbed():
        return list(_actions(ROOT / "launch" / file, dict(given)))


def environment(process: Any) -> dict[str, str]:
    """What is set for a process beside the environment of the launch."""
    return {name: performed(value, {}) for name, value in process.additional_env.items()}


def _actions(path: Path, context: dict[str, str]) -> Iterator[Any]:
    description = runpy.run_path(str(path))["generate_launch_description"]()
    for action in description.given[0]:
        yield from _performed(action, context)


def _performed(action: Any, context: dict[str, str]) -> Iterator[Any]:
    kind = type(action).__name__
    if kind == "DeclareLaunchArgument":
        [name] = action.given
        if name not in context:
            context[name] = performed(action.default_value, context)
        if context[name] not in getattr(action, "choices", [context[name]]):
            raise RuntimeError(f'Argument "{name}" provided value "{context[name]}" is not valid.')
    elif kind == "OpaqueFunction":
        for inner in action.function(context):
            yield from _performed(inner, context)
    elif kind == "IncludeLaunchDescription":
        context.update(getattr(action, "launch_arguments", {}))
        yield from _actions(Path(performed(action.given[0], context)), context)
    elif kind == "GroupAction":
        variables: dict[str, str] = {}
        for member in action.given[0]:
            if type(member).__name__ == "SetEnvironmentVariable":
                variables[member.given[0]] = performed(member.given[1], context)
                continue
            for inner in _performed(member, context):
                inner.additional_env = variables | getattr(inner, "additional_env", {})
                yield inner
    else:
        yield action


def of_kind(actions: list[Any], kind: str) -> list[Any]:
    return [action for action in actions if type(action).__name__ == kind]


def handlers(actions: list[Any], kind: str) -> list[Any]:
    found = of_kind(actions, "RegisterEventHandler")
    return [h.given[0] for h in found if type(h.given[0]).__name__ == kind]


def when_said(actions: list[Any], process: Any, text: str) -> list[Any]:
    """What is done when a process prints `text`."""
    done = []
    for handler in handlers(actions, "OnProcessIO"):
        target = handler.target_action
        if target(process) if callable(target) else target is process:
            done += handler.on_stderr(SimpleNamespace(text=text.encode()))
    return done


def node_arguments(node: Any) -> list[str]:
    """What launch_ros would put behind the executable of a node."""
    arguments = ["--ros-args", "-r", f"__node:={node.name}"]
    if node.namespace:
        arguments += ["-r", f"__ns:=/{node.namespace.strip('/')}"]
    for parameters in node.parameters:
        if isinstance(parameters, str):
            arguments += ["--params-file", parameters]
            continue
        for name, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            quoted = f'"{text}"' if isinstance(value, str) else text
            arguments += ["-p", f"{name}:={quoted}"]
    for old, new in node.remappings:
        arguments += ["-r", f"{old}:={new}"]
    return arguments
