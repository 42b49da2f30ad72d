"""Geometry of the shapes: where each covers the picture and which way its surface faces.

A shape lives in its own plane, u to the right and v downwards, and is seen from slightly above.
Normals are unit vectors (right, down, towards the viewer). Light and colour are `sprites`' part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Surface:
    """What the viewer sees of a shape, pixel by pixel."""

    normal: Array
    """[H, W, 3] unit normals; arbitrary outside the mask."""
    reflectance: Array
    """[H, W] factor on the object's colour, below 1 inside a hollow."""
    mask: NDArray[np.bool_]
    """[H, W] pixels that the shape covers."""


@dataclass(frozen=True)
class Shape:
    """A shape with its proportions drawn, before it is placed in a picture."""

    outline: Array
    """[M, 2] points (u, v) whose convex hull holds the shape: what must fit in the picture."""
    paint: Callable[[Array, Array], Surface]
    """From the (u, v) of every pixel, each [H, W], to the surface."""
    max_turn: float
    """Largest turn in the picture, in radians, under which people still name it the same."""


def make_shape(rng: np.random.Generator, name: str) -> Shape:
    """Draw the proportions of a new shape called `name` (`vocabulary.SHAPES`, `NOVEL_SHAPES`)."""
    return _MAKERS[name](rng)


def _ellipse(cu: float, cv: float, ru: float, rv: float) -> Array:
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return np.stack([cu + ru * np.cos(angle), cv + rv * np.sin(angle)], 1).astype(np.float32)


def _height(x: Array) -> Array:
    """z of a unit circle above x."""
    return np.sqrt(np.maximum(1 - x * x, 0))


def _stack(nu: Array | float, nv: Array | float, nz: Array | float, like: Array) -> Array:
    normal = np.empty((*like.shape, 3), np.float32)
    normal[..., 0], normal[..., 1], normal[..., 2] = nu, nv, nz
    return normal


def _ball(rng: np.random.Generator) -> Shape:
    squash = rng.uniform(0.94, 1.0)

    def paint(u: Array, v: Array) -> Surface:
        v = v / np.float32(squash)
        r2 = u * u + v * v
        return Surface(_stack(u, v, np.sqrt(np.maximum(1 - r2, 0)), u), np.ones_like(u), r2 <= 1)

    return Shape(_ellipse(0, 0, 1, squash), paint, np.pi)


def _upright(rng: np.random.Generator, ratio: tuple[float, float]) -> tuple[float, float, float]:
    """Half height for radius 1, and sine and cosine of the viewing elevation."""
    elevation = rng.uniform(0.2, 0.5)
    return rng.uniform(*ratio), float(np.sin(elevation)), float(np.cos(elevation))


def _tube_body(
    u: Array, v: Array, half: float, sin: float, cos: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Array]:
    """Body mask, top-ellipse mask and body normals of an upright cylinder of radius 1."""
    z = _height(u)
    body = (np.abs(u) <= 1) & (v >= -half) & (v <= half + sin * z)
    top = u * u + ((v + half) / sin) ** 2 <= 1
    return body, top, _stack(u, sin * z, cos * z, u)


def _cylinder(rng: np.random.Generator) -> Shape:
    half, sin, cos = _upright(rng, (1.15, 1.8))

    def paint(u: Array, v: Array) -> Surface:
        body, top, normal = _tube_body(u, v, half, sin, cos)
        normal[top] = (0, -cos, sin)
        reflectance = np.where(top, np.float32(1.12), np.float32(1))
        return Surface(normal, reflectance, body | top)

    outline = np.concatenate([_ellipse(0, -half, 1, sin), _ellipse(0, half, 1, sin)])
    return Shape(outline, paint, 0.35)


def _cone(rng: np.random.Generator) -> Shape:
    half, sin, cos = _upright(rng, (0.95, 1.4))
    slope = np.arctan2(1.0, 2 * half)
    up, out = float(np.sin(slope)), float(np.cos(slope))

    def paint(u: Array, v: Array) -> Surface:
        width = np.clip((v + half) / (2 * half), 0.02, 1)
        x = np.clip(u / width, -1, 1).astype(np.float32, copy=False)
        z = _height(x)
        side = (np.abs(u) <= width) & (v >= -half) & (v <= half)
        base = u * u + ((v - half) / sin) ** 2 <= 1
        normal = _stack(x * out, z * out * sin - up * cos, z * out * cos + up * sin, u)
        return Surface(normal, np.ones_like(u), side | base)

    outline = np.concatenate([np.array([[0, -half]], np.float32), _ellipse(0, half, 1, sin)])
    return Shape(outline, paint, 0.35)


