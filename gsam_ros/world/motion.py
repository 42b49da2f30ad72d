"""How things and cameras move through a training clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass
class Track:
    """The way of one sprite through T frames."""

    centre: Array
    """[T, 2] pixels (x, y)."""
    matrix: Array
    """[T, 2, 2] turn and scale of the sprite; the identity in frame 0."""
    shown: NDArray[np.bool_]
    """[T] False where the thing is gone although it is in view and nothing hides it."""


def rotations(turn: Array) -> Array:
    """Rotation matrices [T, 2, 2] of angles [T]."""
    return np.stack([np.cos(turn), -np.sin(turn), np.sin(turn), np.cos(turn)], -1).reshape(-1, 2, 2)


def _reflect(x: Array, low: float, high: float) -> Array:
    """Fold positions back at two walls."""
    span = max(high - low, 1.0)
    return low + span - np.abs((x - low) % (2 * span) - span)


def draw_track(
    rng: np.random.Generator, frames: int, start: tuple[float, float], height: int, width: int
) -> Track:
    """A smooth way from `start` that turns back near the border."""
    t = np.arange(frames, dtype=np.float64)
    heading, speed = rng.uniform(0, 2 * np.pi), height * rng.uniform(0, 0.035)
    sway, rate = height * rng.uniform(0, 0.05, 2), rng.uniform(0.1, 0.5, 2)
    centre = np.empty((frames, 2))
    for axis, (part, extent) in enumerate(((np.cos(heading), width), (np.sin(heading), height))):
        free = start[axis] + part * speed * t + sway[axis] * np.sin(rate[axis] * t)
        low, high = min(0.08 * extent, start[axis]), max(0.92 * extent, start[axis])
        centre[:, axis] = _reflect(free, low, high)
    turn = rng.normal(0, 0.04) * t + rng.normal(0, 0.12) * np.sin(0.3 * t)
    size = np.exp(rng.normal(0, 0.2) * np.sin(rng.uniform(0.05, 0.3) * t))
    stretch = np.ones((frames, 2))
    stretch[:, 0] = 1 - rng.uniform(0, 0.25) * np.sin(rng.uniform(0.05, 0.3) * t) ** 2
    matrix = rotations(turn) * (size[:, None] * stretch)[:, None, :]
    return Track(centre, matrix, np.ones(frames, bool))


def draw_camera(rng: np.random.Generator, frames: int, height: int, width: int) -> Array:
    """Camera motion as maps [T, 2, 3] from frame 0's pixels to frame t's; frame 0's is exact."""
    if rng.random() < 0.35:
        return np.tile(np.eye(2, 3), (frames, 1, 1))
    t = np.arange(frames, dtype=np.float64)
    pan = height * rng.normal(0, 0.008, 2) * t[:, None]
    pan = np.clip(pan, -0.15 * height, 0.15 * height)
    shake = rng.normal(0, height * rng.uniform(0, 0.006), (frames, 2))
    shake[0] = 0
    turn = rng.normal(0, 0.08) * np.sin(rng.uniform(0.05, 0.3) * t)
    zoom = np.exp(rng.normal(0, 0.06) * np.sin(rng.uniform(0.05, 0.3) * t))
    matrix = rotations(turn) * zoom[:, None, None]
    middle = np.array([width / 2, height / 2])
    shift = middle + pan + shake - matrix @ middle
    return np.concatenate([matrix, shift[:, :, None]], 2)


def draw_interval(rng: np.random.Generator, frames: int) -> tuple[int, int]:
    """First frame and end (exclusive) of an absence, after frame 0; most end within the clip."""
    start = int(rng.integers(1, frames))
    return start, start + int(rng.integers(1, max(2, frames // 2) + 1))


def leave(rng: np.random.Generator, track: Track, size: float, height: int, width: int) -> None:
    """Make the track swing out over the nearest border for a while, and come back, in place."""
    frames = len(track.centre)
    start, end = draw_interval(rng, frames)
    x, y = track.centre[start]
    outwards = ((x, (-1, 0)), (width - x, (1, 0)), (y, (0, -1)), (height - y, (0, 1)))
    distance, direction = min(outwards)
    t = np.arange(frames)
    ramp = max(1.0, min(3.0, start))  # frames that the way out takes
    outside = np.clip(np.minimum(t - (start - ramp), end + ramp - 1 - t) / ramp, 0, 1)
    reach = distance + size * rng.uniform(0.8, 1.2)
    track.centre += (outside * reach)[:, None] * np.array(direction)


def vanish(rng: np.random.Generator, track: Track) -> None:
    """Make the thing disappear on the spot for a while, in place."""
    start, end = draw_interval(rng, len(track.shown))
    track.shown[start:end] = False


def draw_crossing(
    rng: np.random.Generator, target: Track, reach: float, height: int, width: int
) -> Track:
    """A track that passes over the middle of `target`, from at least `reach` pixels away."""
    frames = len(target.centre)
    when = int(rng.integers(1, frames))
    heading = rng.uniform(0, 2 * np.pi)
    pace = reach / when * rng.uniform(1.0, 1.6)
    t = np.arange(frames)
    # It slows down over the target, so that longer clips see longer occlusions.
    lag = np.sign(t - when) * np.maximum(np.abs(t - when) - rng.integers(0, 1 + when // 2), 0)
    along = np.array([np.cos(heading), np.sin(heading)])
    lag = np.where(t == 0, -when, lag)
    track = draw_track(rng, frames, (width / 2, height / 2), height, width)
    track.centre = target.centre[when] + (lag * pace)[:, None] * along
    return track


def draw_cover(
    rng: np.random.Generator, target: Track, reach: float, hidden: int, height: int, width: int
) -> Track:
    """A track that slides over `target` from `reach` pixels away, stays on it, and slides off.

    It stays for `hidden` frames, moving as the target does, so that the target can come out
    somewhere else than where it went. Needs at least `hidden` + 9 frames.
    """
    frames, slide = len(target.centre), 4
    start = int(rng.integers(slide, frames - hidden - slide))
    end = start + hidden
    t = np.arange(frames)
    away = np.where(t < start, t - start, np.maximum(t - end + 1, 0))
    heading = rng.uniform(0, 2 * np.pi)
    pace = reach / slide * rng.uniform(1.0, 1.3)
    track = draw_track(rng, frames, (width / 2, height / 2), height, width)
    along = np.array([np.cos(heading), np.sin(heading)])
    track.centre = target.centre + (away * pace)[:, None] * along
    return track
