"""What users can tune of detection."""

from __future__ import annotations

from dataclasses import dataclass, field

from gsam_ros.settings import SettingError, setting


@dataclass(frozen=True)
class SliceSettings:
    """Sliced inference (SAHI, arXiv 2202.06934): large images are looked at in tiles, too.

    Raises:
        SettingError: LSNMS with another metric than IOU.
    """

    mode: str = setting(
        "never",
        "Look at tiles of an image, too, for small objects; auto: of images that the model would "
        "shrink by more than the factor below.",
        choices=("never", "auto", "always"),
        runtime=True,
    )
    shrink: float = setting(
        2.0,
        "Factor by which the model has to shrink an image before auto cuts it into tiles.",
        low=1.0,
        high=100.0,
        runtime=True,
    )
    width: int = setting(
        0,
        "Pixels of a tile; 0: what the model takes as it is, at 4 to 3.",
        low=0,
        high=16384,
        runtime=True,
    )
    height: int = setting(
        0,
        "Pixels of a tile; 0: what the model takes as it is.",
        low=0,
        high=16384,
        runtime=True,
    )
    overlap: float = setting(
        0.2,
        "Share of a tile that its neighbour sees as well; objects up to that size are whole in one "
        "of both.",
        low=0.0,
        high=0.9,
        runtime=True,
    )
    full_image: bool = setting(
        True,
        "Look at the whole image besides its tiles: it has the objects that no tile holds.",
        runtime=True,
    )
    regions: bool = setting(
        False,
        "Look only at tiles with tracks or motion, and at a share of the others in turn; for "
        "cameras that stand still.",
        runtime=True,
    )
    share: float = setting(
        0.2,
        "Share of the tiles without tracks and motion that are looked at on each keyframe, where "
        "only regions are.",
        low=0.01,
        high=1.0,
        runtime=True,
    )
    merge: str = setting(
        "GREEDYNMM",
        "How boxes of several tiles become one: NMS keeps the best, GREEDYNMM makes it the hull of "
        "all that overlap it, NMM also of those that overlap these; LSNMS is NMS by IOU.",
        choices=("NMS", "NMM", "GREEDYNMM", "LSNMS"),
        runtime=True,
    )
    metric: str = setting(
        "IOS",
        "What counts as overlap: intersection over union, or over the smaller box, which finds the "
        "pieces of an object.",
        choices=("IOU", "IOS"),
        runtime=True,
    )
    threshold: float = setting(
        0.5, "Least overlap of boxes that become one.", low=0.01, high=1.0, runtime=True
    )
    across_phrases: bool = setting(
        False, "Merge boxes of different phrases, too (class-agnostic).", runtime=True
    )
    drop_cut: bool = setting(
        True,
        "Drop a box that ends where its tile ends if another of its phrase holds it; false, with "
        "detector.nms_iou at 1, gives the same boxes as the sahi package.",
        runtime=True,
    )
    batch: int = setting(
        8,
        "Tiles that go through the model at once, at most: fewer where free memory holds fewer, "
        "and half as many from the moment that it runs out.",
        low=1,
        high=1024,
        runtime=True,
    )

    def __post_init__(self) -> None:
        if self.merge == "LSNMS" and self.metric != "IOU":
            raise SettingError(
                f"detector.slices.metric is {self.metric}: LSNMS takes IOU only; give IOU, or "
                "merge by NMS"
            )


@dataclass(frozen=True)
class DetectorSettings:
    """Grounding DINO: what to load, when to run it and what to believe."""

    model: str = setting(
        "demo-detector",
        "Grounding DINO checkpoint: a name of ours (demo-detector), a folder, or a Hugging Face "
        "hub id such as IDEA-Research/grounding-dino-tiny.",
    )
    box_threshold: float = setting(
        0.35,
        "Least score of a detection; less keeps a track (tracker.keep_share).",
        low=0.0,
        high=1.0,
        runtime=True,
    )
    phrases_at_once: int = setting(
        0,
        "Phrases that the model reads together, at most; 0: as many as its text limit allows. In "
        "long prompts scores sink and phrases are taken for one another; 1 makes each phrase's "
        "scores independent of the others, at the cost of one pass (not of the image backbone) per "
        "phrase.",
        low=0,
        high=1000,
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
    beside: str = setting(
        "auto",
        "Whether the detector works beside the stream, in a thread of its own: masks go on, and "
        "what it finds is worked in when it is there, as if it had been in time. never: the frame "
        "waits for it; auto: beside in live mode.",
        choices=("auto", "always", "never"),
    )
    devices: tuple[str, ...] = setting(
        ("",),
        "Devices that share the tiles of an image among them, such as [cuda:0, cuda:1]; one empty "
        "name: the device of `device` alone.",
    )
    slices: SliceSettings = field(default_factory=SliceSettings)
