"""Our streaming memory against the stock video predictors: time per frame and memory, as ratios.

Same weights, same frames, same boxes, in one run, alternating frame by frame:

    python -m benchmark.propagation --objects 1 4 16 --frames 60 --out FOLDER

- ours: the image encoder, memory attention, decoder and memory encoder, as `InstanceTracker` calls
  them, for all objects in one batch;
- tracker: `InstanceTracker` itself, with what it does besides (association, boxes, the life of a
  track), and no memories of frames on which it takes an object for hidden;
- fast: the same with `tracker.memory: fast`; ten frames and two detections of each object a second;
- gliding: that with `tracker.rate: 5` besides, so every other frame's masks go with the pixels;
- sam2: Meta's `SAM2VideoPredictor` (its masks are left at the size of the logits, which spares it
  the enlarging that it does for users);
- transformers: the stock session of `Sam2VideoModel`.

Prints the median milliseconds per frame once the memory's windows are full, the ratios, whether
ours and sam2's masks are the same, and how much each one's process grew at its peak: each side runs
once more in a process of its own for that. Absolute times depend on the machine and on what else it
does; read the ratios.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from tqdm import tqdm
from transformers import Sam2VideoProcessor

from gsam_ros import checkpoints
from gsam_ros.instances import Detections, Frame
from gsam_ros.pipeline.devices import use_threads
from gsam_ros.pipeline.glides import Glides
from gsam_ros.tracking.camera_tracks import View
from gsam_ros.tracking.memory import TrackMemory
from gsam_ros.tracking.propagation import propagate, segment_boxes
from gsam_ros.tracking.segmenters.packages import load_segmenter
from gsam_ros.tracking.segmenters.transformers_sam2 import TransformersSam2
from gsam_ros.tracking.settings import SegmenterSettings, TrackerSettings
from gsam_ros.tracking.tracker import InstanceTracker

# The key mapping from transformers' weights to sam2's modules is the tests' oracle.
sys.path.insert(0, str(Path(__file__).parents[1] / "test"))

HEIGHT, WIDTH = 480, 640
PERIOD = 100_000_000
"""Nanoseconds between two frames."""
DETECTED_EVERY = 6
"""Frames, an even number: of any two with detections, gliding looks at both."""
Step = Callable[[np.ndarray], Any]
Make = Callable[[TransformersSam2, int], Step]


def frames(count: int) -> Iterator[np.ndarray]:
    """A coarse pattern that drifts, so that every frame differs."""
    pattern = np.random.default_rng(0).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    image = np.kron(pattern, np.ones((16, 16, 1), np.uint8))
    for shift in range(count):
        yield np.roll(image, shift, axis=1)[:HEIGHT, :WIDTH].copy()


def grid(count: int) -> np.ndarray:
    """[count, 4] boxes side by side."""
    columns = int(np.ceil(np.sqrt(count)))
    width, height = WIDTH // columns, HEIGHT // columns
    cells = [(column * width, row * height) for row in range(columns) for column in range(columns)]
    return np.array([(x + 2, y + 2, x + width - 2, y + height - 2) for x, y in cells[:count]],
                    np.float32)  # fmt: skip


def ours(model: TransformersSam2, count: int) -> Step:
    """The operations of tracking; every frame is remembered, as the stock predictors do."""
    memories = [TrackMemory(model.num_memories, model.max_pointers) for _ in range(count)]
    index = torch.zeros(count, dtype=torch.long)
    boxes = torch.from_numpy(grid(count) / np.array([WIDTH, HEIGHT] * 2, np.float32))

    def step(image: np.ndarray) -> torch.Tensor:
        features = model.encode_image([image])
        prompted = memories[0].clock == 0
        if prompted:
            masks = segment_boxes(model, features, index.tolist(), boxes)
        else:
            masks = propagate(model, features, index.tolist(), memories)
        tokens = model.encode_memory(features[index], masks, torch.full((count,), prompted))
        for row, memory in enumerate(memories):
            memory.remember(tokens[row], masks.pointer[row], prompted)
        return masks.logits

    return step


def tracker(model: TransformersSam2, count: int, rate: float = 0.0, memory: str = "exact") -> Step:
    """Our tracker, with `tracker.rate` and `tracker.memory` as given."""
    # Whatever the masks say, each box stays a track: this measures cost, not association.
    settings = TrackerSettings(
        max_objects=count, duplicate_iou=1.0, confirm_after=0.0, confirmed_missed=60.0,
        occluded_after=60.0, reprompt_iou=0.0, memory=memory,
    )  # fmt: skip
    tracking = InstanceTracker(model, settings)
    tracking.set_phrases(("thing",))
    found = Detections(grid(count), np.ones(count, np.float32), np.zeros(count, np.int64))
    numbers = iter(range(10**9))
    glides = Glides()

    def step(image: np.ndarray) -> None:
        number = next(numbers)
        frame = Frame(image, number * PERIOD)
        if glides.carry(frame, rate):
            glides.move(frame.camera, tracking.instances(frame.camera))
            return
        features = model.encode_image([image])
        detections = None if number % DETECTED_EVERY else found
        tracking.step(features, [View(frame.camera, frame.stamp, (HEIGHT, WIDTH), detections)])
        glides.begin(frame, rate)
        assert len(tracking.cameras[frame.camera].tracks) == count

    return step


def fast(model: TransformersSam2, count: int) -> Step:
    """Our tracker in its fast mode."""
    return tracker(model, count, memory="fast")


def gliding(model: TransformersSam2, count: int) -> Step:
    """The same, and SAM 2 looks at every other frame."""
    return tracker(model, count, rate=0.5e9 / PERIOD, memory="fast")


def sam2(model: TransformersSam2, count: int) -> Step:
    """Meta's predictor as its documentation uses it, fed one frame at a time."""
    from sam2_oracle import predictor_of_transformers

    predictor = predictor_of_transformers(model.model)
    size = model.image_size
    fed: list[np.ndarray] = []

    class Video:
        """Frames by number; only the newest is there."""

        def __len__(self) -> int:
            return 10**6

        def __getitem__(self, number: int) -> torch.Tensor:
            return model.pixels(fed)[0]

    walk: Iterator[Any] = iter(())

    def step(image: np.ndarray) -> torch.Tensor:
        nonlocal walk
        first = not fed
        fed[:] = [image]
        if first:
            video = (Video(), size // 4, size // 4)
            with patch("sam2.sam2_video_predictor.load_video_frames", return_value=video):
                state = predictor.init_state("frames as they come")
            for number, box in enumerate(grid(count) / np.array([WIDTH, HEIGHT] * 2)):
                predictor.add_new_points_or_box(state, 0, number, box=box, normalize_coords=False)
            walk = predictor.propagate_in_video(state)
        with torch.inference_mode():
            return next(walk)[2][:, 0]

    return step


def transformers(model: TransformersSam2, count: int) -> Step:
    """transformers' streaming session as its documentation uses it."""
    processor = Sam2VideoProcessor.from_pretrained(checkpoints.locate("demo-segmenter"))
    session = processor.init_video_session(inference_device="cpu", dtype=torch.float32)

    def step(image: np.ndarray) -> None:
        if not session.get_obj_num():
            processor.add_inputs_to_inference_session(
                inference_session=session,
                frame_idx=0,
                obj_ids=list(range(1, count + 1)),
                input_boxes=[grid(count).tolist()],
                original_size=torch.tensor([HEIGHT, WIDTH]),
            )
        model.model(inference_session=session, frame=model.pixels([image])[0])

    return step


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

SIDES: dict[str, Make] = {
    "ours": ours,
    "tracker": tracker,
    "fast": fast,
    "gliding": gliding,
    "sam2": sam2,
    "transformers": transformers,
}


def compare(
    model: TransformersSam2,
    count: int,
    length: int,
    sides: list[str],
    clock: Callable[[], float],
) -> dict[str, Any]:
    """Milliseconds per frame of each side, alternating, and how equal ours and sam2's masks are."""
    steps = {side: SIDES[side](model, count) for side in sides}
    times: dict[str, list[float]] = {side: [] for side in sides}
    equal = []
    for image in tqdm(frames(length), total=length, leave=False, mininterval=2):
        logits = {}
        for side, step in steps.items():
            start = clock()
            logits[side] = step(image)
            times[side].append(1e3 * (clock() - start))
        if "sam2" in logits:
            same = (logits["ours"] > 0) == (logits["sam2"] > 0)
            equal.append(float(same.float().mean()))
    # Frames with and without a detection differ: the mean of the medians of both.
    full = min(20, length // 3)
    settled = {
        side: statistics.mean(statistics.median(t[full + turn :: 2]) for turn in (0, 1))
        for side, t in times.items()
    }
    return {
        "objects": count,
        "milliseconds": settled,
        "times_ours": {side: settled[side] / settled["ours"] for side in sides},
        "equal_pixels": min(equal, default=None),
    }


def peak(arguments: tuple[SegmenterSettings, int, int, int, str]) -> float:
    """Megabytes by which the process of one side grew at its peak, in that process."""
    settings, threads, count, length, side = arguments
    use_threads(threads)
    os.environ["TQDM_DISABLE"] = "1"
    model = load(settings)
    model.encode_image([next(frames(1))])
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is what is held now
    before = _peak_kilobytes()
    step = SIDES[side](model, count)
    for image in frames(length):
        step(image)
    return (_peak_kilobytes() - before) / 1e3


def _peak_kilobytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmHWM:")]
    return int(line.split()[1])


def load(settings: SegmenterSettings) -> TransformersSam2:
    """The segmenter; the others' modules are made of its weights."""
    model = load_segmenter(settings, torch.device("cpu"))
    assert isinstance(model, TransformersSam2)
    return model


def main() -> None:
    """Run the sides, print a table, and write benchmark.json."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--segmenter", default="demo-segmenter")
    arguments.add_argument("--image-size", type=int, default=0)
    arguments.add_argument("--objects", type=int, nargs="+", default=[1, 4, 16])
    arguments.add_argument("--frames", type=int, default=60)
    arguments.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu: of this process, on a busy machine"
    )
    arguments.add_argument("--no-memory", action="store_true", help="time alone")
    arguments.add_argument("--out", type=Path, help="folder for propagation.json")
    options = arguments.parse_args()
    sides = ["ours", *(side for side in options.sides if side != "ours")]
    use_threads(options.threads)
    os.environ["TQDM_DISABLE"] = "1"  # sam2 draws a bar of its own

    settings = SegmenterSettings(model=options.segmenter, image_size=options.image_size)
    model = load(settings)
    table = []
    print(_line("objects", [f"{side}, ms" for side in sides],
                [f"{side} / ours" for side in sides[1:]], ["equal pixels"]))  # fmt: skip
    print(_line("---", ["---"] * (2 * len(sides))))
    for count in options.objects:
        row = compare(model, count, options.frames, sides, CLOCKS[options.clock])
        table.append(row)
        equal = row["equal_pixels"]
        print(_line(count, [f"{row['milliseconds'][side]:.1f}" for side in sides],
                    [f"{row['times_ours'][side]:.2f}" for side in sides[1:]],
                    ["-" if equal is None else f"{equal:.5f}"]))  # fmt: skip
    if not options.no_memory:
        print("\n" + _line("objects", [f"{side}, peak MB" for side in sides]))
        print(_line("---", ["---"] * len(sides)))
        for row in table:
            count = row["objects"]
            jobs = [(settings, options.threads, count, options.frames, side) for side in sides]
            with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
                row["peak_megabytes"] = dict(zip(sides, pool.map(peak, jobs, 1), strict=True))
            print(_line(count, [f"{row['peak_megabytes'][side]:.0f}" for side in sides]))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        told = {"options": {k: str(v) for k, v in vars(options).items()}, "rows": table}
        (options.out / "propagation.json").write_text(json.dumps(told, indent=2) + "\n")


def _line(first: object, *cells: list[str]) -> str:
    sys.stdout.flush()  # of the line before: a benchmark that is broken off leaves what it has
    return " | ".join([f"| {first}", *(cell for group in cells for cell in group)]) + " |"


if __name__ == "__main__":
    main()
