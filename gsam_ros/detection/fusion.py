"""Image and text look at each other (Grounding DINO's feature enhancer, arXiv 2303.05499).

An image has thousands of tokens and a prompt a few dozen. transformers widens all image tokens to
1024 channels, twice, attends, and narrows them again. Here the projections are applied to the few
text tokens instead: (W v) . k = v . (W' k), and what is summed over tokens may be projected
afterwards. The results are the same but for rounding, at a fraction of the products.
"""

from __future__ import annotations

from torch import Tensor, nn
from transformers.models.grounding_dino.modeling_grounding_dino import (
    GroundingDinoBiMultiHeadAttention,
)


class FewWordsAttention(nn.Module):
    """Stands in for `GroundingDinoBiMultiHeadAttention`, with its weights."""

    def __init__(self, original: GroundingDinoBiMultiHeadAttention):
        """Share the weights of a layer."""
        super().__init__()
        self.heads, self.scale = original.num_heads, original.scale
        self.vision_proj, self.text_proj = original.vision_proj, original.text_proj
        self.values_vision_proj = original.values_vision_proj
        self.values_text_proj = original.values_text_proj
        self.out_vision_proj, self.out_text_proj = original.out_vision_proj, original.out_text_proj

    def forward(
        self,
        vision_features: Tensor,
        text_features: Tensor,
        vision_attention_mask: Tensor | None = None,
        text_attention_mask: Tensor | None = None,
    ) -> tuple[tuple[Tensor, None], tuple[Tensor, None]]:
        """Cross-attention in both directions: text to image, and image to text.

        Args:
            vision_features: [B, S, C].
            text_features: [B, T, C].
            vision_attention_mask: [B, S] bool, true on padding.
            text_attention_mask: [B, T] bool, true on padding.

        Returns:
            [B, S, C] and [B, T, C], each with nothing in place of its weights.
        """
        batch, words, _ = text_features.shape
        keys = self._by_head(self.text_proj(text_features)) * self.scale  # [B, heads, T, D]
        weight, bias = self._of_head(self.vision_proj)
        scores = (keys @ weight).flatten(1, 2) @ vision_features.mT  # [B, heads * T, S]
        scores = scores.unflatten(1, (self.heads, words)) + keys @ bias

        of_image = scores
        if vision_attention_mask is not None:
            of_image = scores.masked_fill(vision_attention_mask[:, None, None], float("-inf"))
        seen = of_image.softmax(-1).flatten(1, 2) @ vision_features  # [B, heads * T, C]
        weight, bias = self._of_head(self.values_vision_proj)
        # Shares add up to one, and so the bias is added once.
        told = seen.unflatten(1, (self.heads, words)) @ weight.mT + bias.mT
        to_text = self.out_text_proj(told.transpose(1, 2).reshape(batch, words, -1))

        if text_attention_mask is not None:
            scores = scores.masked_fill(text_attention_mask[:, None, :, None], float("-inf"))
        read = scores.softmax(2).flatten(1, 2)  # [B, heads * T, S]
        values = self._by_head(self.values_text_proj(text_features))  # [B, heads, T, D]
        out = self.out_vision_proj.weight.unflatten(1, (self.heads, -1)).permute(1, 2, 0)
        to_image = read.mT @ (values @ out).flatten(1, 2) + self.out_vision_proj.bias
        return (to_image, None), (to_text, None)

    def _by_head(self, tokens: Tensor) -> Tensor:
        """[B, T, heads * D] as [B, heads, T, D]."""
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _of_head(self, layer: nn.Linear) -> tuple[Tensor, Tensor]:
        """[heads, D, C] weights and [heads, D, 1] biases of a projection into heads."""
        return (
            layer.weight.unflatten(0, (self.heads, -1)),
            layer.bias.view(self.heads, -1, 1),
        )
