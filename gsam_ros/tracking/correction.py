"""Masks that left their objects between two looks of the detector.

Memory may slide onto what moves in front of an object, leak into what stands beside it, or keep a
piece of it, and the next look of the detector is some frames away. Where the object should be is
known, by its motion and by the look before: a mask elsewhere is segmented anew from the box there,
which costs a fortieth of memory attention. (SAMURAI, arXiv 2411.11922, chooses among the masks of a
memory by a motion's box likewise.)

On a frame that the detector looks at it is the detector that corrects, and what memory says
untouched is a witness of who is who.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from gsam_ros.boxes import box_overlap
from gsam_ros.instances import TrackState
from gsam_ros.tracking.camera_tracks import CameraTracks, View
from gsam_ros.tracking.effort import segment_where_expected
from gsam_ros.tracking.segmenters.interface import ImageFeatures, Segmentation, SegmentationModel
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.showing import Owned, show
from gsam_ros.tracking.track import Track

_WITHIN = 0.8
"""Share of a mask's box in its object's place from which on it may be all that nothing hides."""
_KEPT = 0.8
"""Share of such a mask that the one in its place has to hold."""
_FEWEST = 3
"""Detections that make a motion worth more than a mask."""


def correct(
    model: SegmentationModel,
    features: ImageFeatures,
    views: Sequence[View],
    states: Sequence[CameraTracks],
    attending: Sequence[Owned],
    masks: Segmentation,
    settings: TrackerSettings,
) -> Segmentation:
    """Have masks of memory that strayed from where their objects were going drawn anew there.

    Args:
        model: supplies the operations.
        features: of the views' images.
        views: the frames of a step.
        states: their tracks.
        attending: [N] tracks that show what memory gave.
        masks: N or more; the first N are theirs.
        settings: `correct_iou` says what strayed.

    Returns:
        The masks as their tracks show them now: those from boxes where they fit better.
    """
    rows = [
        row
        for row, (index, track) in enumerate(attending)
        if views[index].detections is None
        and _may_be_corrected(track, states[index].looked)
        and track.fit(views[index].stamp) < settings.correct_iou
    ]
    if not rows:
        return masks
    strayed = [attending[row] for row in rows]
    before = [_Seen.of(track, views[index].stamp) for index, track in strayed]
    found = segment_where_expected(model, features, views, strayed, settings)
    show(strayed, found, views, settings.least_part)
    order = torch.arange(len(masks))
    for place, (row, (index, track)) in enumerate(zip(rows, strayed, strict=True)):
        if track.visible and before[place].gives_way(_Seen.of(track, views[index].stamp)):
            order[row] = len(masks) + place
            if known := views[index].known:
                known.overrule(track.memory.edition)
    kept = [row for row in rows if order[row] == row]
    if kept:
        own = masks[torch.tensor(kept, device=model.device)]
        show([attending[row] for row in kept], own, views, settings.least_part)
    if kept == rows:  # all as before: no copy of them
        return masks
    return Segmentation.concatenate([masks, found])[order.to(model.device)]


@dataclass(frozen=True)
class _Seen:
    """A track's mask on a frame, beside where its object was going.

    Attributes:
        inside: [h, w] bool, the mask.
        fit: intersection over union of its box with the box there.
        within: share of its box that lies in the box there.
    """

    inside: np.ndarray
    fit: float
    within: float

    @staticmethod
    def of(track: Track, stamp: int) -> _Seen:
        box, place = track.box[None], track.expected(stamp)[None]
        iou, covered = box_overlap(box, place)
        smaller = (track.box[2:] - track.box[:2]).prod() <= (place[0, 2:] - place[0, :2]).prod()
        return _Seen(track.logits > 0, float(iou[0, 0]), float(covered[0, 0]) if smaller else 0.0)

    def gives_way(self, other: _Seen) -> bool:
        """Whether the other one fits better, and does not make more of a part that is in sight.

        A mask within the place of its object may be all of it that nothing hides. Then the other
        one has to have it, or else it is of what hides the rest.
        """
        if other.fit <= self.fit:
            return False
        kept = np.count_nonzero(self.inside & other.inside)
        return self.within < _WITHIN or bool(kept > _KEPT * np.count_nonzero(self.inside))


def _may_be_corrected(track: Track, looked: int | None) -> bool:
    """Whether the detector saw the object at its last look, and often enough to know its way."""
    return (
        track.visible
        and track.state is TrackState.CONFIRMED
        and track.agreed == looked
        and not (track.name or track.eclipsed)
        and track.hits >= _FEWEST
    )
