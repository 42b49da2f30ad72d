"""Follows every object of every camera: masks from memory, new objects from detections."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from gsam_ros.instances import Instances
from gsam_ros.masks import Masks
from gsam_ros.prompts import PromptError
from gsam_ros.tracking.association import Outlines
from gsam_ros.tracking.camera_tracks import CameraTracks, View
from gsam_ros.tracking.correction import correct
from gsam_ros.tracking.effort import choose, due, segment_known
from gsam_ros.tracking.keyframe import Keyframe
from gsam_ros.tracking.memory import TrackMemory
from gsam_ros.tracking.object_limits import ObjectLimits
from gsam_ros.tracking.pointing import lies_on, names_of, segment_pointed
from gsam_ros.tracking.refinement import refine
from gsam_ros.tracking.remembering import Taken, write
from gsam_ros.tracking.segmented_detections import SegmentedDetections, segment_detections
from gsam_ros.tracking.segmenters.interface import ImageFeatures, Segmentation, SegmentationModel
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.showing import Owned, show
from gsam_ros.tracking.track import Track, masks_of
from gsam_ros.tracking.tracked_cameras import TrackedCameras
from gsam_ros.visual_prompts import VisualPrompt


class InstanceTracker(TrackedCameras):
    """SAM 2 over endless streams: bounded state, objects may enter and leave at any time."""

    def __init__(self, model: SegmentationModel, settings: TrackerSettings):
        """Track with a model under settings (which may be replaced between two steps)."""
        super().__init__()
        self.model = model
        self.settings = settings
        self.limits = ObjectLimits()

    def fork(self, camera: str, state: CameraTracks) -> InstanceTracker:
        """One that goes its own way with one camera's tracks, by the same model and rules."""
        other = InstanceTracker(self.model, self.settings)
        other.cameras[camera] = state
        other.limits = self.limits
        other._classes = {None: self._classes_of(camera)}
        other.name_all(camera)
        return other

    def name_all(self, camera: str) -> None:
        """Have a class for every track of a fork, also for those that ended in the present."""
        names = names_of(self.cameras[camera].tracks)
        self._classes = {None: tuple(dict.fromkeys(self._classes_of(camera) + names))}

    def point_out(self, features: ImageFeatures, view: View, prompt: VisualPrompt) -> Track:
        """Follow what a visual prompt points at, from the newest frame of its camera on.

        Args:
            features: of that frame's image.
            view: that frame; its detections are not looked at.
            prompt: fits the image.

        Raises:
            PromptError: SAM 2 sees no object there, or the camera has as many objects in sight as
                it may, or the device has no memory for it; the tracks stay as they are.
        """
        state = self._camera(view)
        follow = partial(self._point_out, state, features, view, prompt)
        return self.limits.one_more(state, follow)

    def _point_out(
        self, state: CameraTracks, features: ImageFeatures, view: View, prompt: VisualPrompt
    ) -> Track:
        masks = segment_pointed(self.model, features, prompt, view, self.settings)
        logits, closeups = masks.logits.cpu().numpy(), masks.each_closeup
        boxes = Masks(logits, *view.size, closeups).boxes
        pointed = Outlines(logits > 0, boxes, np.array([closeups[0] is not None]))
        if not pointed.masks.any():
            raise PromptError("SAM 2 sees no object there: give a box around it, or more points")
        track = lies_on(pointed, state.tracks)
        if track is None:
            track = self._new_track(view)
            state.admit_pointed(track, self.most(view.camera))
        track.name_it(prompt.name)
        show([(0, track)], masks, [view], self.settings.least_part)
        track.appear(view.stamp, masks.pointer[0])
        track.move(track.box, view.stamp, detected=True)
        write(self.model, features, [view], [Taken(0, track, 0)], masks, True)
        return track

    def step(self, features: ImageFeatures, views: Sequence[View]) -> list[Instances]:
        """Bring every camera of this step to its newest frame.

        Where the device's memory does not hold even one object at a time, tracks end: see
        `ObjectLimits.go`.

        Args:
            features: of B images.
            views: the B images, each of another camera.

        Returns:
            What is visible in each image.
        """
        states = {view.camera: self._camera(view) for view in views}
        return self.limits.go(states, partial(self._step, features, views, list(states.values())))

    def _step(
        self, features: ImageFeatures, views: Sequence[View], states: Sequence[CameraTracks]
    ) -> list[Instances]:
        attending, following = choose(views, states, self.settings, self.model.image_size)
        for state in states:
            for track in state.tracks:
                track.visible = track.shared = False
                track.refined = None
        known = attending + following
        masks = segment_known(self.model, features, views, attending, following, self.settings)
        if masks is not None:
            show(known, masks, views, self.settings.least_part)
            masks = correct(self.model, features, views, states, attending, masks, self.settings)
            self._believe(known, masks, views, states)
        prompted, found = segment_detections(self.model, features, views, states, self.settings)
        taken: list[Taken] = []
        for index, seen in found.items():
            taken += self._look(index, views[index], states[index], seen, prompted)
        self._remember(features, views, taken, prompted, known, masks)
        for state in states:
            state.settle(self.settings)
            state.grow_older(self.settings)
        return [self.instances(view.camera) for view in views]

    def refine(self, views: Sequence[View]) -> list[Instances]:
        """Outline anew what the newest frames show: see `refinement`.

        Args:
            views: the images of the newest step.

        Returns:
            What is visible in each image, as `instances` tells it from now on.
        """
        shown = {view.camera: self.cameras[view.camera].shown for view in views}
        seen = [view for view in views if shown[view.camera]]
        masks = [masks_of(shown[view.camera], view.size) for view in seen]
        closeups = refine(self.model, [view.image for view in seen], masks, self.settings)
        for view, own in zip(seen, closeups, strict=True):
            for track, closeup in zip(shown[view.camera], own, strict=True):
                track.refined = closeup
        return [self.instances(view.camera) for view in views]

    def most(self, camera: str) -> int:
        """How many objects a camera may have: fewer for a while after memory ran out."""
        return self.limits.of(camera, self.settings.max_objects)

    def _camera(self, view: View) -> CameraTracks:
        state = self.cameras.setdefault(view.camera, CameraTracks())
        state.begin(view)
        return state

    def _believe(
        self,
        known: Sequence[Owned],
        masks: Segmentation,
        views: Sequence[View],
        states: Sequence[CameraTracks],
    ) -> None:
        """Take the propagated masks for the objects, but for those that jumped or lie on another.

        Jumps come first: a mask that jumped onto an object is no claim to it.
        """
        for index, track in known:
            track.visible = track.visible and not track.jumped(views[index].stamp)
        for state in states:
            state.settle(self.settings)
        for row, (index, track) in enumerate(known):
            if track.visible:
                track.appear(views[index].stamp, masks.pointer[row])

    def _look(
        self,
        index: int,
        view: View,
        state: CameraTracks,
        found: SegmentedDetections,
        masks: Segmentation,
    ) -> list[Taken]:
        """Compare one camera's tracks with what the detector found.

        Returns:
            Who takes over the mask of which detection: tracks that drifted, that return, new ones.
        """
        keyframe = Keyframe(
            view,
            state,
            found,
            masks.pointer[found.rows],
            self._classes_of(view.camera),
            self.settings,
        )
        drifted, free = keyframe.follow()
        taken = [Taken(index, track, found.rows[column]) for track, column in drifted]
        for one in taken:
            self._take(one, masks, view)
        free = [column for column in free if keyframe.is_new(column)]
        returned = keyframe.returned(free)
        # Those that return go first: a newcomer might take the place of a lost track among them.
        for column in sorted(free, key=lambda column: column not in returned):
            if not keyframe.is_new(column):  # a second box on the same new object
                continue
            track = returned.get(column)
            if track is None:
                track = self._new_track(view)
                if not state.admit(track, self.most(view.camera)):
                    continue
            keyframe.agree(track, column)
            taken.append(Taken(index, track, found.rows[column]))
            self._take(taken[-1], masks, view)
        return taken

    def _take(self, taken: Taken, masks: Segmentation, view: View) -> None:
        """Show the mask of a detection as that of a track."""
        row = torch.tensor([taken.row], device=self.model.device)
        show([(0, taken.track)], masks[row], [view], self.settings.least_part)
        if taken.track.visible:
            taken.track.appear(view.stamp, masks.pointer[taken.row])

    def _new_track(self, view: View) -> Track:
        """A track without an id yet."""
        memory = TrackMemory(self.model.num_memories, self.model.max_pointers)
        return Track(track_id=0, memory=memory, born=view.stamp)

    def _remember(
        self,
        features: ImageFeatures,
        views: Sequence[View],
        taken: Sequence[Taken],
        prompted: Segmentation,
        known: Sequence[Owned],
        propagated: Segmentation | None,
    ) -> None:
        """Keep a memory of every mask that is worth it.

        Args:
            features: of the views' images.
            views: the frames.
            taken: tracks with a mask from a detection's box, a row of `prompted`.
            prompted: those masks.
            known: tracks with a propagated mask, one per row; a mask out of a box counts for more.
            propagated: those masks.
        """

        def worth(one: Taken) -> bool:
            return due(one.track, views[one.view_index].stamp, self.settings)

        chosen = [one for one in taken if worth(one)]
        write(self.model, features, views, chosen, prompted, True)
        if propagated is not None:
            done = {id(one.track) for one in taken}
            rest = [Taken(index, track, row) for row, (index, track) in enumerate(known)]
            rest = [one for one in rest if id(one.track) not in done and one.track.trusted]
            rest = [one for one in rest if worth(one)]
            write(self.model, features, views, rest, propagated, False)
