"""Truth out of a COCO data set: boxes, masks or polygons, and ids where it has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gsam_ros.evaluation.objects import FrameObjects, filled_boxes
from gsam_ros.evaluation.rle import Rle, RleError
from gsam_ros.evaluation.run_results import CameraResults, RunResults
from gsam_ros.evaluation.truths.coco_masks import coco_rle
from gsam_ros.evaluation.truths.coco_reading import CocoImage, CocoObject, read_coco_file
from gsam_ros.evaluation.truths.truth_data import (
    Truth,
    TruthError,
    camera_of,
    check_boxes,
    check_frames,
    check_ids,
    of_frames,
)
from gsam_ros.instances import TrackState


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
        TruthError: it is no COCO data set, fits no frame of the run, in time or size, or tells of
            one frame twice.
    """
    data = read_coco_file(path)
    placed: list[tuple[CocoImage, str, int]] = []
    strangers = []
    cameras = _cameras(data.images, results, camera, path)
    for image in data.images:
        place = _place(image, cameras.get(image.camera))
        if place is None:
            strangers.append(image.name)
            continue
        own, stamp = place
        _check_size(image, own, stamp, path)
        placed.append((image, own.results.name, stamp))
    if not placed:
        raise TruthError(
            f"{path} does not fit in time: none of its {len(data.images)} images (such as "
            f"{of_frames(strangers)}) is a frame of the run, by stamp_ns or by file_name"
        )
    check_frames((name, stamp, _called(image, path)) for image, name, stamp in placed)
    found = [o for image, _, _ in placed for o in data.objects.get(image.id, ())]
    boxes_only = not all(o.segmentation for o in found)
    frames = tuple(
        _objects(data.objects.get(image.id, ()), image, name, stamp, boxes_only, path)
        for image, name, stamp in placed
    )
    sizes = np.repeat([image.size for image, _, _ in placed], [len(f) for f in frames], axis=0)
    check_boxes(np.concatenate([frame.boxes for frame in frames]), sizes, path)
    problems = []
    if strangers:
        problems.append(
            f"{path}: {len(strangers)} images are no frames of the run: {of_frames(strangers)}"
        )
    return Truth(path, frames, boxes_only=boxes_only, problems=(*problems, *_lacking(found, path)))


def _called(image: CocoImage, path: Path) -> str:
    return f"{path}: images[{image.number}] ({image.name})"


def _lacking(found: Sequence[CocoObject], path: Path) -> Iterator[str]:
    """What objects of the run's frames lack, so that figures mean less than they could."""
    wanted = [o for o in found if not o.crowd]
    nameless = [f"annotations[{o.number}]" for o in wanted if o.track is None]
    if not wanted:
        yield f"{path} has no object that would have to be found in any frame of the run"
    elif len(nameless) == len(wanted):
        yield f"{path} has no track_id: figures of tracking mean nothing"
    elif nameless:
        yield (
            f"{path}: {len(nameless)} of {len(wanted)} objects have no track_id and are taken for "
            f"objects of one frame each, which bends the figures of tracking: {of_frames(nameless)}"
        )
    boxed = [f"annotations[{o.number}]" for o in found if not o.segmentation]
    if 0 < len(boxed) < len(found):
        yield (
            f"{path}: {len(boxed)} of {len(found)} objects have no segmentation, so that overlap "
            f"is that of boxes for all: {of_frames(boxed)}"
        )


class _Camera:
    """A camera of the run, with its frames by what images may call them."""

    def __init__(self, results: CameraResults) -> None:
        self.results = results
        self.stamps = frozenset(results.stamps)
        self.by_name = {called: stamp for stamp, called in results.names.items()}
        self.sizes = {a.stamp: tuple(a.masks[0]["size"]) for a in results.answers if a.masks}


def _cameras(
    images: Sequence[CocoImage], results: RunResults, camera: str | None, path: Path
) -> dict[str | None, _Camera]:
    """The run's camera of each name that images have; None: of those without."""
    names = {image.camera for image in images}
    there = {own.name: own for own in results.cameras}
    found = {}
    for name in names:
        if name is None or (name not in there and len(names) == 1):
            found[name] = _Camera(camera_of(results, camera, path))
        elif name in there:
            found[name] = _Camera(there[name])
    return found


def _place(image: CocoImage, camera: _Camera | None) -> tuple[_Camera, int] | None:
    """The camera and stamp of an image; None where the run has no such frame."""
    if camera is None:
        return None
    if image.stamp is not None:
        return (camera, image.stamp) if image.stamp in camera.stamps else None
    for called in (image.name, Path(image.name).name):
        if called in camera.by_name:
            return camera, camera.by_name[called]
    return None


def _check_size(image: CocoImage, camera: _Camera, stamp: int, path: Path) -> None:
    size = camera.sizes.get(stamp, image.size)
    if size != image.size:
        (height, width), (own_height, own_width) = size, image.size
        raise TruthError(
            f"{path} does not fit in size: {image.name} has {own_width}x{own_height} pixels there "
            f"and {width}x{height} in the run"
        )


def _objects(
    found: Sequence[CocoObject],
    image: CocoImage,
    camera: str,
    stamp: int,
    boxes_only: bool,
    path: Path,
) -> FrameObjects:
    boxes = np.array([o.box for o in found], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    masks = (
        filled_boxes(boxes, *image.size)
        if boxes_only
        else tuple(_mask(o, image.size, path) for o in found)
    )
    # Without an id nothing says that it is the object of another frame. No other id is negative.
    ids = [-1 - o.number if o.track is None else o.track for o in found]
    objects = FrameObjects(
        camera,
        stamp,
        np.array(ids, np.int64),
        tuple(o.phrase for o in found),
        np.array([0.0 if o.crowd else 1.0 for o in found], np.float32),
        boxes,
        masks,
        np.full(len(found), TrackState.CONFIRMED, np.uint8),
    )
    check_ids(objects, _called(image, path))
    return objects


def _mask(found: CocoObject, size: tuple[int, int], path: Path) -> Rle:
    assert found.segmentation is not None  # else boxes are compared
    try:
        return coco_rle(found.segmentation, size)
    except RleError as error:
        raise TruthError(f"{path}: annotations[{found.number}]: {error}") from error
