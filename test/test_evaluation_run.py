"""A sample recording, answers to it, and what the score and the report make of them."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from evaluation_bags import Change, write_answers
from evaluation_cases import frame, paired

from gsam_ros.demo.plausibility import implausible, missing_frames
from gsam_ros.demo.same_results import compare_runs
from gsam_ros.demo.sample import START, SampleOptions, prompts_of, write_sample
from gsam_ros.evaluation.expected import naming_phrase
from gsam_ros.evaluation.metrics.timing import Spread, score_timing
from gsam_ros.evaluation.pictures.contact_sheet import write_contact_sheet
from gsam_ros.evaluation.pictures.panels import Panel
from gsam_ros.evaluation.pictures.side_by_side import side_by_side
from gsam_ros.evaluation.pictures.timeline import lives_of
from gsam_ros.evaluation.report import as_json, rows, write_reports
from gsam_ros.evaluation.run_pictures import draw_run
from gsam_ros.evaluation.run_results import read_results
from gsam_ros.evaluation.run_score import RunScore, score_results, score_run
from gsam_ros.evaluation.truths.bag_truth import bag_truth
from gsam_ros.prompts import parse_phrases
from gsam_ros.recordings.bag import BagError, open_bag
from gsam_ros.recordings.bag_writer import BagWriter
from gsam_ros.recordings.run_images import read_images
from gsam_ros.tables import as_markdown, as_text
from gsam_ros.world.scene import Scene
from gsam_ros.world.vocabulary import phrase_of

FRAMES = 6
OPTIONS = SampleOptions(seconds=FRAMES / 10)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "sample"
    write_sample(path, OPTIONS)
    return path


def named_only(index: int, message: Any) -> Any:
    """The perfect answer: the truth that the prompt names, as the prompt calls it."""
    first, second = prompts_of(Scene(OPTIONS.seed).pairs)
    phrases = parse_phrases(first if index < FRAMES // 2 else second)
    kept = []
    for instance in message.instances:
        which = naming_phrase(instance.phrase, phrases)
        if which >= 0:
            instance.phrase = phrases[which]
            kept.append(instance)
    message.instances = kept
    return message


def scored(sample: Path, folder: Path, change: Change = named_only) -> RunScore:
    write_answers(sample, folder / "result", change=change)
    return score_run(sample, folder / "result")


def test_the_sample_holds_the_world_as_it_is(sample: Path) -> None:
    scene = Scene(OPTIONS.seed)
    with open_bag(sample) as bag:
        stamps, images = zip(*read_images(bag, "/left/image"), strict=True)
        _, jpegs = zip(*read_images(bag, "/left/image/compressed"), strict=True)
        depth = next(bag.messages("/left/depth"))
        info = next(bag.messages("/left/camera_info"))
        truth = next(bag.messages("/left/truth"))
        right, _ = zip(*read_images(bag, "/right/image"), strict=True)
    rendered = scene.render(0, 0.0)
    assert stamps == tuple(START + i * 10**8 for i in range(FRAMES))
    assert right[0] == START + 5 * 10**7  # cameras take turns
    np.testing.assert_array_equal(images[0], rendered.image)
    assert np.abs(jpegs[0].astype(int) - rendered.image).mean() < 4  # red stays red
    millimetres = depth.data.view("<u2").reshape(480, 640)
    np.testing.assert_allclose(millimetres / 1000, rendered.depth, atol=0.001)
    np.testing.assert_array_equal(info.k.reshape(3, 3), scene.cameras[0].matrix)
    assert [i.track_id for i in truth.instances] == rendered.ids.tolist()
    assert [i.phrase for i in truth.instances] == [phrase_of(pair) for pair in rendered.pairs]
    assert truth.header.frame_id == info.header.frame_id


@pytest.mark.parametrize("seed", range(8))
def test_every_phrase_of_the_prompts_names_an_object_and_one_object_is_never_named(
    seed: int,
) -> None:
    cast = Scene(seed).pairs
    named: set[int] = set()
    for prompt in prompts_of(cast):
        phrases = parse_phrases(prompt)
        hits = {i: naming_phrase(phrase_of(pair), phrases) for i, pair in cast.items()}
        assert set(hits.values()) - {-1} == set(range(len(phrases)))
        named |= {i for i, phrase in hits.items() if phrase >= 0}
    assert len(named) == len(cast) - 1


def test_perfect_answers_are_perfect_and_therefore_implausible(
    sample: Path, tmp_path: Path
) -> None:
    score = scored(sample, tmp_path)
    assert (score.played, score.answered) == (2 * FRAMES, 2 * FRAMES)
    assert score.detection.box_ap50 == pytest.approx(1.0)
    assert score.tracking.hota == pytest.approx(1.0)
    assert score.tracking.id_switches == 0
    assert score.timing.age.p50 == pytest.approx(0.05)
    assert not list(missing_frames(score))
    assert {problem.split(" is ")[0] for problem in implausible(score)} == {
        "AP50", "mask IoU", "HOTA", "IDF1",
    }  # fmt: skip


def test_missing_frames_are_told_with_camera_and_time(sample: Path, tmp_path: Path) -> None:
    score = scored(sample, tmp_path, lambda i, m: None if i in (1, 4) else named_only(i, m))
    assert [(c.played, c.answered) for c in score.cameras] == [(FRAMES, FRAMES - 2)] * 2
    assert next(missing_frames(score)) == (
        "2 of 6 frames of the camera 'left' have no result, the first at 1767225600.100 s"
    )


def test_answers_to_everything_are_false_alarms(sample: Path, tmp_path: Path) -> None:
    score = scored(sample, tmp_path, lambda i, m: m)  # what no phrase names is answered as well
    assert score.tracking.false_alarms > 0
    assert score.tracking.hota < 1


def test_runs_are_equal_to_the_last_bit_or_told_apart(sample: Path, tmp_path: Path) -> None:
    def shifted(index: int, message: Any) -> Any:
        if index == 2:
            message.instances[0].bbox.center.position.x += 0.25
        if index == 3:
            message.instances[0].track_id = 99
        if index == 4:
            message.instances[0].phrase = "else"
        return None if index == 5 else message

    for name, change in {"a": lambda i, m: m, "b": lambda i, m: m, "c": shifted}.items():
        write_answers(sample, tmp_path / name, change=change)
    assert list(compare_runs(tmp_path / "a", tmp_path / "b", ["left", "right"])) == []
    told = list(compare_runs(tmp_path / "a", tmp_path / "c", ["left"]))
    assert [t.split(": ")[1].split(" ")[0] for t in told] == ["boxes", "ids", "phrases", "answered"]
    assert told[0] == "left at 1767225600.200 s: boxes differ by up to 0.25 pixels"


def test_stamps_that_do_not_fit_are_named(sample: Path, tmp_path: Path) -> None:
    def later(index: int, message: Any) -> Any:
        message.header.stamp.sec += 1000
        return message

    write_answers(sample, tmp_path / "result", change=later)
    with pytest.raises(BagError, match=r"no frame of .*result was taken from .*sample"):
        score_run(sample, tmp_path / "result")


def test_bags_without_the_topics_are_named(sample: Path, tmp_path: Path) -> None:
    with pytest.raises(BagError, match=r"has no results: .* ends in /instances; it has /prompt"):
        score_run(sample, sample)
    with BagWriter(tmp_path / "other") as writer:
        writer.add_topic("/chatter", "std_msgs/msg/String")
    write_answers(sample, tmp_path / "result")
    with pytest.raises(BagError, match=r"other has no truth: .* among /chatter"):
        score_run(tmp_path / "other", tmp_path / "result")


def test_reports_say_the_same_in_three_formats(sample: Path, tmp_path: Path) -> None:
    score = scored(sample, tmp_path)
    write_reports(score, tmp_path)
    assert re.search(r"^frames out +12  left 6/6, right 6/6$", as_text(rows(score)), re.MULTILINE)
    assert "| id switches | 0 |" in (tmp_path / "report.md").read_text()
    assert as_markdown(rows(score)).count("\n") == len(rows(score)) + 1
    figures = json.loads((tmp_path / "report.json").read_text())
    assert figures["tracking"]["id_switches"] == 0
    assert figures["timing"]["stages"]["detect"]["p50"] == 20.0


def test_json_has_no_nan(sample: Path, tmp_path: Path) -> None:
    def nothing(index: int, message: Any) -> Any:
        message.instances = []
        return message

    score = scored(sample, tmp_path, nothing)
    broken = RunScore(score.cameras, score.detection, score.tracking, score_timing([]),
                      score.seconds, score.recorded_seconds, score.frames, ())  # fmt: skip
    assert json.loads(as_json(broken))["timing"]["age"]["p50"] is None
    assert any(problem.startswith("frame age p50 (s) is nan") for problem in implausible(broken))


def test_spread() -> None:
    spread = Spread.of(range(101))
    assert (spread.mean, spread.p50, spread.p99) == (50.0, 50.0, 99.0)
    assert math.isnan(Spread.of([]).p99)


def test_a_timeline_marks_every_switch() -> None:
    truth = [frame(t * 10**8, (1, "red mug", "left")) for t in range(4)]
    answers = [frame(t * 10**8, (7 if t < 2 else 8, "red mug", "left")) for t in range(4)]
    answers[1] = frame(10**8)  # not found once
    lives = lives_of(paired(truth, answers, "red mug."), 0)
    assert list(lives) == ["red mug (1)"]
    life = lives["red mug (1)"]
    assert life.wanted == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert [i for _, i in life.found] == [7, 8, 8]
    assert life.switches() == [0.2]


def test_answers_are_judged_by_the_prompt_that_they_name(sample: Path, tmp_path: Path) -> None:
    """A node that was given a prompt of its own never heard those of the recording."""

    def versioned(index: int, message: Any) -> Any:
        message.prompt_version = 7
        return named_only(index, message)

    result = tmp_path / "result"
    write_answers(sample, result, change=versioned)
    results = read_results(result)
    assert len({frame.phrases for frame in score_run(sample, result).frames}) == 2  # as recorded
    told = replace(results, prompts={7: ("blue ring",)})
    score = score_results(told, bag_truth(sample, told))
    assert {frame.phrases for frame in score.frames} == {("blue ring",)}
    unknown = replace(results, prompts={8: ("blue ring",)})
    assert len({f.phrases for f in score_results(unknown, bag_truth(sample, unknown)).frames}) == 2


def test_cameras_of_different_heights_stand_side_by_side() -> None:
    def panels(*shapes: tuple[int, int]) -> Iterator[Panel]:
        for index, shape in enumerate(shapes):
            yield Panel("", index, ("mug",), np.full((*shape, 3), 255, np.uint8))

    left, right = panels((48, 64), (48, 64), (24, 64)), panels((72, 96), (72, 96), (72, 50))
    shown = list(side_by_side([left, right]))
    assert {picture.shape for picture in shown} == {(40 + 48, 128, 3)}


def test_pictures_show_all_cameras(sample: Path, tmp_path: Path) -> None:
    score = scored(sample, tmp_path)
    draw_run(score, sample, tmp_path)
    capture = cv2.VideoCapture(str(tmp_path / "video.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10, abs=0.1)
    assert capture.get(cv2.CAP_PROP_FRAME_WIDTH) == 1280
    capture.release()
    assert cv2.imread(str(tmp_path / "timeline.png")) is not None
    four = cv2.imread(str(tmp_path / "contact_sheet.png")).shape
    write_contact_sheet(tmp_path / "two.png", sample, score.frames, columns=2)
    two = cv2.imread(str(tmp_path / "two.png")).shape
    assert four[0] == two[0]
    assert four[1] > 1.8 * two[1]
