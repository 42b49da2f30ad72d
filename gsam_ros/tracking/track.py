"""One object over time: what is known of it, and the rules of its life.

detection -> TENTATIVE -> CONFIRMED <-> LOST -> ended
                 |                       |
                 +-----------------------+  the detector did not see it again: soon ended

An object that somebody points at is CONFIRMED at once, and stays so while SAM 2 shows it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from gsam_ros.boxes import box_iou
from gsam_ros.instances import TrackState
from gsam_ros.masks import Closeup, Masks
from gsam_ros.tracking.association import Outlines
from gsam_ros.tracking.memory import TrackMemory
from gsam_ros.tracking.motion import BoxMotion
from gsam_ros.tracking.settings import TrackerSettings

_SECOND = 1_000_000_000
_SETTLED_HITS = 2
_JUMP = 0.5  # sizes that a mask may be off its way from one frame to the next
_PACE = 3.0  # sizes per second that an object out of sight may be off its way
_ANY_PACE = 8.0  # likewise for one whose way is not known
_COMES_BACK = 1.0  # sizes that it may be off at once
_AT_ONCE = 0.02  # seconds by which stamps of a steady camera may be off
_DOUBTED = 1.0  # seconds for which a track that the detector did not see again keeps its id


@dataclass(eq=False)
class Track:
    """One object of one camera.

    Attributes:
        track_id: from 1, never used again within a run.
        memory: what SAM 2 keeps of it.
        born: stamp of its first frame, nanoseconds.
        state: see the module's picture.
        score: of the newest detection that agreed, [0, 1].
        evidence: sum of scores by phrase; the phrase with most evidence names the track.
        name: what it was called by whoever pointed at it; empty where the detector found it.
        known: whether it was ever confirmed.
        hits: detections that agreed.
        agreed: stamp of the last detection that agreed, nanoseconds.
        agreed_box: [4] xyxy pixels, that detection's box.
        missed_since: stamp of the first keyframe in a row on which it was visible and no detection
            agreed; None where the last one did.
        missed_last: stamp of the newest of these.
        refuted: the detector saw something else in its place, and nothing that agrees.
        attended: stamp of the last frame on which it attended to its memory, nanoseconds.
        remembered: stamp of the newest frame in its memory, nanoseconds.
        eclipsed: what its mask shows is another object, or nothing: out of sight until a detection
            agrees.
        shared: another track's mask lies in the same place on the newest frame, so this mask says
            nothing about where the object is.
        motion: where it was and how it moves; None before its first box.
        last_visible: stamp of the last frame that showed it, nanoseconds.
        visible: whether the newest frame shows it.
        logits: [h, w] float32 mask on the newest frame, at the model's resolution.
        closeup: the same mask in more detail, where the object is small; None where it is not.
        refined: what is shown in the mask's place, where it was outlined anew; None elsewhere.
        box: [4] float32 xyxy pixels around that mask.
        pointer: [C] SAM 2's object pointer on the last frame that showed it.
    """

    track_id: int
    memory: TrackMemory
    born: int
    state: TrackState = TrackState.TENTATIVE
    score: float = 0.0
    evidence: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    name: str = ""
    known: bool = False
    hits: int = 0
    missed_since: int | None = None
    missed_last: int = 0
    refuted: bool = False
    motion: BoxMotion | None = None
    agreed: int = 0
    agreed_box: np.ndarray = field(default_factory=lambda: np.zeros(4, np.float32))
    attended: int = 0
    remembered: int = 0
    eclipsed: bool = False
    last_visible: int = 0
    visible: bool = False
    shared: bool = False
    logits: np.ndarray = field(default_factory=lambda: np.zeros((1, 1), np.float32))
    closeup: Closeup | None = None
    refined: Closeup | None = None
    box: np.ndarray = field(default_factory=lambda: np.zeros(4, np.float32))
    pointer: torch.Tensor | None = None

    def copy(self) -> Track:
        """The same object as it is now; either may go on without the other."""
        return replace(
            self,
            memory=self.memory.copy(),
            evidence=self.evidence.copy(),
            motion=self.motion.copy() if self.motion else None,
        )

    @property
    def phrase(self) -> str:
        """What it is called."""
        if self.name:
            return self.name
        return max(self.evidence, key=lambda phrase: (self.evidence[phrase], phrase))

    @property
    def shown(self) -> bool:
        """Whether it belongs into the newest frame's results."""
        return self.visible and self.state is not TrackState.LOST

    def name_it(self, name: str) -> None:
        """Somebody pointed at it and said what it is, which no detector overrules."""
        self.name = name
        self.score = 1.0
        self.hits += 1
        self._forget_misses()
        self.eclipsed = False
        self.state, self.known = TrackState.CONFIRMED, True

    def appear(self, stamp: int, pointer: torch.Tensor) -> None:
        """SAM 2 shows it on a frame.

        A lost track waits for a detection that agrees. One that was pointed at may have none to
        wait for: SAM 2's word brings it back.
        """
        if self.name:
            self.state, self.refuted = TrackState.CONFIRMED, False
        if self.state is not TrackState.LOST:
            self.pointer = pointer
            self.last_visible = stamp
            if not self.shared:
                self.move(self.box, stamp, detected=False)

    def jumped(self, stamp: int) -> bool:
        """Whether its mask is further from where it should be than the object can have gone."""
        if self.motion is None or self.state is TrackState.LOST:
            return False
        if self.eclipsed:
            return True
        return not self.can_be_at(self.box, stamp, _JUMP)

    def can_be_at(self, box: np.ndarray, stamp: int, slack: float) -> bool:
        """Whether the object can have come as far as to a box since it was in sight.

        Args:
            box: [4] xyxy pixels.
            stamp: of the frame with the box.
            slack: sizes of the object by which it may be off its way at once.
        """
        if self.motion is None:
            return True
        unseen = (stamp - self.last_visible) / _SECOND
        return self.distance(box, stamp) <= self.size * (slack + _PACE * unseen)

    def can_come_back_to(self, box: np.ndarray, stamp: int) -> bool:
        """Whether the object can be at a box by its way or from its last detection on.

        Args:
            box: [4] xyxy pixels.
            stamp: of the frame with the box.
        """
        unseen = (stamp - self.agreed) / _SECOND
        pace = _PACE if self.motion and self.motion.has_speed else _ANY_PACE
        return self.way_back(box, stamp) <= self.size * (_COMES_BACK + pace * unseen)

    def way_back(self, box: np.ndarray, stamp: int) -> float:
        """Pixels from the middle of a box to where it should be, or to where it was detected.

        The lesser of the two: things stop and turn back, and its mask may have led astray since.
        """
        off = (box - self.agreed_box).reshape(2, 2).mean(0)
        return min(float(np.hypot(*off)), self.distance(box, stamp))

    def distance(self, box: np.ndarray, stamp: int) -> float:
        """Pixels from the middle of a box to where it should be."""
        off = (box - self.expected(stamp)).reshape(2, 2).mean(0)
        return float(np.hypot(*off))

    @property
    def size(self) -> float:
        """The square root of the area of its box, pixels; at least that of its last detection."""
        width, height = np.clip(self.agreed_box[2:] - self.agreed_box[:2], 0, None)
        return max(self.motion.size if self.motion else 0.0, float(np.sqrt(width * height)))

    @property
    def returns(self) -> bool:
        """Whether an unmatched detection may be this track; after a single hit only once lost."""
        return self.hits > 1 or self.state is TrackState.LOST

    @property
    def trusted(self) -> bool:
        """Whether what the newest frame shows of it is worth remembering."""
        return self.shown and self.missed_since is None

    def agree(self, phrase: str, score: float, stamp: int, settings: TrackerSettings) -> None:
        """A detection on the newest frame is this object."""
        self.evidence[phrase] += score
        self.score = score
        self.hits += 1
        self.last_visible = stamp
        self._forget_misses()
        self.eclipsed = False
        self.agreed = stamp
        agreed_for = (stamp - self.born) / _SECOND
        if self.known or agreed_for >= settings.confirm_after:
            self.state, self.known = TrackState.CONFIRMED, True
        else:
            self.state = TrackState.TENTATIVE

    def move(self, box: np.ndarray, stamp: int, detected: bool) -> None:
        """Take in where it is: `box` [4] xyxy pixels, of a detection or around its mask."""
        if self.motion is None:
            self.motion = BoxMotion(box, stamp / _SECOND, detected)
        else:
            self.motion.update(box, stamp / _SECOND, detected)

    def expected(self, stamp: int) -> np.ndarray:
        """[4] xyxy pixels, where it should be on a frame."""
        return self.box if self.motion is None else self.motion.predict(stamp / _SECOND)

    def hide(self) -> None:
        """Its mask lies on something else: it is out of sight, and over if it is new."""
        self.visible = False
        self.eclipsed = True
        self.refuted = self.refuted or not self.settled

    def fit(self, stamp: int) -> float:
        """Intersection over union of its mask's box with where it should be."""
        return float(box_iou(self.box[None], self.expected(stamp)[None])[0, 0])

    @property
    def settled(self) -> bool:
        """Whether it is known well enough to outlive a frame on which another has its place."""
        return self.state is not TrackState.TENTATIVE and self.hits > _SETTLED_HITS

    def miss(self, stamp: int, contradicted: bool = False) -> None:
        """The detector looked at the newest frame, which shows this object, and did not see it.

        Args:
            stamp: of that frame.
            contradicted: it saw something else in this very place: the mask has probably slid onto
                a neighbour, and two such words are enough.
        """
        if self.name:
            return  # the detector may never have heard of what people point at
        self.refuted = contradicted and self.missed_since is not None
        if self.missed_since is None:
            self.missed_since = stamp
        self.missed_last = stamp

    def grow_older(self, stamp: int, settings: TrackerSettings) -> bool:
        """Apply the rules of time after a frame; False when the track's life is over."""
        unseen = (stamp - self.last_visible) / _SECOND
        limit = settings.tentative_missed
        if self.state is not TrackState.TENTATIVE:
            limit = settings.confirmed_missed
        if self.missed_since is None:
            missed = False
        else:  # what counts is that the detector looked again, be it after seconds
            missed_for = (self.missed_last - self.missed_since) / _SECOND
            missed = missed_for >= limit - _AT_ONCE
        if missed or self.refuted or unseen > settings.occluded_after:
            self.state = TrackState.LOST
        if self.state is not TrackState.LOST:
            return True
        if self.known:
            return unseen <= settings.lost_after
        return stamp - self.agreed <= min(_DOUBTED, settings.lost_after) * _SECOND

    def _forget_misses(self) -> None:
        self.missed_since, self.refuted = None, False


def outlines_of(tracks: Sequence[Track]) -> Outlines:
    """Where N >= 1 tracks are on the newest frame."""
    return Outlines(
        np.stack([track.logits > 0 for track in tracks]),
        np.stack([track.box for track in tracks]),
        np.array([track.closeup is not None for track in tracks]),
    )


def masks_of(tracks: Sequence[Track], size: tuple[int, int]) -> Masks:
    """What N >= 1 tracks show on the newest frame, an image of `size` (height, width)."""
    closeups = tuple(track.refined or track.closeup for track in tracks)
    return Masks(np.stack([track.logits for track in tracks]), *size, closeups)
