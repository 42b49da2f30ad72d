"""The detector beside the stream against the detector that frames wait for: ages, drops and HOTA.

    python -m benchmark.beside                          # 4 worlds of 100 frames, counted clock
    python -m benchmark.beside --clock real --sequences 3 --frames 40 --fps 3 \
        --speed 0.3 --set detector.rate=1.5 --set tracker.memory=fast \
        --set detector.slices.mode=always --set detector.slices.width=320 \
        --set detector.slices.height=240                # a detector of many tiles

Frames of demo worlds arrive at their rate, and what is superseded is dropped as in live mode. Both
variants see the same frames under the same settings, world by world in turn; only
`detector.beside` differs. The age of a frame runs from its arrival to its results. See
`beside_clocks` for what time is: the counted one gives the same ratios whatever else a machine
does; the real one has all that two threads do to each other, and wants an idle machine.

HOTA is given twice. Of the frames: what was answered to each, however late the answer; a frame that
was dropped counts with nothing found on it. Of what was known: at every frame's arrival the newest
answer that had come until then, which is what a robot acts on (arXiv 2005.10420, "streaming
accuracy"); there an answer that comes late is wrong by as much as the world has moved.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from tqdm import tqdm

from benchmark.beside_clocks import Answered, CountedClock, RealClock
from benchmark.sequences import REPORTED_SEED, TUNING_SEED, World, answer_of, truth_of
from gsam_ros.evaluation.metrics.tracking import score_tracking
from gsam_ros.evaluation.objects import FrameObjects
from gsam_ros.evaluation.pairing import PairedFrame, PromptChange, pair_up
from gsam_ros.instances import Frame, FrameResult, Instances
from gsam_ros.pipeline.settings import Settings
from gsam_ros.settings import with_texts
from gsam_ros.world.scene import Scene

VARIANTS = ("never", "always")
"""Of `detector.beside`; the first is what the others are compared with."""


@dataclass
class Outcome:
    """What one variant made of all worlds.

    Attributes:
        answers: to the frames that had one.
        pairs: what was answered to each frame, beside the truth.
        known: what was known at each frame's arrival, likewise.
    """

    answers: list[Answered] = field(default_factory=list)
    pairs: list[PairedFrame] = field(default_factory=list)
    known: list[PairedFrame] = field(default_factory=list)

    def take(self, answers: Sequence[Answered], truths: Sequence[FrameObjects], text: str) -> None:
        """Put the answers to a world beside its truth, by their stamps and by when they came."""
        self.answers += answers
        prompt = [PromptChange.of(0, text)]
        found = {each.result.frame.stamp: answer_of(each.result) for each in answers}
        for truth in truths:
            self.pairs += pair_up([truth], [found.get(truth.stamp, nothing(truth))], prompt)
            there = [a.result.frame.stamp for a in answers if a.came <= truth.stamp / 1e9]
            newest = found[max(there)] if there else nothing(truth)
            self.known += pair_up([truth], [replace(newest, stamp=truth.stamp)], prompt)


def nothing(truth: FrameObjects) -> FrameObjects:
    """The answer to a frame that was dropped."""
    size = truth.masks[0]["size"] if truth.masks else [1, 1]
    frame = Frame(np.zeros((*size, 3), np.uint8), truth.stamp, truth.camera)
    return answer_of(FrameResult(frame, Instances.none(*size), None, False))


def film(world: World, fps: float, speed: float) -> tuple[list[Frame], list[FrameObjects]]:
    """A world's frames and their truth, drawn before the clock runs."""
    scene, frames, truths = Scene(world.seed), [], []
    for index in range(world.frames):
        rendered = scene.render(world.seed % 2, speed * index / fps)
        stamp = round(index * 1e9 / fps)
        frames.append(Frame(rendered.image, stamp, world.name))
        truths.append(truth_of(rendered, world.name, stamp))
    return frames, truths


def row(name: str, own: Outcome, least: Outcome) -> str:
    """One line of the table."""
    figures = score_tracking(own.pairs)
    ages, base = ([1e3 * each.age for each in which.answers] for which in (own, least))
    p50, p99 = np.percentile(ages, (50, 99))
    base50, base99 = np.percentile(base, (50, 99))
    results = [each.result for each in own.answers]
    late = [(r.late, (r.frame.stamp - r.late.stamp) / 1e6) for r in results if r.late]
    medians = [
        f"{np.median(each):.0f}" if late else "-"
        for each in (
            [news.detect_ms for news, _ in late],
            [by for _, by in late],
            [news.catch_up_ms for news, _ in late],
        )
    ]
    return (
        f"| {name} | {p50:.0f} ({p50 / base50:.2f}) | {p99:.0f} ({p99 / base99:.2f}) "
        f"| {max(ages):.0f} | {len(own.pairs) - len(ages)} of {len(own.pairs)} "
        f"| {sum(result.keyframe for result in results)} | {' | '.join(medians)} "
        f"| {figures.hota:.3f} | {score_tracking(own.known).hota:.3f} | {figures.mask_iou:.3f} "
        f"| {figures.id_switches / max(1, figures.objects):.3f} |"
    )


HEAD = (
    "| detector.beside | age p50, ms (ratio) | age p99, ms (ratio) | age max, ms | dropped "
    "| keyframes | detector, ms of the wall | late by, ms | catch-up, ms of the wall | HOTA "
    "| HOTA of what was known | mask IoU | id switches per object |"
)


def main() -> None:
    """Run both variants in turn and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--sequences", type=int, default=4)
    arguments.add_argument("--frames", type=int, default=100)
    arguments.add_argument("--fps", type=float, default=4.0, help="at which frames arrive")
    arguments.add_argument(
        "--speed", type=float, default=0.4, help="of the world: 0.5 moves half as far per second"
    )
    arguments.add_argument("--clock", choices=("counted", "real"), default="counted")
    arguments.add_argument("--tuning", action="store_true", help="worlds for choosing settings")
    arguments.add_argument("--threads", type=int, default=1, help="of each model's computation")
    arguments.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = arguments.parse_args()

    torch.set_num_threads(options.threads)
    settings = with_texts(Settings(device="cpu"), ["detector.rate=2", *options.set])
    clock = CountedClock if options.clock == "counted" else RealClock
    clocks = [clock(with_texts(settings, [f"detector.beside={name}"])) for name in VARIANTS]
    outcomes = [Outcome() for _ in VARIANTS]
    first = TUNING_SEED if options.tuning else REPORTED_SEED
    for seed in tqdm(range(first, first + options.sequences), unit="world"):
        world = World(seed, options.frames)
        frames, truths = film(world, options.fps, options.speed)
        for own, outcome in zip(clocks, outcomes, strict=True):
            outcome.take(own.run(world.prompt(), frames), truths, world.prompt())
    for own in clocks:
        own.close()
    print(HEAD)
    print("|---" * HEAD.count(" | ") + "|---|")
    for name, outcome in zip(VARIANTS, outcomes, strict=True):
        print(row(name, outcome, outcomes[0]))


if __name__ == "__main__":
    main()
