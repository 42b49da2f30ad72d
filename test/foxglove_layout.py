"""What a Foxglove layout names: topics with the fields that are shown, and services."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LAYOUT = Path(__file__).resolve().parent.parent / "config" / "foxglove.json"


def load() -> dict[str, Any]:
    """The shipped layout."""
    return json.loads(LAYOUT.read_text())


def placed(tree: Any) -> Iterator[str]:
    """The panels that have a place on the screen."""
    if isinstance(tree, str):
        yield tree
        return
    assert tree["direction"] in ("row", "column")
    assert 0 < tree.get("splitPercentage", 50) < 100
    yield from placed(tree["first"])
    yield from placed(tree["second"])


def paths(layout: dict[str, Any]) -> set[str]:
    """Topics with what is taken of them, as Foxglove's message paths: /topic.field[:]."""
    found = set()
    for name, panel in layout["configById"].items():
        kind = name.partition("!")[0]
        if kind == "Image":
            found.add(panel["imageMode"]["imageTopic"])
        elif kind == "3D":
            found.update(panel["topics"])
        elif kind in ("Table", "RawMessages"):
            found.add(panel["topicPath"])
        elif kind == "Plot":
            found.update(path["value"] for path in panel["paths"])
        elif kind.startswith("Diagnostic"):
            found.add(panel["topicToRender"])
        else:
            assert kind == "CallService", f"{name}: does it name a topic?"
    return found


def services(layout: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Services that are called, with the request."""
    return {
        panel["serviceName"]: json.loads(panel["requestPayload"])
        for name, panel in layout["configById"].items()
        if name.startswith("CallService!")
    }


def fields(path: str) -> tuple[str, list[str]]:
    """The topic, and the fields one below the other."""
    topic, *names = path.split(".")
    return topic, [re.sub(r"\[.*\]", "", name) for name in names]
