"""What a `GroundedTracker` knows, to go on with later."""

from __future__ import annotations

from dataclasses import dataclass

from gsam_ros.detection.regions import TileTurns
from gsam_ros.prompts import Prompt
from gsam_ros.tracking.camera_tracks import CameraTracks
from gsam_ros.tracking.gliding import Glide


@dataclass(frozen=True)
class TrackerState:
    """All that a step depends on besides models, settings and frames.

    Attributes:
        prompts: by camera the text, as it was typed, and the prompt that was in force; under None
            those of all cameras that had none of their own.
        version: of the newest prompt, whether it was in force still or not.
        cameras: their tracks.
        last_keyframe: stamp (ns) of each camera's last frame that the detector saw.
        turns: which tiles' turn it is.
        glides: where `tracker.rate` is set, the frames since the last that SAM 2 saw.
    """

    prompts: dict[str | None, tuple[str, Prompt]]
    version: int
    cameras: dict[str, CameraTracks]
    last_keyframe: dict[str, int]
    turns: dict[str, TileTurns]
    glides: dict[str, Glide]
