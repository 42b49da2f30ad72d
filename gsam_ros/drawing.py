"""Results drawn on the image, for people."""

from __future__ import annotations

import colorsys
from functools import lru_cache

import cv2
import numpy as np

from gsam_ros.instances import FrameResult, TrackState
from gsam_ros.masks import Region

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_TINT = 0.45  # share of an object's colour in its pixels
_GOLDEN_RATIO = 0.618034


def draw_instances(image: np.ndarray, result: FrameResult) -> np.ndarray:
    """A copy of the image with every instance's mask, outline, phrase, id and score.

    An object keeps its colour for as long as it keeps its id. Objects that are not confirmed yet
    have a thin outline and no tint.

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
        colour = track_colour(int(instances.track_id[row]))
        confirmed = instances.state[row] != TrackState.TENTATIVE
        inside = region.logits > 0
        if confirmed:
            _tint(canvas[region.window], inside, colour)
        _outline(canvas, region, inside, colour, thick if confirmed else 1)
        phrase = result.prompt.classes[instances.phrase_index[row]] if result.prompt else ""
        text = f"{phrase} #{instances.track_id[row]} {instances.scores[row]:.2f}"
        labels.append((text, instances.boxes[row], colour))
    for text, box, colour in labels:  # above all masks
        _label(canvas, text, box, colour)
    return canvas


@lru_cache(maxsize=1024)
def track_colour(track_id: int) -> tuple[int, int, int]:
    """RGB of a track; neighbouring ids lie far apart on the colour circle."""
    hue = track_id * _GOLDEN_RATIO % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def _tint(window: np.ndarray, inside: np.ndarray, colour: tuple[int, int, int]) -> None:
    mixed = window[inside] * (1 - _TINT) + np.multiply(colour, _TINT)
    window[inside] = mixed.astype(np.uint8)


def _outline(
    canvas: np.ndarray,
    region: Region,
    inside: np.ndarray,
    colour: tuple[int, int, int],
    thickness: int,
) -> None:
    contours, _ = cv2.findContours(
        inside.astype(np.uint8),
        cv2.RETR_EXTERNAL,
        cv2.CHAIN_APPROX_SIMPLE,
        offset=(region.left, region.top),
    )
    cv2.drawContours(canvas, contours, -1, colour, thickness, cv2.LINE_AA)


def _label(canvas: np.ndarray, text: str, box: np.ndarray, colour: tuple[int, int, int]) -> None:
    """The text on a plate of the object's colour, above its box where there is room."""
    height, width = canvas.shape[:2]
    scale = max(0.4, height / 1200)
    (text_width, text_height), baseline = cv2.getTextSize(text, _FONT, scale, 1)
    plate = text_height + baseline + 2
    left = int(np.clip(box[0], 0, max(width - text_width - 2, 0)))
    top = int(np.clip(box[1] - plate, 0, max(height - plate, 0)))
    cv2.rectangle(canvas, (left, top), (left + text_width + 2, top + plate), colour, cv2.FILLED)
    dark = np.dot(colour, (0.299, 0.587, 0.114)) > 128
    ink = (0, 0, 0) if dark else (255, 255, 255)
    origin = (left + 1, top + text_height + 1)
    cv2.putText(canvas, text, origin, _FONT, scale, ink, 1, cv2.LINE_AA)
