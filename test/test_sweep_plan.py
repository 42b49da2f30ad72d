"""What `gsam sweep` will run, and by what a job is known."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from sweep_jobs import jobs_for

from gsam_ros.settings import SettingError
from gsam_ros.sweep.plan import Job, combinations, plan


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
