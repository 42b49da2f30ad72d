"""Our streaming memory against transformers' stock video session: time and memory, as ratios.

Same weights, same frames, same boxes, in one run:

    python -m benchmark.propagation --objects 1 4 16 --frames 60

Prints, for each number of objects, the median milliseconds per frame of both (once the memory's
windows are full), their ratio, and how much each process state grew from the first frame to the
last. Absolute times depend on the machine and on what else it does; read the ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from tqdm import tqdm
from transformers import Sam2VideoProcessor

from gsam_ros import checkpoints
from gsam_ros.instances import Detections
from gsam_ros.tracking.camera_tracks import View
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.tracker import InstanceTracker
from gsam_ros.tracking.transformers_sam2 import TransformersSam2

HEIGHT, WIDTH = 480, 640
Step = Callable[[np.ndarray], None]


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


def ours(model: TransformersSam2, count: int) -> tuple[Step, Callable[[], int]]:
    """Our tracker, and the bytes that its memory holds."""
    # Whatever the masks say, each box stays a track: this measures cost, not association.
    settings = TrackerSettings(
        max_objects=count, duplicate_iou=1.0, confirm_after=0.0, confirmed_missed=1000.0,
        occluded_after=60.0,
    )  # fmt: skip
    tracker = InstanceTracker(model, settings)
    tracker.set_phrases(("thing",))
    boxes = grid(count)
    found = Detections(boxes, np.ones(count, np.float32), np.zeros(count, np.int64))
    stamps = iter(range(10**9))

    def step(image: np.ndarray) -> None:
        stamp = next(stamps)
        features = model.encode_image([image])
        tracker.step(features, [View("", stamp, (HEIGHT, WIDTH), None if stamp else found)])

    def held() -> int:
        tracks = tracker.cameras[""].tracks
        assert len(tracks) == count, f"{len(tracks)} of {count} objects are tracked"
        kept = [frame for track in tracks for _, frame in track.memory.frames()]
        return sum(frame.features.nbytes + frame.pointer.nbytes for frame in kept)

    return step, held


def stock(
    model: TransformersSam2, processor: Sam2VideoProcessor, count: int
) -> tuple[Step, Callable[[], int]]:
    """transformers' streaming session as its documentation uses it, and the bytes it holds."""
    session = processor.init_video_session(inference_device="cpu", dtype=torch.float32)

    def step(image: np.ndarray) -> None:
        pixels = processor(images=image, return_tensors="pt")
        if not session.get_obj_num():
            processor.add_inputs_to_inference_session(
                inference_session=session,
                frame_idx=0,
                obj_ids=list(range(1, count + 1)),
                input_boxes=[grid(count).tolist()],
                original_size=pixels.original_sizes[0],
            )
        output = model.model(inference_session=session, frame=pixels.pixel_values[0])
        processor.post_process_masks(
            [output.pred_masks], original_sizes=pixels.original_sizes, binarize=True
        )

    def held() -> int:
        total = sum(frame.nbytes for frame in (session.processed_frames or {}).values())
        for outputs in session.output_dict_per_obj.values():
            for by_frame in outputs.values():
                for output in by_frame.values():
                    total += sum(t.nbytes for t in output.values() if isinstance(t, torch.Tensor))
        return total

    return step, held


def main() -> None:
    """Run both sides, alternating frame by frame, and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--segmenter", default="demo-segmenter")
    arguments.add_argument("--objects", type=int, nargs="+", default=[1, 4, 16])
    arguments.add_argument("--frames", type=int, default=60)
    options = arguments.parse_args()

    model = TransformersSam2(options.segmenter, torch.device("cpu"))
    processor = Sam2VideoProcessor.from_pretrained(checkpoints.locate(options.segmenter))
    print("| objects | ours, ms | stock, ms | stock / ours | ours holds, MB | stock holds, MB |")
    print("|---|---|---|---|---|---|")
    for count in options.objects:
        sides = [ours(model, count), stock(model, processor, count)]
        times: list[list[float]] = [[], []]
        for image in tqdm(frames(options.frames), total=options.frames, leave=False, mininterval=2):
            for side, (step, _) in enumerate(sides):
                start = time.perf_counter()
                step(image)
                times[side].append(1e3 * (time.perf_counter() - start))
        settled = [statistics.median(t[options.frames // 3 :]) for t in times]
        held = [measure() / 1e6 for _, measure in sides]
        print(f"| {count} | {settled[0]:.1f} | {settled[1]:.1f} | {settled[1] / settled[0]:.2f} "
              f"| {held[0]:.2f} | {held[1]:.2f} |")  # fmt: skip


if __name__ == "__main__":
    main()
