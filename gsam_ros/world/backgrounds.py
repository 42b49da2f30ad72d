"""Cluttered backgrounds: surfaces, furniture-like edges and things that the vocabulary lacks.

Their colours stay dull (saturation below a half, neither near white nor near black), so that no
part of a background answers to "red" or "white ball".
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

_LETTERS = "AEFHJKMNPRSWZ23457?"  # none that reads as a ring, ball, box, cross or star


def dull_colour(rng: np.random.Generator, low: float = 0.3, high: float = 0.72) -> np.ndarray:
    """RGB float32 [3], 0 to 255, with value between `low` and `high` and little saturation."""
    hsv = np.array(
        [[[rng.uniform(0, 360), rng.uniform(0, 0.42), rng.uniform(low, high)]]], np.float32
    )
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0] * 255


def value_noise(rng: np.random.Generator, height: int, width: int, cells: int) -> np.ndarray:
    """Smooth noise in [0, 1], float32 [height, width], with `cells` bumps along the height."""
    across = max(2, round(cells * width / height))
    grid = rng.random((cells + 1, across + 1), dtype=np.float32)
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)


def draw_surface(rng: np.random.Generator, height: int, width: int) -> Image:
    """One plain material: fabric, wood, tiles, plaster. uint8 [height, width, 3]."""
    first, second = dull_colour(rng), dull_colour(rng)
    second = first + (second - first) * np.float32(rng.uniform(0.2, 0.7))
    kind = rng.choice(("plaster", "tiles", "planks", "weave", "cloud"))
    angle = rng.uniform(0, np.pi)
    x = np.arange(width, dtype=np.float32)[None] / height
    y = np.arange(height, dtype=np.float32)[:, None] / height
    along = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y
    mix: np.ndarray  # [height, width], 0 the first colour, 1 the second
    if kind == "tiles":
        across = np.float32(np.cos(angle)) * y - np.float32(np.sin(angle)) * x
        pitch = np.float32(rng.uniform(3, 9))
        mix = ((np.floor(along * pitch) + np.floor(across * pitch)) % 2).astype(np.float32)
    elif kind == "planks":
        pitch = np.float32(rng.uniform(4, 14))
        mix = np.modf(np.floor(along * pitch) * np.float32(0.618) + 40)[0]
        mix = mix * np.float32(0.6) + value_noise(rng, height, width, 24) * np.float32(0.4)
    elif kind == "weave":
        pitch = np.float32(rng.uniform(15, 60))
        mix = (np.sin(along * pitch) * np.float32(0.5)) + np.float32(0.5)
    elif kind == "cloud":
        mix = value_noise(rng, height, width, int(rng.integers(2, 7)))
    else:
        mix = value_noise(rng, height, width, int(rng.integers(20, 60)))
    mix = mix * np.float32(0.75) + value_noise(rng, height, width, 3) * np.float32(0.25)
    palette = np.linspace(first, second, 256, axis=1).clip(0, 255).astype(np.uint8)  # [3, 256]
    index = cv2.convertScaleAbs(mix, alpha=255)
    return cv2.merge([cv2.LUT(index, channel) for channel in palette])


def draw_blob(rng: np.random.Generator, corners: int = 0) -> np.ndarray:
    """A random closed outline float32 [K, 2] about the origin, within the unit circle.

    With `corners` 0 it is smooth, else a ragged polygon of that many corners.
    """
    if corners:
        angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
        radius = rng.uniform(0.35, 1.0, corners)
    else:
        angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        radius = np.full(28, 0.62)
        for wave in (2, 3, 5):
            radius += 0.13 * rng.uniform(-1, 1) * np.sin(wave * angle + rng.uniform(0, 2 * np.pi))
    return np.stack([np.cos(angle) * radius, np.sin(angle) * radius], 1).astype(np.float32)


def _outline(rng: np.random.Generator) -> np.ndarray:
    """The outline of something without a name here: blob, shard, crescent, heart, arrow, bolt."""
    kind = rng.integers(6)
    if kind == 0:
        return draw_blob(rng)
    if kind == 1:
        return draw_blob(rng, int(rng.integers(5, 9)))
    if kind == 2:
        a = np.linspace(-1.5, 1.5, 14)  # less than a half turn: more would pass for a ring
        inner = np.stack([0.5 * np.cos(a[::-1]), 0.95 * np.sin(a[::-1])], 1)
        return np.concatenate([np.stack([np.cos(a), np.sin(a)], 1), inner]).astype(np.float32)
    if kind == 3:
        a = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        v = -(13 * np.cos(a) - 5 * np.cos(2 * a) - 2 * np.cos(3 * a)) / 17
        return np.stack([np.sin(a) ** 3, v], 1).astype(np.float32)
    if kind == 4:
        points = [(-1, -0.2), (0.1, -0.2), (0.1, -0.6), (1, 0), (0.1, 0.6), (0.1, 0.2), (-1, 0.2)]
        return np.array(points, np.float32)
    points = [(0.2, -1), (-0.5, 0.15), (-0.05, 0.15), (-0.3, 1), (0.5, -0.25), (0.05, -0.25)]
    return np.array(points, np.float32)


def draw_clutter(rng: np.random.Generator, image: Image, count: int) -> None:
    """Draw `count` things that are in no vocabulary onto `image`, in place."""
    height, width = image.shape[:2]
    for _ in range(count):
        colour = dull_colour(rng, 0.34, 0.76).tolist()
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        size = height * rng.uniform(0.04, 0.17)
        kind = rng.integers(5)
        if kind == 0:
            end = (int(x + rng.normal(0, height / 2)), int(y + rng.normal(0, height / 2)))
            thickness = int(rng.integers(1, max(2, height // 40) + 1))
            cv2.line(image, (int(x), int(y)), end, colour, thickness, cv2.LINE_AA)
        elif kind == 1:
            letter = _LETTERS[rng.integers(len(_LETTERS))]
            scale, thickness = size / 14, max(1, int(size / 10))
            font = int(rng.choice((cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_TRIPLEX)))
            at = (int(x), int(y))
            cv2.putText(image, letter, at, font, scale, colour, thickness, cv2.LINE_AA)
        else:
            turn = rng.uniform(0, 2 * np.pi)
            c, s = np.cos(turn) * size, np.sin(turn) * size
            points = _outline(rng) @ np.array([[c, s], [-s, c]]) + (x, y)
            fixed = np.round(points * 8).astype(np.int32)
            cv2.fillPoly(image, [fixed], colour, cv2.LINE_AA, shift=3)
            if rng.random() < 0.5:
                edge = (np.array(colour) * rng.uniform(0.6, 0.85)).tolist()
                cv2.polylines(image, [fixed], True, edge, 1, cv2.LINE_AA, shift=3)


def draw_background(rng: np.random.Generator, height: int, width: int) -> Image:
    """A room without objects: uint8 RGB [height, width, 3].

    One surface or a wall and a floor, light that falls off to one side, and 0 to 14 things and
    strokes that the vocabulary has no word for.
    """
    image = draw_surface(rng, height, width)
    if rng.random() < 0.55:
        horizon = int(height * rng.uniform(0.25, 0.7))
        lean = int(height * rng.uniform(-0.12, 0.12))
        floor = draw_surface(rng, height, width)
        region = np.zeros((height, width), np.uint8)
        line = [(0, horizon - lean), (width, horizon + lean), (width, height), (0, height)]
        cv2.fillPoly(region, [np.array(line, np.int32)], 255)
        cv2.copyTo(floor, region, image)
    draw_clutter(rng, image, int(rng.integers(0, 15)))
    light = value_noise(rng, height, width, 1) * np.float32(0.35) + np.float32(
        rng.uniform(0.75, 0.9)
    )
    return cv2.multiply(image, cv2.merge([light] * 3), dtype=cv2.CV_8U)
