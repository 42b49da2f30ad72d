"""What `gsam sweep` counts of a run, and the table that comes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from standalone_trackers import BLUE, RED, RedFinder, picture
from sweep_jobs import jobs_for

from gsam_ros.demo.sample import SampleOptions, write_sample
from gsam_ros.recordings.sources import open_source
from gsam_ros.standalone.track import TrackOutcome, track
from gsam_ros.sweep.figures import figures_of
from gsam_ros.sweep.outcome import Outcome
from gsam_ros.sweep.plan import Job, JobError, plan
from gsam_ros.sweep.sweep import sweep
from gsam_ros.sweep.table import results_of

FRAMES = 4


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "sample"
    write_sample(path, SampleOptions(seconds=FRAMES / 20))
    return path


def figures_with(job: Job, tmp_path: Path) -> tuple[dict[str, float], list[str]]:
    run = tmp_path / "run"
    done = track(open_source(job.source), RedFinder(), run, job.prompt, video=False)
    return figures_of(job, run, done)


@pytest.fixture
def three_images(tmp_path: Path) -> Path:
    """Red, blue, red: `RedFinder` gives each of the two objects an id of its own."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i, colour in enumerate((RED, BLUE, RED)):
        cv2.imwrite(str(folder / f"{i}.png"), picture(colour)[..., ::-1])
    return folder


def test_the_counts_of_a_run_without_truth(three_images: Path, tmp_path: Path) -> None:
    [job] = plan([three_images], [()], tmp_path / "out", prompt="red mug.")
    done = track(open_source(job.source), RedFinder(), tmp_path / "run", job.prompt, video=False)
    (tmp_path / "run" / "results.json").unlink()  # with its masks it is gigabytes, of an hour
    figures, notes = figures_of(job, tmp_path / "run", done)
    assert notes == ["no truth, so no accuracy"]
    assert (figures["frames"], figures["ids"]) == (3, 2)
    assert figures["objects per frame"] == pytest.approx(2 / 3)


def test_ids_of_two_cameras_are_two_objects(tmp_path: Path) -> None:
    [job] = plan([tmp_path], [()], tmp_path / "out", prompt="red mug.")
    for name in ("left", "right"):
        (tmp_path / f"mot_{name}.txt").write_text("1,7,1.00,1.00,32.00,48.00,0.75,-1,-1,-1\n")
    told = {"source": {}, "cameras": ["left", "right"], "seconds": 1.0}
    (tmp_path / "run.json").write_text(json.dumps(told))
    figures, _ = figures_of(job, tmp_path, TrackOutcome(2, 0, (), True))
    assert (figures["ids"], figures["objects per frame"]) == (2, 1)


def test_truth_that_is_text_needs_its_phrase(three_images: Path, tmp_path: Path) -> None:
    truth = tmp_path / "gt.txt"
    truth.write_text("1,1,1,1,32,48,1,1,1\n3,1,1,1,32,48,1,1,1\n")
    prompt, given = "blue mug. red mug.", [str(truth)]
    [job] = plan([three_images], [()], tmp_path / "out", prompt=prompt, truth=given)
    with pytest.raises(JobError, match="say with --phrase which of them"):
        figures_with(job, tmp_path)
    figures, _ = figures_with(replace(job, phrase="red mug"), tmp_path)
    assert figures["AP50"] == pytest.approx(1)
    assert figures["id switches"] == 1


def test_a_prompt_that_was_given_is_what_counts(sample: Path, tmp_path: Path) -> None:
    """And not what the recording's own prompts asked for."""
    [job] = plan([sample], [()], tmp_path / "out", prompt="nonsense.", topics=("/left/image",))
    source = open_source(job.source, job.topics)
    done = track(source, RedFinder(), tmp_path / "run", job.prompt, video=False)
    figures, _ = figures_of(job, tmp_path / "run", done)
    assert "AP50" not in figures  # nothing was wanted in any frame


def results(tmp_path: Path, *figures: tuple[str, str, float | None], by: str = "") -> list[str]:
    """Rows of (recording, rate, HOTA), None for a failure, as "mark recording setting"."""
    outcomes = []
    for recording, rate, hota in figures:
        [job] = jobs_for(tmp_path, recording, varied=(f"detector.rate={rate}",))
        outcome = Outcome(job.fingerprint, failure="" if hota else "damaged")
        if hota:
            outcome = replace(outcome, figures={"HOTA": hota, "ms per frame": 100 * hota})
        outcomes.append((job, outcome))
    found = results_of(outcomes, by)
    return [f"{row.mark} {row.recording} {row.setting}" for row in (*found.settings, *found.runs)]


def test_the_best_stands_first(tmp_path: Path) -> None:
    assert results(tmp_path, ("a", "2", 0.5), ("a", "5", 0.7)) == [
        "best 1 recordings detector.rate=5",
        " 1 recordings detector.rate=2",
        "best a detector.rate=5",
        " a detector.rate=2",
    ]
    fastest = results(tmp_path, ("a", "2", 0.5), ("a", "5", 0.7), by="ms per frame")
    assert fastest[0] == "best 1 recordings detector.rate=2"


def test_means_are_over_recordings_that_all_settings_finished(tmp_path: Path) -> None:
    # Rate 2 failed on the hard recording; without that, rate 5 is no better for having it.
    rows = [("easy", "2", 0.8), ("easy", "5", 0.9), ("hard", "2", None), ("hard", "5", 0.1)]
    assert results(tmp_path, *rows)[:2] == [
        "best 1 recordings detector.rate=5",
        " 1 recordings detector.rate=2",
    ]


def test_means_of_an_interrupted_sweep_are_over_what_all_settings_have_done(
    tmp_path: Path,
) -> None:
    # Rate 5 has not come to the hard recording yet; it is no better for that.
    rows = [("easy", "2", 0.9), ("easy", "5", 0.8), ("hard", "2", 0.1)]
    assert results(tmp_path, *rows)[:2] == [
        "best 1 recordings detector.rate=2",
        " 1 recordings detector.rate=5",
    ]
    (tmp_path / "out").mkdir()
    jobs = jobs_for(tmp_path, "easy", "hard", varied=("detector.rate=2,5",))

    def runner(missing):  # type: ignore[no-untyped-def]
        for job in missing[:3]:
            yield job, Outcome(job.fingerprint, figures={"frames": 3.0})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(jobs, runner, tmp_path / "out")
    assert "1 of 2 not run yet" in (tmp_path / "out" / "sweep.md").read_text()


def test_recordings_of_one_name_are_told_apart(tmp_path: Path) -> None:
    rows = results(tmp_path, ("a/bag", "2", 0.5), ("b/bag", "2", 0.5))
    assert rows[1:] == [" a/bag detector.rate=2", " b/bag detector.rate=2"]
