"""How results become the input of the metric libraries, in worked cases."""

import math
from dataclasses import replace

import numpy as np
import pytest
from evaluation_cases import frame, paired

from gsam_ros.evaluation.comparison.tracking_statistics import TrackingStatistics
from gsam_ros.evaluation.metrics.detection import precision_curves, score_detections, truth_as_coco
from gsam_ros.evaluation.metrics.tracking import score_tracking, sequence_of

MUG, BALL = "red mug", "green ball"
TIMES = range(4)
TRUTH = [frame(t, (1, MUG, "left"), (2, BALL, "right")) for t in TIMES]


def answers(*per_frame: tuple[tuple[int, str, str], ...]) -> list:
    return [frame(t, *objects) for t, objects in enumerate(per_frame)]


PERFECT = ((11, MUG, "left"), (12, BALL, "right"))

CASES = {
    # name: (answers, id switches, fragments, hits, misses, false alarms)
    "perfect": (answers(*[PERFECT] * 4), 0, 0, 8, 0, 0),
    "single id switch": (
        answers(PERFECT, PERFECT, *[((13, MUG, "left"), (12, BALL, "right"))] * 2),
        1,
        0,
        8,
        0,
        0,
    ),
    "two objects swap ids": (
        answers(PERFECT, PERFECT, *[((12, MUG, "left"), (11, BALL, "right"))] * 2),
        2,
        0,
        8,
        0,
        0,
    ),
    "missed object": (answers(*[PERFECT[:1]] * 4), 0, 0, 4, 4, 0),
    "lost for one frame, same id after": (
        answers(PERFECT, PERFECT[:1], PERFECT, PERFECT),
        0,
        1,
        7,
        1,
        0,
    ),
    "swapped phrases": (answers(*[((11, BALL, "left"), (12, MUG, "right"))] * 4), 0, 0, 0, 8, 8),
    "false alarm on background": (answers(*[(*PERFECT, (14, MUG, "middle"))] * 4), 0, 0, 8, 0, 4),
    "two answers for one object": (answers(*[(*PERFECT, (14, MUG, "left"))] * 4), 0, 0, 8, 0, 4),
    "nothing found": (answers((), (), (), ()), 0, 0, 0, 8, 0),
}


@pytest.mark.parametrize("case", CASES)
def test_counts(case: str) -> None:
    given, switches, fragments, hits, misses, false_alarms = CASES[case]
    figures = score_tracking(paired(TRUTH, given))
    assert figures.id_switches == switches
    assert figures.fragments == fragments
    assert (figures.hits, figures.misses, figures.false_alarms) == (hits, misses, false_alarms)


def test_perfect_answers_score_one() -> None:
    tracking = score_tracking(paired(TRUTH, CASES["perfect"][0]))
    detection = score_detections(paired(TRUTH, CASES["perfect"][0]))
    for figure in (
        tracking.hota,
        tracking.det_a,
        tracking.ass_a,
        tracking.mask_iou,
        tracking.idf1,
        tracking.mota,
        detection.box_ap50,
        detection.box_ap,
        detection.mask_ap,
    ):
        assert figure == pytest.approx(1.0)
    assert (tracking.objects, tracking.tracks) == (2, 2)


def test_a_switch_half_way_costs_association_and_not_detection() -> None:
    figures = score_tracking(paired(TRUTH, CASES["single id switch"][0]))
    # The mug's 4 hits each share their id with 2 of the 4, the ball's with all: (4*0.5 + 4*1) / 8.
    assert figures.ass_a == pytest.approx(0.75)
    assert figures.det_a == pytest.approx(1.0)
    assert figures.hota == pytest.approx(math.sqrt(0.75))
    assert figures.idf1 == pytest.approx(6 / 8)


def test_average_precision_of_missed_and_mistaken_objects() -> None:
    assert score_detections(paired(TRUTH, CASES["missed object"][0])).box_ap50 == pytest.approx(0.5)
    assert score_detections(paired(TRUTH, CASES["swapped phrases"][0])).box_ap50 == 0.0
    assert score_detections(paired(TRUTH, CASES["nothing found"][0])).mask_ap50 == 0.0


def test_capitals_of_an_answered_phrase_do_not_matter() -> None:
    given = answers(*[((11, "Red Mug", "left"), (12, BALL, "right"))] * 4)
    assert score_detections(paired(TRUTH, given, "Red Mug. green ball.")).box_ap50 == 1.0
    assert score_tracking(paired(TRUTH, given, "RED mug. green ball.")).misses == 0


