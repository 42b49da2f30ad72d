"""`gsam detect`: what a prompt finds in each image of a source, as pictures and as COCO.

What it leaves in its folder:

    NAME.png       every image with what was found; NAME is its file's, with a number where several
                   images have one name, and cut at its front where it is too long
    results.json   COCO data set: boxes, masks as RLE, scores; of an interrupted run, what it had

Each file is written whole or not at all, and none before the first image is answered: a run that
fails at once leaves the results of the one before.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np
from tqdm import tqdm

from gsam_ros.drawing import draw_instances
from gsam_ros.instances import Frame, FrameResult, Instances
from gsam_ros.prompts import Prompt
from gsam_ros.recordings.sources.source import Origin, Source, SourceError, Unreadable
from gsam_ros.standalone.coco_file import annotation_entries, image_entry

_LONGEST_STEM: Final = 230
"""Bytes of a picture's name, of the 255 that file systems take, with room for number and ending."""

_FOLDER_ERRORS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
"""What keeps every other file out of the folder, too."""


class OutputError(RuntimeError):
    """A folder that takes no results; the message names the file and says what to do."""


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
    """

    images: int
    objects: int


def detect(
    source: Source, detector: Detector, prompt: str, out: Path, tell: Callable[[str], None]
) -> DetectOutcome:
    """Answer every image of a source and write the results.

    Args:
        source: of the images.
        detector: finds and segments.
        prompt: what to look for.
        out: folder of the results; files of the same names are replaced.
        tell: told at once of what is wrong with an image, the source or the prompt.

    Raises:
        PromptError: the prompt can't be used.
        SourceError: nothing more can be read, or the source has no end.
        OutputError: the folder takes no results.
    """
    if source.endless:
        raise SourceError("a webcam has no end: follow what it sees with gsam track")
    results = _CocoResults()
    pictures = _Pictures(out)
    try:
        for item in tqdm(source.items(), total=source.length or None, desc="images", unit="image"):
            if isinstance(item, Unreadable):
                tell(f"{item.origin.name}: {item.reason}")
            elif isinstance(item, Frame):
                found, understood = detector.detect(item.image, prompt)
                if not results.images:  # the prompt can be used
                    _make_folder(out)
                    if understood.warning:
                        tell(understood.warning)
                result = FrameResult(item, found, understood, keyframe=True)
                assert isinstance(item.token, Origin)  # as of every source
                name = item.token.name
                results.add(result, name)
                if problem := pictures.write(name, draw_instances(item.image, result)):
                    tell(f"{name}: {problem}")
    finally:  # what was answered stays, whatever ends the rest
        for problem in source.problems:
            tell(problem)
        results.write(out / "results.json")
    return DetectOutcome(len(results.images), len(results.annotations))


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

    def write(self, path: Path) -> None:
        """Write the file, if there is anything to write.

        Raises:
            OutputError: that is not possible.
        """
        if not self.images:
            return
        named = [{"id": i, "name": name} for i, name in enumerate(self.categories, 1)]
        data = {"categories": named, "images": self.images, "annotations": self.annotations}
        try:
            _write_whole(path, json.dumps(data).encode())
        except OSError as error:
            raise _output_error(path, error) from error


class _Pictures:
    """The files of the pictures in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: dict[str, int] = {}

    def write(self, name: str, image: np.ndarray) -> str:
        """Write an [H, W, 3] uint8 RGB image; returns what is wrong with it alone, in words.

        Raises:
            OutputError: the folder takes no more files.
        """
        path = self._folder / f"{self._free_stem(name)}.png"
        done, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        if not done:
            height, width = image.shape[:2]
            return f"its picture can't be written: {width}x{height} pixels are too many for PNG"
        try:
            _write_whole(path, encoded.tobytes())  # OpenCV itself takes no name that is not UTF-8
        except OSError as error:
            if error.errno in _FOLDER_ERRORS:
                raise _output_error(path, error) from error
            return f"its picture can't be written: {error.strerror}"
        return ""

    def _free_stem(self, name: str) -> str:
        """A file's name without its ending that no picture before has."""
        stem = name.replace("/", "_")
        while len(os.fsencode(stem)) > _LONGEST_STEM:
            stem = stem[1:]  # the end tells files of one camera or series apart
        free = stem
        while free in self._taken:
            self._taken[stem] += 1
            free = f"{stem}_{self._taken[stem]}"
        self._taken[free] = 1
        return free


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _output_error(folder, error) from error


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def _output_error(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path} can't be written ({error.strerror}): put that right, or give another --out"
    )
