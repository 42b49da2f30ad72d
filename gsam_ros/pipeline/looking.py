"""When the detector looks at a camera, and what it makes of the frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch

from gsam_ros.batches import Shortage
from gsam_ros.detection.detector import Choose, GroundingDetector
from gsam_ros.detection.regions import TileTurns
from gsam_ros.detection.text import EncodedText
from gsam_ros.instances import Detections, Frame
from gsam_ros.pipeline.rates import is_due
from gsam_ros.pipeline.settings import Settings
from gsam_ros.tracking.camera_tracks import CameraTracks

Found = tuple[Detections, Detections]
"""What starts tracks, and what only keeps them."""


class Looking:
    """The detector's share in a stream.

    Args:
        detector: looks.
        text: what a camera looks for; None before its first prompt.

    Attributes:
        last: stamp (ns) of each camera's last frame that the detector saw.
        turns: which tiles' turn it is, by camera.
    """

    def __init__(
        self, detector: GroundingDetector, text: Callable[[str], EncodedText | None]
    ) -> None:
        self._detector = detector
        self._text = text
        self.last: dict[str, int] = {}
        self.turns: dict[str, TileTurns] = {}
        self._memory = Shortage(
            "the detector has no memory for an image, nothing new is found",
            "memory is there again: the detector finds what is new",
        )

    @property
    def shortage(self) -> str:
        """For people, while the device has no memory for a single image; else empty."""
        return self._memory.told

    def forget(self, camera: str | None = None) -> None:
        """The next frame of one camera or of all is a keyframe, looked at from the first tile."""
        for name in {*self.last, *self.turns} if camera is None else [camera]:
            self.last.pop(name, None)
            self.turns.pop(name, None)

    def is_due(self, frame: Frame, camera: CameraTracks | None, rate: float) -> bool:
        """Whether the detector's time has come; the first frame after any start always is one.

        Args:
            frame: new.
            camera: its tracks, before it.
            rate: times per second.
        """
        if self._text(frame.camera) is None:
            return False
        last = self.last.get(frame.camera)
        height, width = frame.image.shape[:2]
        starts = (
            camera is None
            or camera.stamp is None
            or camera.starts_over(frame.stamp, (height, width))
        )
        if starts:
            self.turns.pop(frame.camera, None)
        return last is None or starts or is_due(frame.stamp - last, rate)

    def job(
        self, frames: Sequence[Frame], cameras: Mapping[str, CameraTracks], settings: Settings
    ) -> Callable[[], list[Found | None]]:
        """A look at frames, to be done at once or elsewhere: one answer per frame.

        The detector is asked once for all frames whose cameras look for the same. The answers are
        None where the device has no memory to look: what is known is followed.

        Args:
            frames: at least one, of different cameras.
            cameras: the tracks of all cameras, before these frames.
            settings: that count for this look, also if others come meanwhile.
        """
        for frame in frames:
            self.last[frame.camera] = frame.stamp
        looks = []
        for text, places in _by_text([self._text(frame.camera) for frame in frames]):
            own = [frames[place] for place in places]
            choose = None
            if settings.detector.slices.regions:
                share = settings.detector.slices.share
                choose = [self._choose_tiles(f, cameras.get(f.camera), share) for f in own]
            images = [frame.image for frame in own]
            looks.append((places, partial(self._look, images, text, settings, choose)))
        return partial(_together, looks)

    def _look(
        self,
        images: Sequence[np.ndarray],
        text: EncodedText,
        settings: Settings,
        choose: Sequence[Choose] | None,
    ) -> list[Found | None]:
        own = settings.detector
        found = self._memory.attempt(
            lambda: self._detector.detect(
                images,
                text,
                own.box_threshold,
                own.nms_iou,
                own.slices,
                choose,
                settings.tracker.keep_share,
            )
        )
        if found is None:
            return [None] * len(images)
        return _by_strength(found, text, own.box_threshold)

    def _choose_tiles(self, frame: Frame, camera: CameraTracks | None, share: float) -> Choose:
        """What chooses the tiles of a keyframe, by the tracks of its camera."""
        boxes = [track.box for track in camera.tracks if track.visible] if camera else []
        turns = self.turns.setdefault(frame.camera, TileTurns())
        known = np.array(boxes, np.float32).reshape(-1, 4)
        return partial(turns.choose, frame.image, known, share)


def _by_text(texts: Sequence[EncodedText | None]) -> list[tuple[EncodedText, list[int]]]:
    """Each text with its places."""
    places: dict[int, tuple[EncodedText, list[int]]] = {}
    for place, text in enumerate(texts):
        assert text is not None  # else the frame would not be due
        places.setdefault(id(text), (text, []))[1].append(place)
    return list(places.values())


def _together(
    looks: Sequence[tuple[list[int], Callable[[], list[Found | None]]]],
) -> list[Found | None]:
    """Look one after the other; the answers in the order of their places."""
    answers: dict[int, Found | None] = {}
    for places, look in looks:
        answers |= dict(zip(places, look(), strict=True))
    return [answers[place] for place in sorted(answers)]


def _by_strength(
    found: Sequence[Detections], text: EncodedText, threshold: float
) -> list[Found | None]:
    """Divide what was found into what starts tracks and what only keeps them."""
    least = text.least_scores(threshold, torch.device("cpu")).numpy()
    strong = [each.scores > least[each.phrase_index] for each in found]
    return [(f[enough], f[~enough]) for f, enough in zip(found, strong, strict=True)]
