"""Every setting of the machine with its default, in one place.

The ROS node declares its parameters from these dataclasses and the command line its options, so a
name, a default, a range and a description are written once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


def setting(default: Any, description: str, low: float | None = None, high: float | None = None,
            choices: tuple[str, ...] = (), runtime: bool = False) -> Any:
    """A dataclass field that carries what users need to know of it.

    Args:
        default: the value that needs no tuning.
        description: one sentence, with the unit.
        low: the least value allowed, inclusive.
        high: the greatest value allowed, inclusive.
        choices: the values allowed, where they are words.
        runtime: whether it can change between two frames of a running machine.
    """
    metadata = {"description": description, "low": low, "high": high, "choices": choices,
                "runtime": runtime}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class DetectorSettings:
    """Grounding DINO: what to load and what to believe."""

    model: str = setting("demo-detector", "Grounding DINO checkpoint: a name of ours "
                         "(demo-detector), a folder, or a Hugging Face hub id.")
    box_threshold: float = setting(0.35, "Least score of a detection.", 0.0, 1.0, runtime=True)
    nms_iou: float = setting(0.6, "Of two boxes that overlap by more (intersection over union) "
                             "the weaker one is dropped.", 0.0, 1.0, runtime=True)
    interval: int = setting(5, "The detector runs on every n-th frame of a camera.", 1, 1000,
                            runtime=True)


@dataclass(frozen=True)
class SegmenterSettings:
    """SAM 2: what to load and how much it remembers."""

    model: str = setting("demo-segmenter", "SAM 2 video checkpoint: a name of ours "
                         "(demo-segmenter), a folder, or a Hugging Face hub id.")


@dataclass(frozen=True)
class TrackerSettings:
    """Life of a track. Times are in seconds of the frames' stamps."""

    max_objects: int = setting(32, "Tracks kept per camera; beyond it, weak and long lost tracks "
                               "make room first.", 1, 1000, runtime=True)
    match_iou: float = setting(0.4, "Least overlap (intersection over union) of a detection and "
                               "a track that are the same object.", 0.0, 1.0, runtime=True)
    confirm_hits: int = setting(2, "Detections that a new track needs to be confirmed.", 1, 100,
                                runtime=True)
    tentative_misses: int = setting(2, "Keyframes without a detection after which an unconfirmed "
                                    "track ends.", 1, 100, runtime=True)
    confirmed_misses: int = setting(6, "Keyframes in a row without an agreeing detection after "
                                    "which a visible track counts as lost.", 1, 1000, runtime=True)
    lost_after: float = setting(10.0, "Seconds for which a track that is not visible keeps its "
                                "memory and its id.", 0.0, 3600.0, runtime=True)


@dataclass(frozen=True)
class Settings:
    """Everything that `GroundedTracker` needs to know."""

    device: str = setting("auto", "Where the models run: auto (a GPU where there is one), cpu, "
                          "cuda, cuda:1, ...")
    precision: str = setting("auto", "Number format of the models' weights; auto takes bfloat16 "
                             "on a GPU and float32 elsewhere.",
                             choices=("auto", "float32", "bfloat16", "float16"))
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    segmenter: SegmenterSettings = field(default_factory=SegmenterSettings)
    tracker: TrackerSettings = field(default_factory=TrackerSettings)


def leaves(settings: Any, prefix: str = "") -> list[tuple[str, Any, dict[str, Any]]]:
    """Every setting as (dotted name, value, metadata), in the order of declaration."""
    found: list[tuple[str, Any, dict[str, Any]]] = []
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        if entry.metadata:
            found.append((prefix + entry.name, value, dict(entry.metadata)))
        else:
            found.extend(leaves(value, f"{prefix}{entry.name}."))
    return found
