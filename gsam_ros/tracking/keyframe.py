"""One camera's keyframe: which detection is which track, who returns, and who is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from gsam_ros.boxes import box_iou, box_overlap
from gsam_ros.instances import TrackState
from gsam_ros.tracking.association import Outlines, affinities, match, overlap
from gsam_ros.tracking.camera_tracks import CameraTracks, View
from gsam_ros.tracking.pointing import SAME_OBJECT
from gsam_ros.tracking.returning import who_returns
from gsam_ros.tracking.segmented_detections import SegmentedDetections
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.track import Track, outlines_of

_COVERED = 0.8
"""A new mask of which a track of the same phrase has this share is a part of that object."""
_USURPED = 0.4
"""A mask without a detection that overlaps by more than this with what another track has by one is
no mask of its own."""
_ON_ITS_WAY = 0.7
"""A mask without a detection whose box overlaps by less than this with where its track was going
left its object."""
_NESTED, _APART = 0.5, 0.2
"""A detection is of an object that has one already if a track of its phrase covers the first share
of its box with its own detection's, except where they share less than the second of the smaller of
their masks: in a crowd boxes overlap, and masks don't; parts of one thing share what lies between
them."""
_RETURN = 1.0
"""Sizes by which a track out of sight may be off its way, at once; it may be more with time."""


@dataclass
class Keyframe:
    """A frame of one camera on which the detector looked.

    Attributes:
        view: the frame.
        state: the camera's tracks, at that frame.
        found: the detections.
        pointers: [M, C] SAM 2's object pointers of what the detections' boxes hold.
        classes: what phrase indices count in.
        settings: the rules.
    """

    view: View
    state: CameraTracks
    found: SegmentedDetections
    pointers: torch.Tensor
    classes: tuple[str, ...]
    settings: TrackerSettings

    def follow(self) -> tuple[list[tuple[Track, int]], list[int]]:
        """Pair the tracks that are not lost, or that SAM 2 shows again, with detections.

        Returns:
            The tracks whose mask drifted, each with the detection that holds it; and the sure
            detections without a track.
        """
        tracks = [t for t in self.state.tracks if t.visible or t.state is not TrackState.LOST]
        outlines = outlines_of(tracks) if tracks else self.found.outlines[[]]
        detections = self.found.detections
        # What is in sight comes first: of two tracks that were made for one object, one keeps it.
        pairs = match(
            self._affinity(tracks, outlines),
            np.array([track.shown for track in tracks], bool),
            self._phrases(tracks),
            np.array([track.state is TrackState.TENTATIVE for track in tracks], bool),
            detections.phrase_index,
            self.settings.match_iou,
            self.settings.duplicate_iou,
        )
        drifted = []
        for row, column in pairs:
            track, box = tracks[row], detections.boxes[column]
            agreement = float(box_iou(track.box[None], box[None])[0, 0])
            if not track.visible or agreement < self.settings.reprompt_iou:
                drifted.append((track, column))
            self.agree(track, column)
        self._miss(tracks, outlines, pairs)
        matched = {column for _, column in pairs}
        free = [int(c) for c in np.flatnonzero(self.found.sure) if int(c) not in matched]
        return drifted, free

    def _affinity(self, tracks: Sequence[Track], outlines: Outlines) -> np.ndarray:
        """[N, M] of tracks and detections; 0 where a track out of sight can't have got to."""
        found, stamp = self.found, self.view.stamp
        expected = _boxes([track.expected(stamp) for track in tracks])
        # Two that meet have one mask over both: only the way that each went tells who is who.
        shared = np.array([track.shared for track in tracks], bool)
        affinity = affinities(
            expected,
            np.where(shared[:, None], expected, _boxes([track.agreed_box for track in tracks])),
            outlines,
            np.array([track.visible for track in tracks], bool) & ~shared,
            found.outlines,
        )
        for row, track in enumerate(tracks):
            if not track.shown:
                near = [track.can_be_at(box, stamp, _RETURN) for box in found.detections.boxes]
                affinity[row, ~np.array(near, bool)] = 0
        return affinity

    def _miss(
        self, tracks: Sequence[Track], outlines: Outlines, pairs: Sequence[tuple[int, int]]
    ) -> None:
        """Tell tracks in sight that no detection is theirs; masks of other things are hidden."""
        detections, phrases = self.found.detections, self._phrases(tracks)
        boxes = _boxes([track.box for track in tracks])
        same_place = box_iou(boxes, detections.boxes) > self.settings.duplicate_iou
        same_place &= self.found.sure[None]
        renamed = phrases[:, None] != detections.phrase_index[None]
        contradicted = (same_place & renamed).any(1)
        held = [column for _, column in pairs]
        iou, covered = overlap(outlines, self.found.outlines[held])
        same = phrases[:, None] == detections.phrase_index[held][None]
        usurped = (iou > _USURPED) | (same & (covered > _COVERED))
        matched = {row for row, _ in pairs}
        for row, track in enumerate(tracks):
            if track.visible and row not in matched:
                track.miss(self.view.stamp, bool(contradicted[row]))
                strayed = track.fit(self.view.stamp) < _ON_ITS_WAY
                if (strayed or usurped[row].any()) and not track.name:
                    track.hide()

    def _phrases(self, tracks: Sequence[Track]) -> np.ndarray:
        return np.array([self.classes.index(track.phrase) for track in tracks], np.int64)

    def agree(self, track: Track, detection: int) -> None:
        """A detection is this track's object."""
        found, stamp = self.found.detections, self.view.stamp
        phrase = self.classes[found.phrase_index[detection]]
        track.agree(phrase, float(found.scores[detection]), stamp, self.settings)
        track.agreed_box = found.boxes[detection]
        track.move(found.boxes[detection], stamp, detected=True)

    def returned(self, free: Sequence[int]) -> dict[int, Track]:
        """Which of the free detections are tracks that have none: by detection.

        These are out of sight, or their mask has left them: one in sight takes only what touches
        its mask or its last detection, and leaves it to newcomers to stand beside it.
        """
        detections, stamp = self.found.detections, self.view.stamp
        gone = [t for t in self.state.tracks if t.agreed != stamp and not t.name and t.returns]
        if not gone or not free:
            return {}
        boxes, phrases = detections.boxes[free], detections.phrase_index[free]
        here = np.stack([track.box for track in gone])
        before = np.stack([track.agreed_box for track in gone])
        touched = (box_iou(here, boxes) > 0) | (box_iou(before, boxes) > 0)
        hidden = np.array([not track.shown for track in gone])
        possible = (touched | hidden[:, None]) & (self._phrases(gone)[:, None] == phrases[None])
        for row, column in np.argwhere(possible):
            possible[row, column] = gone[row].can_come_back_to(boxes[column], stamp)
        pairs = who_returns(gone, boxes, self.pointers[free], possible, stamp)
        return {free[column]: gone[row] for row, column in pairs}

    def is_new(self, detection: int) -> bool:
        """Whether a detection holds something that no track in sight has."""
        own = self.found.outlines[[detection]]
        if not own.masks.any():
            return False
        seen = self.state.shown
        if not seen:
            return True
        phrase = self.classes[self.found.detections.phrase_index[detection]]
        iou, covered = overlap(own, outlines_of(seen))
        same = np.array([track.phrase == phrase for track in seen])
        box = self.found.detections.boxes[[detection]]
        _, nested = box_overlap(box, _boxes([track.agreed_box for track in seen]))
        told = np.array([track.agreed == self.view.stamp for track in seen])
        told &= np.array([track.state is not TrackState.TENTATIVE for track in seen])
        if ((nested > _NESTED) & (covered > _APART))[0, same & told].any():
            return False
        limit = [SAME_OBJECT if t.name else self.settings.duplicate_iou for t in seen]
        return not ((iou > limit).any() or (covered[:, same] > _COVERED).any())


def _boxes(rows: Sequence[np.ndarray]) -> np.ndarray:
    """[N, 4] float32, also where there is none."""
    return np.array(rows, np.float32).reshape(-1, 4)
