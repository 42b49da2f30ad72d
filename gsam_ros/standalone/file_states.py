"""What tells files on disk from others of the same name, without reading gigabytes of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gsam_ros.pipeline.settings import Settings


def state_of(path: Path) -> list[Any]:
    """Changes when the files at `path` do, however `path` is written; JSON values."""
    place = path.resolve()
    return _told(place, place.rglob("*") if place.is_dir() else [place])


def model_states(settings: Settings) -> dict[str, list[Any]]:
    """The same of each model that is a local folder or file: trained again it is another one.

    One that this package brings changes with its version, and one of the hub is known by its name.
    """
    names = {"detector": settings.detector.model, "segmenter": settings.segmenter.model}
    places = {kind: Path(name).expanduser().resolve() for kind, name in names.items() if name}
    return {
        kind: _told(place, _model_files(place)) for kind, place in places.items() if place.exists()
    }


def _model_files(place: Path) -> Iterable[Path]:
    if place.is_dir():
        # What lies deeper is no part of a model; training keeps its own state there.
        return place.iterdir()
    return [place, place.with_suffix(".yaml")]  # which describes a SAM 2 of one's own


def _told(place: Path, files: Iterable[Path]) -> list[Any]:
    """The place, and (path, bytes, time of the last change) of each file."""
    states = []
    for file in sorted(files):
        if file.is_file():
            found = file.stat()
            states.append([str(file), found.st_size, found.st_mtime_ns])
    return [str(place), *states]
