"""Which tiles of an image are worth a look: those with objects, with motion, or long unseen.

A camera of many tiles costs many passes of the model per image, and most tiles show nothing new.
"""

from __future__ import annotations

import cv2
import numpy as np

_SCALE = 4
"""Pixels of the image along a side of one pixel that is compared; averages out most noise."""

_CHANGE = 12
"""Grey levels of a change that is motion and not noise."""

_GROWTH = 0.25
"""Share of its size by which an object may move until it is looked at again."""


class TileTurns:
    """The turns of one camera's tiles, from keyframe to keyframe."""

    def __init__(self) -> None:
        self._small: np.ndarray | None = None
        self._waited = np.zeros(0, np.int64)

    def choose(
        self, image: np.ndarray, boxes: np.ndarray, share: float, views: np.ndarray
    ) -> np.ndarray:
        """The views to look at now; at first, and whenever their grid changes, all.

        The whole image is always among them where it is a view.

        Args:
            image: [H, W, 3] uint8 RGB.
            boxes: [N, 4] xyxy in pixels, where objects are known to be.
            share: of the tiles without object and motion; those that waited longest come first.
            views: [V, 4] parts of the image (x0, y0, x1, y1), always the same for one size.

        Returns:
            [K, 4] rows of `views`, in their order.
        """
        before, self._small = self._small, _thumbnail(image)
        if before is None or before.shape != self._small.shape or len(views) != len(self._waited):
            self._waited = np.zeros(len(views), np.int64)
            return views
        chosen = (views == (0, 0, image.shape[1], image.shape[0])).all(1)
        tiles = np.flatnonzero(~chosen)
        known = np.concatenate([_grown(boxes), _moving(before, self._small)])
        chosen[tiles] = _holding(known, views[tiles])
        others = np.flatnonzero(~chosen)
        longest = np.argsort(-self._waited[others], kind="stable")
        chosen[others[longest[: int(np.ceil(share * len(others)))]]] = True
        self._waited += 1
        self._waited[chosen] = 0
        return views[chosen]


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """[h, w] float32 grey levels."""
    height, width = image.shape[:2]
    size = (max(width // _SCALE, 1), max(height // _SCALE, 1))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _moving(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """[M, 4] xyxy pixels of the image around what changed, but for the light as a whole."""
    change = now - before
    moved = (np.abs(change - np.median(change)) > _CHANGE).astype(np.uint8)
    moved = cv2.dilate(moved, np.ones((3, 3), np.uint8))
    _, _, regions, _ = cv2.connectedComponentsWithStats(moved, connectivity=8)
    x, y, width, height = regions[1:, :4].T  # the first is what stands still
    return _SCALE * np.stack([x, y, x + width, y + height], 1).astype(np.float32)


def _grown(boxes: np.ndarray) -> np.ndarray:
    margin = _GROWTH * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], 1)


def _holding(boxes: np.ndarray, tiles: np.ndarray) -> np.ndarray:
    """[T] bool: for each box the tile that holds it best, or all it touches where none holds it."""
    chosen = np.zeros(len(tiles), bool)
    if not len(boxes):
        return chosen
    room = np.minimum(
        (boxes[:, None, :2] - tiles[:, :2]).min(2), (tiles[:, 2:] - boxes[:, None, 2:]).min(2)
    )
    held = room.max(1) >= 0
    chosen[room[held].argmax(1)] = True
    loose = boxes[~held, None]
    touching = (loose[..., :2] < tiles[:, 2:]) & (loose[..., 2:] > tiles[:, :2])
    return chosen | touching.all(2).any(0)
