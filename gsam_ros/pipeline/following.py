"""One step of the stream: the detector where it is time to, masks, and tracks, for new frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.instances import Detections, Frame, FrameResult, Instances
from gsam_ros.pipeline.beside import BesideDetector, Job
from gsam_ros.pipeline.camera_prompts import CameraPrompts
from gsam_ros.pipeline.glides import Glides
from gsam_ros.pipeline.late_detections import LateDetections
from gsam_ros.pipeline.looking import Found, Looking
from gsam_ros.pipeline.refining import Refining
from gsam_ros.pipeline.settings import Settings
from gsam_ros.pipeline.step_errors import NothingBegun
from gsam_ros.pipeline.stopwatch import Stopwatch
from gsam_ros.tracking.camera_tracks import View
from gsam_ros.tracking.history import History
from gsam_ros.tracking.propagation import encode_images
from gsam_ros.tracking.segmenters.interface import ImageFeatures, SegmentationModel
from gsam_ros.tracking.tracker import InstanceTracker


class Following:
    """Detects, segments and follows what cameras look for.

    Args:
        settings: may be replaced between two steps.
        device: that the models run on.
        detector: finds.
        segmenter: encodes images.
        tracker: makes masks, and has the tracks.
        history: can go back to earlier frames.
        prompts: what each camera looks for.

    Attributes:
        settings: as given.
        looking: when the detector looks.
        glides: frames that SAM 2 does not look at.
        refining: what outlines masks anew.
        late: the detector beside the stream; None where frames wait for it.
    """

    def __init__(
        self,
        settings: Settings,
        device: torch.device,
        detector: GroundingDetector,
        segmenter: SegmentationModel,
        tracker: InstanceTracker,
        history: History,
        prompts: CameraPrompts,
    ) -> None:
        self.settings = settings
        self._device = device
        self._segmenter = segmenter
        self._tracker = tracker
        self._history = history
        self._prompts = prompts
        self.looking = Looking(detector, prompts.text)
        self.glides = Glides()
        self.refining = Refining(tracker)
        self.late: LateDetections | None = None

    def begin_beside(self, done: Callable[[], None]) -> None:
        """From now on the detector works in a thread of its own, which calls `done`."""
        detector = BesideDetector(self._device, done)
        self.late = LateDetections(detector, self._history, self._job)

    def reset(self, camera: str | None = None) -> None:
        """Nothing that is under way counts any more, of one camera or of all."""
        self.looking.forget(camera)
        self.glides.clear(camera)
        if self.late:
            self.late.forget(camera)

    def step(self, frames: Sequence[Frame]) -> list[FrameResult]:
        """Answer frames of different cameras that look for something."""
        watch = Stopwatch(self._device)
        changed: set[str] = set()
        self._tell_of_glides(frames)
        if self.late:
            self._forget_starts(self.late, frames)
            changed, _ = self._work_in(self.late, watch)
            self.late.check([frame.camera for frame in frames])
        glided: list[str] = []
        if rate := self.settings.tracker.rate:
            with watch.stage("glide"):
                glided = [frame.camera for frame in frames if self.glides.carry(frame, rate)]
        looked_at = [frame for frame in frames if frame.camera not in glided]
        shown, keyframes = self._segment(looked_at, watch) if looked_at else ({}, set())
        if coarse := [
            view for camera in changed & {*glided} if (view := self._history.view(camera))
        ]:
            with watch.stage("refine"):  # tracks that went a way anew have no fine outlines yet
                self.refining.show(coarse)
        if glided:
            with watch.stage("glide"):
                for camera in glided:
                    shown[camera] = self.glides.move(camera, self._tracker.instances(camera))
        return [
            FrameResult(
                frame,
                shown[frame.camera],
                self._prompts.of(frame.camera),
                frame.camera in keyframes,
                tuple(watch.stages),
                self.late.news(frame.camera) if self.late else None,
            )
            for frame in frames
        ]

    def _segment(
        self, frames: Sequence[Frame], watch: Stopwatch
    ) -> tuple[dict[str, Instances], set[str]]:
        """What SAM 2 shows on frames of different cameras, and of which the detector looks.

        Raises:
            NothingBegun: no track was touched.
        """
        keyframes = [self._is_keyframe(frame) for frame in frames]
        last = dict(self.looking.last)
        try:
            return self._segment_keyframes(frames, keyframes, watch)
        except NothingBegun:
            if not self.late:  # what was found is lost, and the next frames are looked at instead
                self.looking.last = last
            raise

    def _segment_keyframes(
        self, frames: Sequence[Frame], keyframes: Sequence[bool], watch: Stopwatch
    ) -> tuple[dict[str, Instances], set[str]]:
        found = self._look(frames, keyframes, watch)
        with watch.stage("encode"):
            features = self._encode(frames)
        if self.late:  # a detector that is as fast as the encoder is in time
            found |= self._work_in(self.late, watch, frames)[1]
        with watch.stage("track"):
            seen = [found.get(frame.camera, (None, Detections.none())) for frame in frames]
            views = [
                View(frame.camera, frame.stamp, frame.image.shape[:2], strong, weak, frame.image)
                for frame, (strong, weak) in zip(frames, seen, strict=True)
            ]
            self._tracker.step(features, self._keep(features, views))
        if self.late:  # one that is faster than the masks counts for its own frame, too
            self._work_in(self.late, watch)
        with watch.stage("refine"):
            instances = self.refining.show(views)
        for frame in frames:
            self.glides.begin(frame, self.settings.tracker.rate)
        cameras = [frame.camera for frame in frames]
        looked = {name for name, is_one in zip(cameras, keyframes, strict=True) if is_one}
        return dict(zip(cameras, instances, strict=True)), looked

    def _encode(self, frames: Sequence[Frame]) -> ImageFeatures:
        """Features of the frames' images.

        Raises:
            NothingBegun: the segmenter fails on one, or there is no memory for it.
        """
        try:
            return encode_images(self._segmenter, [frame.image for frame in frames])
        except Exception as error:
            raise NothingBegun("an image can't be encoded") from error

    def _keep(self, features: ImageFeatures, views: Sequence[View]) -> list[View]:
        """Keep the frames, to go back to them; the views to make the step with.

        Raises:
            NothingBegun: there is no memory for that.
        """
        try:
            return self._history.keep(features, views, self.late.asked if self.late else {})
        except Exception as error:
            raise NothingBegun("a frame can't be kept") from error

    def _tell_of_glides(self, frames: Sequence[Frame]) -> None:
        """Time may jump back behind frames that only glided, of which the tracks don't know."""
        for frame in frames:
            tracks = self._tracker.cameras.get(frame.camera)
            newest = self.glides.stamp(frame.camera)
            if tracks and newest is not None and frame.stamp < newest:
                tracks.stamp = newest

    def _forget_starts(self, late: LateDetections, frames: Sequence[Frame]) -> None:
        """What was asked of cameras whose stream starts over does not count any more."""
        for frame in frames:
            tracks = self._tracker.cameras.get(frame.camera)
            if tracks and tracks.starts_over(frame.stamp, frame.image.shape[:2]):
                late.forget(frame.camera)

    def _work_in(
        self, late: LateDetections, watch: Stopwatch, new: Sequence[Frame] = ()
    ) -> tuple[set[str], dict[str, Found]]:
        """Take in what the detector found beside; returns as `LateDetections.work_in`."""
        begin = time.perf_counter()
        changed, in_time = late.work_in(new)
        if changed:
            watch.end("catch_up", begin)
        return changed, in_time

    def _is_keyframe(self, frame: Frame) -> bool:
        if self.late and frame.camera in self.late.asked:
            return False
        tracks = self._tracker.cameras.get(frame.camera)
        return self.looking.is_due(frame, tracks, self.settings.detector.rate)

    def _look(
        self, frames: Sequence[Frame], keyframes: Sequence[bool], watch: Stopwatch
    ) -> dict[str, Found]:
        """What the detector finds, by camera; nothing where it did not look or works beside."""
        chosen = [frame for frame, is_one in zip(frames, keyframes, strict=True) if is_one]
        if self.late and self.settings.tracker.kept_frames:
            self.late.ask(chosen)
            return {}
        if not chosen:
            return {}
        with watch.stage("detect"):
            answers = self._job(chosen)()
        return {
            frame.camera: each
            for frame, each in zip(chosen, answers, strict=True)
            if each is not None
        }

    def _job(self, frames: Sequence[Frame]) -> Job:
        return self.looking.job(frames, self._tracker.cameras, self.settings)
