"""Masks on frames that SAM 2 does not look at, moved there by optical flow.

SAM 2 costs the same on every frame, whether much has changed or not. Between two frames that it
looks at, masks are carried along by the motion of the pixels (as features are in Deep Feature Flow,
arXiv 1611.07715), found by dense inverse search (DIS, arXiv 1603.03590): milliseconds per image,
however many objects there are.

Flow is followed backwards, from the pixels of the new image: what covers an object takes its pixels
from it, for these came from elsewhere. It is summed up from the frame that SAM 2 saw, so that
tracks stay as they were there, and nothing of what is carried along is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from gsam_ros.instances import Frame, Instances
from gsam_ros.masks import Closeup, Masks

_EDGE = 320
"""Longer side of the image that motion is found on, pixels."""
_CHANGED = 30.0
"""Grey levels by which pixels differ, on average, that are not the same thing moved."""
_STRANGE = 0.5
"""Share of an image that is new from which on it is another one."""
_NOWHERE = -1e6
_HIDDEN = 0.1
"""Share of a mask of which no more is left when its object counts as out of sight."""
_OUTSIDE = -32.0
"""Logit of what comes in from beyond the image's border."""


class Window(NamedTuple):
    """A part of an image, pixels, far sides exclusive."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass
class Glide:
    """One camera since the frame that SAM 2 saw last.

    Attributes:
        start: stamp of that frame, nanoseconds.
        size: (height, width) of the camera's images.
        stamp: of the newest frame.
        grey: [h, w] uint8, the newest frame, small.
        source: [h, w, 2] float32, where in that first frame each pixel of `grey` was (x, y).
    """

    start: int
    size: tuple[int, int]
    stamp: int
    grey: np.ndarray
    source: np.ndarray

    @staticmethod
    def begin(frame: Frame) -> Glide:
        """SAM 2 looks at this frame."""
        grey = _small(frame.image)
        return Glide(frame.stamp, frame.image.shape[:2], frame.stamp, grey, _places(grey.shape))

    def follow(self, frame: Frame) -> bool:
        """Take in a frame that SAM 2 does not look at; False: it has too little of the last one."""
        grey = _small(frame.image)
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        before = _places(grey.shape) + search.calc(grey, self.grey, None)
        # What came in from beyond the border was at no place of the first frame, and neither was
        # what an object uncovered: flow takes it along with the object, but it looks otherwise.
        height, width = grey.shape
        x, y = before[..., 0], before[..., 1]
        new = (x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5)
        changed = _sample(self.grey, before, cv2.BORDER_REPLICATE).astype(np.float32) - grey
        changed -= np.median(changed)  # the light as a whole
        new |= cv2.blur(np.abs(changed), (5, 5)) > _CHANGED
        if new.mean() > _STRANGE:
            return False
        self.source = _sample(self.source, before, cv2.BORDER_REPLICATE)
        self.source[new] = _NOWHERE
        self.grey, self.stamp = grey, frame.stamp
        return True

    def move(self, instances: Instances) -> Instances:
        """Instances of that first frame as they are on the newest; who is hidden is left out."""
        if not len(instances):
            return instances
        masks = self._move(instances.masks)
        left = np.flatnonzero(masks.areas > _HIDDEN * instances.masks.areas)
        return Instances(
            masks.boxes[left],
            instances.scores[left],
            instances.phrase_index[left],
            instances.track_id[left],
            instances.state[left],
            masks[left],
        )

    def _move(self, masks: Masks) -> Masks:
        height, width = self.size
        image = Window(0, 0, width, height)
        closeups = masks.each_closeup
        logits = [
            # What a close-up stands for is not looked at, and is left as it is.
            each if closeup else self._carry(each, image, image)
            for each, closeup in zip(masks.logits, closeups, strict=True)
        ]
        moved = tuple(closeup and self._move_closeup(closeup) for closeup in masks.closeups)
        return Masks(np.stack(logits), height, width, moved)

    def _move_closeup(self, part: Closeup) -> Closeup:
        """The window goes along with the object, as far as the image reaches."""
        height, width = self.size
        window = Window(part.left, part.top, part.right, part.bottom)
        alone = Masks(np.zeros((1, 1, 1), np.float32), height, width, (part,))
        x, y = self._shift(alone.boxes[0])
        x = int(np.clip(x, -part.left, width - part.right))
        y = int(np.clip(y, -part.top, height - part.bottom))
        there = Window(part.left + x, part.top + y, part.right + x, part.bottom + y)
        return Closeup(self._carry(part.logits, window, there), *there)

    def _shift(self, box: np.ndarray) -> np.ndarray:
        """[2] pixels (x, y) of the image by which most of what was in a box (xyxy) has moved."""
        scale = np.array(self.size[::-1]) / self.grey.shape[::-1]
        inside = (self.source + 0.5) * scale
        there = (inside >= box[:2]).all(-1) & (inside <= box[2:]).all(-1)
        if not there.any():
            return np.zeros(2)
        moved = (_places(self.grey.shape) - self.source)[there]
        return np.median(moved, 0) * scale

    def _carry(self, logits: np.ndarray, before: Window, after: Window) -> np.ndarray:
        """Logits [h, w] that cover one window of the first image, as they are in one of the newest.

        All grids have half-pixel centres, as in `Masks`.
        """
        rows, columns = logits.shape
        (height, width), (small_height, small_width) = self.size, self.grey.shape
        x = after.left + (np.arange(columns) + 0.5) * ((after.right - after.left) / columns)
        y = after.top + (np.arange(rows) + 0.5) * ((after.bottom - after.top) / rows)
        places = np.stack(
            np.meshgrid(x * (small_width / width) - 0.5, y * (small_height / height) - 0.5), -1
        )
        source = _sample(self.source, places.astype(np.float32), cv2.BORDER_REPLICATE)
        source = (source + 0.5) * (width / small_width, height / small_height)
        extent = (before.right - before.left, before.bottom - before.top)
        cells = (source - (before.left, before.top)) * (columns / extent[0], rows / extent[1]) - 0.5
        logits = np.ascontiguousarray(logits, np.float32)
        return _sample(logits, cells.astype(np.float32), cv2.BORDER_CONSTANT)


def _sample(array: np.ndarray, places: np.ndarray, border: int) -> np.ndarray:
    """Values [h, w, ...] at places [H, W, 2] (x, y), between the values."""
    return cv2.remap(array, places, None, cv2.INTER_LINEAR, borderMode=border, borderValue=_OUTSIDE)


def _small(image: np.ndarray) -> np.ndarray:
    """[h, w] uint8 out of [H, W, 3] uint8 RGB."""
    height, width = image.shape[:2]
    scale = min(1.0, _EDGE / max(height, width))
    size = (max(16, round(width * scale)), max(16, round(height * scale)))
    return cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)


def _places(shape: tuple[int, ...]) -> np.ndarray:
    """[h, w, 2] float32, each pixel's own (x, y)."""
    x, y = np.meshgrid(np.arange(shape[1]), np.arange(shape[0]))
    return np.stack([x, y], -1).astype(np.float32)
