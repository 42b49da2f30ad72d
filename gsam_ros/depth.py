"""Objects in metres: what a depth image says of each mask.

Everything is in the camera's optical frame (REP 103: x right, y down, z forward), which is also
the frame of depth images (REP 118).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from gsam_ros.masks import Masks, Region

MIN_READINGS = 12
"""Depth readings that an object must have to be located."""
_FARTHEST = 10_000.0  # metres; some drivers write FLT_MAX or the like for no reading
_NEAR_MEDIAN = 0.03  # metres; what lies this near to the median depth is never an outlier
_SPREADS = 4.0  # robust standard deviations from the median that still belong to the object
_DEPTHS = (1.0, 99.0)  # percentiles of depth that a box reaches to
_TO_DEVIATION = 1.4826  # of a median absolute deviation, for normally distributed readings


@dataclass(frozen=True)
class Pinhole:
    """A camera without distortion, as that of rectified images; all in pixels.

    The middle of the top left pixel has the coordinates (0, 0), as in OpenCV and image_geometry.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def points(self, rows: np.ndarray, columns: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Points [K, 3] float32 in metres of K pixels at `depth` [K] metres along the axis."""
        x = (columns - self.cx) / self.fx * depth
        y = (rows - self.cy) / self.fy * depth
        return np.stack([x, y, depth], 1).astype(np.float32)


@dataclass(frozen=True)
class Surface:
    """The part of one object that the depth image shows.

    Attributes:
        rows: [K] pixel rows.
        columns: [K] pixel columns.
        points: [K, 3] float32 metres, optical frame.
    """

    rows: np.ndarray
    columns: np.ndarray
    points: np.ndarray

    @property
    def is_located(self) -> bool:
        """Whether enough of it was read to say where the object is."""
        return len(self.points) >= MIN_READINGS

    @property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Centre [3] and size [3] in metres of the box around it, along the camera's axes.

        A camera sees an object's front: along z the box is as deep as what is to be seen.
        """
        low, high = self.points.min(0), self.points.max(0)
        # Across, the mask sets the limits; along the axis, noise would.
        low[2], high[2] = np.percentile(self.points[:, 2], _DEPTHS)
        return (low + high) / 2, high - low


def surfaces(masks: Masks, depth: np.ndarray, camera: Pinhole) -> list[Surface]:
    """What of N objects a depth image shows, without the background that masks' edges let in.

    A mask is never exact to the pixel and stereo smears depth over edges, so readings far from
    the object's median depth are left out. The median is taken inside the mask's edge.

    Args:
        masks: N masks of images of the depth image's size.
        depth: [H, W] float32 metres along the optical axis; not finite, <= 0 or beyond 10 km:
            no reading.
        camera: that of the depth image.

    Raises:
        ValueError: sizes differ.
    """
    if not (masks.height, masks.width) == depth.shape == (camera.height, camera.width):
        raise ValueError(
            f"masks of {masks.width}x{masks.height}, depth of {depth.shape[1]}x{depth.shape[0]} "
            f"and a camera of {camera.width}x{camera.height} pixels don't fit together"
        )
    return [_surface(region, depth, camera) for region in masks.regions]


def _surface(region: Region, depth: np.ndarray, camera: Pinhole) -> Surface:
    inside = region.logits > 0
    readings = depth[region.window]
    with np.errstate(invalid="ignore"):
        known = inside & (readings > 0) & (readings <= _FARTHEST)
    belongs = known & _near_median(readings, known, inside)
    rows, columns = np.nonzero(belongs)
    rows_in_image, columns_in_image = rows + region.top, columns + region.left
    points = camera.points(rows_in_image, columns_in_image, readings[rows, columns])
    return Surface(rows_in_image, columns_in_image, points)


def _near_median(readings: np.ndarray, known: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Which readings lie as deep as the middle of the object, give or take its own extent."""
    if not known.any():
        return known
    core = known & cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    sample = readings[core if core.sum() >= MIN_READINGS else known]
    median = np.median(sample)
    deviation = _TO_DEVIATION * np.median(np.abs(sample - median))
    reach = max(_SPREADS * deviation, _NEAR_MEDIAN)
    with np.errstate(invalid="ignore"):
        near: np.ndarray = np.abs(readings - median) <= reach
    return near
