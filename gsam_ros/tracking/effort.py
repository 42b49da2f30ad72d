"""Who gets memory attention on a frame: the cost of an object, spent where it counts.

Memory attention is nearly all that a followed object costs (606 of 621 GFLOP at 1024 px). While an
object is alone where it is expected, and the detector agreed lately, a box at that place gives
its mask for a fortieth of that. Attention is for those that meet others, that hide or that nobody
confirmed, and its number per frame is bounded.

Small objects follow their boxes in either mode: a memory of a cell or two says next to nothing, and
a close-up shows them well.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gsam_ros.boxes import box_overlap
from gsam_ros.instances import TrackState
from gsam_ros.tracking.camera_tracks import CameraTracks, View
from gsam_ros.tracking.closeups import is_small, segment_small_and_others
from gsam_ros.tracking.known_masks import propagate_once
from gsam_ros.tracking.propagation import propagate
from gsam_ros.tracking.segmenters.interface import ImageFeatures, Segmentation, SegmentationModel
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.showing import Owned
from gsam_ros.tracking.track import Track

_SECOND = 1_000_000_000
_AGREED = 1.0  # seconds that a detection's word is good for
_REFRESHED = 0.4  # seconds between two memories of a track that does not need them
_MEETING = 0.1  # share of the smaller box that another one may cover


def choose(
    views: Sequence[View],
    states: Sequence[CameraTracks],
    settings: TrackerSettings,
    edge: int,
) -> tuple[list[Owned], list[Owned]]:
    """Divide the tracks of a step by how they get their masks.

    A lost track has no mask until a detection brings it back, unless somebody pointed at it, who
    has no detector to wait for. In exact mode all others attend to their memory, and lost ones
    where there are detections that could be theirs. In fast mode those do that are unclear, in
    sight ones first and among them those that waited longest, up to the budget. Of the others,
    those in sight are segmented from the box where they are expected.

    Args:
        views: the frames of a step.
        states: their tracks.
        settings: the mode, the budget, and what is small.
        edge: of the square that the model sees, in its pixels.

    Returns:
        The tracks that attend to their memory, and those that are segmented from a box.
    """
    attending: list[Owned] = []
    unclear: list[Owned] = []
    following: list[Owned] = []
    exact = settings.memory == "exact"
    for index, (view, state) in enumerate(zip(views, states, strict=True)):
        small = _small(view, state.tracks, settings, edge)
        following += [(index, track) for track in small]
        tracks = [track for track in state.tracks if track not in small]
        if exact:
            searched = view.detections is not None
            attending += [(index, t) for t in tracks if searched or _waits_for_no_detection(t)]
            continue
        for track, is_clear in zip(tracks, _clear(view, tracks), strict=True):
            if is_clear:
                following.append((index, track))
            elif _waits_for_no_detection(track):
                unclear.append((index, track))
    if exact:
        return attending, following

    def urgency(one: Owned) -> tuple[bool, int]:
        index, track = one
        # Ages, not stamps: the cameras' clocks need not agree.
        return track.state is TrackState.LOST, track.attended - views[index].stamp

    unclear.sort(key=urgency)
    attending = unclear[: settings.attention_budget]
    for index, track in attending:
        track.attended = views[index].stamp
    return attending, following + [one for one in unclear[len(attending) :] if one[1].visible]


def segment_known(
    model: SegmentationModel,
    features: ImageFeatures,
    views: Sequence[View],
    attending: Sequence[Owned],
    following: Sequence[Owned],
    settings: TrackerSettings,
) -> Segmentation | None:
    """Masks of the attending tracks, then of the following ones; None where there are neither."""
    parts = []
    if attending:
        where = [index for index, _ in attending]
        memories = [track.memory for _, track in attending]
        if settings.memory == "exact":
            known = [views[index].known for index in where]
            parts.append(propagate_once(model, features, where, memories, known))
        else:
            parts.append(propagate(model, features, where, memories, few=True))
    if following:
        parts.append(segment_where_expected(model, features, views, following, settings))
    return Segmentation.concatenate(parts) if parts else None


def segment_where_expected(
    model: SegmentationModel,
    features: ImageFeatures,
    views: Sequence[View],
    owned: Sequence[Owned],
    settings: TrackerSettings,
) -> Segmentation:
    """Masks of N >= 1 tracks from the boxes where their motion says that they are."""
    boxes = np.stack(
        [
            track.expected(view.stamp).clip(0, np.tile(view.size[::-1], 2))
            for view, track in ((views[index], track) for index, track in owned)
        ]
    )
    where = [index for index, _ in owned]
    return segment_small_and_others(model, features, views, where, boxes, settings)


def due(track: Track, stamp: int, settings: TrackerSettings) -> bool:
    """Whether a frame is to be remembered, of a track that shows its object on it.

    In fast mode, and of small objects: while it attends, and else from time to time, so that it has
    a fresh memory for the moment when it needs one.
    """
    return (
        (settings.memory == "exact" and track.closeup is None)
        or track.attended == stamp
        or track.memory.clock == 0
        or stamp - track.remembered >= _REFRESHED * _SECOND
    )


def _small(
    view: View, tracks: Sequence[Track], settings: TrackerSettings, edge: int
) -> list[Track]:
    """Those in sight of which a close-up shows more than the whole image."""
    present = [t for t in tracks if t.state is not TrackState.LOST and t.motion is not None]
    if view.image is None or not present:
        return []
    boxes = np.stack([track.expected(view.stamp) for track in present])
    small = is_small(boxes, np.array(view.size), edge, settings.closeup_below)
    return [track for track, fits in zip(present, small, strict=True) if fits]


def _waits_for_no_detection(track: Track) -> bool:
    return track.state is not TrackState.LOST or bool(track.name)


def _clear(view: View, tracks: Sequence[Track]) -> list[bool]:
    """Which tracks are where one expects them, apart from all others."""
    boxes = np.array([track.expected(view.stamp) for track in tracks], np.float32).reshape(-1, 4)
    present = np.array([track.state is not TrackState.LOST for track in tracks], bool)
    met = box_overlap(boxes, boxes)[1] > _MEETING
    np.fill_diagonal(met, False)
    alone = ~(met & present[None]).any(1)
    return [
        bool(apart)
        and track.state is TrackState.CONFIRMED
        and track.visible
        and track.missed_since is None
        and view.stamp - track.agreed <= _AGREED * _SECOND
        for track, apart in zip(tracks, alone, strict=True)
    ]