@pytest.mark.parametrize("found", [True, False])
def test_an_object_that_hardly_shows_is_neither_hit_nor_miss(found: bool) -> None:
    truth = [frame(t, (1, MUG, "left"), (2, BALL, "right", 0.1)) for t in TIMES]
    given = answers(*[PERFECT if found else PERFECT[:1]] * 4)
    tracking = score_tracking(paired(truth, given))
    assert (tracking.hits, tracking.misses, tracking.false_alarms) == (4, 0, 0)
    assert score_detections(paired(truth, given)).box_ap50 == pytest.approx(1.0)


def test_an_answer_of_another_phrase_on_an_ignored_object_is_a_false_alarm() -> None:
    truth = [frame(t, (1, MUG, "left"), (2, BALL, "right", 0.1)) for t in TIMES]
    given = answers(*[((11, MUG, "left"), (12, MUG, "right"))] * 4)
    assert score_tracking(paired(truth, given)).false_alarms == 4


def test_an_object_that_leaves_and_comes_back_must_keep_its_id() -> None:
    truth = [frame(0, (1, MUG, "left")), frame(1), frame(2, (1, MUG, "right"))]
    same = answers(((5, MUG, "left"),), (), ((5, MUG, "right"),))
    other = answers(((5, MUG, "left"),), (), ((6, MUG, "right"),))
    assert score_tracking(paired(truth, same)).id_switches == 0
    assert score_tracking(paired(truth, other)).id_switches == 1


def test_ids_of_two_cameras_are_different_worlds() -> None:
    truth = [frame(t, (1, MUG, "left"), camera=c) for t in TIMES for c in ("front", "rear")]
    given = [frame(t, (1, MUG, "left"), camera="front") for t in TIMES]
    given += [frame(t, (2, MUG, "left"), camera="rear") for t in TIMES]
    figures = score_tracking(paired(truth, given))
    assert figures.id_switches == 0
    assert figures.ass_a == pytest.approx(1.0)
    assert (figures.objects, figures.tracks) == (2, 2)


def test_trackeval_gets_ids_without_gaps_and_similarities_per_frame() -> None:
    data = sequence_of(paired(TRUTH, CASES["single id switch"][0]))
    assert data["gt_ids"][3].tolist() == [0, 1]
    assert [ids.tolist() for ids in data["tracker_ids"]] == [[0, 1], [0, 1], [2, 1], [2, 1]]
    np.testing.assert_array_equal(data["similarity_scores"][0], np.eye(2))
    assert (data["num_gt_dets"], data["num_tracker_ids"], data["num_timesteps"]) == (8, 3, 4)


def test_ignored_objects_become_crowd_regions() -> None:
    truth = [frame(0, (1, MUG, "left"), (2, BALL, "right", 0.1), (3, "blue box", "middle"))]
    data = truth_as_coco(paired(truth, answers(())))
    assert [a["iscrowd"] for a in data["annotations"]] == [0, 1]  # the blue box is background
    assert data["annotations"][0]["bbox"] == [2.0, 4.0, 16.0, 16.0]
    assert [c["name"] for c in data["categories"]] == [MUG, BALL]


def test_a_truth_of_boxes_has_no_curve_of_masks() -> None:
    frames = paired(TRUTH, CASES["perfect"][0])
    assert all(curve.masks is not None for curve in precision_curves(frames))
    curves = precision_curves([replace(frame, boxes_only=True) for frame in frames])
    assert [curve.phrase for curve in curves] == [MUG, BALL]
    assert all(curve.masks is None for curve in curves)


def test_where_nothing_is_found_nothing_overlaps() -> None:
    frames = paired(TRUTH, CASES["nothing found"][0])
    assert math.isnan(score_tracking(frames).mask_iou)
    statistics = TrackingStatistics.of(frames, np.zeros(len(frames), np.int64), 1)
    assert np.isnan(statistics.figures(np.ones((1, 1)))["mask IoU"][0])


def test_nothing_wanted_has_no_precision() -> None:
    pairs = paired([frame(0, (3, "blue box", "middle"))], answers(PERFECT))
    assert math.isnan(score_detections(pairs).box_ap50)
