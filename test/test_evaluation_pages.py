"""The HTML report of a run: sound, complete in itself, and showing what it says."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_bags import write_answers
from evaluation_cases import frame, paired
from evaluation_html import Page

from gsam_ros.demo.sample import SampleOptions, write_sample
from gsam_ros.evaluation.comparison.compare import compare
from gsam_ros.evaluation.frame_timing import FrameTiming
from gsam_ros.evaluation.metrics.detection import precision_curves, score_detections
from gsam_ros.evaluation.metrics.tracking import score_tracking
from gsam_ros.evaluation.pages import svg as drawing
from gsam_ros.evaluation.pages.comparison_page import write_comparison_page
from gsam_ros.evaluation.pages.frame_choice import Mistakes, changed, outstanding
from gsam_ros.evaluation.pages.frame_plot import chosen_frames, frames_by_stage, waited
from gsam_ros.evaluation.pages.marked_frames import draw_answer, draw_truth, images_of
from gsam_ros.evaluation.pages.plots import age_histogram, stage_means
from gsam_ros.evaluation.pages.run_page import write_run_page
from gsam_ros.evaluation.pictures.timeline import stretches
from gsam_ros.evaluation.run_pictures import draw_run
from gsam_ros.evaluation.run_score import RunScore, score_run
from gsam_ros.recordings.bag_writer import BagWriter
from gsam_ros.recordings.result_messages import header_message, image_message
from gsam_ros.stages import Stage

FRAMES = 12
MUG, BALL = "red mug", "green ball"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "sample"
    write_sample(path, SampleOptions(seconds=FRAMES / 10))
    return path


@pytest.fixture(scope="module")
def score(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> RunScore:
    """Answers to everything that is there, but for frame 3 of either camera, which has none."""

    def spoiled(index: int, message: Any) -> Any:
        if index == 3:
            message.instances = []
        return message

    result = tmp_path_factory.mktemp("result") / "result"
    write_answers(sample, result, change=spoiled)
    return score_run(sample, result)


@pytest.fixture(scope="module")
def page(sample: Path, score: RunScore, tmp_path_factory: pytest.TempPathFactory) -> Page:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_run_page(path, score, sample, "<b>&")
    assert path.stat().st_size < 5_000_000
    return Page(path)


def test_the_page_has_every_part_and_its_words_are_escaped(page: Page) -> None:
    assert page.headings[0] == "Run <b>&"
    for part in ("Figures", "Precision and recall", "Tracks", "Age of the results",
                 "Time per stage", "Worst frames"):  # fmt: skip
        assert part in page.headings
    assert "HOTA" in page.cells
    assert "prefers-color-scheme: dark" in page.source
    assert "width=device-width" in page.source


def test_plots_follow_the_colour_of_the_text_and_say_what_they_show(page: Page) -> None:
    kinds = [label.split(" ")[0] for label in page.drawings]
    assert set(kinds) == {"Precision", "Timeline", "Histogram", "Milliseconds", "Two"}
    assert kinds.count("Precision") > 1  # one per phrase
    assert any("p50 50 ms" in label for label in page.drawings)
    assert "detect 20.0 ms, track 10.0 ms" in page.drawings[-2]
    assert "median age: 50 ms, 0 of them waiting" in page.drawings[-1]
    drawn = re.findall(r"<svg.*?</svg>", page.source, re.DOTALL)
    assert len(drawn) == len(page.drawings)
    assert all("currentColor" in svg and "#010203" not in svg for svg in drawn)


def test_the_worst_frames_are_those_with_most_mistakes_in_their_stretch(
    page: Page, score: RunScore
) -> None:
    start = min(f.answer.stamp for f in score.frames)
    end = max(f.answer.stamp for f in score.frames)
    told = [re.fullmatch(r"(\w+), ([\d.]+) s: (\d+) mistakes?", h) for h in page.headings[8:]]
    shown = {(m[1], float(m[2])): int(m[3]) for m in told if m}
    assert len(shown) == len(told) == 6
    expected = {}
    for number in range(6):
        inside = [
            (-len(Mistakes.of(f)), f.answer.stamp, f.answer.camera)
            for f in score.frames
            if (f.answer.stamp - start) * 6 // (end - start + 1) == number
        ]
        weight, stamp, camera = min(inside)
        expected[camera, round((stamp - start) / 1e9, 1)] = -weight
    assert shown == expected
    assert ("left", 0.3) in shown  # without any answer
    assert [alt.split(" ")[0] for alt in page.pictures] == ["Truth", "Result"] * 6


def test_a_run_without_status_still_has_its_page(
    sample: Path, score: RunScore, tmp_path: Path
) -> None:
    write_run_page(tmp_path / "report.html", replace(score, timings=()), sample, "x")
    assert "holds no frame_status message" in Page(tmp_path / "report.html").source


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of the same cameras at another time."""
    path = tmp_path_factory.mktemp("bags") / "another"
    with BagWriter(path) as writer:
        for camera in ("left", "right"):
            writer.add_topic(f"/{camera}/image", "sensor_msgs/msg/Image")
            picture = image_message(header_message(7, ""), np.zeros((8, 8, 3), np.uint8), "rgb8")
            writer.write(f"/{camera}/image", 7, picture)
    return path


