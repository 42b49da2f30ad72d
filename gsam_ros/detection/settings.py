"""What users can tune of detection."""

from __future__ import annotations

from dataclasses import dataclass

from gsam_ros.settings import setting


@dataclass(frozen=True)
class DetectorSettings:
    """Grounding DINO: what to load, when to run it and what to believe."""

    model: str = setting(
        "demo-detector",
        "Grounding DINO checkpoint: a name of ours (demo-detector), a folder, or a Hugging Face "
        "hub id such as IDEA-Research/grounding-dino-tiny.",
    )
    box_threshold: float = setting(
        0.35, "Least score of a detection.", low=0.0, high=1.0, runtime=True
    )
    nms_iou: float = setting(
        0.6,
        "Of two boxes that overlap by more (intersection over union) the weaker one is dropped.",
        low=0.0,
        high=1.0,
        runtime=True,
    )
    interval: int = setting(
        5, "The detector runs on every n-th frame of a camera.", low=1, high=1000, runtime=True
    )
