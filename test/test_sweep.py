"""`gsam sweep`: what is run, where, and the table that comes of it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from evaluation_trackers import BLUE, RED, RedFinder, picture

from gsam_ros.cli import main
from gsam_ros.evaluation.sample import SampleOptions, write_sample
from gsam_ros.evaluation.sources import open_source
from gsam_ros.evaluation.sweep import runners
from gsam_ros.evaluation.sweep.figures import figures_of
from gsam_ros.evaluation.sweep.job import run_job
from gsam_ros.evaluation.sweep.outcome import Outcome, outcome_of
from gsam_ros.evaluation.sweep.plan import Job, JobError, combinations, plan
from gsam_ros.evaluation.sweep.runners import FleetError, run_here, run_on_ray
from gsam_ros.evaluation.sweep.sweep import sweep
from gsam_ros.evaluation.sweep.table import results_of
from gsam_ros.evaluation.track import TrackOutcome, track
from gsam_ros.settings import SettingError

pytestmark = pytest.mark.alone

FRAMES = 4
TOPICS = ("--topic", "/left/image", "--topic", "/right/image")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "sample"
    write_sample(path, SampleOptions(seconds=FRAMES / 20))
    return path


def damaged(folder: Path) -> Path:
    folder.mkdir()
    (folder / "metadata.yaml").write_text("rosbag2_bagfile_information: {}")
    return folder


def jobs_for(tmp_path: Path, *sources: str, varied: tuple[str, ...] = ()) -> list[Job]:
    paths = [tmp_path / source for source in sources]
    return plan(paths, combinations(varied), tmp_path / "out", prompt="mug.")


def lines_of(out: Path) -> list[dict[str, str]]:
    with (out / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_combination() -> None:
    given = ["detector.rate=2,5", "tracker.max_objects=8", "detector.rate=10,5"]
    assert combinations(given) == [
        ("detector.rate=2", "tracker.max_objects=8"),
        ("detector.rate=5", "tracker.max_objects=8"),
        ("detector.rate=10", "tracker.max_objects=8"),
    ]
    assert combinations([]) == [()]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("detector.rate", "sets nothing"),
        ("detector.rate=", "sets nothing"),
        ("detector.rat=1,2", "did you mean detector.rate"),
        ("detector.rate=2,fast", "'fast'"),
        ("detector.box_threshold=0.3,2", "from 0.0 to 1.0"),
    ],
)
def test_settings_that_can_not_be_used(given: str, told: str) -> None:
    with pytest.raises(SettingError, match=told):
        combinations([given])


def test_a_job_is_known_by_all_that_its_result_depends_on(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "a.mcap").write_bytes(b"1")

    def fingerprint(prompt: str = "mug.", varied: tuple[str, ...] = ()) -> str:
        [job] = plan([tmp_path / "bag"], [varied], tmp_path / "out", prompt=prompt)
        return job.fingerprint

    before = fingerprint()
    assert fingerprint() == before
    assert fingerprint(varied=("detector.rate=5",)) == before  # the default, spelt out
    assert fingerprint(prompt="cup.") != before
    assert fingerprint(varied=("detector.rate=2",)) != before
    (tmp_path / "bag" / "a.mcap").write_bytes(b"12")
    assert fingerprint() != before


def test_a_job_is_known_by_its_models_files(tmp_path: Path) -> None:
    (tmp_path / "mine" / "training").mkdir(parents=True)
    weights = tmp_path / "mine" / "model.safetensors"
    weights.write_bytes(b"1")

    def fingerprint() -> str:
        [job] = jobs_for(tmp_path, "bag", varied=(f"detector.model={tmp_path / 'mine'}",))
        return job.fingerprint

    before = fingerprint()
    (tmp_path / "mine" / "training" / "history.json").write_text("[]")
    assert fingerprint() == before
    os.utime(weights, ns=(1, 1))  # trained again, and as large as before
    assert fingerprint() != before


def test_a_recording_is_the_same_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "a.mcap").write_bytes(b"1")
    [absolute] = jobs_for(tmp_path, "bag")
    monkeypatch.chdir(tmp_path / "bag")
    [relative] = plan([Path("../bag")], [()], tmp_path / "out", prompt="mug.")
    assert relative == absolute


def test_truth_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def job(phrase: str) -> Job:
        truth = ["left=a.txt", "b.json"]
        [job] = plan([Path("bag")], [()], tmp_path / "out", truth=truth, phrase=phrase)
        return job

    assert job("mug").truth == (f"left={tmp_path / 'a.txt'}", str(tmp_path / "b.json"))
    assert job("mug").fingerprint != job("cup").fingerprint


def test_a_job_goes_through_json(tmp_path: Path) -> None:
    [job] = jobs_for(tmp_path, "bag", varied=("detector.rate=2",))
    assert Job.from_json(job.as_json()) == job
    job = replace(job, truth=("left=/a.txt", "right=/b.txt"), phrase="mug")
    assert Job.from_json(job.as_json()) == job


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
    told = {"cameras": ["left", "right"], "seconds": 1.0}
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


def test_the_command_hands_truth_and_phrase_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Job] = []

    def runner(jobs, at_once):  # type: ignore[no-untyped-def]
        told.extend(jobs)
        yield from ()

    monkeypatch.setattr(runners, "run_here", runner)
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).touch()
    truth = ["--truth", "left=a.txt", "--truth", "right=b.txt", "--phrase", "red mug"]
    main(["sweep", str(tmp_path / "bag"), *truth, "--out", str(tmp_path / "out"), "--jobs", "1"])
    [job] = told
    assert [Path(place).name for place in job.truth] == ["a.txt", "b.txt"]
    assert (job.truth[0][:6], job.phrase) == ("left=/", "red mug")


@pytest.mark.parametrize(
    ("name", "told"),
    [("lost.json", "does not exist"), ("notes.md", "is no truth that can be read")],
)
def test_a_truth_that_is_none_is_told_before_anything_is_tracked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, told: str
) -> None:
    (tmp_path / "notes.md").touch()
    truth, out = tmp_path / name, tmp_path / "out"
    assert main(["sweep", str(tmp_path), "--truth", str(truth), "--out", str(out)]) != 0
    assert f"{truth} {told}" in capsys.readouterr().err
    assert not out.exists()


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


def test_a_job_that_failed_stops_no_other(tmp_path: Path) -> None:
    jobs = jobs_for(tmp_path, "missing", "damaged")
    damaged(tmp_path / "damaged")
    failures = {Path(job.source).name: o.failure for job, o in run_here(jobs, at_once=2)}
    assert "missing does not exist" in failures["missing"]
    assert "damaged" in failures["damaged"]
    assert [outcome_of(job) for job in jobs] == [None, None]  # the next call tries them again


def test_a_process_that_is_killed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    [job] = jobs_for(tmp_path, "bag")
    assert "killed, most likely for want of memory" in run_job(job, threads=1).failure


def test_a_job_that_is_given_up_is_not_done(tmp_path: Path) -> None:
    [job] = jobs_for(tmp_path, "bag")
    assert run_job(job, threads=1, stopped=lambda: True).failure == "interrupted"
    assert outcome_of(job) is None


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    jobs = jobs_for(tmp_path, "a", "b")
    ran: list[str] = []

    def runner(missing):  # type: ignore[no-untyped-def]
        for job in missing:
            ran.append(Path(job.source).name)
            failed = job.source.endswith("b") and len(ran) == 2
            outcome = Outcome(job.fingerprint, "lost" if failed else "", (), {"frames": 3.0})
            outcome.write(Path(job.out))
            yield job, outcome

    sweep(jobs, runner, tmp_path / "out")
    sweep(jobs, runner, tmp_path / "out")
    sweep(jobs, runner, tmp_path / "out")
    assert ran == ["a", "b", "b"]  # the second had failed, the third found all of it done
    assert [line["frames"] for line in lines_of(tmp_path / "out")] == ["3.0", "3.0"]


def test_an_interrupted_sweep_leaves_a_table(tmp_path: Path) -> None:
    jobs = jobs_for(tmp_path, "a", "b")

    def runner(missing):  # type: ignore[no-untyped-def]
        yield missing[0], Outcome(missing[0].fingerprint, figures={"frames": 3.0})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(jobs, runner, tmp_path / "out")
    assert [line["recording"] for line in lines_of(tmp_path / "out")] == ["a"]
    assert "1 of 2 runs are done" in (tmp_path / "out" / "sweep.md").read_text()


def test_wrong_usage_is_told_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert main(["sweep", "bag", "--set", "detector.rate=0", *out]) == 1
    assert main(["sweep", "bag", "--prompt", "...", *out]) == 1
    assert main(["sweep", "bag", "--by", "beauty", *out]) == 1
    told = capsys.readouterr().err
    assert "detector.rate is 0" in told
    assert "--by beauty: give one of HOTA" in told
    assert not (tmp_path / "out").exists()


def test_ray_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(FleetError, match="pip install 'ray"):
        next(run_on_ray(jobs_for(tmp_path, "bag"), "local", 1, 0))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_settings_compared_on_the_sample(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["sweep", str(sample), str(damaged(tmp_path / "damaged")), *TOPICS, "--out", str(out)]
    settings = ["--set", "detector.box_threshold=0.3,0.99", "--device", "cpu"]
    assert main([*command, *settings]) == 1
    captured = capsys.readouterr()
    assert "2 of 4 runs failed" in captured.err
    lines = lines_of(out)
    assert [(line["setting"], line["best"]) for line in lines if line["frames"]] == [
        ("detector.box_threshold=0.3", "best"),
        ("detector.box_threshold=0.99", ""),  # finds nothing at all
    ]
    best, none = lines[:2]
    assert (best["frames"], none["frames"]) == (str(float(FRAMES)), str(float(FRAMES)))
    assert float(best["HOTA"]) > 0.4 > float(none["HOTA"]) == 0
    assert all("damaged" in line["note"] for line in lines[2:])
    page = (out / "sweep.html").read_text()
    assert '<td class="better">best</td>' in page
    assert "http" not in page.replace("http-equiv", "")
    (run,) = out.glob("runs/sample/*0.3_*")
    assert (run / "run" / "results.json").is_file()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_ray_cluster(sample: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    out = tmp_path / "out"
    missing = str(tmp_path / "missing")
    command = ["sweep", str(sample), missing, *TOPICS, "--out", str(out), "--ray", "local"]
    assert main([*command, "--device", "cpu"]) == 1
    done, failed = lines_of(out)
    assert float(done["HOTA"]) > 0.4
    assert failed["note"] == f"{missing} does not exist"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ctrl_c_ends_the_jobs_too(sample: Path, tmp_path: Path) -> None:
    # A shell's background job ignores Ctrl-C, and so would what it starts.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "gsam_ros.cli", "sweep"]
    command += [str(sample), *TOPICS]
    process = subprocess.Popen(
        [*command, "--device", "cpu", "--jobs", "1", "--out", str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
    )
    [log] = wait_for_files(tmp_path, "runs/sample/*/log.txt")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=150)
    assert process.returncode == 130, told
    assert not processes_that_name(log.parent)


def wait_for_files(folder: Path, pattern: str) -> list[Path]:
    end = time.monotonic() + 120
    while not (found := list(folder.glob(pattern))):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def processes_that_name(folder: Path) -> list[str]:
    """Command lines of running processes that hold the folder's path."""
    lines = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # it has just ended
            if str(folder) in line:
                lines.append(line)
    return lines
