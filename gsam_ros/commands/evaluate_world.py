"""`gsam evaluate world`: models on the synthetic world, against what they should do."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gsam_ros.commands.common import count, fail, folder, positive

if TYPE_CHECKING:
    from gsam_ros.training.world_figures import Amounts

ABOUT = "measure a detector and a segmenter on the synthetic world that the bundled ones know"

_AMOUNTS = {
    "scenes": (1000, "pictures for the detector"),
    "stills": (200, "pictures for the segmenter"),
    "clips": (40, "clips of 16 frames"),
    "long-clips": (10, "clips of 100 frames"),
    "returns": (40, "clips with an object that is hidden and comes back"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gsam evaluate world`."""
    parser.add_argument(
        "--detector",
        metavar="MODEL",
        help="Grounding DINO: bundled name, folder or hub id. Without --detector and --segmenter "
        "both bundled models are measured",
    )
    parser.add_argument(
        "--segmenter", metavar="MODEL", help="SAM 2 video model of 256 pixels: likewise"
    )
    for name, (number, meaning) in _AMOUNTS.items():
        parser.add_argument(
            f"--{name}",
            type=positive if name == "scenes" else count,
            default=number,
            metavar="N",
            help=f"{meaning} ({number})",
        )
    parser.add_argument("--out", type=folder, help="folder for world.json; none by default")


def run(options: argparse.Namespace) -> int:
    """Measure, and print each figure beside its aim."""
    from gsam_ros.checkpoints import BUNDLED, CheckpointError
    from gsam_ros.training.world_figures import Amounts

    models = {"detector": options.detector, "segmenter": options.segmenter}
    if not any(models.values()):
        models = dict(zip(models, BUNDLED, strict=True))
    amounts = Amounts(**{entry.name: getattr(options, entry.name) for entry in fields(Amounts)})
    try:
        measure({role: name for role, name in models.items() if name}, amounts, options.out)
    except (CheckpointError, OSError) as error:
        return fail(str(error))
    return 0


def measure(models: dict[str, str], amounts: Amounts, out: Path | None) -> dict[str, Any]:
    """Measure models by role ("detector", "segmenter"), print, and write `out`/world.json.

    Raises:
        CheckpointError: a model can't be loaded or measured.
        OSError: the file can't be written.
    """
    import torch
    from transformers.utils import logging

    from gsam_ros.tables import as_text, without_nan
    from gsam_ros.training.world_figures import ROLES, missed, rows

    logging.disable_progress_bar()
    torch.set_num_threads(1)  # more gain small models little, and cost others much
    if out:
        out.mkdir(parents=True, exist_ok=True)
    measured: dict[str, Any] = {}
    for role, name in models.items():
        figures_of, aims = ROLES[role]
        figures = figures_of(name, amounts, True)
        measured[role] = {"model": name} | figures | {"missed": missed(figures, aims)}
        print(f"{role} {name}\n{as_text(rows(figures, aims))}\n", flush=True)
        if out:
            (out / "world.json").write_text(json.dumps(without_nan(measured), indent=2) + "\n")
    return measured