def test_images_of_another_recording_cost_their_pictures_alone(
    another: Path, score: RunScore, tmp_path: Path
) -> None:
    [told] = draw_run(score, another, tmp_path)
    assert "another has no image of the camera 'left' at " in told
    assert "give with --images the recording" in told
    assert {file.name for file in tmp_path.iterdir()} == {"report.html", "timeline.png"}
    page = Page(tmp_path / "report.html")
    assert "another has no image of the camera &#x27;left&#x27; at " in page.source
    assert "left, 0.3 s: missed: " in page.source


def test_a_comparison_without_fitting_images_has_its_figures(
    sample: Path, another: Path, score: RunScore, tmp_path: Path
) -> None:
    write_answers(sample, tmp_path / "result")
    comparison = compare(score, score_run(sample, tmp_path / "result"), draws_wanted=10)
    write_comparison_page(tmp_path / "comparison.html", comparison, another, ("a", "b"))
    page = Page(tmp_path / "comparison.html")
    assert "another has no image of the camera &#x27;left&#x27; at " in page.source
    assert "HOTA" in page.cells


def test_images_of_other_cameras_are_told(score: RunScore, tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/front/image", "sensor_msgs/msg/Image")
    (tmp_path / "out").mkdir()
    [told] = draw_run(score, tmp_path / "bag", tmp_path / "out")
    assert "bag has no images of the camera " in told and ": it has images on /front/image" in told
    assert (tmp_path / "out" / "report.html").is_file()


def test_mistakes_are_marked_where_they_are(sample: Path, score: RunScore) -> None:
    empty = next(f for f in score.frames if not len(f.answer))
    image = next(iter(images_of(sample, [empty]).values()))
    missed = Mistakes.of(empty).missed
    unmarked, marked = draw_truth(image, empty, []), draw_truth(image, empty, missed[:1])
    rows, columns = np.nonzero((unmarked != marked).any(axis=2))
    left, top, right, bottom = empty.expected.objects.boxes[missed[0]]
    assert left - 12 <= columns.min() < columns.max() <= right + 12
    assert top - 12 <= rows.min() < rows.max() <= bottom + 12
    np.testing.assert_array_equal(draw_answer(image, empty, []), image)


CASES = {
    # name: (answers, missed, false alarms)
    "all found": ([(7, MUG, "left"), (8, BALL, "right")], 0, 0),
    "one missed": ([(7, MUG, "left")], 1, 0),
    "swapped phrases": ([(7, BALL, "left"), (8, MUG, "right")], 2, 2),
    "one too many": ([(7, MUG, "left"), (8, BALL, "right"), (9, BALL, "middle")], 0, 1),
    "nothing": ([], 2, 0),
}


@pytest.mark.parametrize("case", CASES)
def test_mistakes_of_a_frame_are_those_of_the_table(case: str) -> None:
    objects, missed, false = CASES[case]
    truth = [frame(0, (1, MUG, "left"), (2, BALL, "right"), (3, "blue box", "middle"))]
    [pair] = paired(truth, [frame(0, *objects)])
    found = Mistakes.of(pair)
    assert (len(found.missed), len(found.false)) == (missed, false)
    figures = score_tracking([pair])
    assert (figures.misses, figures.false_alarms) == (missed, false)


def test_mistakes_are_told_by_name() -> None:
    truth = [frame(0, (1, MUG, "left"), (2, BALL, "right"))]
    [pair] = paired(truth, [frame(0, (7, MUG, "middle"), (8, BALL, "right"))])
    assert Mistakes.of(pair).told(pair) == "missed: red mug (1); false: red mug #7"


def test_frames_are_chosen_from_all_of_the_run() -> None:
    pairs = paired([frame(t) for t in range(10)], [frame(t) for t in range(10)])
    weights = [0, 5, 0, 0, 5, 9, 9, 9, 0, 0]
    # Stretches: frames 0-4 and 5-9; the earliest of equals.
    assert outstanding(pairs, weights, 2) == [1, 5]
    # Stretches of two: frames 2 and 3 weigh nothing, 8 and 9 neither.
    assert outstanding(pairs, weights, 5) == [1, 5, 6]
    assert outstanding(pairs, [0] * 10, 3) == []


def test_a_swap_of_the_missed_object_is_a_change() -> None:
    assert changed(Mistakes([1], []), Mistakes([2], [])) == 2
    assert changed(Mistakes([1], [4, 5]), Mistakes([1], [9])) == 1
    assert changed(Mistakes([1], [4]), Mistakes([1], [7])) == 0


def test_the_mean_of_the_curves_is_the_ap50_of_the_table() -> None:
    truth = [frame(t, (1, MUG, "left"), (2, BALL, "right")) for t in range(4)]
    given = [frame(0, (1, MUG, "left", 0.9)), frame(1, (1, MUG, "right", 0.95)),
             frame(2, (1, MUG, "left", 0.3), (2, BALL, "right", 0.8)), frame(3)]  # fmt: skip
    pairs = paired(truth, given)
    curves = {curve.phrase: curve for curve in precision_curves(pairs)}
    assert list(curves) == [MUG, BALL]
    assert curves[MUG].wanted == 4
    # Recall 0.25 at precision 1/2 and 0.5 at 2/3; beyond that nothing is found.
    assert curves[MUG].boxes[[0, 50, 51]] == pytest.approx([2 / 3, 2 / 3, 0])
    assert curves[BALL].masks[[25, 26]] == pytest.approx([1, 0])
    mean = np.mean([curve.boxes.mean() for curve in curves.values()])
    assert mean == pytest.approx(score_detections(pairs).box_ap50)


def test_stages_are_means_over_frames_of_a_stretch() -> None:
    def timing(t: float, **stages: float) -> FrameTiming:
        runs = tuple(Stage(name, 0.5, 0.5 + ms / 1e3) for name, ms in stages.items())
        return FrameTiming("left", round(t * 1e9), 0.1, False, runs, {})

    timings = [timing(10, track=4), timing(10.1, track=2, detect=8), timing(10.2), timing(10.3)]
    names, begins, means = stage_means(timings, 10 * 10**9)
    assert names == ["track", "detect"]
    assert begins == pytest.approx([0, 0.15])
    np.testing.assert_allclose(means, [[3, 0], [4, 0]])


def test_two_frames_are_shown_stage_by_stage_from_their_turn_on() -> None:
    def timing(age: float, *runs: Stage) -> FrameTiming:
        return FrameTiming("left", 0, age, False, runs, {})

    slow = timing(0.9, Stage("wait", 0, 0.4), Stage("track", 0.5, 0.6), Stage("track", 0.7, 0.9))
    fast = timing(0.1, Stage("decode", 0, 0.1))
    timings = [fast, slow, timing(0.0), *[fast] * 5]
    (median, typical), (late, worst) = chosen_frames(timings)
    assert (median, typical, late, worst) == ("median age", fast, "p99 of ages", slow)
    assert (waited(fast), waited(slow)) == (0, 0.4)
    [axis] = frames_by_stage([(median, typical), (late, worst)]).axes
    bars = [(bar.get_y() + 0.3, bar.get_x(), bar.get_width()) for bar in axis.patches]
    np.testing.assert_allclose(bars, [(0, 0, 100), (1, 100, 100), (1, 300, 200)])
    assert chosen_frames([timing(0.0)]) == []


def test_a_timeline_joins_frames_and_keeps_gaps() -> None:
    moments = [(0.0, 1), (0.1, 1), (0.2, 2), (0.5, 2), (0.6, 2)]
    bars = [(begin, length, name) for (begin, length), name in stretches(moments, 0.1)]
    np.testing.assert_allclose(bars, [(0, 0.2, 1), (0.2, 0.1, 2), (0.5, 0.2, 2)])


def test_a_drawing_that_is_too_large_becomes_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    with drawing.drawing_style():
        figure = age_histogram(np.arange(30.0), [("p50", 15.0)])
        assert drawing.as_svg(figure, "a", "ages").startswith("<svg viewBox=")
        monkeypatch.setattr(drawing, "_LARGEST_SVG", 100)
        assert drawing.as_svg(figure, "a", 'a "b"').endswith('alt="a &quot;b&quot;">')
