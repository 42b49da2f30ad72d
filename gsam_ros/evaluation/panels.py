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
from gsam_ros.evaluation.bag import open_bag
from gsam_ros.evaluation.images import read_images
from gsam_ros.evaluation.pairing import PairedFrame
from gsam_ros.instances import Frame, FrameResult, Instances
from gsam_ros.masks import Masks
from gsam_ros.prompts import Prompt

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
        sample: the bag that holds `/CAMERA/image`.
        camera: its name.
        frames: stamp to answer; images without one are left out.

    Raises:
        BagError: the bag is damaged.
    """
    with open_bag(sample) as bag:
        for stamp, image in read_images(bag, f"/{camera}/image"):
            if stamp in frames:
                frame = frames[stamp]
                picture = draw_instances(image, _as_result(image, frame))
                yield Panel(camera, stamp, frame.phrases, picture)


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


def _as_result(image: np.ndarray, frame: PairedFrame) -> FrameResult:
    """The answer in the terms of the core, which is what can be drawn."""
    answer = frame.answer
    phrases = tuple(dict.fromkeys(answer.phrases))
    pixels = [coco_mask.decode(rle) for rle in answer.masks]
    # Logits as sure as they can be: drawing asks only where they are positive.
    logits = np.array(pixels, np.float32).reshape(-1, *image.shape[:2]) * 2 - 1
    instances = Instances(
        answer.boxes,
        answer.scores,
        np.array([phrases.index(phrase) for phrase in answer.phrases], np.int64),
        answer.ids,
        answer.states,
        Masks(logits, *image.shape[:2]),
    )
    return FrameResult(
        Frame(image, answer.stamp, answer.camera), instances, Prompt(1, phrases or ("",)), False
    )
