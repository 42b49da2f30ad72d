"""The demo recording's world: two moving cameras see the same objects, with exact truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gsam_ros.world.actors import Actor, draw_cast
from gsam_ros.world.compose import OPAQUE, boxes_of, paste, warp_sprite
from gsam_ros.world.exposure import Exposure
from gsam_ros.world.room import Matrix, PinholeCamera, draw_cameras, draw_room
from gsam_ros.world.sprites import draw_light
from gsam_ros.world.vocabulary import SEEN, Pair

MIN_PIXELS = 16
"""An object of fewer visible pixels is not in the truth."""
_NEAREST = 0.3  # metres; what comes closer is not drawn


@dataclass(frozen=True)
class RenderedFrame:
    """What one camera sees at one time, and the truth about the N objects in view."""

    image: NDArray[np.uint8]
    """[H, W, 3] RGB."""
    depth: NDArray[np.float32]
    """[H, W] metres along the optical axis, noise-free, no holes."""
    pose: Matrix
    """[4, 4] world from optical frame."""
    ids: NDArray[np.int64]
    """[N] ascending; an object keeps its id through the recording and in both cameras."""
    pairs: tuple[Pair, ...]
    """[N] (colour, shape)."""
    masks: NDArray[np.bool_]
    """[N, H, W] visible pixels; no two masks share one."""
    boxes: NDArray[np.float32]
    """[N, 4] pixels (x0, y0, x1, y1) around the visible part, far sides exclusive."""
    visible: NDArray[np.float32]
    """[N] share of the object's pixels that neither border nor other things hide."""


class Scene:
    """A room with nine objects and a pillar, the same for the same seed, at any time t >= 0.

    `held_out` of the colour-shape pairs are such that training never draws, the rest, but for two
    red mugs, come from `others`. `render` has no memory: frames may be asked for in any order.
    """

    def __init__(
        self,
        seed: int = 0,
        width: int = 640,
        height: int = 480,
        held_out: int = 3,
        others: Sequence[Pair] = SEEN,
    ) -> None:
        rng = np.random.default_rng(seed)
        self._seed = seed
        self._room = draw_room(rng)
        self._cast = draw_cast(rng, draw_light(rng), held_out, others)
        self.cameras: list[PinholeCamera] = draw_cameras(rng, width, height)
        self._exposures = [_draw_settings(rng) for _ in self.cameras]
        self._shadow = _soft_disc(96)

    @property
    def pairs(self) -> dict[int, Pair]:
        """Every object that ever turns up: id to (colour, shape)."""
        return {actor.identity: actor.pair for actor in self._cast if actor.pair is not None}

    def render(self, camera: int, t: float) -> RenderedFrame:
        """What camera number `camera` sees at `t` seconds."""
        view = self.cameras[camera]
        pose = view.pose(t)
        image, depth = self._room.render(view, pose)
        owner = np.zeros(depth.shape, np.int16)
        full: dict[int, int] = {}
        placed = [(self._locate(actor, view, pose, t), actor) for actor in self._cast]
        for (_, _, z), actor in placed:
            if z > _NEAREST:
                self._paste_shadow(image, view, pose, actor, t)
        for (x, y, z), actor in sorted(placed, key=lambda item: -item[0][2]):
            if z <= _NEAREST:
                continue
            picture, matrix = _face(actor, view.focal / z, t)
            patch, left, top = warp_sprite(picture, (x, y), matrix)
            # An id of its own while painting, so that the depth goes where this thing is.
            paste(image, owner, patch, left, top, -1)
            mine = owner == -1
            depth[mine] = z
            owner[mine] = actor.identity
            full[actor.identity] = int(np.count_nonzero(patch[..., 3] >= OPAQUE))
        return self._frame(camera, t, image, depth, pose, owner, full)

    def _locate(
        self, actor: Actor, view: PinholeCamera, pose: Matrix, t: float
    ) -> tuple[float, float, float]:
        """Pixel (x, y) of the actor's middle and its depth."""
        foot = np.array(actor.way(t))
        return _to_pixel(view, pose, foot + np.array((0, 0, actor.foot)))

    def _paste_shadow(
        self, image: NDArray[np.uint8], view: PinholeCamera, pose: Matrix, actor: Actor, t: float
    ) -> None:
        """Darken the floor below the actor, less the higher it hops."""
        foot = np.array(actor.way(t))
        x, y, z = _to_pixel(view, pose, foot * (1, 1, 0))
        aspect = actor.pictures[0].shape[1] / actor.pictures[0].shape[0]
        wide = view.focal / z * actor.height * aspect * 1.15 / self._shadow.shape[0]
        slant = pose[2, 3] / float(np.linalg.norm(pose[:3, 3] - foot))
        patch, left, top = warp_sprite(self._shadow, (x, y), np.diag([wide, wide * slant]))
        patch[..., 3] = patch[..., 3] * (1 / (1 + 2 * foot[2]))
        paste(image, None, patch, left, top, 0)

    def _frame(
        self,
        camera: int,
        t: float,
        image: NDArray[np.uint8],
        depth: NDArray[np.float32],
        pose: Matrix,
        owner: NDArray[np.int16],
        full: dict[int, int],
    ) -> RenderedFrame:
        pixels = np.bincount(owner.ravel(), minlength=1 + max(self.pairs))
        ids = np.array([i for i in sorted(self.pairs) if pixels[i] >= MIN_PIXELS], np.int64)
        masks = owner[None] == ids[:, None, None]
        noise = np.random.default_rng((self._seed, camera, round(t * 1e6)))
        return RenderedFrame(
            self._exposures[camera].apply(noise, image),
            depth,
            pose,
            ids,
            tuple(self.pairs[int(i)] for i in ids),
            masks,
            boxes_of(masks),
            np.array([pixels[i] / full[int(i)] for i in ids], np.float32),
        )


def _draw_settings(rng: np.random.Generator) -> Exposure:
    """A good camera: a touch of tint and noise."""
    gain = rng.uniform(0.95, 1.08) * rng.uniform(0.97, 1.03, 3)
    table = np.clip(np.arange(256)[:, None] * gain, 0, 255).astype(np.uint8)[:, None]
    return Exposure(table, None, rng.uniform(1.5, 3))


def _soft_disc(size: int) -> NDArray[np.uint8]:
    """A black disc that fades to nothing, RGBA [size, size, 4]."""
    ramp = np.linspace(-1, 1, size)
    strength = np.clip(1 - np.hypot(ramp[None], ramp[:, None]), 0, 1)
    disc = np.zeros((size, size, 4), np.uint8)
    disc[..., 3] = 170 * np.minimum(strength * 1.6, 1)
    return disc


def _to_pixel(view: PinholeCamera, pose: Matrix, point: Matrix) -> tuple[float, float, float]:
    """Pixel (x, y), pixel corners at whole numbers as in `warp_sprite`, and depth of a point."""
    x, y, z = view.matrix @ pose[:3, :3].T @ (point - pose[:3, 3])
    return float(x / z + 0.5), float(y / z + 0.5), float(z)


def _face(actor: Actor, pixels_per_metre: float, t: float) -> tuple[NDArray[np.uint8], Matrix]:
    """The actor's picture of the right size, and the turn and scale that fit it to the view."""
    wanted = actor.height * pixels_per_metre
    picture = min(
        (p for p in actor.pictures if p.shape[0] >= wanted),
        key=lambda p: p.shape[0],
        default=actor.pictures[0],
    )
    scale = wanted / picture.shape[0]
    turn = actor.sway * np.sin(1.7 * t + actor.identity)
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    return picture, np.array([[cos, -sin], [sin, cos]])
