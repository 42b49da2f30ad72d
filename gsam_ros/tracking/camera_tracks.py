"""The tracks of one camera: who is among them, who leaves, and what they show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from gsam_ros.boxes import box_iou
from gsam_ros.instances import Detections, Instances, TrackState
from gsam_ros.prompts import PromptError
from gsam_ros.tracking.association import overlap
from gsam_ros.tracking.known_masks import KnownMasks
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.track import Track, masks_of, outlines_of


@dataclass(frozen=True)
class View:
    """One image of a step.

    Attributes:
        camera: name.
        stamp: nanoseconds.
        size: (height, width) of the image.
        detections: what the detector found; None where it did not look.
        weak: what else it found, too little to start a track and enough to keep one.
        image: [H, W, 3] uint8 RGB, for close-ups; None: there are none.
        known: what memories gave on this image, where it may be looked at again; None elsewhere.
    """

    camera: str
    stamp: int
    size: tuple[int, int]
    detections: Detections | None
    weak: Detections = field(default_factory=Detections.none)
    image: np.ndarray | None = None
    known: KnownMasks | None = None


@dataclass
class CameraTracks:
    """The tracks of one camera.

    Attributes:
        tracks: oldest first.
        next_id: the id of the next new track.
        stamp: of the newest frame, nanoseconds.
        size: (height, width) of the newest frame.
        looked: stamp of the newest frame that the detector looked at, nanoseconds; None: of none.
    """

    tracks: list[Track] = field(default_factory=list)
    next_id: int = 1
    stamp: int | None = None
    size: tuple[int, int] = (0, 0)
    looked: int | None = None

    def copy(self) -> CameraTracks:
        """The tracks as they are now; either may go on without the other."""
        return replace(self, tracks=[track.copy() for track in self.tracks])

    def become(self, other: CameraTracks) -> None:
        """Be what another one is, which is not used any more."""
        self.tracks, self.next_id = other.tracks, other.next_id
        self.stamp, self.size, self.looked = other.stamp, other.size, other.looked

    def starts_over(self, stamp: int, size: tuple[int, int]) -> bool:
        """Whether a frame is of another stream than those before: time or format says so."""
        return (self.stamp is not None and stamp < self.stamp) or self.size != size

    def begin(self, view: View) -> None:
        """Go on to a frame; the tracks end where the stream started over or changed its format."""
        if self.starts_over(view.stamp, view.size):
            self.tracks.clear()
        self.stamp, self.size = view.stamp, view.size
        if view.detections is not None:
            self.looked = view.stamp

    def admit(self, track: Track, limit: int) -> bool:
        """Take in a new track under the next id, if it finds room under the limit.

        Who is out of sight longest makes room for it. Tracks in sight stay: a newcomer never takes
        the place of an object that is being followed.
        """
        while len(self.tracks) >= limit:
            leaving = self.least_needed() if self.tracks else None
            if leaving is None or leaving.state is not TrackState.LOST:
                return False
            self.remove(leaving.track_id)
        track.track_id = self.next_id
        self.next_id += 1
        self.tracks.append(track)
        return True

    def admit_pointed(self, track: Track, limit: int) -> None:
        """`admit` what somebody pointed at, who is told where there is no room.

        Raises:
            PromptError: all objects that may be followed are in sight.
        """
        if not self.admit(track, limit):
            raise PromptError(
                f"{len(self.tracks)} objects are followed and there is no room for one more: "
                "remove one, or raise tracker.max_objects"
            )

    def put(self, track: Track, limit: int) -> None:
        """Take in a track that has its id, in the place of the one of that id where there is one.

        A new one at the limit takes the place of the least needed one. Where there are more than
        the limit already, as when it was lowered, the others stay.
        """
        if not self.remove(track.track_id) and len(self.tracks) >= max(limit, 1):
            self.remove(self.least_needed().track_id)
        self.tracks = [*self.tracks, track]

    def least_needed(self) -> Track:
        """The track that goes first where there is no room; there is one.

        It is the one that is out of sight longest. Where none is, it is the youngest at which
        nobody pointed.
        """
        lost = [track for track in self.tracks if track.state is TrackState.LOST]
        if lost:
            return min(lost, key=lambda track: track.last_visible)
        return next((t for t in reversed(self.tracks) if not t.name), self.tracks[-1])

    def remove(self, track_id: int) -> bool:
        """End a track; False where there is none of that id."""
        before = len(self.tracks)
        self.tracks = [track for track in self.tracks if track.track_id != track_id]
        return len(self.tracks) < before

    def rename(self, kept: Mapping[str, str]) -> None:
        """End the tracks that nobody asks for any more.

        Args:
            kept: what is asked for, by its case-folded form; every name of a track is among it.
        """
        survivors = []
        for track in self.tracks:
            if track.name:
                track.name = kept[track.name.casefold()]
            for phrase in list(track.evidence):
                weight = track.evidence.pop(phrase)
                if phrase.casefold() in kept:
                    track.evidence[kept[phrase.casefold()]] += weight
            if track.name or track.evidence:
                survivors.append(track)
        self.tracks = survivors

    def grow_older(self, settings: TrackerSettings) -> None:
        """Apply the rules of time."""
        assert self.stamp is not None  # of the frame that `begin` was told
        stamp = self.stamp
        self.tracks = [track for track in self.tracks if track.grow_older(stamp, settings)]

    def settle(self, settings: TrackerSettings) -> None:
        """Where two masks lie on one object, let one track have it.

        It goes to what somebody pointed at, else to the track that was expected there: by its
        motion, then by its age. The other one is out of sight, or ends if it is new.
        """
        assert self.stamp is not None  # of the frame that `begin` was told
        shown = self.shown
        if len(shown) < 2:
            return
        outlines = outlines_of(shown)
        iou, _ = overlap(outlines, outlines)
        for one, other in np.argwhere(np.triu(iou > settings.duplicate_iou, 1)):
            pair = [shown[one], shown[other]]
            if not all(track.shown for track in pair):
                continue
            stamp = self.stamp
            places = [track.expected(stamp)[None] for track in pair]
            if box_iou(*places).any():  # they meet, and no mask slid away from its object
                for track in pair:
                    track.shared = True
            loser = min(pair, key=lambda t: (bool(t.name), t.settled, t.fit(stamp), t.hits))
            loser.visible = False
            loser.refuted = loser.refuted or not (loser.settled or loser.name)

    @property
    def shown(self) -> list[Track]:
        """The tracks that the newest frame shows."""
        return [track for track in self.tracks if track.shown]

    def instances(self, classes: tuple[str, ...]) -> Instances:
        """What the newest frame shows; `phrase_index` counts in `classes`."""
        shown = self.shown
        if not shown:
            return Instances.none(*self.size)
        masks = masks_of(shown, self.size)
        refined = any(track.refined for track in shown)
        return Instances(
            boxes=masks.boxes if refined else np.stack([track.box for track in shown]),
            scores=np.array([track.score for track in shown], np.float32),
            phrase_index=np.array([classes.index(track.phrase) for track in shown], np.int64),
            track_id=np.array([track.track_id for track in shown], np.int64),
            state=np.array([track.state for track in shown], np.uint8),
            masks=masks,
        )
