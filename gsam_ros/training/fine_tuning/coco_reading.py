"""Read COCO data for training, and find everything that is wrong with it before training starts."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from gsam_ros.detection.text import worded
from gsam_ros.training.fine_tuning.coco_boxes import CocoBoxes, CocoError, LabelledImage

_BORDER = 2.0  # pixels by which a box may cross the border: tools round differently
_TOLD = 5  # examples of each kind of mistake


@dataclass
class _Complaints:
    """Mistakes by kind, each with a few examples."""

    path: Path
    kinds: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, kind: str, example: object) -> None:
        self.kinds[kind].append(str(example))

    def raise_if_any(self) -> None:
        if self.kinds:
            parts = [f"{kind}: {_few(examples)}" for kind, examples in self.kinds.items()]
            raise CocoError(f"{self.path} can't be trained on: " + "; ".join(parts))


def read_coco(path: Path, folder: Path, source: str = "categories") -> CocoBoxes:
    """Read and check a COCO file; no image is decoded yet, but each is opened.

    Args:
        path: of the JSON file.
        folder: where its images are.
        source: of phrases. "categories": the categories' names, of which those that mean the same
            are one phrase. "captions": each annotation's own `caption`, or else its
            `tokens_positive`, spans of characters of its image's `caption`, as MDETR writes them.

    Raises:
        CocoError: the data are no COCO data set or hold mistakes, of which each kind is named with
            examples.
    """
    data = _load(path)
    if not folder.is_dir():
        raise CocoError(f"the images of {path} are to lie in {folder}, which is no folder")
    complaints = _Complaints(path)
    phrase_of, phrases = _by_category(data, complaints)
    if source == "captions":
        phrase_of, phrases = _by_caption(data, complaints)
    annotations = defaultdict(list)
    known = {image["id"] for image in data["images"]}
    for annotation in data["annotations"]:
        if annotation["image_id"] not in known:
            complaints.add("annotations of images that it does not list", annotation["id"])
        annotations[annotation["image_id"]].append(annotation)
    empty: list[int] = []
    images = [
        _read_image(image, annotations[image["id"]], folder, phrase_of, complaints, empty)
        for image in tqdm(data["images"], "checking images", leave=False, delay=2)
    ]
    if len(known) < len(images):
        complaints.add("image ids that stand twice", len(images) - len(known))
    complaints.raise_if_any()
    notes = [f"{path}: left out boxes without an area: {_few(empty)}"] if empty else []
    if not any(len(image.boxes) for image in images):
        raise CocoError(f"{path} can't be trained on: it has no box that is not a crowd's")
    whole = CocoBoxes(path, phrases, tuple(images), tuple(notes))
    return _without_unused_phrases(whole)


def _without_unused_phrases(data: CocoBoxes) -> CocoBoxes:
    """Leave out phrases of which there is no box.

    Some tools write their project's name, or `_background_`, among the categories. Asked for as
    absent in every image, such a phrase would only unlearn what it means.
    """
    used = {int(p) for image in data.images for p in (*image.phrases, *image.crowd_phrases)}
    if len(used) == len(data.phrases):
        return data
    kept = sorted(used)
    number = np.full(len(data.phrases), -1)
    number[kept] = np.arange(len(kept))
    images = [
        replace(
            image,
            phrases=number[image.phrases],
            crowd_phrases=number[image.crowd_phrases],
        )
        for image in data.images
    ]
    unused = [phrase for i, phrase in enumerate(data.phrases) if i not in used]
    note = f"{data.path}: left out phrases that no box has: {_few(unused)}"
    return CocoBoxes(
        data.path, tuple(data.phrases[i] for i in kept), tuple(images), (*data.notes, note)
    )


def _worded(text: object) -> str:
    """A name as a phrase, without the marks that mean something in a prompt."""
    return worded(re.sub(r"[,;:=|!]", " ", str(text)))


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise CocoError(f"{path} {what}: give the COCO file")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CocoError(f"{path} can't be read as JSON: {error}") from error
    missing = [
        key
        for key in ("images", "annotations", "categories")
        if not isinstance(data, dict) or not isinstance(data.get(key), list)
    ]
    if missing:
        raise CocoError(f"{path} is no COCO data set: it has no list of {', '.join(missing)}")
    needed = {
        "images": ("id", "file_name"),
        "annotations": ("id", "image_id", "category_id", "bbox"),
        "categories": ("id", "name"),
    }
    for entries, keys in needed.items():
        for number, entry in enumerate(data[entries]):
            lost = [key for key in keys if not isinstance(entry, dict) or key not in entry]
            if lost:
                raise CocoError(
                    f"{path} is no COCO data set: number {number} of its {entries} has no "
                    f"{', '.join(lost)}"
                )
    return data


PhraseOf = Callable[[dict[str, Any]], "int | None"]


def _by_category(data: dict[str, Any], complaints: _Complaints) -> tuple[PhraseOf, tuple[str, ...]]:
    if not data["categories"]:
        complaints.add("it names no categories", "`categories` is empty")
    numbers: dict[str, int] = {}
    by_id: dict[Any, int] = {}
    for category in data["categories"]:
        phrase = _worded(str(category["name"]).replace("_", " "))
        if not any(character.isalnum() for character in phrase):
            complaints.add("categories without a name", f"id {category['id']}")
        by_id[category["id"]] = numbers.setdefault(phrase, len(numbers))

    def phrase_of(annotation: dict[str, Any]) -> int | None:
        number = by_id.get(annotation["category_id"])
        if number is None:
            complaints.add("annotations of unknown categories", annotation["id"])
        return number

    return phrase_of, tuple(numbers)


def _by_caption(data: dict[str, Any], complaints: _Complaints) -> tuple[PhraseOf, tuple[str, ...]]:
    captions = {image["id"]: str(image.get("caption", "")) for image in data["images"]}
    numbers: dict[str, int] = {}
    words: dict[Any, str] = {}
    for annotation in data["annotations"]:
        text = annotation.get("caption")
        if text is None:
            caption = captions.get(annotation["image_id"], "")
            spans = annotation.get("tokens_positive") or []
            try:
                text = " ".join(caption[start:end] for start, end in spans)
            except (TypeError, ValueError):
                text = ""
                complaints.add("tokens_positive that are no [[start, end], ...]", annotation["id"])
        phrase = _worded(text)
        if any(character.isalnum() for character in phrase):
            numbers.setdefault(phrase, len(numbers))
        if annotation["id"] in words:
            complaints.add("annotations whose id another one has", annotation["id"])
        words[annotation["id"]] = phrase

    def phrase_of(annotation: dict[str, Any]) -> int | None:
        number = numbers.get(words[annotation["id"]])
        if number is None:
            complaints.add("annotations that no part of a caption names", annotation["id"])
        return number

    return phrase_of, tuple(numbers)


def _read_image(
    image: dict[str, Any],
    annotations: list[dict[str, Any]],
    folder: Path,
    phrase_of: PhraseOf,
    complaints: _Complaints,
    empty: list[int],
) -> LabelledImage:
    name = str(image["file_name"])
    file = folder / name
    height, width = _size(image, file, complaints)
    boxes: dict[bool, list[list[float]]] = {False: [], True: []}
    phrases: dict[bool, list[int]] = {False: [], True: []}
    for annotation in annotations:
        phrase = phrase_of(annotation)
        box = _corners(annotation, complaints)
        if phrase is None or box is None:
            continue
        where = f"annotation {annotation['id']} of {name}"
        if min(box[0], box[1]) < -_BORDER or box[2] > width + _BORDER or box[3] > height + _BORDER:
            inside = f"({_digits(box)} in {width}x{height})"
            complaints.add("boxes outside their image", f"{where} {inside}")
            continue
        clipped = np.clip(box, 0, [width, height, width, height])
        if (clipped[2:] <= clipped[:2]).any():
            empty.append(annotation["id"])
            continue
        crowd = bool(annotation.get("iscrowd"))
        boxes[crowd].append(clipped.tolist())
        phrases[crowd].append(phrase)
    own, crowds = (np.array(boxes[crowd], np.float32).reshape(-1, 4) for crowd in (False, True))
    named, crowd_named = (np.array(phrases[crowd], np.int64) for crowd in (False, True))
    return LabelledImage(name, file, (height, width), own, named, crowds, crowd_named)


def _size(image: dict[str, Any], file: Path, complaints: _Complaints) -> tuple[int, int]:
    """(height, width) of the file; (1e9, 1e9) where it can't be told, so that no box complains."""
    told = image.get("height"), image.get("width")
    try:
        with Image.open(file) as opened:
            width, height = opened.size
    except FileNotFoundError:
        complaints.add("missing images", file)
        return 10**9, 10**9
    except (OSError, UnidentifiedImageError):
        complaints.add("files that are no images", file)
        return 10**9, 10**9
    except Image.DecompressionBombError:
        complaints.add("images with more pixels than Pillow takes for meant", file)
        return 10**9, 10**9
    if None not in told and (height, width) != told:
        complaints.add(
            "images of another size than it says",
            f"{file} ({width}x{height}, not {told[1]}x{told[0]})",
        )
    return height, width


def _corners(annotation: dict[str, Any], complaints: _Complaints) -> list[float] | None:
    """(x0, y0, x1, y1) of COCO's (x, y, width, height)."""
    try:
        x, y, width, height = (float(value) for value in annotation["bbox"])
    except (TypeError, ValueError):
        complaints.add("boxes that are not four numbers", f"annotation {annotation['id']}")
        return None
    corners = [x, y, x + width, y + height]
    if not np.isfinite(corners).all():
        complaints.add("boxes that are not four numbers", f"annotation {annotation['id']}")
        return None
    return corners


def _digits(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _few(examples: list[Any]) -> str:
    """A few of them, and how many there are."""
    shown = ", ".join(str(example) for example in examples[:_TOLD])
    more = len(examples) - _TOLD
    return f"{shown} and {more} more" if more > 0 else shown
