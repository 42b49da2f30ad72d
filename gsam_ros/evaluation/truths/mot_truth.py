"""Truth out of text: MOTChallenge (boxes) and MOTS (masks).

MOTChallenge (arXiv 1603.00831): frame, id, left, top, width, height, consider, class, visibility,
with commas; frames and pixels count from 1. Rows with `consider` 0 are left out, as TrackEval
leaves them out. Of nine columns, class 1 is a pedestrian, and classes 2, 7, 8 and 12 are people
whom nobody has to find.

MOTS (Voigtlaender et al., CVPR 2019): frame, id, class, height, width, run lengths, with spaces.
Class 10 is a region in which nothing has to be found.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from gsam_ros.evaluation.objects import FrameObjects, Rle, filled_boxes
from gsam_ros.evaluation.run_results import CameraResults, RunResults
from gsam_ros.evaluation.truths.truth_data import (
    Truth,
    TruthError,
    camera_of,
    check_boxes,
    image_size,
)
from gsam_ros.instances import TrackState

_PEDESTRIAN, _NOT_WANTED = 1, (2, 7, 8, 12)
_IGNORE_REGION = 10
_MOT_COLUMNS = 9  # of the benchmark's truth; others have fewer, and results have 10


class _Row(NamedTuple):
    """One object in one frame; `ignored`: it need not be found. `kind`: its class."""

    frame: int
    id: int
    box: tuple[float, float, float, float]
    mask: Rle | None
    ignored: bool
    kind: int


def mot_truth(
    path: Path, results: RunResults, camera: str | None = None, phrase: str = ""
) -> Truth:
    """The truth in a text file; it has no names, so all its objects are of one phrase.

    Args:
        path: of the file, or of a MOTChallenge sequence (with gt/gt.txt).
        results: of the run.
        camera: of which it speaks.
        phrase: that names its objects; may be left out where the run was asked for one only.

    Raises:
        TruthError: a line can't be read, the truth does not fit in time or size, it holds several
            classes, or the phrase has to be said.
    """
    file = path / "gt" / "gt.txt" if path.is_dir() else path
    own = camera_of(results, camera, file)
    phrase = phrase or _only_phrase(results, file)
    rows = _read(file)
    _check_frames(rows, file)
    _check_classes(rows, file)
    count = len(own.arrivals)
    beyond = [row for row in rows if row.frame > count]
    if len(beyond) == len(rows):
        raise TruthError(
            f"{file} does not fit in time: it speaks of frame {min(row.frame for row in rows)} and "
            f"later ones, and the run has {count} frames of {own.name or 'its camera'}"
        )
    problems: tuple[str, ...] = ()
    if beyond:
        last = max(row.frame for row in rows)
        problems = (
            f"{file} goes on to frame {last}, and the run has {count} frames of "
            f"{own.name or 'its camera'}: the rest is left out",
        )
    size = image_size(own, file)
    boxes_only = not any(row.mask for row in rows)
    if boxes_only:
        check_boxes(np.array([row.box for row in rows]).reshape(-1, 4), size, file)
    by_frame = defaultdict(list)
    for row in rows:
        if row.mask and row.mask["size"] != list(size):
            height, width = row.mask["size"]
            raise TruthError(
                f"{file} does not fit in size: its masks have {width}x{height} pixels, the run's "
                f"images {size[1]}x{size[0]}"
            )
        by_frame[row.frame].append(row)
    numbers: dict[int, int] = {}
    for number, stamp in enumerate(own.arrivals, 1):
        numbers.setdefault(stamp, number)  # of two with one stamp, the first was answered
    frames = tuple(
        _objects(own, stamp, by_frame[number], size, phrase) for stamp, number in numbers.items()
    )
    return Truth(file, frames, boxes_only=boxes_only, phrase=phrase, problems=problems)


def _check_frames(rows: list[_Row], file: Path) -> None:
    first = min(row.frame for row in rows)
    if first < 1:
        raise TruthError(
            f"{file} speaks of frame {first}, and frames count from 1 in these formats: add "
            f"{1 - first} to the first column (KITTI's files count from 0)"
        )


def _check_classes(rows: list[_Row], file: Path) -> None:
    kinds = sorted({row.kind for row in rows if not row.ignored})
    if len(kinds) > 1:
        raise TruthError(
            f"{file} has objects of the classes {', '.join(map(str, kinds))}, and only one phrase "
            "names them: keep the lines of one class (MOTS: the third column)"
        )


def _only_phrase(results: RunResults, file: Path) -> str:
    phrases = {phrase for prompt in results.prompts.values() for phrase in prompt}
    if len(phrases) != 1:
        told = ", ".join(sorted(phrases)) or "nothing that is known"
        raise TruthError(
            f"{file} has no names, and the run was asked for {told}: say with --phrase which of "
            "them its objects are"
        )
    return phrases.pop()


def _read(file: Path) -> list[_Row]:
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TruthError(f"{file} can't be read: {error}") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                row = _mot(line) if "," in line else _mots(line)
            except (ValueError, IndexError) as error:
                raise TruthError(
                    f"{file}, line {number}, is neither MOTChallenge (frame,id,left,top,width,"
                    f"height,...) nor MOTS (frame id class height width runs): {line[:40]!r}"
                ) from error
            if row:
                rows.append(row)
    if not rows:
        raise TruthError(f"{file} tells of no object at all")
    return rows


def _mot(line: str) -> _Row | None:
    values = [float(value) for value in line.split(",")]
    left, top, width, height = values[2:6]
    if len(values) > 6 and values[6] == 0:
        return None
    kind = int(values[7]) if len(values) == _MOT_COLUMNS else _PEDESTRIAN
    if kind not in (_PEDESTRIAN, *_NOT_WANTED):
        return None
    box = left - 1, top - 1, left - 1 + width, top - 1 + height
    return _Row(int(values[0]), int(values[1]), box, None, kind != _PEDESTRIAN, kind)


def _mots(line: str) -> _Row:
    frame, identity, kind, height, width, counts = line.split(maxsplit=5)
    mask = {"size": [int(height), int(width)], "counts": counts.strip()}
    left, top, w, h = (float(edge) for edge in coco_mask.toBbox(mask))
    box = left, top, left + w, top + h
    return _Row(int(frame), int(identity), box, mask, int(kind) == _IGNORE_REGION, int(kind))


def _objects(
    camera: CameraResults, stamp: int, rows: list[_Row], size: tuple[int, int], phrase: str
) -> FrameObjects:
    boxes = np.array([row.box for row in rows], np.float32).reshape(-1, 4)
    masks = tuple(row.mask for row in rows if row.mask)
    return FrameObjects(
        camera.name,
        stamp,
        np.array([row.id for row in rows], np.int64),
        (phrase,) * len(rows),
        np.array([0.0 if row.ignored else 1.0 for row in rows], np.float32),
        boxes,
        masks if len(masks) == len(rows) else filled_boxes(boxes, *size),
        np.full(len(rows), TrackState.CONFIRMED, np.uint8),
    )
