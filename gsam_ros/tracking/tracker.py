"""Follows every object of every camera: masks from memory, new objects from detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cosine_similarity

from gsam_ros.instances import Instances, TrackState
from gsam_ros.masks import Masks
from gsam_ros.prompts import PromptError
from gsam_ros.tracking.association import box_iou, mask_overlap, match
from gsam_ros.tracking.camera_tracks import CameraTracks, View
from gsam_ros.tracking.fragments import without_fragments
from gsam_ros.tracking.memory import TrackMemory
from gsam_ros.tracking.model import ImageFeatures, Segmentation, SegmentationModel
from gsam_ros.tracking.pointing import SAME_OBJECT, lies_on, names_of, segment_pointed
from gsam_ros.tracking.propagation import propagate, segment_boxes
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.track import Track
from gsam_ros.visual_prompts import VisualPrompt


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
        self._classes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What people called the objects that they pointed at and that are still tracked."""
        return names_of([track for camera in self.cameras.values() for track in camera.tracks])

    def set_phrases(self, phrases: tuple[str, ...], names: tuple[str, ...] = ()) -> None:
        """Look for other phrases.

        Tracks whose phrase stays live on, as do those that were pointed at; the others end.

        Args:
            phrases: that detections refer to.
            names: of objects that were pointed at, where no phrase is the same.
        """
        kept = {phrase.casefold(): phrase for phrase in phrases + names}
        for camera in self.cameras.values():
            camera.rename(kept)
        self._classes = phrases + names

    def reset(self, camera: str | None = None) -> None:
        """Forget the tracks of one camera or of all; ids go on where they were."""
        for name, tracks in self.cameras.items():
            if camera is None or name == camera:
                tracks.tracks.clear()
                tracks.stamp = None

    def point_out(self, features: ImageFeatures, view: View, prompt: VisualPrompt) -> Track:
        """Follow what a visual prompt points at, from the newest frame of its camera on.

        Args:
            features: of that frame's image.
            view: that frame; its detections are not looked at.
            prompt: fits the image.

        Raises:
            PromptError: SAM 2 sees no object there, or the camera has as many objects in sight as
                it may; the tracks stay as they are.
        """
        state = self._camera(view)
        masks = segment_pointed(self.model, features, prompt, view.size)
        mask = masks.logits[0].cpu().numpy() > 0
        if not mask.any():
            raise PromptError("SAM 2 sees no object there: give a box around it, or more points")
        track = lies_on(mask, state.tracks)
        if track is None:
            track = self._new_track(view)
            if not state.admit(track, self.settings.max_objects):
                raise PromptError(
                    f"{len(state.tracks)} objects are followed and there is no room for one more: "
                    "remove one, or raise tracker.max_objects"
                )
        track.name_it(prompt.name)
        self._show([(0, track)], masks, [view])
        self._write(features, [(0, track)], masks, prompted=True)
        return track

    def remove(self, camera: str, track_id: int) -> bool:
        """End a track; False where there is none of that id."""
        return camera in self.cameras and self.cameras[camera].remove(track_id)

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
        for state in states:
            state.grow_older(self.settings)
        return [state.instances(self._classes) for state in states]

    def _camera(self, view: View) -> CameraTracks:
        state = self.cameras.setdefault(view.camera, CameraTracks())
        state.begin(view)
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
            track.logits = without_fragments(logits[row], self.settings.least_part)
            track.box = Masks(track.logits[None], *view.size).boxes[0]
            track.visible = bool(presence[row] > 0) and bool(track.box[2] > track.box[0])
            if track.visible:
                track.appear(view.stamp, masks.pointer[row])

    def _associate(self, index: int, view: View, state: CameraTracks) -> list[_Prompted]:
        """Match one camera's detections with its tracks; say what is to be segmented from a box."""
        assert view.detections is not None
        # Best first: a low threshold in a crowd must not ask for masks that have no room anyway.
        detections = view.detections[np.arange(len(view.detections)) < self.settings.max_objects]
        seen = [track for track in state.tracks if track.visible]
        boxes = np.array([track.box for track in seen], np.float32).reshape(-1, 4)
        phrase_index = np.array([self._classes.index(t.phrase) for t in seen], np.int64)
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
            phrase = self._classes[detections.phrase_index[column]]
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
                phrase = self._classes[detections.phrase_index[column]]
                track = self._new_track(view)
                score = float(detections.scores[column])
                prompts.append(
                    _Prompted(index, track, detections.boxes[column], phrase, score, new=True)
                )
        return prompts

    def _new_track(self, view: View) -> Track:
        """A track without an id yet."""
        memory = TrackMemory(self.model.num_memories, self.model.max_pointers)
        return Track(track_id=0, memory=memory, born=view.stamp)

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
            limit = [SAME_OBJECT if t.name else self.settings.duplicate_iou for t in seen]
            if (iou > limit).any() or (covered[:, same] > 0.8).any():
                return None
        gone = [
            track
            for track in state.tracks
            if not (track.shown or track.name) and track.phrase == prompt.phrase and track.hits > 1
        ]
        if gone:
            return max(gone, key=lambda track: _likeness(pointer, track))
        return prompt.track if state.admit(prompt.track, self.settings.max_objects) else None

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


def _likeness(pointer: torch.Tensor, track: Track) -> float:
    """Cosine of two object pointers; tracks that were never seen are like nothing."""
    if track.pointer is None:
        return -1.0
    return float(cosine_similarity(pointer, track.pointer, dim=0))
