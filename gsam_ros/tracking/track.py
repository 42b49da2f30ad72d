"""One object over time: what is known of it, and the rules of its life.

detection -> TENTATIVE -> CONFIRMED <-> LOST -> ended
                 |
                 +-> ended (the detector did not see it again)

An object that somebody points at is CONFIRMED at once, and stays so while SAM 2 shows it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import torch

from gsam_ros.instances import TrackState
from gsam_ros.tracking.memory import TrackMemory
from gsam_ros.tracking.settings import TrackerSettings

_SECOND = 1_000_000_000
_CONTRADICTION = 3  # plain misses that weigh as much


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
        hits: detections that agreed.
        misses: keyframes in a row on which it was visible and no detection agreed.
        last_visible: stamp of the last frame that showed it, nanoseconds.
        visible: whether the newest frame shows it.
        logits: [h, w] float32 mask on the newest frame, at the model's resolution.
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
    hits: int = 0
    misses: int = 0
    last_visible: int = 0
    visible: bool = False
    logits: np.ndarray = field(default_factory=lambda: np.zeros((1, 1), np.float32))
    box: np.ndarray = field(default_factory=lambda: np.zeros(4, np.float32))
    pointer: torch.Tensor | None = None

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
        self.misses = 0
        self.state = TrackState.CONFIRMED

    def appear(self, stamp: int, pointer: torch.Tensor) -> None:
        """SAM 2 shows it on a frame.

        A lost track waits for a detection that agrees. One that was pointed at may have none to
        wait for: SAM 2's word brings it back.
        """
        self.pointer = pointer
        if self.name:
            self.state = TrackState.CONFIRMED
        if self.state is not TrackState.LOST:
            self.last_visible = stamp

    def agree(self, phrase: str, score: float, settings: TrackerSettings) -> None:
        """A detection on the newest frame is this object."""
        self.evidence[phrase] += score
        self.score = score
        self.hits += 1
        self.misses = 0
        if self.state is TrackState.LOST or self.hits >= settings.confirm_hits:
            self.state = TrackState.CONFIRMED

    def miss(self, contradicted: bool = False) -> None:
        """The detector looked at the newest frame, which shows this object, and did not see it.

        Args:
            contradicted: it saw something else in this very place: the mask has probably slid onto
                a neighbour, and two such words are enough.
        """
        if self.name:
            return  # the detector may never have heard of what people point at
        self.misses += _CONTRADICTION if contradicted else 1

    def grow_older(self, stamp: int, settings: TrackerSettings) -> bool:
        """Apply the rules of time after a frame; False when the track's life is over."""
        unseen = (stamp - self.last_visible) / _SECOND
        if self.state is TrackState.TENTATIVE:
            return self.misses < settings.tentative_misses and unseen <= settings.occluded_after
        if self.state is TrackState.CONFIRMED and (
            self.misses >= settings.confirmed_misses or unseen > settings.occluded_after
        ):
            self.state = TrackState.LOST
        return self.state is not TrackState.LOST or unseen <= settings.lost_after


def make_room(tracks: list[Track], wanted: int, limit: int) -> list[Track]:
    """Which tracks stay so that `wanted` new ones fit under `limit`, as far as possible.

    Who is out of sight longest goes first. Tracks in sight stay: a newcomer never takes the place
    of an object that is being followed.
    """
    surplus = len(tracks) + wanted - limit
    if surplus <= 0:
        return tracks
    lost = sorted(
        (track for track in tracks if track.state is TrackState.LOST),
        key=lambda track: track.last_visible,
    )
    leaving = set(map(id, lost[:surplus]))
    return [track for track in tracks if id(track) not in leaving]
