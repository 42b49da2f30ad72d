"""The `gsam` command."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from gsam_ros import __version__
from gsam_ros.commands import (
    compare,
    demo,
    detect,
    evaluate,
    evaluate_world,
    sweep,
    track,
    train,
)
from gsam_ros.commands.common import fail

_COMMANDS = {
    "demo": demo,
    "track": track,
    "detect": detect,
    "evaluate": evaluate,
    "compare": compare,
    "sweep": sweep,
    "train": train,
}

_MEMORY_ADVICE = "take smaller models, or the CPU, or end what else uses the memory"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    0: done; 1: a file, a bag, a model or a process failed, or a demo's result is not as it should
    be; 2: wrong usage; 130 and 143: interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:2] == ["evaluate", "world"]:
        # A run's folder stands in the same place, so that argparse can't tell them apart.
        options = _world_parser().parse_args(words[2:])
    else:
        options = _parser().parse_args(words)
    signal.signal(signal.SIGTERM, _end)
    try:
        status: int = options.run(options)
        return status
    except KeyboardInterrupt:
        print("gsam: interrupted", file=sys.stderr)
        return 130
    except (RuntimeError, MemoryError) as error:
        from gsam_ros.batches import is_out_of_memory  # imports torch, as what has failed did

        if not is_out_of_memory(error):
            raise
        return fail(f"the device's memory ran out: {options.memory_advice}")
    except ModuleNotFoundError as error:
        return fail(
            f"{error}: run this in the environment that `make setup` builds, or install the "
            "package that is missing (trackeval and tabulate: pip install --no-deps -r "
            "requirements/metrics.txt)"
        )


def _end(*_: object) -> None:
    """SIGTERM: leave through every `finally`, so that no child process is left behind."""
    sys.exit(143)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gsam", description="Find, name, segment and follow what a text prompt asks for."
    )
    parser.add_argument("--version", action="version", version=f"gsam_ros {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in _COMMANDS.items():
        child = commands.add_parser(name, help=command.ABOUT)
        command.add_arguments(child)
        child.set_defaults(run=command.run)
    parser.set_defaults(memory_advice=_MEMORY_ADVICE)
    return parser


def _world_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gsam evaluate world", description=evaluate_world.ABOUT.capitalize() + "."
    )
    evaluate_world.add_arguments(parser)
    parser.set_defaults(run=evaluate_world.run, memory_advice=_MEMORY_ADVICE)
    return parser


if __name__ == "__main__":
    sys.exit(main())
