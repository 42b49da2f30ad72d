"""What a camera makes of a scene: exposure, white balance, blur and noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gsam_ros.world.compose import add_noise


@dataclass(frozen=True)
class Exposure:
    """The settings of one camera, kept over a recording; the noise is new in every picture."""

    table: NDArray[np.uint8]
    """[256, 1, 3] output level of every input level and channel."""
    kernel: NDArray[np.float32] | None
    """[K, K] blur that sums to 1, or None for a sharp picture."""
    noise: float
    """Standard deviation in grey levels."""

    def apply(self, rng: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A new picture, uint8 RGB [H, W, 3]."""
        image = cv2.LUT(image, self.table)
        if self.kernel is not None:
            image = cv2.filter2D(image, -1, self.kernel)
        return add_noise(rng, image, self.noise)


def draw_exposure(rng: np.random.Generator) -> Exposure:
    """A middling camera: sometimes dim, tinted, soft or shaken, always a little noisy."""
    gain = rng.uniform(0.78, 1.15) * rng.uniform(0.94, 1.06, 3)
    levels = np.arange(256)[:, None] * gain + rng.uniform(-8, 10)
    table = np.clip(levels, 0, 255).astype(np.uint8)[:, None]
    return Exposure(table, _draw_kernel(rng), rng.uniform(0.5, 7))


def _draw_kernel(rng: np.random.Generator) -> NDArray[np.float32] | None:
    kind = rng.random()
    if kind < 0.3:
        profile = cv2.getGaussianKernel(3, rng.uniform(0.4, 0.9), cv2.CV_32F)
        return profile @ profile.T
    if kind < 0.4:
        kernel = np.zeros((3, 3), np.float32)
        if rng.random() < 0.5:
            kernel[1] = 1 / 3
        else:
            kernel[:, 1] = 1 / 3
        return kernel
    return None
