"""Two runs compared: the statistics equal the libraries, and the verdicts are right."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from evaluation_cases import HEIGHT, PLACES, WIDTH, frame, paired, rectangle
from hypothesis import given, settings
from hypothesis import strategies as st

from gsam_ros.evaluation.comparison.blocks import Blocks, draws, interval
from gsam_ros.evaluation.comparison.compare import Comparison, Difference, compare
from gsam_ros.evaluation.comparison.precision_statistics import PrecisionStatistics
from gsam_ros.evaluation.comparison.report import as_terminal, summary
from gsam_ros.evaluation.comparison.same_frames import ComparisonError
from gsam_ros.evaluation.comparison.timing_statistics import TimingStatistics
from gsam_ros.evaluation.comparison.tracking_statistics import TrackingStatistics
from gsam_ros.evaluation.frame_timing import FrameTiming
from gsam_ros.evaluation.metrics.detection import score_detections
from gsam_ros.evaluation.metrics.timing import score_timing
from gsam_ros.evaluation.metrics.tracking import score_tracking
from gsam_ros.evaluation.objects import FrameObjects
from gsam_ros.evaluation.pairing import PairedFrame
from gsam_ros.evaluation.run_score import RunScore
from gsam_ros.stages import Stage

MUG, BALL = "red mug", "green ball"
SECOND = 10**9
Found = Sequence[tuple]


def run_of(frames: Sequence[PairedFrame], stage_ms: float = 20.0) -> RunScore:
    """A run with these frames, the stage "detect" taking the same time on each."""
    timings = tuple(
        FrameTiming(
            f.answer.camera, f.answer.stamp, 0.05, False, (Stage("detect", 0, stage_ms / 1e3),), {}
        )
        for f in frames
    )
    detection, tracking = score_detections(frames), score_tracking(frames)
    return RunScore(
        (), detection, tracking, score_timing(timings), 1.0, 1.0, tuple(frames), timings
    )


def run_with(answers: Sequence[Found], rate: int = 10) -> RunScore:
    """A mug on the left and a ball on the right, answered like this, `rate` frames a second."""
    step = SECOND // rate
    truth = [frame(i * step, (1, MUG, "left"), (2, BALL, "right")) for i in range(len(answers))]
    return run_of(paired(truth, [frame(i * step, *found) for i, found in enumerate(answers)]))


BOTH = ((7, MUG, "left", 0.9), (8, BALL, "right", 0.8))
GOOD = run_with([BOTH] * 120)


def of(comparison: Comparison, name: str) -> Difference:
    return next(d for d in comparison.differences if d.name == name)


def jittered(objects: FrameObjects, rng: np.random.Generator) -> FrameObjects:
    """The same objects a few pixels away, so that overlaps take many values."""
    boxes = objects.boxes + rng.integers(-6, 7, objects.boxes.shape)
    boxes = np.clip(boxes, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.float32)
    masks = tuple(rectangle(box) for box in boxes.astype(int))
    return replace(objects, boxes=boxes, masks=masks)


def random_frames(seed: int, count: int = 12) -> list[PairedFrame]:
    """Two cameras; answers with wrong ids, phrases and places, and with some of them missing."""
    rng = np.random.default_rng(seed)

    def some(kind: str) -> list[tuple]:
        return [
            (
                int(rng.integers(1, 5)) if kind == "answer" else i + 1,
                str(rng.choice([MUG, BALL])) if kind == "answer" else (MUG, BALL, MUG)[i],
                place,
                float(rng.random()),
            )
            for i, place in enumerate(PLACES)
            if rng.random() < 0.7
        ]

    truth, answers = [], []
    for i in range(count):
        camera = "front" if rng.random() < 0.6 else "rear"
        truth.append(frame(i * SECOND, *some("truth"), camera=camera))
        found = {o[0]: o for o in some("answer")}.values()  # an id is there once per frame
        answers.append(jittered(frame(i * SECOND, *found, camera=camera), rng))
    return paired(truth, answers)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_every_block_once_gives_the_libraries_figures(seed: int) -> None:
    frames = random_frames(seed)
    block = np.arange(len(frames)) // 3
    once = np.ones((1, 4))
    detection, tracking = score_detections(frames), score_tracking(frames)
    for overlap, figure in (("bbox", detection.box_ap50), ("segm", detection.mask_ap50)):
        [own] = PrecisionStatistics.of(frames, block, 4, overlap).ap50(once)
        assert own == pytest.approx(figure, nan_ok=True)
    figures = TrackingStatistics.of(frames, block, 4).figures(once)
    assert {name: float(value[0]) for name, value in figures.items()} == pytest.approx(
        {
            "HOTA": tracking.hota,
            "mask IoU": tracking.mask_iou,
            "IDF1": tracking.idf1,
            "id switches": tracking.id_switches,
            "missed": tracking.misses,
            "false alarms": tracking.false_alarms,
        },
        nan_ok=True,  # where nothing was found no mask has an overlap
    )


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_a_draw_gives_what_the_libraries_make_of_the_drawn_frames(seed: int) -> None:
    frames = random_frames(seed)
    weights = np.random.default_rng(seed).integers(0, 3, (1, len(frames))).astype(float)
    drawn = [f for f, times in zip(frames, weights[0], strict=True) for _ in range(int(times))]
    block = np.arange(len(frames))
    if not drawn:
        return
    [ap50] = PrecisionStatistics.of(frames, block, len(frames), "bbox").ap50(weights)
    assert ap50 == pytest.approx(score_detections(drawn).box_ap50, nan_ok=True)
    figures = TrackingStatistics.of(frames, block, len(frames)).figures(weights)
    assert figures["IDF1"][0] == pytest.approx(score_tracking(drawn).idf1)


def test_counts_lie_in_the_block_in_which_they_happen() -> None:
    switched = ((9, MUG, "left"), BOTH[1])
    run = run_with([BOTH, BOTH, BOTH[:1], BOTH, switched, switched])
    statistics = TrackingStatistics.of(run.frames, np.arange(6) // 2, 3)
    figures = statistics.figures(np.eye(3))
    assert figures["id switches"].tolist() == [0, 0, 1]
    assert figures["missed"].tolist() == [0, 1, 0]
    assert figures["false alarms"].tolist() == [0, 0, 0]


def test_times_of_a_draw() -> None:
    a, b = Stage("a", 0.002, 0.003), Stage("b", 0.006, 0.010)
    runs = [(a,), (a, b, Stage("a", 0.010, 0.012)), (Stage("a", 0, 0.005),)]
    timings = [FrameTiming("x", i, (i + 1) / 10, False, s, {}) for i, s in enumerate(runs)]
    statistics = TimingStatistics.of(timings, np.array([0, 0, 1]), 2)
    figures = statistics.figures(np.array([[1.0, 1.0], [0.0, 2.0]]))
    assert figures["frame age p50"] == pytest.approx([200, 300])
    assert figures["frame age p99"] == pytest.approx([298, 300])
    assert figures["stage a"] == pytest.approx([3, 5])
    assert figures["stage b"] == pytest.approx([4, math.nan], nan_ok=True)


def test_blocks_hold_all_cameras_and_skip_pauses() -> None:
    blocks = Blocks.over([10 * SECOND, 11 * SECOND, 14 * SECOND, int(11.5 * SECOND)], 1.0)
    assert len(blocks) == 3
    assert len(Blocks.over(range(0, 10 * SECOND, SECOND // 10))) == 5
    assert len(Blocks.over(range(0, 61 * SECOND, SECOND // 10))) == 10
    assert blocks.of([11 * SECOND, int(11.5 * SECOND), 14 * SECOND]).tolist() == [1, 1, 2]


def test_draws_are_as_long_as_the_recording_and_the_same_each_time() -> None:
    weights = draws(7, 50)
    assert set(weights.sum(axis=1)) == {7}
    np.testing.assert_array_equal(weights, draws(7, 50))


def test_an_interval_is_that_of_its_percentiles_and_wider_where_blocks_are_few() -> None:
    samples = np.arange(10_001.0)
    assert interval(samples, 10**6) == pytest.approx((250, 9750), abs=1)
    # Student's quantile of 9 degrees of freedom is 2.262; times sqrt(10 / 9) it leaves 0.86 %.
    assert interval(samples, 10) == pytest.approx((86, 9914), abs=1)
    assert interval(samples, 2) == pytest.approx((0, 10_000), abs=1)


def test_a_run_shows_no_difference_from_itself() -> None:
    comparison = compare(GOOD, GOOD)
    assert (comparison.blocks, comparison.seconds) == (6, 2.0)
    assert {d.verdict for d in comparison.differences} == {"no difference shown"}
    assert summary(comparison) == ["No difference between A and B is shown."]


def test_a_run_without_half_of_the_balls_is_worse_and_the_other_way_round_better() -> None:
    poor = run_with([BOTH if i % 2 else BOTH[:1] for i in range(120)])
    for first, second, verdict in ((GOOD, poor, "worse"), (poor, GOOD, "better")):
        comparison = compare(first, second)
        told = {d.name: d.verdict for d in comparison.differences}
        for name in ("AP50", "AP50 of masks", "HOTA", "IDF1", "missed"):
            assert told[name] == verdict
        for name in ("mask IoU", "id switches", "false alarms", "frame age p99", "stage detect"):
            assert told[name] == "no difference shown"
        assert of(comparison, "missed").difference == pytest.approx(
            60 * (1 if first is GOOD else -1)
        )
        assert summary(comparison)[0].startswith(f"B is {verdict} in AP50, ")


def test_slower_is_worse_and_the_reader_is_told_what_times_depend_on() -> None:
    comparison = compare(GOOD, run_of(GOOD.frames, stage_ms=25.0))
    slower = of(comparison, "stage detect")
    assert (slower.difference, slower.verdict) == (pytest.approx(5.0), "worse")
    assert any("repeat the runs" in sentence for sentence in summary(comparison))
    assert re.search(r"^stage detect +20.0 ms +25.0 ms +.*worse$", as_terminal(comparison), re.M)


def test_mistakes_in_one_stretch_only_are_no_proof() -> None:
    unlucky = run_with([BOTH[:1] if 40 <= i < 50 else BOTH for i in range(120)])
    missed = of(compare(GOOD, unlucky), "missed")
    assert missed.difference == 10
    assert missed.verdict == "no difference shown"
    # As if frames were independent, the same ten misses would look like a proof.
    assert of(compare(GOOD, unlucky, seconds=0.1), "missed").verdict == "worse"


def test_one_block_gives_no_interval() -> None:
    comparison = compare(GOOD, GOOD, seconds=1e300)
    assert {d.verdict for d in comparison.differences} == {"no interval"}
    assert "nothing has an interval" in " ".join(summary(comparison))


def test_few_blocks_are_told() -> None:
    assert "4 blocks of 3 s" in " ".join(summary(compare(GOOD, GOOD, seconds=3)))


def test_a_stage_of_one_run_has_no_interval() -> None:
    other = replace(
        GOOD, timings=tuple(replace(t, runs=(Stage("slice", 0, 0.001),)) for t in GOOD.timings)
    )
    told = of(compare(GOOD, other), "stage slice")
    assert (told.verdict, told.second) == ("no interval", 1.0)
    assert math.isnan(told.first)


def changed(**changes: object) -> RunScore:
    first, *others = GOOD.frames
    return replace(GOOD, frames=(replace(first, **changes), *others))


TRUTH = GOOD.frames[0].expected
OTHER_RUNS = {
    "a frame less": (
        replace(GOOD, frames=GOOD.frames[1:]),
        "1 in one run alone, such as the frame of the camera 'front' at 0.000 s",
    ),
    "another prompt": (changed(phrases=(MUG,)), "at 0.000 s has the prompts red mug / green ball"),
    "another object": (
        changed(expected=replace(TRUTH, objects=frame(0, (1, MUG, "left"), (3, BALL, "right")))),
        "at 0.000 s has another truth",
    ),
    "an object elsewhere": (
        changed(expected=replace(TRUTH, objects=frame(0, (1, MUG, "left"), (2, BALL, "middle")))),
        "at 0.000 s has another truth",
    ),
}


@pytest.mark.parametrize("case", OTHER_RUNS)
def test_runs_on_other_frames_or_another_truth_are_refused(case: str) -> None:
    other, complaint = OTHER_RUNS[case]
    with pytest.raises(ComparisonError) as caught:
        compare(GOOD, other)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_a_length_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ComparisonError, match="can't last"):
        compare(GOOD, GOOD, seconds=seconds)
