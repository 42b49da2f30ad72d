"""Pictures of single objects: a shape from `shapes`, lit, coloured and textured."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gsam_ros.world.shapes import Array, make_shape
from gsam_ros.world.vocabulary import COLOURS, UNNAMED

_OVERSAMPLING = 2
_MARGIN = 0.96  # share of the sprite that the object spans: room for a soft edge
_UNLIKE = 35.0  # CIELAB distance (CIE76) from which a colour goes by another's name no more


@dataclass(frozen=True)
class Light:
    """One lamp far away (Blinn-Phong)."""

    direction: Array
    """Unit vector [3] from the object to the lamp: right, down, towards the viewer."""
    ambient: float
    diffuse: float
    specular: float
    shininess: float


def draw_light(rng: np.random.Generator) -> Light:
    """A lamp from somewhere above and in front."""
    direction = np.array([rng.uniform(-0.9, 0.9), rng.uniform(-1, -0.3), rng.uniform(0.5, 1.1)])
    return Light(
        (direction / np.linalg.norm(direction)).astype(np.float32),
        ambient=rng.uniform(0.42, 0.58),
        diffuse=rng.uniform(0.5, 0.62),
        specular=rng.uniform(0.0, 0.55),
        shininess=rng.uniform(8, 40),
    )


def shadow_offset(light: Light, size: float) -> tuple[int, int]:
    """Pixels (right, down) by which an object of `size` pixels throws its shadow."""
    reach = 0.12 * size / float(light.direction[2])
    return round(-float(light.direction[0]) * reach), round(-float(light.direction[1]) * reach)


def draw_sprite(
    rng: np.random.Generator, shape: str, colour: str, size: int, light: Light | None = None
) -> NDArray[np.uint8]:
    """A new object, drawn from `rng`, that fills a square picture.

    colour: one of `vocabulary.COLOURS`, or `vocabulary.UNNAMED` for one that is none of them.

    Proportions, viewing angle, shade, texture and, where `light` is None, the light differ from
    call to call. The object's longer side spans the sprite but for a narrow margin.

    Returns RGBA uint8 [size, size, 4], alpha not premultiplied, edges antialiased.
    """
    lamp = draw_light(rng) if light is None else light
    geometry = make_shape(rng, shape)
    turn = rng.uniform(-geometry.max_turn, geometry.max_turn)
    sin, cos = np.sin(turn), np.cos(turn)
    to_picture = np.array([[cos, -sin], [sin, cos]], np.float32)

    placed = geometry.outline @ to_picture.T
    low, high = placed.min(0), placed.max(0)
    pixels = size * _OVERSAMPLING
    scale = float((high - low).max()) / (pixels * _MARGIN)
    middle = (low + high) / 2
    ramp = (np.arange(pixels, dtype=np.float32) - (pixels - 1) / 2) * np.float32(scale)
    x, y = (ramp + middle[0])[None, :], (ramp + middle[1])[:, None]
    u = np.float32(cos) * x + np.float32(sin) * y
    v = np.float32(cos) * y - np.float32(sin) * x

    surface = geometry.paint(u, v)
    direction = np.append(to_picture.T @ lamp.direction[:2], lamp.direction[2])
    shade, gloss = _illuminate(surface.normal, direction, lamp)
    shade *= surface.reflectance
    pattern = _texture(rng, u, v)
    if pattern is not None:
        shade *= pattern
    outside = ~surface.mask
    shade[outside] = 0.8  # close to the object, so that averaging leaves no fringe
    gloss[outside] = 0

    picture = np.empty((pixels, pixels, 4), np.float32)
    np.multiply(shade[..., None], _vary(rng, colour), out=picture[..., :3])
    picture[..., :3] += gloss[..., None]
    picture[..., 3] = surface.mask * np.float32(255)
    small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    return np.clip(small, 0, 255).astype(np.uint8)


def _illuminate(normal: Array, direction: Array, lamp: Light) -> tuple[Array, Array]:
    """Factor on the colour and white gloss to add (0 to 255), both [H, W]."""
    shade = lamp.ambient + lamp.diffuse * np.maximum(normal @ direction, 0)
    half = direction + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    facing = np.maximum(normal @ half, 0)
    gloss = cv2.pow(facing, lamp.shininess) * np.float32(255 * lamp.specular * 0.7)
    return shade.astype(np.float32), gloss


def _vary(rng: np.random.Generator, colour: str) -> Array:
    """A shade of `colour`, RGB float32 [3], that still goes by that name."""
    if colour == UNNAMED:
        return _unnamed(rng)
    rgb = np.array(COLOURS[colour], np.float32)
    if colour in ("white", "black"):
        return rgb * np.float32(rng.uniform(0.98, 1.1)) + rng.uniform(-4, 4, 3).astype(np.float32)
    hue, saturation, value = cv2.cvtColor(rgb[None, None] / 255, cv2.COLOR_RGB2HSV)[0, 0]
    hue = (hue + rng.uniform(-6, 6)) % 360
    saturation = min(saturation * rng.uniform(0.85, 1.08), 1)
    value = min(value * rng.uniform(0.88, 1.1), 1)
    hsv = np.array([[[hue, saturation, value]]], np.float32)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0] * 255


def _unnamed(rng: np.random.Generator) -> Array:
    """Any colour that is far from all named ones, RGB float32 [3]."""
    while True:
        hsv = np.array([rng.uniform(0, 360), rng.uniform(0, 1), rng.uniform(0.25, 1)], np.float32)
        rgb = cv2.cvtColor(hsv[None, None], cv2.COLOR_HSV2RGB)
        lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0]
        if np.linalg.norm(_NAMED_LAB - lab, axis=1).min() >= _UNLIKE:
            return rgb[0, 0] * 255


_NAMED_LAB = cv2.cvtColor(np.array([list(COLOURS.values())], np.float32) / 255, cv2.COLOR_RGB2LAB)[
    0
]


def _texture(rng: np.random.Generator, u: Array, v: Array) -> Array | None:
    """A pattern of lighter and darker shades of the same colour, [H, W], or None for plain."""
    kind = rng.choice(
        ("plain", "stripes", "dots", "speckle", "fade"), p=(0.4, 0.2, 0.12, 0.18, 0.1)
    )
    depth, angle = np.float32(rng.uniform(0.08, 0.2)), rng.uniform(0, np.pi)
    along = np.float32(np.cos(angle)) * u + np.float32(np.sin(angle)) * v
    if kind == "stripes":
        wave = np.sin(along * np.float32(rng.uniform(4, 14)) + np.float32(rng.uniform(0, 6)))
        return 1 + depth * np.clip(wave * 4, -1, 1)
    if kind == "dots":
        across = np.float32(np.cos(angle)) * v - np.float32(np.sin(angle)) * u
        pitch = np.float32(rng.uniform(6, 12))
        return 1 - depth * (np.sin(along * pitch) * np.sin(across * pitch) > 0.35)
    if kind == "speckle":
        coarse = rng.random((int(rng.integers(5, 24)),) * 2, dtype=np.float32)
        return 1 + depth * (2 * cv2.resize(coarse, u.shape[::-1]) - 1)
    if kind == "fade":
        return 1 + depth * np.clip(along, -1, 1)
    return None
