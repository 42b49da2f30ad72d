"""`gsam train demo`: both bundled models, made anew from their seeds."""

from __future__ import annotations

import argparse
import sys

from gsam_ros.commands.common import count, fail, folder, number

ABOUT = "both bundled models from nothing, on two CPU cores"

_SCENES = 200
_share = number(float, lambda n: 0 < n <= 1, "a number above 0, and 1 at most")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gsam train demo`."""
    parser.add_argument(
        "--out",
        type=folder,
        required=True,
        help="folder for demo-detector, demo-segmenter and world.json; where it holds an "
        "interrupted training, that goes on",
    )
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (0)")
    parser.add_argument(
        "--share",
        type=_share,
        default=1.0,
        help="of the steps (1): less takes less time and makes worse models",
    )
    parser.add_argument(
        "--scenes",
        type=count,
        default=_SCENES,
        metavar="N",
        help=f"to measure the models on at the end, as `gsam evaluate world` does with 1000 of "
        f"them ({_SCENES}); 0: they are not measured",
    )


def run(options: argparse.Namespace) -> int:
    """Train one after the other, then measure both and write their cards."""
    from gsam_ros.checkpoints import CheckpointError
    from gsam_ros.commands.evaluate_world import measure
    from gsam_ros.processes import ProcessError
    from gsam_ros.training.demo_models import DemoTraining, DemoTrainingError, write_card
    from gsam_ros.training.world_figures import Amounts

    figures = {}
    try:
        training = DemoTraining(options.out, options.seed, options.share)
        training.run()
        if options.scenes:
            models = {role: str(folder) for role, folder in training.models.items()}
            figures = measure(models, Amounts().times(options.scenes / 1000), options.out)
        for role, folder in training.models.items():
            write_card(role, folder, training, figures.get(role, {}))
    except (CheckpointError, DemoTrainingError, ProcessError, OSError) as error:
        return fail(str(error))
    except KeyboardInterrupt:
        print(f"gsam: the same command goes on with what is in {options.out}", file=sys.stderr)
        raise
    print("\n".join(f"{role}: {folder}" for role, folder in training.models.items()))
    return 0
