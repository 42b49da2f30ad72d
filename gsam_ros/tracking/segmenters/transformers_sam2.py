"""SAM 2 through transformers' `Sam2VideoModel` modules, called directly and batched over objects.

The stock session keeps every frame and loops over objects, and `_single_frame_forward` mixes up
objects in a batch, so only the modules are used here. Tests hold the results against the session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel, Sam2VideoConfig, Sam2VideoModel
from transformers.models.sam2_video.modeling_sam2_video import get_1d_sine_pe

from gsam_ros import checkpoints
from gsam_ros.tracking.segmenters.channel_norm import replace_norms
from gsam_ros.tracking.segmenters.interface import ImageFeatures
from gsam_ros.tracking.segmenters.mask_decoder import Decoded
from gsam_ros.tracking.segmenters.memory_attention import (
    Layer,
    MemoryAttention,
    axial_rope,
)
from gsam_ros.tracking.segmenters.sam2_operations import Embeddings, Rules, Sam2Operations
from gsam_ros.tracking.segmenters.transformers_decoder import decoder_of, projections_of


class TransformersSam2(Sam2Operations):
    """A `SegmentationModel` (see there for the operations) made of transformers' modules."""

    model_class: type[PreTrainedModel] = Sam2VideoModel
    config_class = Sam2VideoConfig
    size_step = 32
    """Image sizes are multiples of this, so that the encoder's windows and strides come out."""

    def __init__(
        self,
        name: str,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        image_size: int = 0,
    ):
        """Load a checkpoint.

        Args:
            name: as in `checkpoints.locate`.
            device: where it runs.
            dtype: of the weights.
            image_size: edge of the square that the model sees, a multiple of `size_step`; 0: as
                the checkpoint was trained.

        Raises:
            checkpoints.CheckpointError: it can't be loaded.
        """
        model_type = self.config_class.model_type
        change = _resized(image_size) if image_size else None
        self.model: Any = checkpoints.load(
            self.model_class, name, model_type, device, dtype, change
        )
        # Its convolutions are a tenth faster so, on a CPU those of images by a third.
        self.model.memory_encoder.to(memory_format=torch.channels_last)
        self._channels_last = device.type == "cpu"
        if self._channels_last:
            self.model.vision_encoder.to(memory_format=torch.channels_last)
            replace_norms(self.model.memory_encoder.mask_downsampler.layers)
        neck = self.model.vision_encoder.neck
        top = tuple(self.model.backbone_feature_sizes[-1])
        neck.position_encoding = _TopPositions(neck.position_encoding, top)
        config = self.model.config
        rules = Rules(
            image_size=config.image_size,
            num_memories=config.num_maskmem,
            max_pointers=config.max_object_pointers_in_encoder,
            multimask_points=(
                (config.multimask_min_pt_num, config.multimask_max_pt_num)
                if config.multimask_output_in_sam
                else (1, 0)
            ),
            multimask_tracking=(
                config.multimask_output_in_sam
                and config.multimask_output_for_tracking
                and config.multimask_min_pt_num == 0
            ),
            memory_scale=config.sigmoid_scale_for_mem_enc,
            memory_bias=config.sigmoid_bias_for_mem_enc,
            timed_pointers=config.enable_temporal_pos_encoding_for_object_pointers,
        )
        absent = self.model.occlusion_spatial_embedding_parameter
        ages = self.model.memory_temporal_positional_encoding[:, 0]
        embeddings = Embeddings(
            no_memory=self.model.no_memory_embedding.flatten(),
            no_pointer=self.model.no_object_pointer.flatten(),
            no_object=None if absent is None else absent.flatten(),
            positions=self._places(device, dtype) + ages,
        )
        self._decoder = decoder_of(self.model)
        super().__init__(rules, embeddings, self._memory_attention(device), device, dtype)

    def _encode(
        self, pixels: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], torch.Tensor]:
        if self._channels_last:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        outputs = self.model.get_image_features(pixels, return_dict=True)
        # transformers hands out [h * w, B, C]; C first and the grid unrolled serves all.
        maps = [
            x.permute(1, 2, 0).unflatten(-1, size)
            for x, size in zip(
                outputs.fpn_hidden_states, self.model.backbone_feature_sizes, strict=True
            )
        ]
        return maps[-1], tuple(maps[:-1]), outputs.fpn_position_encoding[-1][:, 0]

    def _prompt_and_decode(
        self,
        features: ImageFeatures,
        top: torch.Tensor,
        shared: bool,
        points: torch.Tensor,
        labels: torch.Tensor,
        dense: torch.Tensor | None,
        multimask: bool,
    ) -> Decoded:
        sparse, added = self.model.prompt_encoder(
            input_points=points[:, None],
            input_labels=labels[:, None],
            input_boxes=None,
            input_masks=dense,
        )
        if dense is None:  # the same for every object
            added = added[:1]
        return self._decoder(features, top + added, shared, sparse[:, 0], multimask)

    def _point_at(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.model.object_pointer_proj(tokens)

    def _shrink(self, masks: torch.Tensor) -> torch.Tensor:
        return self.model.mask_downsample(masks)

    def _encode_masks(self, features: ImageFeatures, masks: torch.Tensor) -> torch.Tensor:
        encoder = self.model.memory_encoder
        # An image's part is the same for all of its objects.
        image = features.spread(encoder.feature_projection(features.image_top))
        return encoder.projection(encoder.memory_fuser(image + encoder.mask_downsampler(masks)))

    def _place_in_time(self, ages: torch.Tensor) -> torch.Tensor:
        sine = get_1d_sine_pe(ages, dim=self.model.hidden_dim).to(self.dtype)
        return self.model.temporal_positional_encoding_projection_layer(sine)

    def _places(self, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        """[T, D] where in the image the tokens of a memory frame are."""
        height, width = self.model.backbone_feature_sizes[-1]
        place = self.model.memory_encoder.position_encoding(
            torch.Size((1, self.model.mem_dim, height, width)), device, dtype
        )
        return place[0].flatten(1).mT

    def _memory_attention(self, device: torch.device) -> MemoryAttention:
        attention, config = self.model.memory_attention, self.model.config
        heads = config.memory_attention_num_attention_heads
        width = config.memory_attention_hidden_size // config.memory_attention_downsample_rate
        rope = _rope(config, config.memory_attention_rope_feat_sizes, width // heads).to(device)
        layers = [
            Layer(
                self_attention=projections_of(layer.self_attn),
                cross_attention=projections_of(layer.cross_attn_image),
                norms=(layer.layer_norm1, layer.layer_norm2, layer.layer_norm3),
                feed_forward=self._feed_forward(layer),
            )
            for layer in attention.layers
        ]
        return MemoryAttention(layers, attention.layer_norm, heads, rope, self._memory_rope(rope))

    def _memory_rope(self, rope: torch.Tensor) -> torch.Tensor:
        """Of the tokens of a memory frame, where the image's are `rope`."""
        return rope

    @staticmethod
    def _feed_forward(layer: Any) -> Any:
        relu = isinstance(layer.activation, torch.nn.ReLU)
        # In place: of all objects' wide features it would be a second copy.
        activation = torch.relu_ if relu else layer.activation
        return lambda x: layer.linear2(activation(layer.linear1(x)))


class _TopPositions(torch.nn.Module):
    """Positions of the coarsest map, made once; the finer ones', which nobody reads, are zeros.

    transformers makes all of them for every image: a tenth of the image encoder's time.
    """

    def __init__(self, encoding: Any, top: tuple[int, ...]):
        super().__init__()
        self._encoding, self._top = encoding, top
        self._kept: torch.Tensor | None = None

    def forward(self, shape: torch.Size, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        """[B, C, h, w], one image's or one number's memory whatever B is."""
        if tuple(shape[2:]) != self._top:
            return torch.zeros((), device=device, dtype=dtype).expand(shape)
        if self._kept is None:
            self._kept = self._encoding(torch.Size((1, *shape[1:])), device, dtype)
        return self._kept.expand(shape)


def _resized(image_size: int) -> Callable[[Any], None]:
    """What makes a configuration's image size another one, everywhere that it stands."""

    def change(config: Any) -> None:
        grid = [image_size // 16, image_size // 16]
        config.image_size = config.prompt_encoder_config.image_size = image_size
        config.memory_attention_rope_feat_sizes = grid
        vision = config.vision_config
        vision.backbone_feature_sizes = [[image_size // stride] * 2 for stride in (4, 8, 16)]
        if getattr(vision.backbone_config, "image_size", None):
            vision.backbone_config.image_size = [image_size, image_size]

    return change


def _rope(config: Any, size: tuple[int, int], channels: int) -> torch.Tensor:
    return axial_rope(size[0], size[1], channels, config.rope_parameters["rope_theta"])
