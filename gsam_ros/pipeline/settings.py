"""Every setting of the pipeline in one tree."""

from __future__ import annotations

from dataclasses import dataclass, field

from gsam_ros.detection.settings import DetectorSettings
from gsam_ros.settings import check, setting
from gsam_ros.tracking.settings import SegmenterSettings, TrackerSettings


@dataclass(frozen=True)
class Settings:
    """Everything that `GroundedTracker` needs to know.

    Raises:
        SettingError: a value lies outside its range.
    """

    device: str = setting(
        "auto",
        "Where the models run: auto (a GPU where there is one), cpu, cuda, cuda:1, ...",
    )
    precision: str = setting(
        "auto",
        "Number format of the models: auto takes bfloat16 on a GPU that has it and float32 "
        "elsewhere.",
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    threads: int = setting(
        0,
        "CPU threads that the models compute with; 0: half of the cores, or OMP_NUM_THREADS where "
        "the environment has it.",
        low=0,
        high=1024,
    )
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    segmenter: SegmenterSettings = field(default_factory=SegmenterSettings)
    tracker: TrackerSettings = field(default_factory=TrackerSettings)

    def __post_init__(self) -> None:
        check(self)
