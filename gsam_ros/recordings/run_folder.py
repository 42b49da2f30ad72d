"""`run.json`: what `gsam track` was told, and that its run is whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from gsam_ros.recordings.bag import BagError

RUN = "run.json"
NAMES = "surrogateescape"
"""`errors` of text with names of files: those that are not UTF-8 go out and in byte by byte."""


def read_run(folder: Path) -> dict[str, Any] | None:
    """What `run.json` in a folder says; None where there is none.

    Raises:
        BagError: it is damaged, or not of `gsam track`.
    """
    file = folder / RUN
    if not file.is_file():
        return None
    try:
        found = read_json(file)
        if isinstance(found.get("source"), dict):
            return found
        reason = "it names no source"
    except ValueError as error:
        reason = str(error)
    raise BagError(
        f"{file} can't be read ({reason}): make the run again, or move the file away to read "
        "the results alone"
    )


def read_json(path: Path) -> dict[str, Any]:
    """Read what `write_json` wrote.

    Raises:
        ValueError: the file is damaged or holds something else.
    """
    found = json.loads(path.read_text())
    if not isinstance(found, dict):
        raise ValueError("it holds no JSON object")
    return found


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
    _sync(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until a folder and all that is in it would outlast a power cut."""
    for path in folder.rglob("*"):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
