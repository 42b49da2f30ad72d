"""The picture of the house in README.md is true: imports go down only, and ROS stays on top."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gsam_ros"
ROS = re.compile(r"rclpy|\w+_(msgs|interfaces)|gsam_ros\.(msg|srv)")
WITH_ROS = {"node", "bridge", "replay"}
"""Rooms that know ROS; in `bridge/` it is messages, never a node."""


def rooms() -> dict[str, int]:
    """Folders of README's picture, and the `gsam` command, by name; its first line is 0."""
    text = (ROOT / "README.md").read_text()
    picture = re.search(r"## How it is built.*?```\n(.*?)```", text, re.DOTALL)
    return {
        name: level
        for level, line in enumerate(picture[1].splitlines())
        for name in re.findall(r"\w+(?=/)|cli(?=\.py)", re.split(r" {3,}", line)[0])
    }


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in ("msg", "srv")
    }


MODULES = modules()
ROOMS = rooms()


def imports(path: Path) -> Iterator[str]:
    """Dotted names of all that a file imports, at its head or later."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports of this project are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                known = whole in MODULES or whole in ("gsam_ros.msg", "gsam_ros.srv")
                yield whole if known else str(node.module)


def room(module: str) -> str:
    """The folder below gsam_ros, or "" for the plain modules beside the folders."""
    first = (*module.split("."), "")[1]
    return first if first in ROOMS else ""


def level(name: str) -> int:
    return ROOMS.get(name, len(ROOMS))


def test_every_folder_is_in_the_picture():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - {"msg", "srv"}
    assert folders | {"cli"} == set(ROOMS)


def test_imports_go_down_only():
    ours = [(module, name) for module, path in MODULES.items() for name in imports(path)]
    between = [(module, name) for module, name in ours if name in MODULES]
    assert len(between) > 500
    up = [
        f"{module} imports {name}"
        for module, name in between
        if room(module) != room(name) and level(room(module)) >= level(room(name))
    ]
    assert not up


def test_no_file_imports_itself_by_way_of_others():
    below = {
        module: sorted({name for name in imports(path) if name in MODULES} - {module, "gsam_ros"})
        for module, path in MODULES.items()
    }
    list(TopologicalSorter(below).static_order())  # CycleError names the circle


def test_ros_stays_on_top():
    found = {
        (room(module), name)
        for module, path in MODULES.items()
        for name in imports(path)
        if ROS.match(name)
    }
    assert {where for where, _ in found} == WITH_ROS
    assert not {name for where, name in found if where == "bridge" and "rclpy.node" in name}
