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
        0.3, "Least score of a detection.", low=0.0, high=1.0, runtime=True
    )
    nms_iou: float = setting(
        0.6,
        "Of two boxes that overlap by more (intersection over union) the weaker one is dropped.",
        low=0.0,
        high=1.0,
        runtime=True,
    )
    rate: float = setting(
        5.0,
        "Times per second of the frames' stamps that the detector looks at a camera; masks follow "
        "on every frame.",
        low=0.001,
        high=1000.0,
        runtime=True,
    )
