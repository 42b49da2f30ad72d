"""Masks on their way into the tracks that show them."""

from __future__ import annotations

from collections.abc import Sequence

from gsam_ros.masks import Masks
from gsam_ros.tracking.camera_tracks import View
from gsam_ros.tracking.fragments import whole_parts
from gsam_ros.tracking.segmenters.interface import Segmentation
from gsam_ros.tracking.track import Track

Owned = tuple[int, Track]
"""A track with the index of its view."""


def show(
    owned: Sequence[Owned], masks: Segmentation, views: Sequence[View], least_part: float
) -> None:
    """Write N >= 1 masks into their tracks: one transfer to the CPU for all.

    Args:
        owned: [N] the tracks.
        masks: [N] theirs.
        views: the frames of a step.
        least_part: as of `fragments.without_fragments`.
    """
    logits, closeups = whole_parts(masks, least_part)
    presence = masks.presence.cpu().numpy()
    for row, (index, track) in enumerate(owned):
        # A view would keep the masks of all tracks for as long as this one is lost.
        track.logits, track.closeup = logits[row].copy(), closeups[row]
        track.refined = None
        one = Masks(track.logits[None], *views[index].size, (track.closeup,))
        track.box = one.boxes[0]
        track.visible = bool(presence[row] > 0) and bool(track.box[2] > track.box[0])
