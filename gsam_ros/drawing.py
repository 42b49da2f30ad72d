"""Results drawn on the image, for people."""

from __future__ import annotations

import colorsys
from functools import lru_cache

import cv2
import numpy as np

from gsam_ros.instances import FrameResult, TrackState
from gsam_ros.label_plates import Colour, LabelPlates
from gsam_ros.masks import Region

_TINT = 0.25  # share of a track's colour in its pixels: a red mug has to stay red
_EDGE = (16, 16, 16)  # around the outline, so that it shows on any ground
_GOLDEN_RATIO = 0.618034


def draw_instances(image: np.ndarray, result: FrameResult) -> np.ndarray:
    """A copy of the image with every instance's mask, outline, phrase, id and score.

    An object keeps its colour for as long as it keeps its id; what is not followed (id 0) has one
    by its place in the results. Tracks that are not confirmed yet have a thin outline and no tint.

    Args:
        image: [H, W, 3] uint8 RGB, of the result's size.
        result: what was found in it.

    Returns:
        [H, W, 3] uint8 RGB.
    """
    canvas = np.ascontiguousarray(image).copy()
    instances = result.instances
    thick = max(1, round(canvas.shape[0] / 320))
    labels = []
    for row, region in enumerate(instances.masks.regions):
        track = int(instances.track_id[row])
        colour = track_colour(track or 1 + row)
        confirmed = not track or instances.state[row] != TrackState.TENTATIVE
        inside = region.logits > 0
        if confirmed:
            _tint(canvas[region.window], inside, colour)
        _outline(canvas, region, inside, colour, thick if confirmed else 1)
        phrase = result.prompt.classes[instances.phrase_index[row]] if result.prompt else ""
        followed = f" #{track}" if track else ""
        text = f"{phrase}{followed} {instances.scores[row]:.2f}"
        labels.append((text, instances.boxes[row], colour))
    plates = LabelPlates(canvas)
    for text, box, colour in labels:  # above all masks
        plates.put(text, box, colour)
    return canvas


@lru_cache(maxsize=1024)
def track_colour(track_id: int) -> Colour:
    """RGB of a track; neighbouring ids lie far apart on the colour circle."""
    hue = track_id * _GOLDEN_RATIO % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def _tint(window: np.ndarray, inside: np.ndarray, colour: Colour) -> None:
    mixed = window[inside] * (1 - _TINT) + np.multiply(colour, _TINT)
    window[inside] = mixed.astype(np.uint8)


def _outline(
    canvas: np.ndarray, region: Region, inside: np.ndarray, colour: Colour, thickness: int
) -> None:
    """The mask's outer edge and the edges of its holes."""
    contours, _ = cv2.findContours(
        inside.astype(np.uint8),
        cv2.RETR_CCOMP,
        cv2.CHAIN_APPROX_SIMPLE,
        offset=(region.left, region.top),
    )
    cv2.drawContours(canvas, contours, -1, _EDGE, thickness + 2, cv2.LINE_AA)
    cv2.drawContours(canvas, contours, -1, colour, thickness, cv2.LINE_AA)
