"""`gsam train demo`: both bundled models in little, interrupted and gone on with."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gsam_ros.cli import main
from gsam_ros.instances import Frame
from gsam_ros.pipeline.loading import load_tracker
from gsam_ros.pipeline.settings import Settings
from gsam_ros.settings import with_texts
from gsam_ros.training import demo_models
from gsam_ros.training.demo_models import DemoTraining, DemoTrainingError
from gsam_ros.training.progress_file import ProgressFile, steps_done
from gsam_ros.world.stills import draw_still

SHARE = "0.0005"
"""1 + 4 + 1 steps for the detector, 2 + 1 + 1 for the segmenter."""


def command(out: Path, *further: str) -> list[str]:
    return ["train", "demo", "--out", str(out), "--share", SHARE, "--scenes", "0", *further]


@pytest.mark.slow
@pytest.mark.timeout(1200)  # four processes that load torch, on whatever machine this is
def test_it_goes_on_after_an_interruption_and_the_node_loads_what_comes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "models"
    states = ("detector/checkpoint.pt", "segmenter/state.pt")

    def interrupt(seconds: float) -> None:
        """Ctrl-C, as soon as there is something to go on with."""
        if any((out / "training" / state).exists() for state in states):
            raise KeyboardInterrupt
        time.sleep(seconds)

    with monkeypatch.context() as patch:
        patch.setattr(demo_models, "time", SimpleNamespace(sleep=interrupt))
        assert main(command(out)) == 130
    assert f"the same command goes on with what is in {out}" in capfd.readouterr().err
    assert not (out / "demo-detector" / "README.md").exists()
    at_first = [steps_done(out / "training" / role) for role in ("detector", "segmenter")]
    assert 0 < sum(at_first) <= 6 + 4  # a fast machine may be through with them

    assert main(command(out)) == 0
    for role, task in (
        ("detector", "zero-shot-object-detection"),
        ("segmenter", "mask-generation"),
    ):
        card = (out / f"demo-{role}" / "README.md").read_text()
        assert f"pipeline_tag: {task}" in card
        assert not (out / f"demo-{role}" / "progress.json").exists()
    assert steps_done(out / "training" / "detector") == 6
    assert steps_done(out / "training" / "segmenter") == 4
    logs = [(out / "training" / f"{role}.log").read_text() for role in ("detector", "segmenter")]
    assert "going on" in "".join(logs)

    models = [f"{role}.model={out / f'demo-{role}'}" for role in ("detector", "segmenter")]
    settings = with_texts(Settings(), [*models, "device=cpu", "detector.box_threshold=0"])
    tracker = load_tracker(settings, lambda _: None)
    tracker.set_prompt("red mug.")
    [answer] = tracker.step([Frame(draw_still(np.random.default_rng(0)).image, stamp=5)])
    assert answer.frame.stamp == 5
    assert np.isfinite(answer.instances.boxes).all()

    assert main(command(out, "--seed", "7")) == 1


def test_a_folder_of_another_training_is_refused(tmp_path: Path) -> None:
    DemoTraining(tmp_path / "a", seed=0, share=0.5)
    DemoTraining(tmp_path / "a", seed=0, share=0.5)  # the same goes on
    with pytest.raises(DemoTrainingError, match=r"seed 0 and steps .*4000.*: give the same --seed"):
        DemoTraining(tmp_path / "a", seed=1, share=0.5)
    with pytest.raises(DemoTrainingError, match="give the same --seed and --share"):
        DemoTraining(tmp_path / "a", seed=0, share=1.0)
    (tmp_path / "b" / "demo-detector").mkdir(parents=True)
    with pytest.raises(DemoTrainingError, match="demo-detector exists already"):
        DemoTraining(tmp_path / "b", seed=0, share=1.0)


def test_a_training_that_fails_is_told_with_the_end_of_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "models"
    DemoTraining(out, 0, float(SHARE))
    (out / "training" / "detector").mkdir()
    (out / "training" / "detector" / "checkpoint.pt").write_text("no checkpoint")
    (out / "demo-segmenter").mkdir()  # so that this one is done
    assert main(command(out)) == 1
    told = capsys.readouterr().err
    assert "the detector's training ended with status 1" in told
    assert "Error" in told
    assert not (out / "demo-detector").exists()


def test_progress_is_read_whole(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert steps_done(folder) == 0
    progress = ProgressFile(folder, 1000)
    for done in range(1, 1001):
        progress.tell(done)
        assert steps_done(folder) <= done
    assert steps_done(folder) == 1000  # the last one is always told
    assert json.loads((folder / "progress.json").read_text()) == {"done": 1000, "of": 1000}
    assert os.listdir(folder) == ["progress.json"]


@pytest.mark.parametrize("share", ["0", "1.5", "-1", "a"])
def test_a_share_that_is_none(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "demo", "--out", "x", "--share", share])
    assert "--share" in capsys.readouterr().err
