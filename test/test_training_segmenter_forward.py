"""The segmenter's training forward is SAM 2's own: it equals the session of transformers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import Sam2VideoModel
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from gsam_ros.training.segmenter.forward import (
    Memory,
    Prompts,
    adopt,
    as_given,
    decode,
    encode_images,
    prompt,
    recall,
    remember,
)
from gsam_ros.training.segmenter.model import new_model

BOX = [60.0, 70.0, 150.0, 180.0]


@pytest.fixture(scope="module")
def model() -> Sam2VideoModel:
    return new_model(seed=3).eval()


def _mask() -> torch.Tensor:
    """[1, 256, 256] of what fills the box, with a bite out of it."""
    mask = torch.zeros(1, 256, 256)
    mask[0, 70:180, 60:150] = 1
    mask[0, 90:120, 60:100] = 0
    return mask


def _session(
    model: Sam2VideoModel, clip: torch.Tensor, by_mask: bool
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Mask logits [64, 64] and score of each frame out of a streaming session with one object."""
    session = Sam2VideoInferenceSession(video_height=256, video_width=256, dtype=torch.float32)
    index = session.obj_id_to_idx(1)
    corners = torch.tensor(BOX).view(1, 1, 2, 2)
    labels = torch.tensor([[[2, 3]]], dtype=torch.int32)
    if by_mask:
        session.add_mask_inputs(index, 0, _mask()[None])
    else:
        session.add_point_inputs(index, 0, {"point_coords": corners, "point_labels": labels})
    session.obj_with_new_inputs = [1]
    outputs = []
    for pixels in clip:
        out = model(inference_session=session, frame=pixels)
        outputs.append((out.pred_masks[0, 0], out.object_score_logits.flatten()[0]))
    return outputs


@torch.no_grad()
def _unrolled(
    model: Sam2VideoModel, clip: torch.Tensor, by_mask: bool
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    boxes = torch.tensor([BOX])
    memories: list[Memory] = []
    outputs = []
    for t, pixels in enumerate(clip):
        features = encode_images(model, pixels[None])
        if t == 0 and by_mask:
            decoded = as_given(adopt(model, features, _mask()), _mask())
        elif t == 0:
            decoded = prompt(model, features, Prompts.of_boxes(boxes))
        else:
            aged = [(t - i, memory) for i, memory in enumerate(memories)]
            top = recall(model, features, aged[:1], aged[1:])
            decoded = decode(model, features, top, Prompts.none(1))
        present = decoded.score > 0
        memories.append(remember(model, features, decoded, present, prompted=t == 0))
        logits = torch.where(present[:, None, None], decoded.logits, -1024.0)
        outputs.append((logits[0], decoded.score[0]))
    return outputs


@pytest.mark.parametrize("by_mask", [False, True], ids=["a box", "a mask"])
@pytest.mark.parametrize("bias", [2.0, -2.0], ids=["object present", "object absent"])
def test_equals_the_session_of_transformers(
    model: Sam2VideoModel, bias: float, by_mask: bool
) -> None:
    torch.manual_seed(0)
    clip = torch.randn(10, 3, 256, 256)
    model.mask_decoder.pred_obj_score_head.proj_out.bias.data.fill_(bias)
    frames = zip(_unrolled(model, clip, by_mask), _session(model, clip, by_mask), strict=True)
    for number, (mine, theirs) in enumerate(frames):
        np.testing.assert_allclose(mine[0], theirs[0], atol=1e-4)
        np.testing.assert_allclose(mine[1], theirs[1], atol=1e-4)
        given = by_mask and number == 0
        assert (theirs[1] > 0) == (bias > 0 or given)


@torch.no_grad()
def test_objects_do_not_touch_each_other(model: Sam2VideoModel) -> None:
    """A batch of objects gives what each gives alone."""
    torch.manual_seed(1)
    images = torch.randn(2, 3, 256, 256)
    boxes = torch.tensor([BOX, [10.0, 20.0, 90.0, 70.0], [100.0, 30.0, 240.0, 250.0]])
    first, second = (encode_images(model, image[None]) for image in images)

    def second_frame(boxes: torch.Tensor) -> torch.Tensor:
        same = torch.zeros(len(boxes), dtype=torch.long)
        decoded = prompt(model, first[same], Prompts.of_boxes(boxes))
        memory = remember(model, first[same], decoded, decoded.score > 0, prompted=True)
        top = recall(model, second[same], [(1, memory)], [])
        return decode(model, second[same], top, Prompts.none(len(top))).logits

    together = second_frame(boxes)
    alone = torch.cat([second_frame(box[None]) for box in boxes])
    np.testing.assert_allclose(together, alone, atol=1e-4)
