"""The room of the demo recording: a floor, a far wall, and pinhole cameras that move before it.

World frame as in REP 103: x forward (from the cameras to the wall), y left, z up, metres. Camera
frames are optical: x right, y down, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gsam_ros.world.backgrounds import draw_clutter, draw_surface, value_noise

Matrix = NDArray[np.float64]

WALL = 6.0
"""x of the wall."""
_HALF_WIDTH, _HEIGHT = 8.0, 5.0  # what the two textures cover, mirrored beyond
_PER_METRE = 80


@dataclass(frozen=True)
class PinholeCamera:
    """A camera without distortion on a slowly swaying boom."""

    name: str
    width: int
    height: int
    focal: float
    """Focal length in pixels, the same in x and y."""
    base: Matrix
    """[3] middle of its way."""
    sway: Matrix
    """[3] amplitude of its way."""
    target: Matrix
    """[3] point about which its gaze wanders."""
    period: float
    """Seconds for one swing."""

    @property
    def matrix(self) -> Matrix:
        """Intrinsics K [3, 3]; pixel (0, 0) is the middle of the top left pixel."""
        cx, cy = (self.width - 1) / 2, (self.height - 1) / 2
        return np.array([[self.focal, 0, cx], [0, self.focal, cy], [0, 0, 1]])

    def pose(self, t: float) -> Matrix:
        """World from optical frame [4, 4] at `t` seconds."""
        phase = 2 * np.pi * t / self.period
        position = self.base + self.sway * np.sin(phase * np.array([0.7, 1.0, 1.6]))
        gaze = self.target + np.array([0, 0.5 * np.sin(0.8 * phase), 0.1 * np.sin(1.3 * phase)])
        forward = gaze - position
        forward /= np.linalg.norm(forward)
        roll = 0.02 * np.sin(0.9 * phase)
        right = np.cross(forward, (0, np.sin(roll), np.cos(roll)))
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], 1)
        pose[:3, 3] = position
        return pose


@dataclass(frozen=True)
class Room:
    """The textures of wall and floor, uint8 RGB, `_PER_METRE` pixels a metre."""

    wall: NDArray[np.uint8]
    floor: NDArray[np.uint8]

    def render(
        self, camera: PinholeCamera, pose: Matrix
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """The empty room: RGB [H, W, 3] and depth along the optical axis in metres [H, W]."""
        size = (camera.width, camera.height)
        # Texture pixel (i, j, 1) to world: both start at the wall's top or bottom left corner.
        step = 1 / _PER_METRE
        wall = np.array([[0, 0, WALL], [-step, 0, _HALF_WIDTH], [0, -step, _HEIGHT]])
        floor = np.array([[0, -step, WALL], [-step, 0, _HALF_WIDTH], [0, 0, 0]])
        image = cv2.warpPerspective(
            self.wall, _project(camera, pose, wall), size, borderMode=cv2.BORDER_REFLECT
        )
        near = cv2.warpPerspective(
            self.floor, _project(camera, pose, floor), size, borderMode=cv2.BORDER_REFLECT
        )
        to_wall, to_floor = _plane_depths(camera, pose)
        cv2.copyTo(near, (to_floor < to_wall).view(np.uint8), image)
        return image, np.minimum(to_wall, to_floor)


def draw_room(rng: np.random.Generator) -> Room:
    """New wall and floor, with clutter that the vocabulary has no word for."""
    width = int(2 * _HALF_WIDTH * _PER_METRE)
    textures = []
    for extent, count in ((_HEIGHT, 26), (WALL, 22)):
        height = int(extent * _PER_METRE)
        texture = draw_surface(rng, height, width)
        draw_clutter(rng, texture, count)
        light = value_noise(rng, height, width, 2) * np.float32(0.3) + np.float32(0.8)
        textures.append(cv2.multiply(texture, cv2.merge([light] * 3), dtype=cv2.CV_8U))
    return Room(*textures)


def draw_cameras(
    rng: np.random.Generator, width: int = 640, height: int = 480
) -> list[PinholeCamera]:
    """Two cameras, "left" and "right", that look at the same place from 1.4 m apart."""
    cameras = []
    for name, side in (("left", 1.0), ("right", -1.0)):
        cameras.append(
            PinholeCamera(
                name,
                width,
                height,
                focal=0.8125 * width,
                base=np.array([0.0, 0.7 * side, rng.uniform(2.2, 2.5)]),
                sway=np.array([0.2, 0.45, 0.12]) * rng.uniform(0.8, 1.2, 3),
                target=np.array([3.7, 0.1 * side, 0.45]),
                period=rng.uniform(9, 13),
            )
        )
    return cameras


def _project(camera: PinholeCamera, pose: Matrix, plane: Matrix) -> Matrix:
    """Homography [3, 3] from a texture's pixels to the picture's."""
    offset = np.zeros((3, 3))
    offset[:, 2] = pose[:3, 3]
    return camera.matrix @ pose[:3, :3].T @ (plane - offset)


def _plane_depths(
    camera: PinholeCamera, pose: Matrix
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Depth at which every pixel's ray meets the wall and the floor, inf where it does not."""
    rays = (pose[:3, :3] @ np.linalg.inv(camera.matrix)).astype(np.float32)
    columns = np.arange(camera.width, dtype=np.float32)[None]
    rows = np.arange(camera.height, dtype=np.float32)[:, None]
    position = pose[:3, 3].astype(np.float32)
    forward = rays[0, 0] * columns + (rays[0, 1] * rows + rays[0, 2])
    downward = -(rays[2, 0] * columns + (rays[2, 1] * rows + rays[2, 2]))
    to_wall = (np.float32(WALL) - position[0]) / forward
    with np.errstate(divide="ignore"):
        to_floor = position[2] / downward
    to_floor[downward <= 0] = np.inf
    return to_wall, to_floor
