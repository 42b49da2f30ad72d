"""Names of objects on the image: plates that stay legible and out of each other's way."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

_PADDING = (4, 2)  # pixels beside and above the text


class LabelPlates:
    """Puts plates onto one image, each where those before it leave room.

    Args:
        canvas: [H, W, 3] uint8 RGB, drawn on in place.
    """

    def __init__(self, canvas: np.ndarray) -> None:
        self._canvas = canvas
        self._size = max(11, round(canvas.shape[0] / 36))
        self._taken: list[tuple[int, int, int, int]] = []

    def put(self, text: str, box: np.ndarray, colour: Colour) -> None:
        """Write a text at an object's box [4] (xyxy pixels).

        Above the box where there is room, else below it, else inside, else above after all.
        """
        plate = _plate(" ".join(text.split()), self._size, colour)
        height, width = plate.shape[:2]
        rows, columns = self._canvas.shape[:2]
        left = int(np.clip(box[0], 0, max(columns - width, 0)))
        places = [
            (left, int(np.clip(top, 0, max(rows - height, 0))))
            for top in (box[1] - height, box[3], box[1], box[3] - height)
        ]
        x, y = next((place for place in places if self._is_free(*place, width, height)), places[0])
        self._taken.append((x, y, x + width, y + height))
        window = self._canvas[y : y + height, x : x + width]
        window[:] = plate[: window.shape[0], : window.shape[1]]

    def _is_free(self, x: int, y: int, width: int, height: int) -> bool:
        return not any(
            x < right and left < x + width and y < bottom and top < y + height
            for left, top, right, bottom in self._taken
        )


@lru_cache(maxsize=512)
def _plate(text: str, size: int, colour: Colour) -> np.ndarray:
    """[h, w, 3] uint8 RGB: the text on a plate of the object's colour.

    Kept, as most labels stay what they are from frame to frame.
    """
    font = ImageFont.load_default(size)
    ascent, descent = font.getmetrics() if isinstance(font, ImageFont.FreeTypeFont) else (size, 0)
    width = round(font.getlength(text)) + 2 * _PADDING[0]
    plate = Image.new("RGB", (width, ascent + descent + 2 * _PADDING[1]), colour)
    dark = np.dot(colour, (0.299, 0.587, 0.114)) > 128
    ink = (0, 0, 0) if dark else (255, 255, 255)
    ImageDraw.Draw(plate).text(_PADDING, text, ink, font)
    pixels = np.array(plate)
    pixels.setflags(write=False)
    return pixels
