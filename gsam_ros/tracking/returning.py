"""Who comes back: which detection without a track is which track without a detection.

Each pair is weighed by how likely it is: by the way that the object can have gone since it was
detected, by its size and by its looks. Of two look-alikes that hid it is mostly size and way that
tell them apart: SAM 2's object pointers of twins are alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import cosine_similarity

from gsam_ros.tracking.association import assign
from gsam_ros.tracking.track import Track

_SPREAD, _SPREADING = 0.5, 1.5
"""Sizes by which an object may be off its way (standard deviation): at once, and per second."""
_RESIZED = 0.4
"""Standard deviation of the logarithm of its size: what is half hidden is smaller."""
_LOOKS = 5.0
"""What a cosine of pointers weighs, in nats."""
_SURELY = 1e3
"""More than all that pairs may differ by: as many as possible return."""


def log_likelihood(track: Track, box: np.ndarray, likeness: float, stamp: int) -> float:
    """How well a detection fits a track that was detected some time ago, in nats, up to a constant.

    Args:
        track: has been detected.
        box: [4] xyxy pixels, the detection's.
        likeness: cosine of SAM 2's object pointers, of the track and of what the box holds.
        stamp: of the frame, nanoseconds.
    """
    spread = _SPREAD + _SPREADING * (stamp - track.agreed) / 1e9
    away = track.way_back(box, stamp) / track.size
    width, height = np.clip(box[2:] - box[:2], 1, None)
    resized = float(np.log(np.sqrt(width * height) / track.size))
    return (
        -(away**2) / (2 * spread**2)
        - 2 * float(np.log(spread))
        - resized**2 / (2 * _RESIZED**2)
        + _LOOKS * likeness
    )


def who_returns(
    tracks: Sequence[Track],
    boxes: np.ndarray,
    pointers: torch.Tensor,
    possible: np.ndarray,
    stamp: int,
) -> list[tuple[int, int]]:
    """Pair N tracks with M detections so that all together are likeliest (Hungarian method).

    Args:
        tracks: the N of them.
        boxes: [M, 4] xyxy pixels.
        pointers: [M, C] of what the boxes hold.
        possible: [N, M] bool, what may be paired at all.
        stamp: of the frame, nanoseconds.

    Returns:
        (track, detection) pairs, as many as are possible; each index at most once.
    """
    affinity = np.zeros(possible.shape)
    if not possible.any():
        return []
    likeness = _likeness(tracks, pointers)
    for row, column in np.argwhere(possible):
        fits = log_likelihood(tracks[row], boxes[column], likeness[row, column], stamp)
        affinity[row, column] = max(_SURELY + fits, 1.0)
    return assign(affinity, least=1.0)


def _likeness(tracks: Sequence[Track], pointers: torch.Tensor) -> np.ndarray:
    """[N, M] cosines of object pointers, in one transfer; tracks never seen are like nothing."""
    nothing = torch.zeros_like(pointers[0])
    known = torch.stack([nothing if t.pointer is None else t.pointer for t in tracks])
    cosines = cosine_similarity(known[:, None], pointers[None], dim=-1).float().cpu().numpy()
    cosines[[track.pointer is None for track in tracks]] = -1.0
    return cosines
