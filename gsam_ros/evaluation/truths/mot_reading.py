"""Lines of MOTChallenge (boxes) and MOTS (masks), each checked.

MOTChallenge (arXiv 1603.00831): frame, id, left, top, width, height, consider, class, visibility,
with commas; frames and pixels count from 1. Rows with `consider` 0 are left out, as TrackEval
leaves them out. Of nine columns, class 1 is a pedestrian, and classes 2, 7, 8 and 12 are people
whom nobody has to find.

MOTS (Voigtlaender et al., CVPR 2019): frame, id, class, height, width, run lengths, with spaces.
Class 10 is a region in which nothing has to be found.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pycocotools import mask as coco_mask

from gsam_ros.evaluation.rle import Rle, RleError, check_rle
from gsam_ros.evaluation.truths.truth_data import TruthError

_PEDESTRIAN, _NOT_WANTED = 1, (2, 7, 8, 12)
_IGNORE_REGION = 10
_MOT_COLUMNS = 9  # of the benchmark's truth; others have fewer, and results have 10
_MOST = 2**53  # up to here a float holds every whole number


class _LineError(Exception):
    """A line that has the form, and says what can't be; the message does not name it."""


class MotRow(NamedTuple):
    """One object in one frame; `ignored`: it need not be found. `kind`: its class."""

    frame: int
    id: int
    box: tuple[float, float, float, float]
    mask: Rle | None
    ignored: bool
    kind: int


def read_mot_file(file: Path, size: tuple[int, int]) -> list[MotRow]:
    """Read a text file.

    Args:
        file: its path.
        size: (height, width) of the run's images.

    Raises:
        TruthError: a line can't be read or its mask is of another size, or there is no object.
    """
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TruthError(f"{file} can't be read: {error}") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                row = _mot(line) if "," in line else _mots(line, size)
            except _LineError as error:
                raise TruthError(f"{file}, line {number}: {error}") from error
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


def _mot(line: str) -> MotRow | None:
    values = [float(value) for value in line.split(",")]
    if not all(-_MOST <= value <= _MOST for value in values):
        raise _LineError(f"a number is not finite, or huge: {line[:60]!r}")
    frame, track, left, top, width, height = values[:6]
    if len(values) > 6 and values[6] == 0:
        return None
    kind = int(values[7]) if len(values) == _MOT_COLUMNS else _PEDESTRIAN
    if kind not in (_PEDESTRIAN, *_NOT_WANTED):
        return None
    ignored = kind != _PEDESTRIAN
    if not frame.is_integer() or not track.is_integer():
        raise _LineError(f"frame {frame:g} and id {track:g} are to be whole numbers")
    if track < 0 and not ignored:
        raise _LineError(
            f"the id {track:g} says of no object which it is: this is what a detector found "
            "(det.txt), and the truth is gt.txt"
        )
    if width < 0 or height < 0:
        raise _LineError(f"a box of {width:g}x{height:g} pixels")
    box = left - 1, top - 1, left - 1 + width, top - 1 + height
    return MotRow(int(frame), int(track), box, None, ignored, kind)


def _mots(line: str, size: tuple[int, int]) -> MotRow:
    *numbers, counts = line.split(maxsplit=5)
    frame, track, kind, height, width = map(int, numbers)
    if max(map(abs, (frame, track, kind))) > _MOST:
        raise _LineError(f"a number is huge: {line[:60]!r}")
    if (height, width) != size:
        raise _LineError(
            f"does not fit in size: its masks have {width}x{height} pixels, the run's images "
            f"{size[1]}x{size[0]}"
        )
    mask = {"size": [height, width], "counts": counts.strip()}
    try:
        check_rle(mask)
    except RleError as error:
        raise _LineError(str(error)) from error
    left, top, w, h = (float(edge) for edge in coco_mask.toBbox(mask))
    return MotRow(frame, track, (left, top, left + w, top + h), mask, kind == _IGNORE_REGION, kind)
