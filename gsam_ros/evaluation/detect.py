"""`gsam detect`: what a prompt finds in each image of a source, as pictures and as COCO.

What it leaves in its folder:

    NAME.png       every image with what was found; NAME is its file's
    results.json   COCO data set: boxes, masks as RLE, scores; of an interrupted run, what it had
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from tqdm import tqdm

from gsam_ros.drawing import draw_instances
from gsam_ros.evaluation.coco_file import annotation_entries, image_entry
from gsam_ros.evaluation.sources.source import Origin, Source, SourceError, Unreadable
from gsam_ros.instances import Frame, FrameResult, Instances
from gsam_ros.prompts import Prompt


class Detector(Protocol):
    """What is needed of a `GroundedTracker`."""

    def detect(self, image: np.ndarray, text: str) -> tuple[Instances, Prompt]:
        """Look at one image on its own."""


@dataclass(frozen=True)
class DetectOutcome:
    """What became of the images.

    Attributes:
        images: that were answered.
        objects: found in them.
        problems: images that can't be read, in words.
    """

    images: int
    objects: int
    problems: tuple[str, ...]


def detect(source: Source, detector: Detector, prompt: str, out: Path) -> DetectOutcome:
    """Answer every image of a source and write the results.

    Args:
        source: of the images.
        detector: finds and segments.
        prompt: what to look for.
        out: folder of the results; files of the same names are replaced.

    Raises:
        PromptError: the prompt can't be used.
        SourceError: nothing more can be read, or the source has no end.
        OSError: a file can't be written.
    """
    if source.endless:
        raise SourceError("a webcam has no end: follow what it sees with gsam track")
    out.mkdir(parents=True, exist_ok=True)
    results = _CocoResults()
    problems = []
    try:
        for item in tqdm(source.items(), total=source.length or None, desc="images", unit="image"):
            if isinstance(item, Unreadable):
                problems.append(f"{item.origin.name}: {item.reason}")
            elif isinstance(item, Frame):
                found, understood = detector.detect(item.image, prompt)
                result = FrameResult(item, found, understood, keyframe=True)
                assert isinstance(item.token, Origin)  # as of every source
                name = item.token.name
                results.add(result, name)
                _write_picture(
                    out / f"{name.replace('/', '_')}.png", draw_instances(item.image, result)
                )
    finally:  # what was answered stays, whatever ends the rest
        (out / "results.json").write_text(json.dumps(results.as_coco()))
    return DetectOutcome(
        len(results.images), len(results.annotations), (*source.problems, *problems)
    )


@dataclass
class _CocoResults:
    """Entries of a COCO data set, as far as images were answered."""

    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)

    def add(self, result: FrameResult, name: str) -> None:
        self.images.append(image_entry(result, 1 + len(self.images), name))
        first = 1 + len(self.annotations)
        self.annotations += annotation_entries(result, len(self.images), first, self.categories)

    def as_coco(self) -> dict[str, Any]:
        named = [{"id": i, "name": name} for i, name in enumerate(self.categories, 1)]
        return {"categories": named, "images": self.images, "annotations": self.annotations}


def _write_picture(path: Path, image: np.ndarray) -> None:
    """Write an [H, W, 3] uint8 RGB image."""
    _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    path.write_bytes(encoded.tobytes())  # OpenCV itself can't take a name that is not UTF-8
