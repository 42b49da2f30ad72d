"""Frames as people want to see them: all cameras side by side, with what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pycocotools import mask as coco_mask

from gsam_ros.drawing import draw_instances
from gsam_ros.evaluation.objects import FrameObjects
from gsam_ros.evaluation.pairing import PairedFrame
from gsam_ros.instances import Frame, FrameResult, Instances
from gsam_ros.masks import Masks
from gsam_ros.prompts import Prompt
from gsam_ros.recordings.run_images import frames_of

INK = (235, 238, 242)
DIM = (138, 147, 160)
PAPER = (22, 25, 30)


@dataclass(frozen=True)
class Panel:
    """One camera at one moment, drawn.

    Attributes:
        camera: its name.
        stamp: nanoseconds.
        phrases: of the prompt that was in force.
        picture: [H, W, 3] uint8 RGB.
    """

    camera: str
    stamp: int
    phrases: tuple[str, ...]
    picture: np.ndarray


def drawn_panels(sample: Path, camera: str, frames: Mapping[int, PairedFrame]) -> Iterator[Panel]:
    """A camera's frames with their answers drawn, in order.

    Args:
        sample: where the images are, see `frames_of`.
        camera: its name.
        frames: stamp to answer; images without one are left out.

    Raises:
        BagError: the bag is damaged.
    """
    for stamp, image in frames_of(sample, camera, frames):
        frame = frames[stamp]
        yield Panel(camera, stamp, frame.phrases, draw_objects(image, frame.answer))


def draw_objects(image: np.ndarray, objects: FrameObjects) -> np.ndarray:
    """A copy of an [H, W, 3] uint8 RGB image with the objects drawn as the overlay shows them."""
    return draw_instances(image, _as_result(image, objects))


def text_strip(width: int, height: int, left: str, right: str) -> np.ndarray:
    """[height, width, 3] uint8 RGB with a text at either end."""
    canvas = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(canvas)
    letters = font(round(height * 0.5))
    draw.text((height // 3, height // 2), left, INK, letters, anchor="lm")
    draw.text((width - height // 3, height // 2), right, DIM, letters, anchor="rm")
    return np.asarray(canvas)


@lru_cache(maxsize=8)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own typeface, `size` pixels high."""
    return ImageFont.load_default(size)


def _as_result(image: np.ndarray, objects: FrameObjects) -> FrameResult:
    """The objects in the terms of the core, which is what can be drawn."""
    phrases = tuple(dict.fromkeys(objects.phrases))
    pixels = [coco_mask.decode(rle) for rle in objects.masks]
    # Logits as sure as they can be: drawing asks only where they are positive.
    logits = np.array(pixels, np.float32).reshape(-1, *image.shape[:2]) * 2 - 1
    instances = Instances(
        objects.boxes,
        objects.scores,
        np.array([phrases.index(phrase) for phrase in objects.phrases], np.int64),
        objects.ids,
        objects.states,
        Masks(logits, *image.shape[:2]),
    )
    return FrameResult(
        Frame(image, objects.stamp, objects.camera), instances, Prompt(1, phrases or ("",)), False
    )
