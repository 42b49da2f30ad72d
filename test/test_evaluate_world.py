"""`gsam evaluate world`: figures on worked cases, aims, and the command."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from gsam_ros.checkpoints import CheckpointError, locate
from gsam_ros.cli import main
from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.instances import Detections
from gsam_ros.training.detector.evaluate import Picture, absent_shown, duplicates, test_stills
from gsam_ros.training.detector.evaluate_phrases import (
    LENGTHS,
    NEVER_SEEN,
    draw_absent,
    phrase_figures,
    scores_of_prompts,
)
from gsam_ros.training.world_figures import (
    DETECTOR,
    Aim,
    Amounts,
    measure_segmenter,
    missed,
    rows,
)
from gsam_ros.world.vocabulary import phrase_of

test_stills.__test__ = False  # type: ignore[attr-defined]  # its name means: stills for tests

MUG, BALL, STAR = ("red", "mug"), ("red", "ball"), ("green", "star")
HERE, THERE = [10.0, 10.0, 50.0, 50.0], [100.0, 10.0, 150.0, 60.0]
NEAR_HERE, BETWEEN = [12.0, 10.0, 50.0, 50.0], [60.0, 10.0, 95.0, 50.0]


def picture(*found: tuple) -> Picture:
    """A mug HERE and a ball THERE; asked for both and for a star."""
    boxes, scores, pairs = zip(*found, strict=True) if found else ((), (), ())
    return Picture(
        (192, 256),
        np.array([HERE, THERE], np.float32),
        [MUG, BALL],
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        list(pairs),
        [MUG, BALL, STAR],
    )


@pytest.mark.parametrize(
    ("found", "wrong", "twice"),
    [
        pytest.param([], 0.0, 0, id="nothing found"),
        pytest.param([(HERE, 0.9, MUG), (THERE, 0.8, BALL)], 0.0, 0, id="all right"),
        pytest.param([(HERE, 0.9, MUG), (NEAR_HERE, 0.8, MUG)], 0.0, 1, id="the mug twice"),
        pytest.param([(HERE, 0.9, MUG), (NEAR_HERE, 0.1, MUG)], 0.0, 0, id="once and unsure"),
        pytest.param([(HERE, 0.9, MUG), (NEAR_HERE, 0.8, STAR)], 1.0, 1, id="mug and star there"),
        pytest.param([(BETWEEN, 0.9, STAR), (BETWEEN, 0.8, MUG)], 1.0, 0, id="where nothing is"),
        pytest.param([(HERE, 0.2, STAR)], 0.0, 0, id="absent and unsure"),
    ],
)
def test_false_finds_of_worked_cases(found: list, wrong: float, twice: int) -> None:
    assert absent_shown([picture(*found)]) == wrong
    assert duplicates([picture(*found)]) == twice
    assert absent_shown([picture(*found), picture()]) == wrong / 2


def test_where_no_phrase_is_absent_there_is_no_figure_of_it() -> None:
    all_there = picture((HERE, 0.9, MUG))
    all_there.asked = [MUG, BALL]
    assert math.isnan(absent_shown([all_there]))


@pytest.mark.parametrize(
    ("bound", "at_most", "value", "met"),
    [
        (0.9, False, 0.9, True),
        (0.9, False, 0.89, False),
        (0.05, True, 0.05, True),
        (0.05, True, 0.06, False),
        (None, False, 0.0, True),
    ],
)
def test_a_figure_is_held_against_its_aim(
    bound: float | None, at_most: bool, value: float, met: bool
) -> None:
    aims = [Aim("a b", "meaning", bound, at_most), Aim("c", "not measured", 0.5)]
    figures = {"a": {"b": value}, "c": math.nan}
    [(meaning, shown, note)] = rows(figures, aims)
    assert (meaning, float(shown)) == ("meaning", value)
    assert note.endswith("MISSED") == (not met)
    assert missed(figures, aims) == ([] if met else ["a b"])


class Fickle:
    """A detector whose scores tell how long the prompt is, and where in it the phrase stands."""

    def encode(self, phrases: list[str]) -> list[str]:
        return phrases

    def detect(self, images: list, text: list[str], threshold: float) -> list[Detections]:
        scores = np.array([0.5 + 0.01 * len(text) + 0.002 * i for i in range(len(text))])
        places = np.arange(len(text))
        boxes = np.zeros((len(text), 4), np.float32)
        return [Detections(boxes, scores.astype(np.float32), places)]


def test_changes_of_a_score_by_length_and_order_are_seen() -> None:
    [(_, still)] = test_stills(1, 96, 128)
    by_length, by_order = scores_of_prompts(Fickle(), np.random.default_rng(0), still)  # type: ignore[arg-type]
    for count, score in zip(LENGTHS, by_length, strict=True):
        assert -1e-6 < score - (0.5 + 0.01 * count) < 0.002 * count
    assert 0 < np.ptp(by_order) <= 0.002 * LENGTHS[-1]


def test_absent_phrases_are_absent_and_no_training_had_the_unseen_words() -> None:
    for number, (rng, still) in enumerate(test_stills(5, 96, 128)):
        there = {phrase_of(pair) for pair in zip(still.colour, still.shape, strict=True)}
        absent = draw_absent(rng, still, 40)
        assert len(set(absent)) == 40, number
        assert not there & set(absent)
    vocabulary = set((Path(locate("demo-detector")) / "tokenizer.json").read_text().split('"'))
    assert "mug" in vocabulary
    assert not vocabulary & set(NEVER_SEEN)


def test_the_bundled_detector_does_not_mind_the_order_of_phrases() -> None:
    figures = phrase_figures(GroundingDetector("demo-detector", torch.device("cpu")), 10)
    assert figures["order_change"] < 1e-3
    assert figures["length_change"] < 0.2
    assert figures["unknown_words"] <= 0.1


def test_both_models_are_measured_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "world", "--scenes", "12", "--stills", "3", "--clips", "0"]
    words += ["--long-clips", "0", "--returns", "0", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "aim: at least 0.9" in told
    for aim in DETECTOR:
        assert aim.meaning in told
    assert "by memory" not in told  # as no clip was asked for
    figures = json.loads((tmp_path / "out" / "world.json").read_text())
    assert figures["detector"]["model"] == "demo-detector"
    assert figures["detector"]["seen"]["ap50"] > 0.7
    assert figures["detector"]["scenes"] == 12
    assert figures["segmenter"]["box_iou_seen"] > 0.7


def test_one_model_by_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(locate("demo-segmenter"), tmp_path / "mine")
    words = ["--segmenter", str(tmp_path / "mine"), "--stills", "1", "--clips", "0"]
    assert main(["evaluate", "world", *words, "--long-clips", "0", "--returns", "0"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"segmenter {tmp_path / 'mine'}\n")
    assert "AP50" not in told


def test_a_model_that_is_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "world", "--detector", "./nowhere"]) == 1
    assert "there is no model './nowhere'" in capsys.readouterr().err
    assert main(["evaluate", "world", "--segmenter", "demo-detector"]) == 1
    assert "'demo-detector' is a 'grounding-dino'" in capsys.readouterr().err


def test_a_segmenter_of_another_size_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(locate("demo-segmenter"), tmp_path / "large")
    config = json.loads((folder / "config.json").read_text())
    config["prompt_encoder_config"]["image_size"] = 512
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="takes images of 512 pixels"):
        measure_segmenter(str(folder), Amounts())


def test_a_share_of_the_amounts_has_one_of_each_at_least() -> None:
    assert Amounts().times(0.2) == Amounts(200, 40, 8, 2, 8)
    assert Amounts().times(1e-6) == Amounts(1, 1, 1, 1, 1)