def _ring(rng: np.random.Generator) -> Shape:
    tube = rng.uniform(0.2, 0.29)
    squash = rng.uniform(0.65, 1.0)

    def paint(u: Array, v: Array) -> Surface:
        v = v / np.float32(squash)
        radius = np.maximum(np.sqrt(u * u + v * v), np.float32(1e-3))
        t = (radius - np.float32(1 - tube)) / np.float32(tube)
        normal = _stack(u / radius * t, v / radius * t, _height(t), u)
        return Surface(normal, np.ones_like(u), np.abs(t) <= 1)

    return Shape(_ellipse(0, 0, 1, squash), paint, np.pi)


def _mug(rng: np.random.Generator) -> Shape:
    half, sin, cos = _upright(rng, (0.85, 1.2))
    side = rng.choice((-1.0, 1.0))
    wall = rng.uniform(0.8, 0.88)
    reach, rise = rng.uniform(0.6, 0.75), half * rng.uniform(0.58, 0.72)
    drop, thick = 0.3 * sin, rng.uniform(0.3, 0.38)

    def paint(u: Array, v: Array) -> Surface:
        body, top, normal = _tube_body(u, v, half, sin, cos)
        hollow = u * u + ((v + half) / sin) ** 2 <= wall * wall
        hu, hv = (u * np.float32(side) - 0.95) / reach, (v - drop) / rise
        radius = np.maximum(np.sqrt(hu * hu + hv * hv), 1e-3)
        t = (radius - 1) / thick + 1
        handle = (np.abs(t) <= 1) & ~body & ~top & (hu > -0.2)
        bend = _stack(hu / radius * t * np.float32(side), hv / radius * t, _height(t), u)
        normal[handle] = bend[handle]
        normal[top] = (0, -cos, sin)
        normal[hollow, 0] = -u[hollow]
        reflectance = np.where(hollow, np.float32(0.5), np.float32(1))
        reflectance[top & ~hollow] = 1.15
        return Surface(normal, reflectance, body | top | handle)

    outline = np.concatenate(
        [
            _ellipse(0, -half, 1, sin),
            _ellipse(0, half, 1, sin),
            _ellipse(0.95 * side, drop, reach, rise),
        ]
    )
    return Shape(outline, paint, 0.35)


def _faceted(facets: list[tuple[Array, tuple[float, float, float]]], max_turn: float) -> Shape:
    """A shape of flat faces, each (polygon [K, 2], normal), painted from back to front."""
    table = np.array([(0, 0, 1), *(normal for _, normal in facets)], np.float32)
    table /= np.linalg.norm(table, axis=1, keepdims=True)

    def paint(u: Array, v: Array) -> Surface:
        # u and v are an affine map of the pixel, so three pixels give its inverse.
        here = np.array([u[0, 0], v[0, 0]])
        right = np.array([u[0, 1], v[0, 1]]) - here
        down = np.array([u[1, 0], v[1, 0]]) - here
        to_pixel = np.linalg.inv(np.stack([right, down], 1))
        label = np.zeros(u.shape, np.uint8)
        for index, (polygon, _) in enumerate(facets, start=1):
            corners = (polygon - here) @ to_pixel.T
            cv2.fillPoly(label, [np.round(corners * 16).astype(np.int32)], index, shift=4)
        return Surface(table[label], np.ones_like(u), label > 0)

    return Shape(np.concatenate([polygon for polygon, _ in facets]), paint, max_turn)


def _box(rng: np.random.Generator) -> Shape:
    yaw, elevation = rng.uniform(0.35, 1.2), rng.uniform(0.3, 0.7)
    sin, cos = np.sin(elevation), np.cos(elevation)
    half = rng.uniform(0.8, 1.2, 3)
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    tilt = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
    axes = tilt @ turn
    facets = []
    for axis, sign in ((1, -1.0), (2, 1.0), (0, -1.0)):
        a, b = (i for i in range(3) if i != axis)
        normal = axes[:, axis] * sign
        corners = [
            normal * half[axis] + axes[:, a] * half[a] * i + axes[:, b] * half[b] * j
            for i, j in ((-1, -1), (-1, 1), (1, 1), (1, -1))
        ]
        facets.append((np.array(corners, np.float32)[:, :2], tuple(normal)))
    return _faceted(facets, 0.3)


