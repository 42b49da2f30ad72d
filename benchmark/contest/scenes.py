"""The frames that all contenders see: one camera of the sample world, with its truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from gsam_ros.demo.sample import prompts_of
from gsam_ros.evaluation.objects import FrameObjects
from gsam_ros.instances import TrackState
from gsam_ros.world.scene import Scene
from gsam_ros.world.vocabulary import phrase_of

from .answers import RATE, Answer, EncodedAnswer, stamp_of


@dataclass(frozen=True)
class Film:
    """One scene: the same for the same seed.

    Attributes:
        name: of the scene.
        prompt: what is asked for, from the first frame to the last.
        images: T images, [480, 640, 3] uint8 RGB.
        truth: what is in each.
    """

    name: str
    prompt: str
    images: list[np.ndarray]
    truth: list[FrameObjects]


def film(seed: int, frames: int, start: int = 0) -> Film:
    """The left camera of the sample recording's world, under the recording's first prompt.

    Args:
        seed: of the world; 1 is the sample recording's.
        frames: how many.
        start: the first one.
    """
    scene = Scene(seed)
    name = f"scene {seed}"
    images, truth = [], []
    for index in range(start, start + frames):
        seen = scene.render(0, index / RATE)
        images.append(seen.image)
        phrases = tuple(phrase_of(pair) for pair in seen.pairs)
        answer = Answer(seen.ids, phrases, seen.visible, seen.masks)
        truth.append(objects_of(answer.encoded(), name, index))
    return Film(name, prompts_of(scene.pairs)[0], images, truth)


def objects_of(answer: EncodedAnswer, scene: str, index: int) -> FrameObjects:
    """The answer to frame `index` of a scene, as the evaluation takes it."""
    boxes = np.array([coco_mask.toBbox(mask) for mask in answer.masks], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return FrameObjects(
        scene,
        stamp_of(index),
        answer.ids,
        answer.phrases,
        answer.scores,
        boxes,
        tuple({"size": m["size"], "counts": m["counts"].decode("ascii")} for m in answer.masks),
        np.full(len(answer.ids), TrackState.CONFIRMED, np.uint8),
    )
