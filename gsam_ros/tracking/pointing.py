"""Objects that people point at: their masks, and which track they are.

What is pointed at is a new object unless it lies on one that is in sight. A lost one of the same
name is not taken for it: people call many things "tool", and a wrong id is worse than a new one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import interpolate

from gsam_ros.masks import Masks
from gsam_ros.tracking.association import Outlines, overlap
from gsam_ros.tracking.camera_tracks import View
from gsam_ros.tracking.closeups import adopt_small, is_small, segment_small_and_others
from gsam_ros.tracking.segmenters.interface import ImageFeatures, Segmentation, SegmentationModel
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.track import Track, outlines_of
from gsam_ros.visual_prompts import VisualPrompt

SAME_OBJECT = 0.5
"""Masks that overlap by more than this (intersection over union) are one object, where one of them
is what somebody pointed at: less than `duplicate_iou` asks for, as a clicked mask and a propagated
one differ by more than two of one kind, and no object that stands beside another covers half."""


@torch.inference_mode()
def segment_pointed(
    model: SegmentationModel,
    features: ImageFeatures,
    prompt: VisualPrompt,
    view: View,
    settings: TrackerSettings,
) -> Segmentation:
    """The mask of what a visual prompt points at; of a small object from close by.

    Args:
        model: supplies the operations.
        features: of one image.
        prompt: fits that image.
        view: that image.
        settings: say what is small.
    """
    height, width = view.size
    if prompt.mask is not None:
        if close := adopt_small(model, features, view, prompt.mask, settings):
            return close
        mask = torch.from_numpy(prompt.mask).to(model.device).float()[None, None]
        square = (model.image_size, model.image_size)
        # As the images themselves are squeezed, which is how SAM 2 was trained.
        squeezed = interpolate(mask, square, mode="bilinear", align_corners=False, antialias=True)
        return model.adopt(features, (squeezed[:, 0] >= 0.5).float())
    if prompt.box is not None:
        return segment_small_and_others(model, features, [view], [0], prompt.box[None], settings)
    assert prompt.points is not None and prompt.labels is not None  # VisualPrompt sees to it
    scale = np.array([model.image_size / width, model.image_size / height], np.float32)
    points = torch.from_numpy(prompt.points * scale)[None].to(model.device, torch.float32)
    labels = torch.from_numpy(prompt.labels)[None].to(model.device)
    masks = model.prompt(features, points, labels)
    # How small it is, only its mask tells, whose box is then as good as one that is given.
    box = Masks(masks.logits.float().cpu().numpy(), height, width).boxes
    small = is_small(box, np.array(view.size), model.image_size, settings.closeup_below)[0]
    if not small or box[0, 2] <= box[0, 0]:
        return masks
    close = segment_small_and_others(model, features, [view], [0], box, settings)
    return close if bool(close.presence[0] > 0) else masks


def lies_on(pointed: Outlines, tracks: Sequence[Track]) -> Track | None:
    """The track in sight that one object of the newest frame is; None for none."""
    seen = [track for track in tracks if track.visible]
    if not seen:
        return None
    iou, _ = overlap(pointed, outlines_of(seen))
    best = int(iou[0].argmax())
    return seen[best] if iou[0, best] > SAME_OBJECT else None


def names_of(tracks: Sequence[Track]) -> tuple[str, ...]:
    """What people called those of the tracks at which they pointed, each name once."""
    return tuple(dict.fromkeys(track.name for track in tracks if track.name))
