"""Truth out of a COCO data set: boxes, masks or polygons, and ids where it has them."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from gsam_ros.evaluation.objects import FrameObjects, Rle, filled_boxes
from gsam_ros.evaluation.run_results import CameraResults, RunResults
from gsam_ros.evaluation.truths.truth_data import Truth, TruthError, camera_of, of_frames
from gsam_ros.instances import TrackState

_IDS = ("track_id", "instance_id", "object_id")
_STAMPS = ("stamp_ns", "timestamp_ns")


def coco_truth(path: Path, results: RunResults, camera: str | None = None) -> Truth:
    """The truth in a COCO file.

    Its images are the run's frames by `stamp_ns` where they have one, else by `file_name`: the name
    that `frames.csv` of the run tells, with folders or without. `iscrowd` makes an object one that
    need not be found. `track_id` says which object is which; without it no figure of tracking
    means anything.

    Args:
        path: of the file.
        results: of the run.
        camera: of which it speaks, where its images have no `camera`.

    Raises:
        TruthError: it is no COCO data set, or fits no frame of the run, in time or size.
    """
    data = _read(path)
    named = {category["id"]: category["name"] for category in data["categories"]}
    by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for annotation in data["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    segmented = [a for a in data["annotations"] if a.get("segmentation")]
    boxes_only = len(segmented) < len(data["annotations"])
    frames, strangers = [], []
    cameras = _cameras(data, results, camera, path)
    for image in data["images"]:
        place = _place(image, cameras.get(image.get("camera")))
        if place is None:
            strangers.append(str(image.get("file_name", image["id"])))
            continue
        own, stamp = place
        _check_size(image, own, stamp, path)
        name = own.results.name
        frames.append(_objects(by_image[image["id"]], image, name, stamp, named, boxes_only))
    if not frames:
        raise TruthError(
            f"{path} does not fit in time: none of its {len(data['images'])} images (such as "
            f"{of_frames(strangers)}) is a frame of the run, by stamp_ns or by file_name"
        )
    problems = []
    if strangers:
        problems.append(
            f"{path}: {len(strangers)} images are no frames of the run: {of_frames(strangers)}"
        )
    if not any(key in a for a in data["annotations"] for key in _IDS):
        problems.append(f"{path} has no track_id: figures of tracking mean nothing")
    return Truth(path, tuple(frames), boxes_only=boxes_only, problems=tuple(problems))


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise TruthError(f"{path} can't be read as JSON: {error}") from error
    parts = ("images", "annotations", "categories")
    missing = [key for key in parts if not isinstance(data, dict) or key not in data]
    if not isinstance(data, dict) or missing:
        raise TruthError(f"{path} is no COCO data set: it has no {', '.join(missing)}")
    _check_parts(data, path)
    return data


def _check_parts(data: dict[str, Any], path: Path) -> None:
    """Refuse a data set whose parts lack what is read of them."""
    wanted = {
        "images": ("id", "height", "width"),
        "categories": ("id", "name"),
        "annotations": ("id", "image_id", "category_id", "bbox"),
    }
    for part, keys in wanted.items():
        for number, entry in enumerate(data[part]):
            missing = [key for key in keys if key not in entry]
            if missing:
                raise TruthError(f"{path}: {part}[{number}] has no {', '.join(missing)}")
    known = {category["id"] for category in data["categories"]}
    for number, annotation in enumerate(data["annotations"]):
        if annotation["category_id"] not in known:
            raise TruthError(
                f"{path}: annotations[{number}] is of the category {annotation['category_id']}, "
                "which is not among its categories"
            )


class _Camera:
    """A camera of the run, with its frames by what images may call them."""

    def __init__(self, results: CameraResults) -> None:
        self.results = results
        self.stamps = frozenset(results.stamps)
        self.by_name = {called: stamp for stamp, called in results.names.items()}
        self.sizes = {a.stamp: tuple(a.masks[0]["size"]) for a in results.answers if a.masks}


def _cameras(
    data: dict[str, Any], results: RunResults, camera: str | None, path: Path
) -> dict[str | None, _Camera]:
    """The run's camera of each name that images have; None: of those without."""
    names = {image.get("camera") for image in data["images"]}
    there = {own.name: own for own in results.cameras}
    found = {}
    for name in names:
        if name is None or (name not in there and len(names) == 1):
            found[name] = _Camera(camera_of(results, camera, path))
        elif name in there:
            found[name] = _Camera(there[name])
    return found


def _place(image: dict[str, Any], camera: _Camera | None) -> tuple[_Camera, int] | None:
    """The camera and stamp of an image; None where the run has no such frame."""
    if camera is None:
        return None
    for key in _STAMPS:
        if key in image:
            stamp = int(image[key])
            return (camera, stamp) if stamp in camera.stamps else None
    file = str(image.get("file_name", ""))
    for called in (file, Path(file).name):
        if called in camera.by_name:
            return camera, camera.by_name[called]
    return None


def _check_size(image: dict[str, Any], camera: _Camera, stamp: int, path: Path) -> None:
    size = camera.sizes.get(stamp)
    if size is None:
        return
    height, width = size
    if (image["height"], image["width"]) != (height, width):
        raise TruthError(
            f"{path} does not fit in size: {image.get('file_name', image['id'])} has "
            f"{image['width']}x{image['height']} pixels there and {width}x{height} in the run"
        )


def _objects(
    annotations: list[dict[str, Any]],
    image: dict[str, Any],
    camera: str,
    stamp: int,
    named: dict[Any, str],
    boxes_only: bool,
) -> FrameObjects:
    size = int(image["height"]), int(image["width"])
    boxes = np.array([a["bbox"] for a in annotations], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    masks = (
        filled_boxes(boxes, *size)
        if boxes_only
        else tuple(_rle(a["segmentation"], size) for a in annotations)
    )
    return FrameObjects(
        camera,
        stamp,
        np.array([_id(a) for a in annotations], np.int64),
        tuple(named[a["category_id"]] for a in annotations),
        np.array([0.0 if a.get("iscrowd") else 1.0 for a in annotations], np.float32),
        boxes,
        masks,
        np.full(len(annotations), TrackState.CONFIRMED, np.uint8),
    )


def _id(annotation: dict[str, Any]) -> int:
    """Which object it is; its own number where nothing says that it is one of another frame."""
    return int(next((annotation[key] for key in _IDS if key in annotation), annotation["id"]))


def _rle(segmentation: Any, size: tuple[int, int]) -> Rle:
    """Polygons, runs or compressed runs as compressed runs."""
    if isinstance(segmentation, list):
        encoded = coco_mask.merge(coco_mask.frPyObjects(segmentation, *size))
    elif isinstance(segmentation["counts"], list):
        encoded = coco_mask.frPyObjects(segmentation, *size)
    else:
        encoded = segmentation
    counts = encoded["counts"]
    text = counts.decode("ascii") if isinstance(counts, bytes) else counts
    return {"size": [int(edge) for edge in encoded["size"]], "counts": text}
