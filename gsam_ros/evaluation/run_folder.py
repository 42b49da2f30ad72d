"""`run.json`: what `gsam track` was told, and that its run is whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

RUN = "run.json"
NAMES = "surrogateescape"
"""`errors` of text with names of files: those that are not UTF-8 go out and in byte by byte."""


def read_run(folder: Path) -> dict[str, Any] | None:
    """What `run.json` in a folder says; None where there is none."""
    file = folder / RUN
    return dict(json.loads(file.read_text())) if file.is_file() else None


def write_run(folder: Path, values: dict[str, Any]) -> None:
    """Write `run.json`, whole or not at all."""
    write_json(folder / RUN, values)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    part = path.with_suffix(".json.part")
    with part.open("w") as stream:
        json.dump(values, stream, indent=2)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
