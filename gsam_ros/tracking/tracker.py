"""Follows every object of every camera: masks from memory, new objects from detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn.functional import cosine_similarity

from gsam_ros.instances import Detections, Instances, TrackState
from gsam_ros.masks import Masks
from gsam_ros.tracking.association import box_iou, mask_overlap, match
from gsam_ros.tracking.memory import TrackMemory
from gsam_ros.tracking.model import ImageFeatures, Segmentation, SegmentationModel
from gsam_ros.tracking.propagation import propagate, segment_boxes
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.track import Track, make_room


@dataclass
class CameraTracks:
    """The tracks of one camera.

    Attributes:
        tracks: oldest first.
        next_id: the id of the next new track.
        stamp: of the newest frame, nanoseconds.
        size: (height, width) of the newest frame.
    """

    tracks: list[Track] = field(default_factory=list)
    next_id: int = 1
    stamp: int | None = None
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class View:
    """One image of a step.

    Attributes:
        camera: name.
        stamp: nanoseconds.
        size: (height, width) of the image.
        detections: what the detector found; None where it did not look.
    """

    camera: str
    stamp: int
    size: tuple[int, int]
    detections: Detections | None


@dataclass
class _Prompted:
    """A track to be segmented from a box on this frame."""

    view_index: int
    track: Track
    box: np.ndarray
    phrase: str
    score: float
    new: bool


class InstanceTracker:
    """SAM 2 over endless streams: bounded state, objects may enter and leave at any time."""

    def __init__(self, model: SegmentationModel, settings: TrackerSettings):
        """Track with a model under settings (which may be replaced between two steps)."""
        self.model = model
        self.settings = settings
        self.cameras: dict[str, CameraTracks] = {}
        self._phrases: tuple[str, ...] = ()

    def set_phrases(self, phrases: tuple[str, ...]) -> None:
        """Look for other phrases: tracks whose phrase stays live on, the others end."""
        kept = {phrase.casefold(): phrase for phrase in phrases}
        for camera in self.cameras.values():
            survivors = []
            for track in camera.tracks:
                for phrase in list(track.evidence):
                    weight = track.evidence.pop(phrase)
                    if phrase.casefold() in kept:
                        track.evidence[kept[phrase.casefold()]] += weight
                if track.evidence:
                    survivors.append(track)
            camera.tracks = survivors
        self._phrases = phrases

    def reset(self, camera: str | None = None) -> None:
        """Forget the tracks of one camera or of all; ids go on where they were."""
        for name, tracks in self.cameras.items():
            if camera is None or name == camera:
                tracks.tracks.clear()
                tracks.stamp = None

    def step(self, features: ImageFeatures, views: Sequence[View]) -> list[Instances]:
        """Bring every camera of this step to its newest frame.

        Args:
            features: of B images.
            views: the B images, each of another camera.

        Returns:
            What is visible in each image.
        """
        states = [self._camera(view) for view in views]
        known = [(index, track) for index, state in enumerate(states) for track in state.tracks]
        masks = self._propagate(features, known)
        self._show(known, masks, views)
        prompts: list[_Prompted] = []
        for index, view in enumerate(views):
            if view.detections is not None:
                prompts += self._associate(index, view, states[index])
        written = self._segment(features, views, states, prompts)
        self._remember(features, known, masks, written)
        for view, state in zip(views, states, strict=True):
            self._age(view, state)
        return [self._instances(view, state) for view, state in zip(views, states, strict=True)]

    def _camera(self, view: View) -> CameraTracks:
        """The camera's state, cleared where its stream started over or changed its format."""
        state = self.cameras.setdefault(view.camera, CameraTracks())
        jumped_back = state.stamp is not None and view.stamp < state.stamp
        if jumped_back or state.size != view.size:
            state.tracks.clear()
        state.stamp, state.size = view.stamp, view.size
        return state

    def _propagate(
        self, features: ImageFeatures, known: Sequence[tuple[int, Track]]
    ) -> Segmentation | None:
        if not known:
            return None
        return propagate(
            self.model, features, [index for index, _ in known], [t.memory for _, t in known]
        )

    def _show(
        self,
        known: Sequence[tuple[int, Track]],
        masks: Segmentation | None,
        views: Sequence[View],
    ) -> None:
        """Write masks into their tracks: one transfer to the CPU for all."""
        if masks is None:
            return
        logits, presence = masks.logits.cpu().numpy(), masks.presence.cpu().numpy()
        for row, (index, track) in enumerate(known):
            view = views[index]
            track.logits = logits[row]
            track.box = Masks(track.logits[None], *view.size).boxes[0]
            track.visible = bool(presence[row] > 0) and bool(track.box[2] > track.box[0])
            if track.visible:
                track.pointer = masks.pointer[row]
                if track.state is not TrackState.LOST:
                    track.last_visible = view.stamp

    def _associate(self, index: int, view: View, state: CameraTracks) -> list[_Prompted]:
        """Match one camera's detections with its tracks; say what is to be segmented from a box."""
        assert view.detections is not None
        # Best first: a low threshold in a crowd must not ask for masks that have no room anyway.
        detections = view.detections[np.arange(len(view.detections)) < self.settings.max_objects]
        seen = [track for track in state.tracks if track.visible]
        boxes = np.array([track.box for track in seen], np.float32).reshape(-1, 4)
        phrase_index = np.array([self._phrases.index(t.phrase) for t in seen], np.int64)
        pairs = match(
            boxes,
            phrase_index,
            np.array([track.state is TrackState.TENTATIVE for track in seen], bool),
            detections.boxes,
            detections.phrase_index,
            self.settings.match_iou,
            self.settings.duplicate_iou,
        )
        prompts = []
        for row, column in pairs:
            track, box = seen[row], detections.boxes[column]
            phrase = self._phrases[detections.phrase_index[column]]
            score = float(detections.scores[column])
            track.agree(phrase, score, self.settings)
            track.last_visible = view.stamp
            if box_iou(track.box[None], box[None])[0, 0] < self.settings.reprompt_iou:
                prompts.append(_Prompted(index, track, box, phrase, score, new=False))
        same_place = box_iou(boxes, detections.boxes) > self.settings.duplicate_iou
        renamed = phrase_index[:, None] != detections.phrase_index[None]
        contradicted = (same_place & renamed).any(1)
        for row in set(range(len(seen))) - {row for row, _ in pairs}:
            seen[row].miss(bool(contradicted[row]))
        matched = {column for _, column in pairs}
        for column in range(len(detections)):
            if column not in matched:
                phrase = self._phrases[detections.phrase_index[column]]
                memory = TrackMemory(self.model.num_memories, self.model.max_pointers)
                track = Track(track_id=0, memory=memory, born=view.stamp)
                score = float(detections.scores[column])
                prompts.append(
                    _Prompted(index, track, detections.boxes[column], phrase, score, new=True)
                )
        return prompts

    def _segment(
        self,
        features: ImageFeatures,
        views: Sequence[View],
        states: Sequence[CameraTracks],
        prompts: list[_Prompted],
    ) -> set[int]:
        """Masks for detections: of tracks that drifted, of objects that return, of new ones.

        Returns:
            The tracks (by `id`) whose memory of this frame is written.
        """
        if not prompts:
            return set()
        boxes = torch.tensor(
            np.stack([p.box / np.tile(views[p.view_index].size[::-1], 2) for p in prompts]),
            dtype=torch.float32,
        )
        masks = segment_boxes(self.model, features, [p.view_index for p in prompts], boxes)
        accepted: list[tuple[int, Track]] = []
        rows: list[int] = []
        shown = masks.logits.cpu().numpy()
        for row, prompt in enumerate(prompts):
            state = states[prompt.view_index]
            track: Track | None = prompt.track
            if prompt.new:
                track = self._admit(prompt, shown[row], masks.pointer[row], state)
            if track is None:
                continue
            accepted.append((prompt.view_index, track))
            rows.append(row)
            # Written at once: a second box on the same object has to find the first one's mask.
            self._show(accepted[-1:], masks[torch.tensor([row])], views)
            if prompt.new:
                track.agree(prompt.phrase, prompt.score, self.settings)
                track.last_visible = views[prompt.view_index].stamp
        if accepted:
            chosen = masks[torch.tensor(rows, device=self.model.device)]
            self._write(features, accepted, chosen, prompted=True)
        return {id(track) for _, track in accepted}

    def _admit(
        self,
        prompt: _Prompted,
        logits: np.ndarray,
        pointer: torch.Tensor,
        state: CameraTracks,
    ) -> Track | None:
        """The track of a detection that matched none: one that returns, a new one, or none.

        None where the mask lies on an object that is followed already, or there is no room.
        """
        mask = logits > 0
        if not mask.any():
            return None
        seen = [track for track in state.tracks if track.shown]
        if seen:
            others = np.stack([track.logits > 0 for track in seen])
            iou, covered = mask_overlap(mask[None], others)
            same = np.array([track.phrase == prompt.phrase for track in seen])
            if (iou > self.settings.duplicate_iou).any() or (covered[:, same] > 0.8).any():
                return None
        gone = [t for t in state.tracks if not t.shown and t.phrase == prompt.phrase and t.hits > 1]
        if gone:
            return max(gone, key=lambda track: _likeness(pointer, track))
        state.tracks = make_room(state.tracks, 1, self.settings.max_objects)
        if len(state.tracks) >= self.settings.max_objects:
            return None
        prompt.track.track_id = state.next_id
        state.next_id += 1
        state.tracks.append(prompt.track)
        return prompt.track

    def _remember(
        self,
        features: ImageFeatures,
        known: Sequence[tuple[int, Track]],
        masks: Segmentation | None,
        written: set[int],
    ) -> None:
        """Keep a memory of each propagated mask that shows its object."""
        rows = [
            row for row, (_, track) in enumerate(known) if track.shown and id(track) not in written
        ]
        if masks is not None and rows:
            chosen = masks[torch.tensor(rows, device=self.model.device)]
            self._write(features, [known[row] for row in rows], chosen, prompted=False)

    def _write(
        self,
        features: ImageFeatures,
        owners: Sequence[tuple[int, Track]],
        masks: Segmentation,
        prompted: bool,
    ) -> None:
        index = torch.tensor([view for view, _ in owners], device=self.model.device)
        flags = torch.full((len(owners),), prompted, device=self.model.device)
        memory = self.model.encode_memory(features[index], masks, flags)
        for row, (_, track) in enumerate(owners):
            track.memory.remember(memory[row], masks.pointer[row], prompted)

    def _age(self, view: View, state: CameraTracks) -> None:
        """Apply the rules of time, then end the younger of two tracks on one object."""
        state.tracks = [t for t in state.tracks if t.grow_older(view.stamp, self.settings)]
        shown = [track for track in state.tracks if track.shown]
        if len(shown) < 2:
            return
        masks = np.stack([track.logits > 0 for track in shown])
        iou, _ = mask_overlap(masks, masks)
        ended: set[int] = set()
        for older in range(len(shown)):
            for younger in range(older + 1, len(shown)):
                both_live = id(shown[older]) not in ended and id(shown[younger]) not in ended
                if both_live and iou[older, younger] > self.settings.duplicate_iou:
                    ended.add(id(min(shown[older], shown[younger], key=lambda t: t.hits)))
        state.tracks = [track for track in state.tracks if id(track) not in ended]

    def _instances(self, view: View, state: CameraTracks) -> Instances:
        shown = [track for track in state.tracks if track.shown]
        if not shown:
            return Instances.none(*view.size)
        return Instances(
            boxes=np.stack([track.box for track in shown]),
            scores=np.array([track.score for track in shown], np.float32),
            phrase_index=np.array([self._phrases.index(t.phrase) for t in shown], np.int64),
            track_id=np.array([track.track_id for track in shown], np.int64),
            state=np.array([track.state for track in shown], np.uint8),
            masks=Masks(np.stack([track.logits for track in shown]), *view.size),
        )


def _likeness(pointer: torch.Tensor, track: Track) -> float:
    """Cosine of two object pointers; tracks that were never seen are like nothing."""
    if track.pointer is None:
        return -1.0
    return float(cosine_similarity(pointer, track.pointer, dim=0))
