"""What users can tune of tracking. Times are in seconds of the frames' stamps."""

from __future__ import annotations

from dataclasses import dataclass

from gsam_ros.settings import setting


@dataclass(frozen=True)
class SegmenterSettings:
    """SAM 2: what to load, and at which size."""

    model: str = setting(
        "demo-segmenter",
        "SAM 2 video checkpoint: a name of ours (demo-segmenter), a folder or a Hugging Face hub "
        "id such as facebook/sam2.1-hiera-tiny or yonigozlan/EdgeTAM-hf, a .pt file of Meta's, or "
        "the name of one, such as sam2.1_hiera_tiny.pt.",
    )
    package: str = setting(
        "auto",
        "What runs it: transformers, Meta's sam2 package, or transformers' EdgeTAM; auto takes "
        "what the checkpoint is made for.",
        choices=("auto", "transformers", "sam2", "edgetam"),
    )
    image_size: int = setting(
        0,
        "Pixels of the square that the model sees, in steps of 32 (EdgeTAM: 256); smaller is "
        "faster and coarser; 0: as the checkpoint was trained.",
        low=0,
        high=4096,
    )
    memories: int = setting(
        0,
        "Frames that an object is remembered by, the newest prompted one included; fewer are "
        "faster; 0: as many as the checkpoint was trained with.",
        low=0,
        high=64,
    )


@dataclass(frozen=True)
class TrackerSettings:
    """Association and the life of a track."""

    max_objects: int = setting(
        32,
        "Tracks kept per camera. Beyond it, those out of sight longest make room; objects in "
        "sight stay, and newcomers wait.",
        low=1,
        high=1000,
        runtime=True,
    )
    rate: float = setting(
        0.0,
        "Times per second of a camera's stamps that SAM 2 looks at it; on the images in between, "
        "masks are moved by optical flow. 0: at every image.",
        low=0.0,
        high=1000.0,
        runtime=True,
    )
    match_iou: float = setting(
        0.25,
        "Least overlap (intersection over union) of a detection and a track that are the same "
        "object: of its mask, its box, and the box where it was going, on average.",
        low=0.0,
        high=1.0,
        runtime=True,
    )
    keep_share: float = setting(
        0.6,
        "A track is kept by detections that score this share of what is needed to start one: "
        "half-hidden objects score low. 1 asks the same of both, as is always asked of images that "
        "are cut into tiles.",
        low=0.05,
        high=1.0,
        runtime=True,
    )
    reprompt_iou: float = setting(
        0.9,
        "A track that agrees with its detection by less than this overlap has drifted, and is "
        "segmented anew from the detection's box.",
        low=0.0,
        high=1.0,
        runtime=True,
    )
    correct_iou: float = setting(
        0.8,
        "Between the detector's looks, a mask whose box overlaps by less than this with where its "
        "object was going is segmented anew from the box there, if that fits better; 0: memory "
        "alone tells, as in SAM 2.",
        low=0.0,
        high=1.0,
        runtime=True,
    )
    duplicate_iou: float = setting(
        0.7,
        "Two masks that overlap by more than this lie on one object: the track that was not "
        "expected there is hidden, or ends if it is new. A new track may take a detection of "
        "another phrase that overlaps it by as much.",
        low=0.0,
        high=1.0,
        runtime=True,
    )
    least_part: float = setting(
        0.15,
        "Parts of a mask that lie apart from the rest and hold less than this share of its area "
        "are not shown.",
        low=0.0,
        high=1.0,
        runtime=True,
    )
    closeup_below: float = setting(
        16.0,
        "Objects whose longer side is less than this, in pixels of the square that the segmenter "
        "sees, are segmented on a crop around them; 0: none.",
        low=0.0,
        high=256.0,
        runtime=True,
    )
    closeup_crops: int = setting(
        8,
        "Such crops per frame, each a pass of the segmenter's image encoder; neighbours share one, "
        "and what is left over is segmented on the whole image.",
        low=0,
        high=256,
        runtime=True,
    )
    refine_below: float = setting(
        96.0,
        "Objects whose longer side is less than this, in pixels of the square that the segmenter "
        "sees, are outlined anew on a crop around their mask before they are shown; tracking goes "
        "on with the masks of the whole image. 0: none.",
        low=0.0,
        high=4096.0,
        runtime=True,
    )
    refine_crops: int = setting(
        3,
        "Such crops per frame, each a pass of the segmenter's image encoder, which all objects "
        "share: the fewer, the larger; where that does not help, masks are shown as they are.",
        low=0,
        high=256,
        runtime=True,
    )
    confirm_after: float = setting(
        0.15,
        "Seconds over which detections have to agree with a new track, two at least, before it is "
        "confirmed; 0: the first is enough.",
        low=0.0,
        high=60.0,
        runtime=True,
    )
    tentative_missed: float = setting(
        0.0,
        "Seconds for which an unconfirmed track may go without a detection that agrees before it "
        "is hidden; 0: one keyframe hides it. Detected again within a second, it is back.",
        low=0.0,
        high=60.0,
        runtime=True,
    )
    confirmed_missed: float = setting(
        0.6,
        "Seconds for which a confirmed track may go without a detection that agrees, although the "
        "detector looked, before it counts as lost, whatever its mask says.",
        low=0.0,
        high=3600.0,
        runtime=True,
    )
    memory: str = setting(
        "exact",
        "exact: every track attends to its memory on every frame, as SAM 2 does; fast: only those "
        "that meet others, hide or are unconfirmed, the others are segmented from the box where "
        "they are expected (bundled models, 3 worlds of 60 frames: mask IoU 0.86 as in "
        "exact mode, HOTA 0.79 for 0.80, tracking in 0.4 of the time).",
        choices=("exact", "fast"),
        runtime=True,
    )
    attention_budget: int = setting(
        2,
        "Tracks of all cameras that attend to their memory on one frame, where memory is fast.",
        low=0,
        high=1000,
        runtime=True,
    )
    occluded_after: float = setting(
        1.0,
        "Seconds for which a hidden object comes back on SAM 2's word alone; later a detection "
        "has to agree.",
        low=0.0,
        high=60.0,
        runtime=True,
    )
    lost_after: float = setting(
        10.0,
        "Seconds for which a track that is out of sight keeps its memory and its id.",
        low=0.0,
        high=3600.0,
        runtime=True,
    )
    kept_seconds: float = setting(
        2.0,
        "Seconds for which images of a camera can be gone back to, by detections that come late "
        "and by the stamp of ~/visual_prompt.",
        low=0.0,
        high=60.0,
        runtime=True,
    )
    kept_frames: int = setting(
        16,
        "Images of a camera, besides the newest, whose features are kept for that: the younger the "
        "denser; 0: none, and the detector does not work beside.",
        low=0,
        high=1000,
        runtime=True,
    )
    kept_megabytes: float = setting(
        256.0,
        "Memory per camera for that, on the models' device; two images are kept at least.",
        low=1.0,
        high=100000.0,
        runtime=True,
    )
