"""When the detector looks at a camera, and what it makes of the frame."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch

from gsam_ros.batches import describe, give_back, is_out_of_memory
from gsam_ros.detection.detector import Choose, GroundingDetector
from gsam_ros.detection.regions import TileTurns
from gsam_ros.detection.text import EncodedText
from gsam_ros.instances import Detections, Frame
from gsam_ros.pipeline.settings import Settings
from gsam_ros.tracking.camera_tracks import CameraTracks

Found = tuple[Detections, Detections]
"""What starts tracks, and what only keeps them."""

_LOG = logging.getLogger(__name__)


class Keyframes:
    """The detector's share in a stream.

    Args:
        detector: looks.

    Attributes:
        text: what is looked for; None before the first prompt.
        last: stamp (ns) of each camera's last frame that the detector saw.
        turns: which tiles' turn it is, by camera.
        shortage: for people, while the device has no memory for a single image; else empty.
    """

    def __init__(self, detector: GroundingDetector) -> None:
        self._detector = detector
        self.text: EncodedText | None = None
        self.last: dict[str, int] = {}
        self.turns: dict[str, TileTurns] = {}
        self.shortage = ""

    def look_for(self, text: EncodedText) -> None:
        """From now on, beginning with the next frame of each camera."""
        self.text = text
        self.last.clear()
        self.turns.clear()

    def forget(self, camera: str | None = None) -> None:
        """The next frame of one camera or of all is a keyframe."""
        for name in list(self.last) if camera is None else [camera]:
            self.last.pop(name, None)

    def is_due(self, frame: Frame, camera: CameraTracks | None, rate: float) -> bool:
        """Whether the detector's time has come; the first frame after any start always is one.

        Args:
            frame: new.
            camera: its tracks, before it.
            rate: times per second.
        """
        if self.text is None:
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
        return (
            last is None
            or starts
            # Stamps jitter: a frame that comes a little early is the one that was meant.
            or (frame.stamp - last) * rate >= 0.9e9
        )

    def job(
        self, frames: Sequence[Frame], cameras: Mapping[str, CameraTracks], settings: Settings
    ) -> Callable[[], list[Found | None]]:
        """A look at frames, to be done at once or elsewhere: one answer per frame.

        The answers are None where the device has no memory to look: what is known is followed.

        Args:
            frames: at least one, of different cameras.
            cameras: the tracks of all cameras, before these frames.
            settings: that count for this look, also if others come meanwhile.
        """
        assert self.text is not None  # else no frame is due
        for frame in frames:
            self.last[frame.camera] = frame.stamp
        choose = None
        if settings.detector.slices.regions:
            share = settings.detector.slices.share
            choose = [self._choose_tiles(f, cameras.get(f.camera), share) for f in frames]
        return partial(self._look, [frame.image for frame in frames], self.text, settings, choose)

    def _look(
        self,
        images: Sequence[np.ndarray],
        text: EncodedText,
        settings: Settings,
        choose: Sequence[Choose] | None,
    ) -> list[Found | None]:
        own = settings.detector
        try:
            found = self._detector.detect(
                images,
                text,
                own.box_threshold,
                own.nms_iou,
                own.slices,
                choose,
                settings.tracker.keep_share,
            )
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            why = describe(error)
        else:
            self._tell("")
            return _by_strength(found, text, own.box_threshold)
        give_back()
        self._tell(f"{why}: the detector has no memory for an image, nothing new is found")
        return [None] * len(images)

    def _tell(self, shortage: str) -> None:
        """Say once that memory is short, and once that it is there again."""
        if bool(shortage) != bool(self.shortage):
            _LOG.warning(shortage or "memory is there again: the detector finds what is new")
        self.shortage = shortage

    def _choose_tiles(self, frame: Frame, camera: CameraTracks | None, share: float) -> Choose:
        """What chooses the tiles of a keyframe, by the tracks of its camera."""
        boxes = [track.box for track in camera.tracks if track.visible] if camera else []
        turns = self.turns.setdefault(frame.camera, TileTurns())
        known = np.array(boxes, np.float32).reshape(-1, 4)
        return partial(turns.choose, frame.image, known, share)


def _by_strength(
    found: Sequence[Detections], text: EncodedText, threshold: float
) -> list[Found | None]:
    """Divide what was found into what starts tracks and what only keeps them."""
    least = text.least_scores(threshold, torch.device("cpu")).numpy()
    strong = [each.scores > least[each.phrase_index] for each in found]
    return [(f[enough], f[~enough]) for f, enough in zip(found, strong, strict=True)]
