"""SAM 2 through transformers' `Sam2VideoModel` modules, called directly and batched over objects.

The stock session keeps every frame and loops over objects, and `_single_frame_forward` mixes up
objects in a batch, so only the modules are used here. Tests hold the results against the session.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import interpolate
from torchvision.transforms.v2.functional import resize
from transformers import Sam2VideoModel
from transformers.models.sam2_video.modeling_sam2_video import NO_OBJ_SCORE, get_1d_sine_pe

from gsam_ros import checkpoints
from gsam_ros.tracking.model import ImageFeatures, MemoryTokens, Segmentation

# ImageNet statistics, which every SAM 2 checkpoint was trained with.
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


class TransformersSam2:
    """A `SegmentationModel` (see there for the operations) made of transformers' modules."""

    def __init__(self, name: str, device: torch.device, dtype: torch.dtype = torch.float32):
        """Load a checkpoint.

        Args:
            name: as in `checkpoints.locate`.
            device: where it runs.
            dtype: of the weights.

        Raises:
            checkpoints.CheckpointError: it can't be loaded.
        """
        model = checkpoints.load(Sam2VideoModel, name, "sam2_video", device, dtype)
        self.model, self.device, self.dtype = model, device, dtype
        self.image_size = model.config.image_size
        self.num_memories = model.num_maskmem
        self.max_pointers = model.config.max_object_pointers_in_encoder
        self._mean = torch.tensor(_MEAN, device=device).view(3, 1, 1)
        self._deviation = torch.tensor(_DEVIATION, device=device).view(3, 1, 1)
        self._top_positions: torch.Tensor | None = None
        self._memory_positions = self._temporal_positions()
        self._image_positions = model.get_image_wide_positional_embeddings()

    @torch.inference_mode()
    def encode_image(self, images: Sequence[np.ndarray]) -> ImageFeatures:
        outputs = self.model.get_image_features(self._pixels(images), return_dict=True)
        # transformers hands out [h * w, B, C]; C first and the grid unrolled serves all five.
        maps = [
            x.permute(1, 2, 0).unflatten(-1, size)
            for x, size in zip(
                outputs.fpn_hidden_states, self.model.backbone_feature_sizes, strict=True
            )
        ]
        if self._top_positions is None:
            self._top_positions = outputs.fpn_position_encoding[-1][:, :1]
        return ImageFeatures(maps[-1], tuple(maps[:-1]))

    @torch.inference_mode()
    def prompt(
        self, features: ImageFeatures, points: torch.Tensor, labels: torch.Tensor
    ) -> Segmentation:
        given = int((labels >= 0).sum(1).max())
        config = self.model.config
        several = (
            config.multimask_output_in_sam
            and config.multimask_min_pt_num <= given <= config.multimask_max_pt_num
        )
        conditioned = features.top + self.model.no_memory_embedding.view(1, -1, 1, 1)
        return self._decode(features, conditioned, points, labels, several)

    @torch.inference_mode()
    def adopt(self, features: ImageFeatures, masks: torch.Tensor) -> Segmentation:
        """See `SegmentationModel.adopt`; SAM 2 does so in `_use_mask_as_output`."""
        given = masks[:, None].to(self.device, self.dtype)
        size = self.model.prompt_encoder.mask_input_size
        logits = interpolate(
            given.float() * 20 - 10, size, mode="bilinear", align_corners=False, antialias=True
        )
        none = torch.full((len(masks), 1), -1, device=self.device, dtype=torch.int32)
        nowhere = torch.zeros(len(masks), 1, 2, device=self.device, dtype=self.dtype)
        dense = interpolate(
            self.model.mask_downsample(given).float(),
            size,
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )
        decoded = self._decode(features, features.top, nowhere, none, False, dense.to(self.dtype))
        shown = given.flatten(1).any(1)
        pointer = torch.where(shown[:, None], decoded.pointer, self.model.no_object_pointer)
        return Segmentation(logits[:, 0], shown.float() * 20 - 10, pointer)

    @torch.inference_mode()
    def attend(self, features: ImageFeatures, memory: MemoryTokens) -> torch.Tensor:
        count, channels, height, width = features.top.shape
        assert self._top_positions is not None  # features come from encode_image, which sets them
        attended = self.model.memory_attention(
            current_vision_features=features.top.flatten(2).permute(2, 0, 1),
            current_vision_position_embeddings=self._top_positions.expand(-1, count, -1),
            memory=memory.tokens.to(self.dtype).transpose(0, 1),
            memory_posision_embeddings=memory.positions.transpose(0, 1),
            num_object_pointer_tokens=memory.pointer_tokens,
        )
        # [1, N, h * w, C]: the layers add an axis of one prompt per object.
        return attended.reshape(count, height * width, channels).mT.unflatten(-1, (height, width))

    @torch.inference_mode()
    def decode(self, features: ImageFeatures, conditioned: torch.Tensor) -> Segmentation:
        count = len(conditioned)
        points = torch.zeros(count, 1, 2, device=self.device, dtype=self.dtype)
        labels = torch.full((count, 1), -1, device=self.device, dtype=torch.int32)
        several = (
            self.model.config.multimask_output_in_sam
            and self.model.config.multimask_output_for_tracking
            and self.model.config.multimask_min_pt_num == 0
        )
        return self._decode(features, conditioned, points, labels, several)

    @torch.inference_mode()
    def encode_memory(
        self, features: ImageFeatures, masks: Segmentation, prompted: torch.Tensor
    ) -> torch.Tensor:
        size = (self.image_size, self.image_size)
        logits = interpolate(masks.logits[:, None], size, mode="bilinear", align_corners=False)
        # A prompted mask is taken at its word, a propagated one by its probability.
        shown = torch.where(prompted[:, None, None, None], (logits > 0).float(), logits.sigmoid())
        config = self.model.config
        shown = shown * config.sigmoid_scale_for_mem_enc + config.sigmoid_bias_for_mem_enc
        memory, _ = self.model.memory_encoder(features.top, shown.to(self.dtype))
        absent = self.model.occlusion_spatial_embedding_parameter
        if absent is not None:
            hidden = (masks.presence <= 0).to(memory.dtype)
            memory = memory + hidden[:, None, None, None] * absent[..., None, None]
        # bfloat16 as in the reference implementation: half the bytes, and the same results.
        return memory.flatten(2).mT.to(torch.bfloat16)

    def memory_positions(self, age: int) -> torch.Tensor:
        return self._memory_positions[age - 1]  # age 0: the last row, as the model was trained

    @torch.inference_mode()
    def pointer_tokens(
        self, pointers: torch.Tensor, ages: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        count, number, channels = pointers.shape
        width = self.model.mem_dim
        parts = channels // width
        if self.model.config.enable_temporal_pos_encoding_for_object_pointers:
            sine = get_1d_sine_pe(ages.float() / (self.max_pointers - 1), dim=channels)
            positions = self.model.temporal_positional_encoding_projection_layer(
                sine.to(self.dtype)
            )
        else:
            positions = pointers.new_zeros(count, number, width)
        # A pointer is wider than a memory token: it is cut into several, all of its age.
        return (
            pointers.reshape(count, number * parts, width),
            positions.repeat_interleave(parts, dim=1),
        )

    def _pixels(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        """[B, 3, image_size, image_size]: squeezed to a square, as SAM 2 was trained."""
        size = [self.image_size, self.image_size]
        squares = [
            resize(torch.from_numpy(i).to(self.device).permute(2, 0, 1), size, antialias=True)
            for i in images
        ]
        pixels = (torch.stack(squares).float() / 255 - self._mean) / self._deviation
        return pixels.to(self.dtype)

    def _decode(
        self,
        features: ImageFeatures,
        conditioned: torch.Tensor,
        points: torch.Tensor,
        labels: torch.Tensor,
        several: bool,
        dense_masks: torch.Tensor | None = None,
    ) -> Segmentation:
        """The prompt encoder and the mask decoder; of several masks the best by predicted IoU."""
        model = self.model
        sparse, dense = model.prompt_encoder(
            input_points=points[:, None],
            input_labels=labels[:, None],
            input_boxes=None,
            input_masks=dense_masks,
        )
        masks, quality, tokens, presence = model.mask_decoder(
            image_embeddings=conditioned,
            image_positional_embeddings=self._image_positions.expand(len(conditioned), -1, -1, -1),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=several,
            high_resolution_features=list(features.high),
        )
        each = torch.arange(len(masks), device=self.device)
        best = quality[:, 0].argmax(-1)
        # In fallback by stability there is one mask and one token, whichever mask was taken.
        token = tokens[each, 0, best.clamp(max=tokens.shape[2] - 1)]
        visible = presence[:, 0] > 0
        pointer = model.object_pointer_proj(token)
        pointer = torch.where(visible, pointer, model.no_object_pointer)
        logits = torch.where(visible[..., None], masks[each, 0, best].float(), NO_OBJ_SCORE)
        return Segmentation(logits, presence[:, 0, 0].float(), pointer)

    def _temporal_positions(self) -> torch.Tensor:
        """[num_memories, h * w, D]: where in the image, and how long ago."""
        model = self.model
        height, width = model.backbone_feature_sizes[-1]
        place = model.memory_encoder.position_encoding(
            torch.Size((1, model.mem_dim, height, width)), self.device, self.dtype
        )
        return place.flatten(2).mT + model.memory_temporal_positional_encoding[:, 0]