def _extruded(front: Array, depth: Array) -> list[tuple[Array, tuple[float, float, float]]]:
    """Side walls of the polygon `front` [K, 2] (clockwise in the picture) pushed by `depth` [2]."""
    walls = []
    for start, end in zip(front, np.roll(front, -1, 0), strict=True):
        edge = end - start
        outward = np.array([edge[1], -edge[0]]) / np.linalg.norm(edge)
        if outward @ depth > 0:
            wall = np.array([start, end, end + depth, start + depth], np.float32)
            walls.append((wall, (float(outward[0]), float(outward[1]), 0.15)))
    return walls


def _push(rng: np.random.Generator) -> Array:
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.26)
    return np.array([np.cos(angle), np.sin(angle)], np.float32) * np.float32(length)


def _star(rng: np.random.Generator) -> Shape:
    angle = np.arange(10) * np.pi / 5
    radius = np.where(np.arange(10) % 2 == 0, 1.0, rng.uniform(0.4, 0.5))
    front = np.stack([np.sin(angle) * radius, -np.cos(angle) * radius], 1).astype(np.float32)
    if rng.random() < 0.4:
        return _faceted([*_extruded(front, _push(rng)), (front, (0.0, 0.0, 1.0))], 0.6)
    facets = []
    for start, end in zip(front, np.roll(front, -1, 0), strict=True):
        edge = end - start
        outward = np.array([edge[1], -edge[0]]) / np.linalg.norm(edge)
        triangle = np.stack([np.zeros(2, np.float32), start, end])
        facets.append((triangle, (float(outward[0]), float(outward[1]), 1.2)))
    return _faceted(facets, 0.6)


def _cross(rng: np.random.Generator) -> Shape:
    w, h = rng.uniform(0.27, 0.38), rng.uniform(0.9, 1.1)
    corners = [(-w, -h), (w, -h), (w, -w), (1, -w), (1, w), (w, w)]
    corners += [(w, h), (-w, h), (-w, w), (-1, w), (-1, -w), (-w, -w)]
    front = np.array(corners, np.float32)
    return _faceted([*_extruded(front, _push(rng)), (front, (0.0, 0.0, 1.0))], 0.4)


def _plate(rng: np.random.Generator, corners: list[tuple[float, float]], turn: float) -> Shape:
    """A flat thing of some thickness; corners (u, v) clockwise in the picture."""
    front = np.array(corners, np.float32)
    return _faceted([*_extruded(front, _push(rng)), (front, (0.0, 0.0, 1.0))], turn)


def _house(rng: np.random.Generator) -> Shape:
    eaves, wall, top = rng.uniform(0.75, 0.95), rng.uniform(0.5, 0.65), rng.uniform(0.8, 1.1)
    corners = [(0.0, -top), (eaves, -0.1), (wall, -0.1), (wall, 0.8), (-wall, 0.8), (-wall, -0.1)]
    return _plate(rng, [*corners, (-eaves, -0.1)], 0.3)


def _tree(rng: np.random.Generator) -> Shape:
    """A fir: two tiers of branches and a trunk."""
    lower, upper, trunk = rng.uniform(0.6, 0.75), rng.uniform(0.45, 0.55), rng.uniform(0.1, 0.18)
    half = [(upper, 0.0), (0.5 * upper, 0.0), (lower, 0.65), (trunk, 0.65), (trunk, 1.0)]
    return _plate(rng, [(0.0, -1.0), *half, *((-u, v) for u, v in reversed(half))], 0.3)


def _crown(rng: np.random.Generator) -> Shape:
    foot, tips, dent = rng.uniform(0.65, 0.8), rng.uniform(0.6, 0.75), rng.uniform(0.0, 0.2)
    half = [(0.45, dent), (1.0, -0.8 * tips), (foot, 0.6)]
    return _plate(rng, [(0.0, -tips), *half, *((-u, v) for u, v in reversed(half))], 0.3)


_MAKERS: dict[str, Callable[[np.random.Generator], Shape]] = {
    "ball": _ball,
    "box": _box,
    "cylinder": _cylinder,
    "cone": _cone,
    "ring": _ring,
    "mug": _mug,
    "star": _star,
    "cross": _cross,
    "house": _house,
    "tree": _tree,
    "crown": _crown,
}
