"""The last frames of one camera, bounded in number, time and bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gsam_ros.tracking.camera_tracks import CameraTracks, View
from gsam_ros.tracking.segmenters.interface import ImageFeatures
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.track import Track

_LEAST = 2
"""Frames that are kept whatever the bytes: one to go back to, and the one after it."""


@dataclass(eq=False)
class KeptFrame:
    """A frame that can be looked at again.

    Attributes:
        view: the frame, as it was without detections.
        features: of its image alone.
        before: the camera's tracks as they were before it.
        after: likewise after it and its edits; None of the newest frame, that is the present.
        edits: what people changed after it and before the next one, in order; by the id of the
            track, of which only the last change counts.
    """

    view: View
    features: ImageFeatures
    before: CameraTracks
    after: CameraTracks | None = None
    edits: dict[int, Callable[[CameraTracks], object]] = field(default_factory=dict)

    def edit(self, track_id: int, change: Callable[[CameraTracks], object]) -> None:
        """Keep what somebody changed about a track; what was changed about it before is over."""
        self.edits.pop(track_id, None)
        self.edits[track_id] = change

    def sizes(self) -> dict[int, int]:
        """Bytes of features, of what memories gave, and of the image; as of `TrackMemory.sizes`."""
        maps = (self.features.image_top, *self.features.image_high, self.view.image)
        sizes = {id(each): each.nbytes for each in maps if each is not None}
        return sizes | (self.view.known.sizes() if self.view.known else {})


class KeptFrames:
    """The last frames of one camera, oldest first: the newest, and as many as may be before it.

    Where they are too many, those give way that leave the smallest gap for their age: what is
    young is kept densely, and the oldest one stays until it is too old.
    """

    def __init__(self) -> None:
        self._frames: list[KeptFrame] = []

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def span(self) -> tuple[int, int]:
        """Stamps of the oldest and the newest frame, nanoseconds; there is one."""
        return self._frames[0].view.stamp, self._frames[-1].view.stamp

    @property
    def newest(self) -> KeptFrame | None:
        return self._frames[-1] if self._frames else None

    def add(self, frame: KeptFrame, settings: TrackerSettings, needed: int | None) -> None:
        """Take in the newest frame; of those before it some may give way.

        Args:
            frame: newer than all.
            settings: hold the bounds.
            needed: stamp of the frame that has to stay, however old.
        """
        oldest = frame.view.stamp - round(1e9 * settings.kept_seconds)
        if needed is not None:
            oldest = min(oldest, needed)
        self._frames = [f for f in self._frames if f.view.stamp >= oldest]
        most = round(1e6 * settings.kept_megabytes)
        while len(self._frames) > _LEAST and (
            len(self._frames) > settings.kept_frames
            or bytes_of(self._frames, frame.before.tracks) > most
        ):
            self._give_up(needed)
        if self._frames:
            self._frames[-1].after = frame.before
        self._frames.append(frame)

    def since(self, stamp: int) -> list[KeptFrame]:
        """The frame of a stamp and all after it; empty where it is not kept."""
        for place, frame in enumerate(self._frames):
            if frame.view.stamp == stamp:
                return self._frames[place:]
        return []

    def nearest(self, stamp: int) -> list[KeptFrame]:
        """The frame nearest in time and all after it; there is one."""
        return self.since(
            min((f.view.stamp for f in self._frames), key=lambda own: abs(own - stamp))
        )

    def forget_tracks(self) -> None:
        """Keep the images alone: what was tracked on them is not asked for any more."""
        for frame in self._frames:
            for state in (frame.before, frame.after):
                if state:
                    state.tracks = []
            frame.edits.clear()

    def _give_up(self, needed: int | None) -> None:
        """Take a frame out that is neither the newest nor needed."""
        stamps = [frame.view.stamp for frame in self._frames]

        def worth(place: int) -> float:
            gap = stamps[place + 1] - stamps[place - 1]
            return gap / max(stamps[-1] - stamps[place], 1)

        between = [p for p in range(1, len(stamps) - 1) if stamps[p] != needed]
        place = min(between, key=worth, default=0)
        given_up = self._frames.pop(place)
        following = self._frames[place]
        if following.view.known and given_up.view.known:
            following.view.known.follow(given_up.view.known)
        if place:
            for track_id, change in given_up.edits.items():
                self._frames[place - 1].edit(track_id, change)


def bytes_of(frames: Sequence[KeptFrame], present: Sequence[Track]) -> int:
    """What frames keep, and the memories that their tracks had and the present ones have not."""
    states = {id(state): state for f in frames for state in (f.before, f.after) if state}
    sizes: dict[int, int] = {}
    for state in states.values():  # neighbours share theirs, and most of its memories
        for track in state.tracks:
            sizes |= track.memory.sizes()
    for frame in frames:
        sizes |= frame.sizes()
    for track in present:
        for key in track.memory.sizes():
            sizes.pop(key, None)
    return sum(sizes.values())
