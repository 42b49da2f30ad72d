"""Prompts for images of a data set: what is there, and what might have been."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

from gsam_ros.training.fine_tuning.coco_boxes import CocoError


class PromptMaker:
    """Draws prompts that fit into the model's text.

    A prompt holds the phrases of the image's objects and, chosen anew each time, other phrases of
    the data, of which nothing is there: without them the model would learn that whatever is asked
    for is there.
    """

    def __init__(
        self,
        phrases: Sequence[str],
        tokenizer: PreTrainedTokenizerBase,
        max_tokens: int,
        negatives: int,
    ) -> None:
        """Take `negatives` other phrases at most, and `max_tokens` with [CLS] and [SEP].

        Raises:
            CocoError: phrases are longer than that on their own.
        """
        self.phrases = tuple(phrases)
        self.negatives = negatives
        self._room = max_tokens - 2
        ids = tokenizer([f"{phrase}." for phrase in phrases], add_special_tokens=False).input_ids
        self._lengths = [len(own) for own in ids]
        long = [
            f"{phrase[:40]!r} ({length})"
            for phrase, length in zip(phrases, self._lengths, strict=True)
            if length > self._room
        ]
        if long:
            raise CocoError(
                f"phrases longer than the detector's text limit of {self._room} tokens: "
                f"{', '.join(long[:5])}: name objects in a few words"
            )

    def draw(
        self, rng: np.random.Generator, present: Sequence[int], unsure: Sequence[int] = ()
    ) -> list[int]:
        """Phrases of a prompt in random order, by their number.

        What is there comes first where the text is too short for all.

        Args:
            rng: to draw with.
            present: phrases of objects.
            unsure: phrases of things that are, or may be, there without boxes of their own. They
                are asked for only where `present` names them too: as absent ones they would be
                taught wrongly.

        Returns:
            None at all where nothing is present and nothing is sure to be absent.
        """
        there = list(dict.fromkeys(present))
        rng.shuffle(there)
        known = {*there, *unsure}
        chosen = there + self._absent(rng, known, max(self.negatives, not there))
        taken, room = [], self._room
        for number in chosen:
            if self._lengths[number] <= room:
                taken.append(number)
                room -= self._lengths[number]
        return [taken[i] for i in rng.permutation(len(taken))]

    def _absent(self, rng: np.random.Generator, known: set[int], count: int) -> list[int]:
        """Choose up to `count` other phrases."""
        # Out of a few more than are needed, so that large vocabularies cost nothing.
        pool = (
            rng.permutation(len(self.phrases))
            if len(self.phrases) < 4096
            else rng.integers(len(self.phrases), size=4 * (count + len(known)))
        )
        absent = dict.fromkeys(int(number) for number in pool if int(number) not in known)
        return list(absent)[:count]

    def text(self, numbers: Sequence[int]) -> str:
        """The prompt as the detector gets it: "red mug. person."."""
        return " ".join(f"{self.phrases[number]}." for number in numbers)
