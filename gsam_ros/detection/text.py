"""The text side of Grounding DINO: computed once per prompt, kept for all its frames.

Phrases are joined as in training ("red mug. person."), each token remembers by character span
which phrase it belongs to, and a prompt that is longer than the model's text limit, or than is
asked for, is split into groups of whole phrases.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import count

import torch
from transformers import PreTrainedTokenizerBase
from transformers.models.grounding_dino.modeling_grounding_dino import (
    SPECIAL_TOKENS,
    GroundingDinoModel,
)

from gsam_ros.prompts import Phrase, PromptError, looked_for

# The model takes "." and "?" as ends of a phrase, and brackets can spell special tokens ("[SEP]").
_RESERVED = re.compile(r"[.?\[\]]")


@dataclass(frozen=True)
class TextGroup:
    """Some phrases of a prompt, encoded together.

    Attributes:
        features: [1, T, d_model] projected output of the text encoder.
        token_mask: [1, T] bool, all true: groups are not padded.
        self_attention: [1, T, T] bool, true where two tokens are of one phrase.
        position_ids: [1, T] int64, counted within each phrase.
        phrase_of_token: [T, P] float32, column p holds 1/n at the n tokens of the p-th words.
        phrase_index: [P] int64, which phrase of the prompt these words stand for; -1: none, they
            only compete.
    """

    features: torch.Tensor
    token_mask: torch.Tensor
    self_attention: torch.Tensor
    position_ids: torch.Tensor
    phrase_of_token: torch.Tensor
    phrase_index: torch.Tensor

    def to(self, device: torch.device) -> TextGroup:
        """The same on another device."""
        return TextGroup(*(getattr(self, entry.name).to(device) for entry in fields(self)))


@dataclass(frozen=True)
class EncodedText:
    """A whole prompt as the detector keeps it.

    Attributes:
        phrases: the names, as they were typed.
        groups: together they hold the words of every phrase once.
        unknown: words of phrases of which the tokenizer knows none.
        thresholds: the phrases' own least scores, None where they have none.
    """

    phrases: tuple[str, ...]
    groups: tuple[TextGroup, ...]
    unknown: tuple[str, ...]
    thresholds: tuple[float | None, ...]

    def to(self, device: torch.device) -> EncodedText:
        """The same on another device."""
        return replace(self, groups=tuple(group.to(device) for group in self.groups))

    def least_scores(self, default: float, device: torch.device) -> torch.Tensor:
        """[phrases + 1] float32 least score of each phrase, the last for what only competes.

        That has to reach the lowest of all: below it there is nothing to win.
        """
        own = [default if least is None else least for least in self.thresholds]
        return torch.tensor([*own, min(own)], device=device)


def worded(phrase: str) -> str:
    """The words of a phrase as the model reads them, without the dot that ends it.

    >>> worded("The 3.5 mm [Jack]")
    '3 5 mm jack'
    """
    return " ".join(_RESERVED.sub(" ", looked_for(phrase)).split())


@torch.inference_mode()
def encode_text(
    model: GroundingDinoModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Sequence[Phrase],
    at_once: int = 0,
) -> EncodedText:
    """Run the text encoder on a prompt.

    Args:
        model: whose text side it is.
        tokenizer: of the model.
        prompt: what to look for.
        at_once: phrases of a group at most; 0: as many as the model's text limit allows.

    Raises:
        PromptError: words for a single thing are longer than the model's text limit.
    """
    named = [phrase for phrase in prompt if not phrase.negative]
    phrases = [word for phrase in prompt for word in phrase.wanted]
    places = count()
    numbers = [-1 if phrase.negative else next(places) for phrase in prompt]
    owner = [n for n, phrase in zip(numbers, prompt, strict=True) for _ in phrase.wanted]
    words = [worded(phrase) or "?" for phrase in phrases]
    lengths = [len(tokenizer(f"{word}.", add_special_tokens=False).input_ids) for word in words]
    limit = model.config.max_text_len
    for phrase, length in zip(phrases, lengths, strict=True):
        if length + 2 > limit:
            raise PromptError(
                f"the phrase {phrase[:40]!r}... has {length - 1} word pieces, the detector takes "
                f"{limit - 3}: name the object in a few words, and end each phrase with a dot"
            )
    groups = []
    for members in _split(lengths, limit - 2, at_once or len(lengths)):
        own_words, owners = [words[i] for i in members], [owner[i] for i in members]
        groups.append(_encode_group(model, tokenizer, own_words, owners))
    unknown_id = tokenizer.unk_token_id
    unknown = tuple(
        phrase
        for phrase, word in zip(phrases, words, strict=True)
        if set(tokenizer(word, add_special_tokens=False).input_ids) <= {unknown_id}
    )
    return EncodedText(
        tuple(phrase.name for phrase in named),
        tuple(groups),
        unknown,
        tuple(phrase.threshold for phrase in named),
    )


def _split(lengths: list[int], limit: int, most: int) -> list[list[int]]:
    """Consecutive runs of phrases, each of at most `limit` tokens and `most` phrases."""
    runs: list[list[int]] = [[]]
    room = limit
    for index, length in enumerate(lengths):
        if length > room or len(runs[-1]) == most:
            runs.append([])
            room = limit
        runs[-1].append(index)
        room -= length
    return runs


def _encode_group(
    model: GroundingDinoModel,
    tokenizer: PreTrainedTokenizerBase,
    words: list[str],
    owners: list[int],
) -> TextGroup:
    text, spans = "", []
    for word in words:
        spans.append((len(text), len(text) + len(word)))
        text += f"{word}. "
    tokens = tokenizer(text.rstrip(), return_tensors="pt", return_offsets_mapping=True)
    start, end = tokens.pop("offset_mapping")[0].unbind(-1)
    tokens = tokens.to(model.device)

    self_attention, position_ids = _blocks(tokens.input_ids)
    hidden = model.text_backbone(
        tokens.input_ids,
        self_attention[:, None],
        torch.zeros_like(tokens.input_ids),
        position_ids,
        return_dict=True,
    ).last_hidden_state

    columns = [(start >= first) & (end <= last) & (end > start) for first, last in spans]
    own = torch.stack(columns, dim=1).float()
    return TextGroup(
        features=model.text_projection(hidden),
        token_mask=tokens.attention_mask.bool(),
        self_attention=self_attention,
        position_ids=position_ids,
        phrase_of_token=(own / own.sum(0, keepdim=True).clamp(min=1)).to(model.device),
        phrase_index=torch.tensor(owners, device=model.device),
    )


def _blocks(input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Which tokens see each other, [1, T, T] bool, and their places [1, T] in their own phrase.

    A phrase and the dot that ends it form a block; [CLS] and [SEP] are blocks of their own. The
    function of transformers that does this changed its arguments between versions.
    """
    ends = torch.isin(input_ids, torch.tensor(SPECIAL_TOKENS, device=input_ids.device))
    block = ends.cumsum(1) - ends.long()
    first = torch.searchsorted(block, block)
    places = torch.arange(input_ids.shape[1], device=input_ids.device)
    return block[:, :, None] == block[:, None, :], places - first
