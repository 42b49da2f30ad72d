"""Who takes part, and how each is made; nothing heavy is imported before one is built."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

OURS = "ours"
THRIFTY = "ours, thrifty"
PER_FRAME = "per frame"
KEYFRAMES = "keyframes"
STOCK = "stock session"
STREAMS = (OURS, THRIFTY, PER_FRAME, KEYFRAMES, STOCK)
"""Those that answer the frames of a scene."""

OURS_SLICED = "ours, sliced"
SAHI = "sahi"
SLICED = (OURS_SLICED, SAHI)
"""Those that look for small objects in large pictures."""

THRIFTY_SETTINGS = ("tracker.rate=1.3", "tracker.memory=fast")
"""Of a recording with 10 images a second: masks glide over six of seven."""

EXPLANATIONS = {
    OURS: "this pipeline with its default settings, as `gsam track` runs it",
    THRIFTY: "this pipeline set for a small machine (" + ", ".join(THRIFTY_SETTINGS) + ")",
    PER_FRAME: "Grounding DINO and SAM 2 on every frame, as the image demo of Grounded-SAM-2 does; "
    "it gives no ids, so here masks on neighbouring frames that overlap by half share one",
    KEYFRAMES: "Grounding DINO on every {every}th frame, SAM 2's video session in between, as the "
    "tracking demo of Grounded-SAM-2 with continuous ids does; the whole video lies in memory",
    STOCK: "transformers' streaming session, boxes on the first frame, as its documentation does; "
    "what comes later is never found",
    OURS_SLICED: "this pipeline's sliced detection",
    SAHI: "sahi's get_sliced_prediction with the same tiles and batches",
}


@dataclass(frozen=True)
class Models:
    """What to load, and where to: checkpoints as in `gsam_ros.checkpoints`, a torch device."""

    detector: str
    segmenter: str
    device: str

    def autocast(self) -> AbstractContextManager[object]:
        """Bfloat16 on a GPU, as in Grounded-SAM-2's demos; the weights' own format on a CPU."""
        if not self.device.startswith("cuda"):
            return nullcontext()
        import torch

        return torch.autocast("cuda", torch.bfloat16)


@dataclass(frozen=True)
class Entry:
    """One contender of one contest.

    Attributes:
        name: one of `STREAMS` or `SLICED`.
        models: the weights.
        threads: that torch computes with.
        every: frames from one detection of `KEYFRAMES` to the next.
        changes: settings of ours that differ from the defaults, "detector.rate=2".
    """

    name: str
    models: Models
    threads: int
    every: int = 20
    changes: tuple[str, ...] = ()

    def build(self) -> Any:
        """Load the models: a `Contender`, or for `SLICED` one of `sliced`."""
        if self.name in (OURS, THRIFTY):
            from .ours import Ours

            own = THRIFTY_SETTINGS if self.name == THRIFTY else ()
            return Ours(self.models, (*own, *self.changes))
        if self.name in SLICED:
            from . import sliced

            return (
                sliced.Ours(self.models) if self.name == OURS_SLICED else sliced.Sahi(self.models)
            )
        from . import peers

        if self.name == PER_FRAME:
            return peers.PerFrame(self.models)
        if self.name == KEYFRAMES:
            return peers.Keyframes(self.models, self.every)
        return peers.StockSession(self.models)
