"""Whether two runs can be compared: same frames, same truth, same prompts."""

from __future__ import annotations

import numpy as np

from gsam_ros.evaluation.objects import FrameObjects
from gsam_ros.evaluation.pairing import PairedFrame
from gsam_ros.evaluation.run_score import RunScore


class ComparisonError(RuntimeError):
    """Two runs that can't be compared; the message says what differs, and where first."""


Pairs = list[tuple[PairedFrame, PairedFrame]]


def same_frames(first: RunScore, second: RunScore) -> Pairs:
    """Both runs' frames side by side, by camera and stamp.

    Raises:
        ComparisonError: the frames, their truth or their prompts differ.
    """
    one, other = _by_key(first), _by_key(second)
    if alone := sorted(one.keys() ^ other.keys()):
        run = "first" if alone[0] in one else "second"
        raise ComparisonError(
            f"the runs answered different frames: {len(alone)} in one run alone, such as "
            f"{_where(*alone[0])}, which is in the {run}; record both in lossless mode from one bag"
        )
    pairs = [(one[key], other[key]) for key in sorted(one)]
    for a, b in pairs:
        if difference := _difference(a, b):
            raise ComparisonError(
                f"the runs were played from different recordings: "
                f"{_where(a.answer.camera, a.answer.stamp)} {difference}"
            )
    return pairs


def _difference(one: PairedFrame, other: PairedFrame) -> str:
    """What differs in what was expected of a frame; "" if nothing does."""
    if one.phrases != other.phrases:
        return f"has the prompts {' / '.join(one.phrases)} and {' / '.join(other.phrases)}"
    return "" if _equal(one.expected.objects, other.expected.objects) else "has another truth"


def _equal(one: FrameObjects, other: FrameObjects) -> bool:
    return (
        np.array_equal(one.ids, other.ids)
        and one.phrases == other.phrases
        and np.array_equal(one.scores, other.scores)
        and np.array_equal(one.boxes, other.boxes)
        and one.masks == other.masks
    )


def _where(camera: str, stamp: int) -> str:
    return f"the frame of the camera {camera!r} at {stamp / 1e9:.3f} s"


def _by_key(score: RunScore) -> dict[tuple[str, int], PairedFrame]:
    return {(frame.answer.camera, frame.answer.stamp): frame for frame in score.frames}
