"""What each camera looks for: one prompt for all of them, and own ones for some.

A camera that is given a prompt of its own keeps it, whatever the others are asked to look for,
until it is given an empty one: from then on it looks for what the others do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.detection.text import EncodedText
from gsam_ros.instances import which
from gsam_ros.pipeline.newest_frames import NewestFrames
from gsam_ros.prompts import Phrase, Prompt, PromptError, parse_prompt, without_phrases
from gsam_ros.tracking.camera_tracks import View
from gsam_ros.tracking.history import History
from gsam_ros.tracking.tracker import InstanceTracker
from gsam_ros.visual_prompts import VisualPrompt

_AHEAD = 1_000_000_000
"""Nanoseconds by which an image that somebody points at may be newer than the newest that was
worked on."""


class _Text(NamedTuple):
    """A text prompt as it was typed, as it was understood, and as the detector keeps it."""

    typed: str
    meant: tuple[Phrase, ...]
    encoded: EncodedText


class _Sought(NamedTuple):
    """What one camera looks for, or all that have nothing of their own."""

    text: _Text | None = None
    prompt: Prompt | None = None


class CameraPrompts:
    """Keeps prompts, and lets the tracks of their cameras know.

    Versions are counted over all cameras: one of them means the same classes everywhere.

    Args:
        detector: reads texts.
        tracker: has the tracks.
        history: can go back to earlier frames.
        newest: the newest frame of each camera.
        look_again: told of each camera that was seen and looks for something else from now on.
    """

    def __init__(
        self,
        detector: GroundingDetector,
        tracker: InstanceTracker,
        history: History,
        newest: NewestFrames,
        look_again: Callable[[str], None],
    ) -> None:
        self._detector = detector
        self._tracker = tracker
        self._history = history
        self._newest = newest
        self._look_again = look_again
        self._sought: dict[str | None, _Sought] = {None: _Sought()}
        self._version = 0

    def of(self, camera: str | None) -> Prompt | None:
        """What a camera looks for, or those without a prompt of their own; None: nothing yet."""
        return self._of(camera).prompt

    def text(self, camera: str) -> EncodedText | None:
        """What the detector is asked for; the same object for cameras that ask for the same."""
        text = self._of(camera).text
        return text.encoded if text else None

    def set(self, text: str, camera: str | None) -> Prompt:
        """As of `GroundedTracker.set_prompt`."""
        if camera is not None and not text.strip():
            return self._share(camera)
        read = self._read(text)
        sought = self._next(read, self._tracker.names(camera))
        prompt = self._adopt(sought, camera)
        self._start_over(camera)
        return prompt

    def point_out(self, pointed: VisualPrompt) -> int:
        """As of `GroundedTracker.point_out`."""
        frame = self._newest.frame(pointed.camera)
        holder = self._holder(pointed.camera)
        names = (*self._tracker.names(holder), pointed.name)
        sought = self._next(self._sought[holder].text, names)
        _check_time(pointed, frame.stamp)
        if pointed.stamp is None or pointed.stamp >= frame.stamp:
            height, width = frame.image.shape[:2]
            pointed = pointed.fit(height, width)
            view = View(frame.camera, frame.stamp, (height, width), None, image=frame.image)
            features = self._history.features(frame.camera, frame.stamp)
            features = features or self._newest.features(frame)
            track = self._tracker.point_out(features, view, pointed)
        else:
            track = self._history.point_back(pointed, pointed.stamp)
        self._adopt(sought, holder)  # which may spell its name as the text does
        camera, copy = pointed.camera, track.copy()
        self._history.edit(
            camera,
            track.track_id,
            lambda tracks: tracks.put(copy.copy(), self._tracker.most(camera)),
        )
        return track.track_id

    def state(self) -> tuple[dict[str | None, tuple[str, Prompt]], int]:
        """`TrackerState.prompts` and `TrackerState.version`."""
        prompts = {
            holder: (text.typed if text else "", prompt)
            for holder, (text, prompt) in self._sought.items()
            if prompt
        }
        return prompts, self._version

    def restore(self, prompts: dict[str | None, tuple[str, Prompt]], version: int) -> None:
        """Go on with what `state` told; the tracker has its tracks again."""
        for holder in self._sought:
            if holder is not None:
                self._tracker.share_phrases(holder)
        self._sought = {None: _Sought()}
        # Those for all come last, so that they don't end the tracks of cameras with their own.
        for holder in sorted(prompts, key=lambda holder: holder is None):
            typed, prompt = prompts[holder]
            self._adopt(_Sought(self._read(typed) if typed else None, prompt), holder)
        self._version = version

    def _holder(self, camera: str | None) -> str | None:
        """Under which key a camera's prompt is kept."""
        return camera if camera in self._sought else None

    def _of(self, camera: str | None) -> _Sought:
        return self._sought[self._holder(camera)]

    def _read(self, typed: str) -> _Text:
        """Encode a text, unless another camera looks for the same already."""
        meant = parse_prompt(typed)
        for text, _ in self._sought.values():
            if text and text.meant == meant:
                return text._replace(typed=typed)
        return _Text(typed, meant, self._detector.encode(meant))

    def _next(self, text: _Text | None, names: Sequence[str]) -> _Sought:
        """What is to be looked for, under the next version."""
        phrases, unknown = (text.encoded.phrases, text.encoded.unknown) if text else ((), ())
        prompt = Prompt(self._version + 1, phrases, without_phrases(names, phrases), unknown)
        return _Sought(text, prompt)

    def _adopt(self, sought: _Sought, holder: str | None) -> Prompt:
        assert sought.prompt
        self._sought[holder] = sought
        self._version = sought.prompt.version
        self._tracker.set_phrases(sought.prompt.phrases, sought.prompt.names, holder)
        return sought.prompt

    def _share(self, camera: str) -> Prompt:
        """Have a camera look for what all others do, which gets the next version by that."""
        common = self._sought[None]
        if camera not in self._sought:
            if common.prompt is None:
                raise PromptError(
                    f"{which(camera)} has no prompt of its own to give up, and there is none for "
                    "all cameras"
                )
            return common.prompt
        names = (*self._tracker.names(), *self._tracker.names(camera))
        sought = self._next(common.text, names)
        del self._sought[camera]
        self._tracker.share_phrases(camera)
        self._look_again(camera)
        return self._adopt(sought, None)

    def _start_over(self, holder: str | None) -> None:
        """Whoever has a holder's prompt looks for something else from now on."""
        for camera in {*self._tracker.cameras, *self._newest.cameras}:
            if self._holder(camera) == holder:
                self._look_again(camera)


def _check_time(pointed: VisualPrompt, newest: int) -> None:
    """Refuse a stamp of an image that there can't have been.

    Args:
        pointed: where.
        newest: stamp of its camera's newest image, nanoseconds.

    Raises:
        PromptError: it is of another clock, or of before time jumped back.
    """
    if pointed.stamp is not None and pointed.stamp - newest > _AHEAD:
        raise PromptError(
            f"its stamp is {(pointed.stamp - newest) / 1e9:.2f} s newer than the newest image of "
            f"{which(pointed.camera)}: it is of another clock, or of a bag's last round; give the "
            "stamp of an image, or leave it 0, which means the newest image"
        )
