"""What subcommands that run the models are told of them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gsam_ros.pipeline.settings import Settings


def add_pipeline_arguments(parser: argparse.ArgumentParser) -> None:
    """Device, models and every other setting."""
    add_model_arguments(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other setting of models and tracker, by the name of the node's parameter: "
        "detector.slices.mode=auto",
    )


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Device and models."""
    parser.add_argument("--device", help="auto, cpu, cuda, ...")
    parser.add_argument("--detector", help="Grounding DINO checkpoint: name, folder or hub id")
    parser.add_argument("--segmenter", help="SAM 2 checkpoint: name, folder, .pt file or hub id")


def chosen_models(options: argparse.Namespace) -> list[str]:
    """Those of `add_model_arguments` that were typed, as NAME=VALUE of the node's parameters."""
    named = {
        "device": options.device,
        "detector.model": options.detector,
        "segmenter.model": options.segmenter,
    }
    return [f"{name}={value}" for name, value in named.items() if value]


def pipeline_settings(options: argparse.Namespace) -> Settings:
    """The settings that were typed.

    Raises:
        SettingError: there is no such setting, or a value lies outside its range.
    """
    from gsam_ros.pipeline.settings import Settings
    from gsam_ros.settings import with_texts

    return with_texts(Settings(), [*options.set, *chosen_models(options)])
