"""A COCO data set as its file has it, with every type checked before anything is made of it."""

from __future__ import annotations

import json
import reprlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gsam_ros.evaluation.truths.truth_data import TruthError

Id = int | str

_KEYS = {
    "images": ("id", "height", "width"),
    "annotations": ("id", "image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}
_IDS = ("track_id", "instance_id", "object_id")
_STAMPS = ("stamp_ns", "timestamp_ns")
_LONGEST = 65_535
"""Pixels of an edge, as in JPEG: an image of such edges still has fewer than 2**32 pixels, and that
is how far pycocotools counts."""
_MOST = 2**63 - 1
_FAR = 1e9  # pixels; no box lies there


class CocoImage(NamedTuple):
    """An image.

    Attributes:
        number: its place in the file's list.
        id: that annotations name.
        name: of its file; its id where it has none.
        size: (height, width).
        stamp: nanoseconds; None: not told.
        camera: None: not told.
    """

    number: int
    id: Id
    name: str
    size: tuple[int, int]
    stamp: int | None
    camera: str | None


class CocoObject(NamedTuple):
    """An annotation.

    Attributes:
        number: its place in the file's list.
        phrase: the name of its category.
        box: (x, y, width, height) in pixels.
        segmentation: as it stands in the file, unchecked; None: there is none.
        crowd: it need not be found.
        track: which object it is; None: not told.
    """

    number: int
    phrase: str
    box: tuple[float, ...]
    segmentation: list[Any] | dict[str, Any] | None
    crowd: bool
    track: int | None


@dataclass(frozen=True)
class CocoFile:
    """A data set: images, and objects by the id of their image."""

    images: tuple[CocoImage, ...]
    objects: Mapping[Id, Sequence[CocoObject]]


def read_coco_file(path: Path) -> CocoFile:
    """Read a COCO file.

    Raises:
        TruthError: it is none, or something in it is missing or of a wrong type.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError) as error:
        raise TruthError(f"{path} can't be read as JSON: {error}") from error
    missing = [
        part for part in _KEYS if not isinstance(data, dict) or not isinstance(data.get(part), list)
    ]
    if missing:
        raise TruthError(f"{path} is no COCO data set: it has no {', '.join(missing)} (lists)")
    names = _names(_entries(data, "categories", path))
    images = _images(_entries(data, "images", path))
    known = {image.id for image in images}
    objects: dict[Id, list[CocoObject]] = defaultdict(list)
    for entry in _entries(data, "annotations", path):
        image, category = entry.id("image_id"), entry.id("category_id")
        if image not in known:
            raise TruthError(
                f"{entry.where} is of the image {image!r}, which is not among its images"
            )
        if category not in names:
            raise TruthError(
                f"{entry.where} is of the category {category!r}, which is not among its categories"
            )
        objects[image].append(_object(entry, names[category]))
    return CocoFile(images, objects)


class _Entry:
    """One entry of a list of the file: gives its values in their types, or says what is wrong."""

    def __init__(self, path: Path, part: str, number: int, values: Any) -> None:
        self.where = f"{path}: {part}[{number}]"
        self.number = number
        if not isinstance(values, dict):
            raise TruthError(f"{self.where} is {reprlib.repr(values)}, and has to be an object")
        missing = [key for key in _KEYS[part] if key not in values]
        if missing:
            raise TruthError(f"{self.where} has no {', '.join(missing)}")
        self.values: dict[str, Any] = values

    def wrong(self, key: str, wanted: str) -> TruthError:
        told = reprlib.repr(self.values.get(key))
        return TruthError(f"{self.where}: its {key} is {told}, and has to be {wanted}")

    def id(self, key: str) -> Id:
        value = self.values[key]
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise self.wrong(key, "a whole number or a text")
        return value

    def text(self, key: str) -> str:
        value = self.values[key]
        if not isinstance(value, str):
            raise self.wrong(key, "a text")
        return value

    def whole(self, key: str, least: int = -_MOST, most: int = _MOST) -> int:
        """A whole number; its digits as a text will do, since JavaScript rounds long numbers."""
        value = self.values[key]
        try:
            number = int(value) if isinstance(value, int | str | float) else None
        except (OverflowError, ValueError):
            number = None
        fraction = isinstance(value, float) and number != value
        if number is None or isinstance(value, bool) or fraction or not least <= number <= most:
            bounds = "of at most 64 bits" if most == _MOST else f"from {least} to {most}"
            raise self.wrong(key, f"a whole number {bounds}")
        return number

    def first(self, keys: Sequence[str]) -> str | None:
        """The first of the keys that has a value; null is none."""
        return next((key for key in keys if self.values.get(key) is not None), None)


def _entries(data: dict[str, Any], part: str, path: Path) -> Iterator[_Entry]:
    for number, values in enumerate(data[part]):
        yield _Entry(path, part, number, values)


def _names(entries: Iterator[_Entry]) -> dict[Id, str]:
    """Names of the categories by id."""
    names: dict[Id, str] = {}
    for entry in entries:
        key, name = entry.id("id"), entry.text("name")
        if names.setdefault(key, name) != name:
            raise TruthError(f"{entry.where}, {name!r}, has the id {key!r} of {names[key]!r}")
    return names


def _images(entries: Iterator[_Entry]) -> tuple[CocoImage, ...]:
    found: dict[Id, CocoImage] = {}
    for entry in entries:
        key, stamp = entry.id("id"), entry.first(_STAMPS)
        image = CocoImage(
            entry.number,
            key,
            entry.text("file_name") if entry.first(["file_name"]) else str(key),
            (entry.whole("height", 1, _LONGEST), entry.whole("width", 1, _LONGEST)),
            entry.whole(stamp) if stamp else None,
            entry.text("camera") if entry.first(["camera"]) else None,
        )
        if key in found:
            other = found[key]
            raise TruthError(
                f"{entry.where} ({image.name}) has the id {key!r} of images[{other.number}] "
                f"({other.name})"
            )
        found[key] = image
    return tuple(found.values())


def _object(entry: _Entry, phrase: str) -> CocoObject:
    track = entry.first(_IDS)
    crowd = entry.values.get("iscrowd")
    if crowd not in (None, 0, 1):
        raise entry.wrong("iscrowd", "0 or 1")
    segmentation = entry.values.get("segmentation")
    if segmentation is not None and not isinstance(segmentation, list | dict):
        raise entry.wrong("segmentation", "polygons or run lengths")
    number = entry.whole(track) if track else -1
    return CocoObject(
        entry.number,
        phrase,
        _box(entry),
        None if segmentation == [] else segmentation,
        bool(crowd),
        number if number >= 0 else None,  # -1 is what trackers write where they don't know
    )


def _box(entry: _Entry) -> tuple[float, ...]:
    box = entry.values["bbox"]
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_near, box)):
        raise entry.wrong("bbox", "four numbers: x, y, width, height")
    if min(box[2:]) < 0:
        raise entry.wrong("bbox", "x, y, width, height, and these two not below 0")
    return tuple(map(float, box))


def _is_near(value: object) -> bool:
    """Whether it is a number, finite and no farther than any box can be."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -_FAR < value < _FAR  # type: ignore[operator]
