"""Results as MOTChallenge text (Milan et al., arXiv 1603.00831).

A line per object: frame, id, left, top, width, height, score, -1, -1, -1. Frames, ids and pixels
count from 1: the corner of the image is (1, 1).
"""

from __future__ import annotations

from collections.abc import Iterator

from gsam_ros.instances import Instances


def mot_lines(instances: Instances, frame: int) -> Iterator[str]:
    """The lines of one frame; `frame` counts from 1."""
    rows = zip(
        instances.track_id.tolist(),
        instances.boxes.tolist(),
        instances.scores.tolist(),
        strict=True,
    )
    for track, (left, top, right, bottom), score in rows:
        box = f"{left + 1:.2f},{top + 1:.2f},{right - left:.2f},{bottom - top:.2f}"
        yield f"{frame},{track},{box},{score:.4f},-1,-1,-1\n"
