"""The picture of the house in README.md is true: imports go down only, and ROS stays on top."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gsam_ros"
ROS = re.compile(r"rclpy|\w+_(msgs|interfaces)|gsam_ros\.(msg|srv)")
WITH_ROS = {"node", "bridge"}
OVER_DDS = {f"gsam_ros.replay.{name}" for name in ("play", "record", "ros_session")}
DECODING = {"gsam_ros.bridge.images", "gsam_ros.bridge.compressed_images"}
"""What others than the node use of `bridge/`."""


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


def test_evaluation_keeps_the_order_of_its_docstring():
    told = ast.get_docstring(ast.parse((PACKAGE / "evaluation" / "__init__.py").read_text()))
    assert told is not None
    names = re.findall(r"^ {4}(\w+)/? {2,}", told, re.MULTILINE)
    order = {name: number for number, name in enumerate(names)}
    parts = {
        module: order[part]
        for module in MODULES
        if room(module) == "evaluation" and (part := (*module.split("."), "")[2]) in order
    }
    assert set(parts.values()) == set(order.values())
    up = [
        f"{module} imports {name}"
        for module, place in parts.items()
        for name in imports(MODULES[module])
        if parts.get(name, -1) > place
    ]
    assert not up


def test_ros_stays_on_top():
    with_ros = {
        module for module, path in MODULES.items() if any(ROS.match(n) for n in imports(path))
    }
    assert {module for module in with_ros if room(module) not in WITH_ROS} == OVER_DDS
    nodes = {"rclpy", "rclpy.node", "rclpy.executors"}
    for module in with_ros:
        if room(module) == "bridge":
            assert not nodes & set(imports(MODULES[module])), module


def test_only_the_decoding_of_images_is_used_without_ros():
    used = {
        name
        for module, path in MODULES.items()
        if room(module) not in WITH_ROS
        for name in imports(path)
        if room(name) == "bridge"
    }
    assert used == DECODING


def test_scoring_needs_neither_ros_nor_torch():
    modules = "gsam_ros.evaluation.run_score", "gsam_ros.evaluation.report"
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert loaded >= {*modules, "gsam_ros.evaluation.metrics.tracking"}
    assert not loaded & {"rclpy", "std_msgs", "sensor_msgs", "vision_msgs", "torch"}
