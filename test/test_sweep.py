"""`gsam sweep`: what it runs, where, and what it leaves when it is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sweep_jobs import damaged, jobs_for, lines_of

from gsam_ros.cli import main
from gsam_ros.demo.sample import SampleOptions, write_sample
from gsam_ros.sweep import runners
from gsam_ros.sweep.job import run_job
from gsam_ros.sweep.outcome import Outcome, outcome_of
from gsam_ros.sweep.plan import Job
from gsam_ros.sweep.runners import FleetError, run_here, run_on_ray
from gsam_ros.sweep.sweep import sweep

FRAMES = 4
TOPICS = ("--topic", "/left/image", "--topic", "/right/image")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "sample"
    write_sample(path, SampleOptions(seconds=FRAMES / 20))
    return path


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
    assert failed["note"].startswith(f"{missing} does not exist")


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
