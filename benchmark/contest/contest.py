"""Runs the contenders against each other: in turn, stretch by stretch, over the same frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.stats import linregress
from tqdm import tqdm

from gsam_ros.evaluation.objects import FrameObjects
from gsam_ros.evaluation.pairing import PairedFrame, PromptChange, pair_up
from gsam_ros.instances import Detections

from .contenders import OURS, STOCK, Entry
from .scenes import Film, film, objects_of
from .worker import Stretch, Worker

_COUNTED = 14  # frames on which operations are counted: whole rounds of keyframes, of all of ours


@dataclass
class Measured:
    """What is known of one contender of frames.

    Attributes:
        seconds: per frame, one for each stretch that is timed, in the order of the stretches. A
            scene's first is not, since things are set up in it, nor is the last of the last scene,
            on which operations are counted.
        prepared: seconds per frame for what needs the whole video.
        answers: of all frames.
        memory: (frames so far in the scene, MB) after each stretch of the longest scene.
        loaded: MB with the models loaded, before the first frame.
        peak: the most MB from then on.
        operations: per frame, floating point.
        stages: milliseconds of every frame by stage; only ours tells them.
    """

    seconds: list[float] = field(default_factory=list)
    prepared: list[float] = field(default_factory=list)
    answers: list[FrameObjects] = field(default_factory=list)
    memory: list[tuple[int, float]] = field(default_factory=list)
    loaded: float = 0.0
    peak: float = 0.0
    operations: float = 0.0
    stages: dict[str, list[float]] = field(default_factory=dict)

    @property
    def seconds_per_frame(self) -> np.ndarray:
        """[stretches] with the preparation's share."""
        return np.array(self.seconds) + (np.mean(self.prepared) if self.prepared else 0.0)

    @property
    def growth(self) -> float:
        """MB per frame, by least squares without the first stretch.

        0 where the slope is below three standard errors, since the allocator's ups and downs are no
        growth, and of less than four stretches, which can't tell one from the other.
        """
        frames, megabytes = np.array(self.memory[1:], float).reshape(-1, 2).T
        if len(frames) < 3:
            return 0.0
        slope, error = linregress(frames, megabytes)[0::4]
        return float(slope) if slope > 3 * error else 0.0


def run_streams(
    entries: Sequence[Entry], films: Sequence[Film], stretch: int
) -> tuple[dict[str, Measured], dict[str, list[PairedFrame]]]:
    """All contenders of frames over all scenes.

    Args:
        entries: who takes part.
        films: the scenes.
        stretch: frames that one answers before the next has its turn; a scene has at least three
            such stretches.

    Returns:
        By name: what was measured, and the answers beside the truth.

    Raises:
        ContenderError: one could not go on.
    """
    measured = {entry.name: Measured() for entry in entries}
    pairs: dict[str, list[PairedFrame]] = {entry.name: [] for entry in entries}
    total = len(entries) * sum(len(scene.images) for scene in films)
    with _started(entries) as workers, _bar(total) as bar:
        for worker in workers:
            measured[worker.entry.name].loaded = worker.loaded_memory
        for scene in films:
            answers = _run_scene(workers, scene, stretch, measured, bar, scene is films[-1])
            prompt = PromptChange.of(0, scene.prompt)
            for name, found in answers.items():
                pairs[name] += pair_up(scene.truth, found, [prompt])
        for worker in workers:
            measured[worker.entry.name].peak = worker.peak()
    return measured, pairs


