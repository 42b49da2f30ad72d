"""Frames as pictures of a page: what was wanted and what was answered, mistakes marked."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from gsam_ros.evaluation.objects import FrameObjects
from gsam_ros.evaluation.pairing import PairedFrame
from gsam_ros.evaluation.pictures.panels import draw_objects
from gsam_ros.instances import TrackState
from gsam_ros.recordings.run_images import check_found, frames_of

_WIDTH = 640  # pixels; larger pictures are made smaller
_QUALITY = 80  # of JPEG
_MARK, _RIM = (230, 30, 40), (255, 255, 255)


def images_of(sample: Path, frames: Iterable[PairedFrame]) -> dict[tuple[str, int], np.ndarray]:
    """The camera images of some frames by camera and stamp: [H, W, 3] uint8 RGB.

    Raises:
        NoImageError: one of them is not there.
        BagError: the bag is damaged.
    """
    chosen = {(frame.answer.camera, frame.answer.stamp) for frame in frames}
    images = {}
    for camera in sorted({camera for camera, _ in chosen}):
        stamps = {stamp for name, stamp in chosen if name == camera}
        for stamp, image in frames_of(sample, camera, stamps):
            images[camera, stamp] = image
        check_found(sample, camera, sorted(stamps), [s for name, s in images if name == camera])
    return images


def draw_truth(image: np.ndarray, frame: PairedFrame, missed: Sequence[int]) -> np.ndarray:
    """The wanted objects, those in `missed` (rows of the truth) marked: [H, W, 3] uint8 RGB."""
    expected = frame.expected
    rows = np.flatnonzero(expected.wanted).tolist()
    phrases = tuple(frame.phrases[expected.phrase_index[i]] for i in rows)
    drawn = draw_objects(image, _some(expected.objects, rows, phrases))
    return _marked(drawn, expected.objects.boxes[list(missed)])


def draw_answer(image: np.ndarray, frame: PairedFrame, false: Sequence[int]) -> np.ndarray:
    """The answer, the rows in `false` marked: [H, W, 3] uint8 RGB."""
    return _marked(draw_objects(image, frame.answer), frame.answer.boxes[list(false)])


def jpeg_uri(image: np.ndarray) -> str:
    """An [H, W, 3] uint8 RGB picture as a data URI, at most 640 pixels wide."""
    picture = Image.fromarray(image)
    if picture.width > _WIDTH:
        picture = picture.resize((_WIDTH, round(picture.height * _WIDTH / picture.width)))
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode('ascii')}"


def _some(objects: FrameObjects, rows: Sequence[int], phrases: tuple[str, ...]) -> FrameObjects:
    """Some rows of a truth under the prompt's names, drawn as sure ones are."""
    return replace(
        objects,
        ids=objects.ids[list(rows)],
        phrases=phrases,
        scores=objects.scores[list(rows)],
        boxes=objects.boxes[list(rows)],
        masks=tuple(objects.masks[i] for i in rows),
        states=np.full(len(rows), TrackState.CONFIRMED, np.uint8),
    )


def _marked(picture: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Red frames with a white rim, which no object's own colour looks like."""
    height, width = picture.shape[:2]
    unit = max(1, round(height / 240))
    for box in boxes:
        left, top = (int(max(edge - 3 * unit, unit)) for edge in box[:2])
        right = int(min(box[2] + 3 * unit, width - 1 - unit))
        bottom = int(min(box[3] + 3 * unit, height - 1 - unit))
        for colour, thickness in ((_RIM, 3 * unit), (_MARK, unit + 1)):
            cv2.rectangle(picture, (left, top), (right, bottom), colour, thickness)
    return picture
