"""`make bench`: the parts that figures depend on, and the whole as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmark"))

from contest import contest, figures, machine  # noqa: E402
from contest.answers import Answer  # noqa: E402
from contest.contenders import KEYFRAMES, OURS, PER_FRAME, STOCK, THRIFTY, Models  # noqa: E402
from contest.peers import OverlapIds, mask_iou  # noqa: E402
from contest.scenes import film, objects_of  # noqa: E402

SMALL = ("--frames", "6", "--every", "2", "--seeds", "1", "--pictures", "0")
DEMO = Models("demo-detector", "demo-segmenter", "cpu")


def squares(*corners: int, size: int = 4) -> np.ndarray:
    """[N, 16, 16] masks of squares, each at (corner, corner)."""
    masks = np.zeros((len(corners), 16, 16), bool)
    for mask, corner in zip(masks, corners, strict=True):
        mask[corner : corner + size, corner : corner + size] = True
    return masks


def run_bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmark" / "bench.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_overlap_of_masks() -> None:
    # Two squares of 16 pixels that share 9: 9 / 23.
    assert mask_iou(squares(0, 8), squares(1, 0)) == pytest.approx(np.array([[9 / 23, 1], [0, 0]]))


def test_ids_follow_overlap() -> None:
    ids = OverlapIds(0.3)
    assert ids.name(squares(0, 8)).tolist() == [1, 2]
    assert ids.name(squares(9, 1)).tolist() == [2, 1]  # moved by one pixel, in another order
    assert ids.name(squares(4)).tolist() == [3]  # too far from either
    assert ids.name(squares()).tolist() == []
    assert ids.name(squares(4)).tolist() == [4]  # nobody was there on the frame before


def test_an_answer_becomes_objects() -> None:
    masks = np.concatenate([squares(2, 8), np.zeros((1, 16, 16), bool)])
    answer = Answer(np.array([7, 9, 3]), ("cup", "box", "cup"), np.array([0.5, 1, 1]), masks)
    objects = objects_of(answer.encoded(), "scene", 20)
    assert objects.ids.tolist() == [7, 9]  # without the one that shows no pixel
    assert objects.phrases == ("cup", "box")
    assert objects.boxes.tolist() == [[2, 2, 6, 6], [8, 8, 12, 12]]
    assert objects.stamp == 2_000_000_000


def test_the_truth_is_a_perfect_answer() -> None:
    scene = film(seed=1, frames=3)
    prompt = contest.PromptChange.of(0, scene.prompt)
    pairs = contest.pair_up(scene.truth, scene.truth, [prompt])
    assert len(pairs) == 3
    assert pairs[0].expected.wanted.sum() >= 4
    row = figures.stream_rows({OURS: contest.Measured(seconds=[1.0])}, {OURS: pairs}, 1.0)[0]
    assert (row.ass_a, row.mask_iou) == pytest.approx((1, 1))


def test_operations_are_counted() -> None:
    queries, keys = torch.rand(1, 2, 10, 8), torch.rand(1, 2, 20, 8)
    with machine.flop_counter() as counter, torch.inference_mode():
        torch.nn.functional.scaled_dot_product_attention(queries, keys, keys)
        torch.rand(3, 5) @ torch.rand(5, 7)
    # Attention: 2 heads, 10 x 20 pairs, 8 numbers, times keys and values.
    assert counter.get_total_flops() == 2 * (2 * 10 * 20 * 8) * 2 + 2 * 3 * 5 * 7


def measured(memory: list[float], loaded: float = 100.0) -> contest.Measured:
    points = [(20 * (i + 1), megabytes) for i, megabytes in enumerate(memory)]
    return contest.Measured(memory=points, loaded=loaded, peak=max(memory))


@pytest.mark.parametrize(
    ("memory", "growth"),
    [
        ([150, 200, 220, 240, 260], 1.0),  # 20 MB in 20 frames; what the first sets up is left out
        ([150, 200, 230, 190, 215], 0.0),  # ups and downs
        ([150, 200, 180, 160, 140], 0.0),  # shrinks
        ([150, 200, 220], 0.0),  # too short to tell
    ],
)
def test_growth_of_memory(memory: list[float], growth: float) -> None:
    assert measured(memory).growth == pytest.approx(growth)


def test_what_was_extrapolated_is_told() -> None:
    ours, stock = measured([150, 200, 190, 200, 190]), measured([150, 200, 220, 240, 260])
    [target] = figures.targets([], {OURS: ours, STOCK: stock})
    assert figures.long_memory(stock) == (260 + 1.0 * (figures.LONG - 100), False)
    assert target.met == (2060 >= 10 * 100)  # without what was loaded before
    assert "extrapolated from 100 frames" in target.measured
    assert target.measured.startswith("100 and 2060 MB, 1/20.6; with libraries and weights, 100 MB")
    assert "200 and 2160 MB, 1/10.8" in target.measured
    assert figures.targets([], {OURS: measured([150, 200, 200]), STOCK: stock}) == []


def test_memory_of_this_process() -> None:
    machine.reset_peak("cpu")
    before = machine.memory_peak("cpu")
    block = np.ones(50_000_000, np.uint8)
    assert machine.memory_peak("cpu") >= before + 40
    del block
    machine.reset_peak("cpu")
    assert machine.memory_peak("cpu") < before + 40


def test_sliced_contenders_find_the_same_objects() -> None:
    from contest import sliced

    from gsam_ros.world.stills import draw_still
    from gsam_ros.world.vocabulary import SEEN, phrase_of

    pairs = list(SEEN[:2])
    still = draw_still(
        np.random.default_rng(3), 384, 512, pairs, max_objects=6, share=(1 / 16, 1 / 10)
    )
    phrases = tuple(phrase_of(pair) for pair in pairs)
    ours, sahi = (
        sliced.Ours(DEMO).look(still.image, phrases),
        sliced.Sahi(DEMO).look(still.image, phrases),
    )
    for found in (ours, sahi):
        centres = (still.boxes[:, None, :2] + still.boxes[:, None, 2:]) / 2
        hit = (found.boxes[None, :, :2] < centres) & (centres < found.boxes[None, :, 2:])
        assert hit.all(2).any(1).mean() > 0.5


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_benchmark_in_small(tmp_path: Path) -> None:
    done = run_bench(*SMALL, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads((tmp_path / "bench.json").read_text())
    rows = {row["name"]: row for row in document["contenders"]}
    assert list(rows) == [OURS, THRIFTY, PER_FRAME, KEYFRAMES, STOCK]
    assert rows[OURS]["time_ratio"] == 1
    for row in rows.values():
        assert row["time_ratio"] > 0
        assert row["hota"] > 0.1  # every contender finds something in the first six frames
        assert row["mask_iou"] > 0.5
        assert row["peak"] > row["loaded"] > 100
        # Counted on the last frames, on which SAM 2 rests where masks glide.
        assert row["gflop"] > 0.5 or row["name"] == THRIFTY
    memory = document["memory_mb_after_frames"]
    assert [frames for frames, _ in memory[STOCK]] == [2, 4, 6]
    assert memory[STOCK][-1][1] - memory[STOCK][0][1] > 4 * 0.786  # it keeps the frames at least
    assert len(document["targets"]) == 1  # of so few frames memory tells nothing
    assert document["our_stages_ms"].keys() == {"detect", "encode", "track", "refine"}
    assert "MISSED" in done.stdout or "met" in done.stdout
    assert cv2.imread(str(tmp_path / "bench.png")) is not None


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    other = ("--detector", "no-such-model", "--contenders", OURS)
    done = run_bench(*SMALL, *other, "--out", str(tmp_path))
    assert done.returncode == 1
    assert "bench: there is no model 'no-such-model'" in done.stderr
    assert not (tmp_path / "bench.json").exists()
