"""Truth out of text of MOTChallenge and MOTS, whose objects have no names."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from gsam_ros.evaluation.objects import FrameObjects, filled_boxes
from gsam_ros.evaluation.run_results import CameraResults, RunResults
from gsam_ros.evaluation.truths.mot_reading import MotRow, read_mot_file
from gsam_ros.evaluation.truths.truth_data import (
    Truth,
    TruthError,
    camera_of,
    check_boxes,
    check_ids,
    image_size,
    phrases_of,
)
from gsam_ros.instances import TrackState


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
            classes, the phrase has to be said, or it was never asked for.
    """
    file = path / "gt" / "gt.txt" if path.is_dir() else path
    own = camera_of(results, camera, file)
    phrase = _checked(phrase, results, file) if phrase else _only_phrase(results, file)
    size = image_size(own, file)
    rows = read_mot_file(file, size)
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
    boxes_only = not any(row.mask for row in rows)
    if boxes_only:
        check_boxes(np.array([row.box for row in rows]).reshape(-1, 4), size, file)
    elif not all(row.mask for row in rows):
        raise TruthError(f"{file} mixes lines of MOTChallenge (boxes) and of MOTS (masks)")
    by_frame = defaultdict(list)
    for row in rows:
        by_frame[row.frame].append(row)
    numbers: dict[int, int] = {}
    for number, stamp in enumerate(own.arrivals, 1):
        numbers.setdefault(stamp, number)  # of two with one stamp, the first was answered
    frames = tuple(
        _objects(own, stamp, by_frame[number], size, phrase) for stamp, number in numbers.items()
    )
    for objects, number in zip(frames, numbers.values(), strict=True):
        check_ids(objects, f"{file}: frame {number}")
    return Truth(file, frames, boxes_only=boxes_only, phrase=phrase, problems=problems)


def _check_frames(rows: list[MotRow], file: Path) -> None:
    first = min(row.frame for row in rows)
    if first < 1:
        raise TruthError(
            f"{file} speaks of frame {first}, and frames count from 1 in these formats: add "
            f"{1 - first} to the first column (KITTI's files count from 0)"
        )


def _check_classes(rows: list[MotRow], file: Path) -> None:
    kinds = sorted({row.kind for row in rows if not row.ignored})
    if len(kinds) > 1:
        raise TruthError(
            f"{file} has objects of the classes {', '.join(map(str, kinds))}, and only one phrase "
            "names them: keep the lines of one class (MOTS: the third column)"
        )


def _checked(phrase: str, results: RunResults, file: Path) -> str:
    asked = phrases_of(results)
    if asked and phrase.casefold() not in {one.casefold() for one in asked}:
        raise TruthError(
            f"the objects of {file} are said to be {phrase!r} (--phrase), and the run was asked "
            f"for {', '.join(sorted(asked))}"
        )
    return phrase


def _only_phrase(results: RunResults, file: Path) -> str:
    phrases = phrases_of(results)
    if len(phrases) != 1:
        told = ", ".join(sorted(phrases)) or "nothing that is known"
        raise TruthError(
            f"{file} has no names, and the run was asked for {told}: say with --phrase which of "
            "them its objects are"
        )
    return phrases.pop()


def _objects(
    camera: CameraResults, stamp: int, rows: list[MotRow], size: tuple[int, int], phrase: str
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