def _run_scene(
    workers: Sequence[Worker],
    scene: Film,
    stretch: int,
    measured: dict[str, Measured],
    bar: tqdm,
    last: bool,
) -> dict[str, list[FrameObjects]]:
    """One scene, all contenders; their answers by name."""
    answers: dict[str, list[FrameObjects]] = {worker.entry.name: [] for worker in workers}
    memory: dict[str, list[tuple[int, float]]] = {worker.entry.name: [] for worker in workers}
    for worker in workers:
        prepared = worker.begin(scene.prompt, scene.images) / len(scene.images)
        measured[worker.entry.name].prepared += [prepared] if prepared else []
    for start in range(0, len(scene.images), stretch):
        images = scene.images[start : start + stretch]
        counted = last and start + stretch >= len(scene.images)
        for worker in workers:
            name = worker.entry.name
            if counted:
                measured[name].operations, done = _counted(worker, images)
            else:
                done = worker.answer(images)
            for index, answer in enumerate(done.answers, start):
                answers[name].append(objects_of(answer, scene.name, index))
            memory[name].append((start + len(images), done.memory))
            if start > 0 and not counted:
                measured[name].seconds.append(done.seconds / len(images))
                for stage, milliseconds in done.stages.items():
                    measured[name].stages.setdefault(stage, []).extend(milliseconds)
            bar.set_postfix_str(name, refresh=False)
            bar.update(len(images))
    for name, points in memory.items():
        if len(points) > len(measured[name].memory):
            measured[name].memory = points
    return answers


def _counted(worker: Worker, images: Sequence[np.ndarray]) -> tuple[float, Stretch]:
    """Answer a stretch and count the operations per frame, which takes several times as long.

    Where each frame is answered by itself, the last ones tell.
    """
    if worker.needs_whole_video:
        operations, done = worker.count("answer", list(images))
        return operations / len(images), done
    before = worker.answer(images[:-_COUNTED])
    operations, done = worker.count("answer", list(images[-_COUNTED:]))
    return operations / len(images[-_COUNTED:]), replace(
        done, answers=[*before.answers, *done.answers]
    )


def run_memory(
    entries: Sequence[Entry], seed: int, frames: int, stretch: int, limit: float
) -> dict[str, Measured]:
    """Ours and the stock session over one long scene, for their memory alone.

    One that holds more than `limit` MB is asked no more: its growth is known by then.
    """
    chosen = [entry for entry in entries if entry.name in (OURS, STOCK)]
    measured = {entry.name: Measured() for entry in chosen}
    with _started(chosen) as workers, _bar(len(chosen) * frames) as bar:
        for start, scene in _long_scene(seed, frames, stretch):
            for worker in workers:
                of = measured[worker.entry.name]
                bar.update(len(scene.images))
                if of.memory and of.memory[-1][1] > limit:
                    continue
                if start == 0:
                    worker.begin(scene.prompt, [])
                done = worker.answer(scene.images)
                of.memory.append((start + len(scene.images), done.memory))
                of.seconds.append(done.seconds / len(scene.images))
                of.loaded, of.peak = worker.loaded_memory, worker.peak()
    return measured


def run_sliced(
    entries: Sequence[Entry], pictures: int
) -> tuple[dict[str, Measured], dict[str, list[tuple[object, Detections]]]]:
    """Sliced detection on large pictures.

    Returns:
        By name: what was measured, and (picture, detections) pairs.
    """
    import slices

    measured = {entry.name: Measured() for entry in entries}
    found: dict[str, list[tuple[object, Detections]]] = {entry.name: [] for entry in entries}
    with _started(entries) as workers, _bar(len(entries) * pictures, "picture") as bar:
        for still, pairs in slices.scenes(pictures):
            phrases = tuple(slices.phrase_of(pair) for pair in pairs)
            for worker in workers:
                seconds, detections = worker.look(still.image, phrases)
                measured[worker.entry.name].seconds.append(seconds)
                found[worker.entry.name].append(((still, pairs), detections))
                bar.update(1)
        for worker in workers:
            of = measured[worker.entry.name]
            of.loaded, of.peak = worker.loaded_memory, worker.peak()
            of.operations, _ = worker.count("look", (still.image, phrases))
    return measured, found


def _long_scene(seed: int, frames: int, stretch: int) -> Iterator[tuple[int, Film]]:
    """One scene in stretches, drawn when they are needed: (first frame, stretch)."""
    for start in range(0, frames, stretch):
        yield start, film(seed, min(stretch, frames - start), start)


@contextmanager
def _started(entries: Sequence[Entry]) -> Iterator[list[Worker]]:
    """The contenders' processes, all loaded; ended when the context is left."""
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(entry)) for entry in entries]
        for worker in workers:
            worker.ready()
        yield workers


def _bar(total: int, unit: str = "frame") -> tqdm:
    return tqdm(total=total, unit=unit, mininterval=1, smoothing=0.05)
