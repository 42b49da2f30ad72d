"""Pictures with their hues turned, so that shapes are learnt apart from colours.

Seen in a handful of colours only, a shape is soon known by them, and a red cone, held out of
training, is anything but a cone. In a turned picture objects have colours without a name; it is
asked about by shape alone. No turn brings a held-out pair about.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from gsam_ros.world.vocabulary import COLOURS, HELD_OUT, Pair

_MARGIN = 30.0  # degrees to stay away from a shape's held-out colour
_TRIES = 20
_PALE = 0.35  # saturation factor below which a picture is darkened, lest colours become white
_GREY = 0.15  # least saturation of a colour that has a hue


def hue_of(colour: str) -> float | None:
    """Hue of a colour name in degrees, None for white and black."""
    hue, saturation, _ = colorsys.rgb_to_hsv(*(channel / 255 for channel in COLOURS[colour]))
    return 360 * hue if saturation >= _GREY else None


_HUES = {colour: hue_of(colour) for colour in COLOURS}
_FORBIDDEN = {shape: _HUES[colour] for colour, shape in HELD_OUT}


def choose_turn(rng: np.random.Generator, present: Sequence[Pair]) -> float:
    """Draw an angle in degrees at which no object gets the colour held out for its shape.

    0 if none turns up.
    """
    for _ in range(_TRIES):
        angle = float(rng.uniform(0, 360))
        if all(_is_allowed(pair, angle) for pair in present):
            return angle
    return 0.0


def draw_fading(rng: np.random.Generator) -> tuple[float, float]:
    """Draw factors of saturation and value that leave no colour white and none black.

    From full colours to mid-grey: shapes have to be told without any colour, too.
    """
    saturation = float(rng.uniform(0.0, 1.0))
    return saturation, float(rng.uniform(0.45, 0.75 if saturation < _PALE else 1.0))


def turn_hues(
    image: NDArray[np.uint8], angle: float, saturation: float = 1.0, value: float = 1.0
) -> NDArray[np.uint8]:
    """Turn every hue of an RGB picture [H, W, 3] by `angle` degrees.

    saturation, value: factors up to 1 that make it paler and darker.
    """
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += np.uint8(round(angle / 360 * 256) % 256)  # wraps around
    hsv[..., 1] = hsv[..., 1] * saturation
    hsv[..., 2] = hsv[..., 2] * value
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), np.uint8)


def _is_allowed(pair: Pair, angle: float) -> bool:
    hue, forbidden = _HUES[pair[0]], _FORBIDDEN[pair[1]]
    if hue is None or forbidden is None:
        return True
    return abs((hue + angle - forbidden + 180) % 360 - 180) > _MARGIN
