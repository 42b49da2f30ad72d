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
from gsam_ros.evaluation.truths.truth_data import Truth, TruthError, of_frames, only_camera
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
    for image in data["images"]:
        place = _place(image, results, camera, path)
        if place is None:
            strangers.append(str(image.get("file_name", image["id"])))
            continue
        own, stamp = place
        _check_size(image, own, stamp, path)
        frames.append(_objects(by_image[image["id"]], image, own.name, stamp, named, boxes_only))
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
    missing = [key for key in ("images", "annotations", "categories") if key not in data]
    if not isinstance(data, dict) or missing:
        raise TruthError(f"{path} is no COCO data set: it has no {', '.join(missing)}")
    return data


def _place(
    image: dict[str, Any], results: RunResults, camera: str | None, path: Path
) -> tuple[CameraResults, int] | None:
    """The camera and stamp of an image; None where the run has no such frame."""
    name = image.get("camera", camera)
    own = next((c for c in results.cameras if c.name == name), None)
    if own is None:
        own = only_camera(results, path)
    for key in _STAMPS:
        if key in image:
            stamp = int(image[key])
            return (own, stamp) if stamp in own.stamps else None
    file = str(image.get("file_name", ""))
    for stamp, called in own.names.items():
        if called == file or called == Path(file).name:
            return own, stamp
    return None


def _check_size(image: dict[str, Any], camera: CameraResults, stamp: int, path: Path) -> None:
    answer = next((a for a in camera.answers if a.stamp == stamp and a.masks), None)
    if answer is None or "height" not in image or "width" not in image:
        return
    height, width = answer.masks[0]["size"]
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
