"""The machine: one object with one method that matters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from gsam_ros.detection.detector import Choose, GroundingDetector
from gsam_ros.detection.regions import TileTurns
from gsam_ros.detection.text import EncodedText
from gsam_ros.instances import Detections, Frame, FrameResult, Instances, which
from gsam_ros.pipeline.devices import choose_device, choose_dtype
from gsam_ros.pipeline.newest_frames import NewestFrames
from gsam_ros.pipeline.settings import Settings
from gsam_ros.pipeline.single_image import find
from gsam_ros.pipeline.stopwatch import Stopwatch
from gsam_ros.prompts import Prompt, parse_prompt, without_phrases
from gsam_ros.tracking.camera_tracks import CameraTracks, View
from gsam_ros.tracking.packages import load_segmenter
from gsam_ros.tracking.tracker import InstanceTracker
from gsam_ros.visual_prompts import VisualPrompt


@dataclass(frozen=True)
class TrackerState:
    """All that a step depends on besides models, settings and frames, to go on with later.

    Attributes:
        prompt: that was in force.
        cameras: their tracks.
        last_keyframe: stamp (ns) of each camera's last frame that the detector saw.
        turns: which tiles' turn it is.
    """

    prompt: Prompt | None
    cameras: dict[str, CameraTracks]
    last_keyframe: dict[str, int]
    turns: dict[str, TileTurns]


class GroundedTracker:
    """Finds, names, segments and follows what a text prompt asks for, and what is pointed at.

        tracker = GroundedTracker()
        tracker.set_prompt("red mug. person.")
        [result] = tracker.step([Frame(image, stamp)])

    Cameras don't influence each other, and a step depends on nothing but the frames before it, so
    the same frames give the same results. Not thread safe: one thread calls it.
    """

    def __init__(
        self, settings: Settings | None = None, progress: Callable[[str], None] | None = None
    ):
        """Load both models and warm them up.

        Args:
            settings: defaults where None.
            progress: told in a few words what goes on, once per step of loading.

        Raises:
            checkpoints.CheckpointError: a model can't be loaded.
            devices.DeviceError: the device isn't there.
        """
        self.settings = settings or Settings()
        tell = progress or (lambda _: None)
        device = choose_device(self.settings.device)
        dtype = choose_dtype(self.settings.precision, device)
        self.device = device
        tell(f"loading the detector {self.settings.detector.model} on {device}")
        shared = [
            choose_device(name, "detector.devices")
            for name in self.settings.detector.devices
            if name
        ]
        self._detector = GroundingDetector(self.settings.detector.model, device, dtype, shared)
        tell(f"loading the segmenter {self.settings.segmenter.model} on {device}")
        self._segmenter = load_segmenter(self.settings.segmenter, device, dtype)
        self._tracker = InstanceTracker(self._segmenter, self.settings.tracker)
        self._newest = NewestFrames(self._segmenter.encode_image)
        self._prompt: Prompt | None = None
        self._text: EncodedText | None = None
        self._last_keyframe: dict[str, int] = {}
        self._turns: dict[str, TileTurns] = {}
        tell("warming up")
        self._warm_up()

    @property
    def prompt(self) -> Prompt | None:
        """What is looked for now; None before the first prompt."""
        return self._prompt

    @property
    def vocabulary_warnings(self) -> tuple[str, ...]:
        """Phrases of the current prompt of which the detector knows no word."""
        return self._text.unknown if self._text else ()

    def set_prompt(self, text: str) -> Prompt:
        """Look for something else from the next step on.

        Tracks whose phrase stays live on under their ids, and so do those that were pointed at;
        the others end.

        Raises:
            PromptError: the text can't be used; the old prompt stays.
        """
        encoded = self._detector.encode(parse_prompt(text))
        prompt = self._next_prompt(encoded.phrases, self._tracker.names)
        self._text = encoded
        self._last_keyframe.clear()
        self._turns.clear()
        return self._adopt(prompt)

    def point_out(self, pointed: VisualPrompt) -> int:
        """Follow one object more: what lies there on the newest frame of its camera.

        Its results begin with the camera's next frame. Where the object is tracked already, it
        keeps its id and gets the name.

        Returns:
            The id of its track.

        Raises:
            PromptError: it can't be used (no frame of the camera yet, outside the image, no object
                there, no room for one more); prompt and tracks stay as they are.
        """
        frame = self._newest.frame(pointed.camera)
        height, width = frame.image.shape[:2]
        pointed = pointed.fit(height, width)
        phrases = self._prompt.phrases if self._prompt else ()
        prompt = self._next_prompt(phrases, (*self._tracker.names, pointed.name))
        view = View(frame.camera, frame.stamp, (height, width), None)
        track = self._tracker.point_out(self._newest.features(frame), view, pointed)
        self._adopt(prompt)
        return track.track_id

    def remove_object(self, camera: str, track_id: int) -> None:
        """End a track, in sight or lost; its id is not used again.

        Raises:
            LookupError: the camera has no such track.
        """
        if not self._tracker.remove(camera, track_id):
            raise LookupError(f"no object of {which(camera)} has the id {track_id}")

    def state(self) -> TrackerState:
        """What the next step depends on: write it away before that step, it is no copy."""
        return TrackerState(self._prompt, self._tracker.cameras, self._last_keyframe, self._turns)

    def restore(self, state: TrackerState, text: str) -> None:
        """Go on from a state of a tracker with the same models and settings.

        Args:
            state: from now on this tracker's own.
            text: the text prompt that was in force.
        """
        self.set_prompt(text)
        self._tracker.cameras = state.cameras
        self._last_keyframe, self._turns = state.last_keyframe, state.turns
        assert state.prompt is not None
        self._adopt(state.prompt)

    def detect(self, image: np.ndarray, text: str) -> tuple[Instances, Prompt]:
        """Look at one image on its own; streams, their tracks and their prompt stay as they are.

        Args:
            image: [H, W, 3] uint8 RGB.
            text: phrases that end with a dot.

        Returns:
            What was found, with the track id 0, and what `phrase_index` refers to (version 0).

        Raises:
            PromptError: the text can't be used.
        """
        encoded = self._detector.encode(parse_prompt(text))
        found = find(self._detector, self._segmenter, image, encoded, self.settings)
        return found, Prompt(0, encoded.phrases)

    def configure(self, settings: Settings) -> None:
        """Apply settings that may change while it runs; the models stay as they are."""
        self.settings = settings
        self._tracker.settings = settings.tracker

    def reset(self, camera: str | None = None) -> None:
        """Forget the tracks of one camera or of all; ids and prompt go on."""
        self._tracker.reset(camera)
        self._newest.clear(camera)
        if camera is None:
            self._last_keyframe.clear()
        else:
            self._last_keyframe.pop(camera, None)

    def step(self, frames: Sequence[Frame]) -> list[FrameResult]:
        """Answer new frames, at most one of each camera.

        A stamp that jumps back, or an image of another size, starts its camera's tracks anew.

        Raises:
            ValueError: two frames are of one camera.
        """
        if len({frame.camera for frame in frames}) < len(frames):
            raise ValueError("step takes at most one frame of each camera")
        if not frames:
            return []
        self._newest.keep(frames)
        if self._prompt is None:
            return [
                FrameResult(frame, Instances.none(*frame.image.shape[:2]), None, False)
                for frame in frames
            ]
        watch = Stopwatch(self.device)
        keyframes = [self._is_keyframe(frame) for frame in frames]
        with watch.stage("detect"):
            detections = self._detect(frames, keyframes)
        with watch.stage("encode"):
            features = self._segmenter.encode_image([frame.image for frame in frames])
        with watch.stage("track"):
            views = [
                View(frame.camera, frame.stamp, frame.image.shape[:2], *found, frame.image)
                for frame, found in zip(frames, detections, strict=True)
            ]
            instances = self._tracker.step(features, views)
        return [
            FrameResult(frame, found, self._prompt, keyframe, dict(watch.stage_ms))
            for frame, found, keyframe in zip(frames, instances, keyframes, strict=True)
        ]

    def _next_prompt(self, phrases: tuple[str, ...], names: Iterable[str]) -> Prompt:
        version = self._prompt.version + 1 if self._prompt else 1
        return Prompt(version, phrases, without_phrases(names, phrases))

    def _adopt(self, prompt: Prompt) -> Prompt:
        self._prompt = prompt
        self._tracker.set_phrases(prompt.phrases, prompt.names)
        return prompt

    def _is_keyframe(self, frame: Frame) -> bool:
        """Whether the detector's time has come; the first frame after any start always is one."""
        if self._text is None:
            return False
        camera = self._tracker.cameras.get(frame.camera)
        last = self._last_keyframe.get(frame.camera)
        keyframe = (
            last is None
            or camera is None
            or camera.stamp is None
            or frame.stamp < camera.stamp
            or camera.size != frame.image.shape[:2]
            # Stamps jitter: a frame that comes a little early is the one that was meant.
            or (frame.stamp - last) * self.settings.detector.rate >= 0.9e9
        )
        if keyframe:
            self._last_keyframe[frame.camera] = frame.stamp
        return keyframe

    def _detect(
        self, frames: Sequence[Frame], keyframes: Sequence[bool]
    ) -> list[tuple[Detections | None, Detections]]:
        """What starts tracks (None where nobody looked), and what only keeps them."""
        images = [frame.image for frame, chosen in zip(frames, keyframes, strict=True) if chosen]
        if not images or self._text is None:
            return [(None, Detections.none())] * len(frames)
        settings = self.settings.detector
        choose = None
        if settings.slices.regions:
            chosen_frames = (f for f, chosen in zip(frames, keyframes, strict=True) if chosen)
            choose = [self._choose_tiles(frame) for frame in chosen_frames]
        found = self._detector.detect(
            images,
            self._text,
            settings.box_threshold,
            settings.nms_iou,
            settings.slices,
            choose,
            self.settings.tracker.keep_share,
        )
        least = self._text.least_scores(settings.box_threshold, torch.device("cpu")).numpy()
        strong = [each.scores > least[each.phrase_index] for each in found]
        split = iter([(f[enough], f[~enough]) for f, enough in zip(found, strong, strict=True)])
        return [next(split) if chosen else (None, Detections.none()) for chosen in keyframes]

    def _choose_tiles(self, frame: Frame) -> Choose:
        """What chooses the tiles of a keyframe, by the tracks of its camera."""
        camera = self._tracker.cameras.get(frame.camera)
        if camera is None or camera.stamp is None or frame.stamp < camera.stamp:
            self._turns.pop(frame.camera, None)  # the stream starts over
        boxes = [track.box for track in camera.tracks if track.visible] if camera else []
        turns = self._turns.setdefault(frame.camera, TileTurns())
        known = np.array(boxes, np.float32).reshape(-1, 4)
        return partial(turns.choose, frame.image, known, self.settings.detector.slices.share)

    def _warm_up(self) -> None:
        """Run both models once, so that the first real frame is as fast as the hundredth."""
        image = np.zeros((480, 640, 3), np.uint8)
        text = self._detector.encode(("warm up",))
        self._detector.detect([image], text)
        features = self._segmenter.encode_image([image])
        box = np.array([[0, 0, 320, 240]], np.float32)
        found = Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64))
        tracker = InstanceTracker(self._segmenter, self.settings.tracker)
        tracker.set_phrases(("warm up",))
        for stamp in range(2):
            tracker.step(features, [View("", stamp, (480, 640), found if not stamp else None)])
