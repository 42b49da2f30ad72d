"""The pipeline: one object with one method that matters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.instances import Frame, FrameResult, Instances, which
from gsam_ros.pipeline.camera_prompts import CameraPrompts
from gsam_ros.pipeline.devices import choose_device, choose_dtype, is_lost, limit_blas, use_threads
from gsam_ros.pipeline.following import Following
from gsam_ros.pipeline.newest_frames import NewestFrames
from gsam_ros.pipeline.settings import Settings
from gsam_ros.pipeline.single_image import find
from gsam_ros.pipeline.tracker_state import TrackerState
from gsam_ros.pipeline.warm_up import warm_up
from gsam_ros.process_memory import RegularTrim
from gsam_ros.prompts import Prompt, parse_prompt
from gsam_ros.tracking.history import History
from gsam_ros.tracking.segmenters.packages import load_segmenter
from gsam_ros.tracking.tracker import InstanceTracker
from gsam_ros.visual_prompts import VisualPrompt


class GroundedTracker:
    """Finds, names, segments and follows what a text prompt asks for, and what is pointed at.

        tracker = GroundedTracker()
        tracker.set_prompt("red mug. person.")
        [result] = tracker.step([Frame(image, stamp)])

    Cameras don't influence each other, but for `tracker.attention_budget`, which they share. A step
    depends on nothing but the frames before it, so the same frames give the same results: unless
    the detector works beside (`detector.beside`), whose answers count from the frame on at which
    they are there. Not thread safe: one thread calls it.

    Attributes:
        when_detected: called by another thread when `catch_up` has something to do.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        progress: Callable[[str], None] | None = None,
        live: bool = False,
    ):
        """Load both models and warm them up.

        From then on numpy's products have one thread in this process (see `devices.limit_blas`),
        and torch has `threads`; where that is 0 it keeps what it has.

        Args:
            settings: defaults where None.
            progress: told in a few words what goes on, once per step of loading.
            live: frames come in real time, and fresh results count for more than the same results
                each time.

        Raises:
            checkpoints.CheckpointError: a model can't be loaded.
            devices.DeviceError: the device isn't there.
        """
        self.settings = settings or Settings()
        tell = progress or (lambda _: None)
        limit_blas()
        if self.settings.threads:
            use_threads(self.settings.threads)
        device = choose_device(self.settings.device)
        dtype = choose_dtype(self.settings.precision, device)
        self.device = device
        tell(f"loading the detector {self.settings.detector.model} on {device}")
        shared = [
            choose_device(name, "detector.devices")
            for name in self.settings.detector.devices
            if name
        ]
        self._detector = GroundingDetector(
            self.settings.detector.model,
            device,
            dtype,
            shared,
            self.settings.detector.phrases_at_once,
        )
        tell(f"loading the segmenter {self.settings.segmenter.model} on {device}")
        self._segmenter = load_segmenter(self.settings.segmenter, device, dtype)
        self._tracker = InstanceTracker(self._segmenter, self.settings.tracker)
        self._history = History(self._tracker)
        self._newest = NewestFrames(self._segmenter.encode_image)
        self._prompts = CameraPrompts(
            self._detector, self._tracker, self._history, self._newest, self._look_again
        )
        self._following = Following(
            self.settings,
            device,
            self._detector,
            self._segmenter,
            self._tracker,
            self._history,
            self._prompts,
        )
        self._trim = RegularTrim()
        self.when_detected: Callable[[], None] = lambda: None
        beside = self.settings.detector.beside
        if beside == "always" or (beside == "auto" and live):
            self._following.begin_beside(lambda: self.when_detected())  # noqa: PLW0108  it changes
        tell("warming up")
        try:
            warm_up(self._detector, self._segmenter, self.settings.tracker, self._following.late)
        except BaseException:
            self.close()  # a thread that is left would keep the models, and their memory
            raise

    @property
    def prompt(self) -> Prompt | None:
        """What cameras without a prompt of their own look for; None before the first prompt."""
        return self._prompts.of(None)

    def prompt_of(self, camera: str) -> Prompt | None:
        """What a camera looks for: its own prompt, or else that for all."""
        return self._prompts.of(camera)

    def shortages(self) -> list[str]:
        """What is short at the moment, of memory or of time, for people.

        Any thread may ask. While something is short, as much as fits goes on.
        """
        told = [self._following.looking.shortage, self._following.refining.shortage]
        own = [*self._detector.shortages, *self._segmenter.batches.shortages]
        late = self._following.late
        long = late.long_look if late else ""
        return [*filter(None, (*told, long)), *own, *self._tracker.limits.shortages]

    def set_prompt(self, text: str, camera: str | None = None) -> Prompt:
        """Look for something else from the next step on.

        Tracks whose phrase stays live on under their ids, and so do those that were pointed at;
        the others end. Other cameras' tracks stay as they are.

        Args:
            text: phrases that end with a dot.
            camera: that looks for it alone, whatever is set for all; a text without words gives it
                back: it looks for what is set for all. None: all cameras without their own prompt.

        Returns:
            What the camera looks for now; its version is that of all results from now on.

        Raises:
            PromptError: the text can't be used; the old prompt stays.
        """
        return self._prompts.set(text, camera)

    def point_out(self, pointed: VisualPrompt) -> int:
        """Follow one object more: what lies there on a frame of its camera.

        Its results begin with the camera's next frame. Where the object is tracked already, it
        keeps its id and gets the name.

        Args:
            pointed: where its stamp is None, in the camera's newest frame.

        Returns:
            The id of its track.

        Raises:
            PromptError: it can't be used (no frame of the camera yet or none that old, outside the
                image, no object there, no room for one more); prompt and tracks stay as they are.
        """
        track_id = self._prompts.point_out(pointed)
        self._following.glides.clear(pointed.camera)
        return track_id

    def remove_object(self, camera: str, track_id: int) -> None:
        """End a track, in sight or lost; its id is not used again.

        Raises:
            LookupError: the camera has no such track.
        """
        if not self._tracker.remove(camera, track_id):
            raise LookupError(f"no object of {which(camera)} has the id {track_id}")
        self._history.edit(camera, track_id, lambda tracks: tracks.remove(track_id))

    def state(self) -> TrackerState:
        """What the next step depends on: write it away before that step, it is no copy."""
        looking, glides = self._following.looking, self._following.glides.cameras
        prompts, version = self._prompts.state()
        cameras = self._tracker.cameras
        return TrackerState(prompts, version, cameras, looking.last, looking.turns, glides)

    def restore(self, state: TrackerState) -> None:
        """Go on from a state of a tracker with the same models and settings.

        Args:
            state: from now on this tracker's own.
        """
        self.reset()
        self._tracker.cameras = state.cameras
        self._prompts.restore(state.prompts, state.version)
        looking = self._following.looking
        looking.last, looking.turns = state.last_keyframe, state.turns
        self._following.glides.cameras = state.glides

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
        return found, Prompt(0, encoded.phrases, unknown=encoded.unknown)

    def configure(self, settings: Settings) -> None:
        """Apply settings that may change while it runs; the models stay as they are."""
        self.settings = self._following.settings = settings
        self._tracker.settings = settings.tracker

    def reset(self, camera: str | None = None) -> None:
        """Forget the tracks of one camera or of all; ids and prompt go on."""
        self._tracker.reset(camera)
        self._newest.clear(camera)
        self._history.clear(camera)
        self._following.reset(camera)

    def catch_up(self) -> None:
        """Work in what was found beside; a step does so itself, which this spares it.

        What the detector raised is raised by the next step.
        """
        if self._following.late:
            self._following.late.work_in()

    def is_lost(self) -> bool:
        """Whether the device fails on everything: see `devices.is_lost`."""
        return is_lost(self.device)

    def close(self) -> None:
        """End the detector's thread; no step comes after."""
        if self._following.late:
            self._following.late.close()

    def step(self, frames: Sequence[Frame]) -> list[FrameResult]:
        """Answer new frames, at most one of each camera.

        A stamp that jumps back, or an image of another size, starts its camera's tracks anew.

        Raises:
            ValueError: two frames are of one camera.
        """
        if len({frame.camera for frame in frames}) < len(frames):
            raise ValueError("step takes at most one frame of each camera")
        self._newest.keep(frames)
        asked = [frame for frame in frames if self._is_asked(frame.camera)]
        answers = {each.frame.camera: each for each in self._following.step(asked)} if asked else {}
        self._trim()
        return [answers.get(frame.camera) or self._nothing(frame) for frame in frames]

    def _is_asked(self, camera: str) -> bool:
        """Whether there is anything to be looked for or followed."""
        prompt = self._prompts.of(camera)
        return bool(prompt and prompt.classes)

    def _nothing(self, frame: Frame) -> FrameResult:
        """The answer where nothing is looked for, which costs nothing."""
        self._history.clear(frame.camera)  # frames are missing from now on
        nothing = Instances.none(*frame.image.shape[:2])
        return FrameResult(frame, nothing, self._prompts.of(frame.camera), False)

    def _look_again(self, camera: str) -> None:
        """A camera looks for something else: what was tracked or is under way is not of that."""
        self._history.forget_tracks(camera)
        self._following.reset(camera)
