"""A run of the segmenter's training: clips' batches, and a run that was cut in two."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gsam_ros import checkpoints
from gsam_ros.training.segmenter import stills as segmenter_stills
from gsam_ros.training.segmenter.clips import ClipKind, clip_batch
from gsam_ros.training.segmenter.data import MixedBatches, StillBatches
from gsam_ros.training.segmenter.model import IMAGE_SIZE, load
from gsam_ros.training.segmenter.prompts import click
from gsam_ros.training.segmenter.steps import PROMPT_AGAIN, clip_loss, still_loss
from gsam_ros.training.segmenter.stills import Stills, still_batch
from gsam_ros.training.segmenter.train import run_stage
from gsam_ros.training.segmenter.trainer import Stage, Trainer
from gsam_ros.training.together import Team


def _batches(first: int, last: int, lengths: tuple[int, ...] = (2,)) -> MixedBatches:
    parts = [[ClipKind(clips=1, frames=frames, objects=2)] for frames in lengths]
    return MixedBatches(7, first, last, images=2, objects=2, parts=parts, still_share=0.4)


def _stage(name: str, steps: int) -> Stage:
    return Stage(name, steps, 1e-3, 1e-3, warm_up=1, last_rate=0.0)


def test_clips_grow_and_mix_with_pictures() -> None:
    batches = _batches(0, 30, lengths=(2, 3, 5))
    kinds = [
        "stills" if isinstance(batch, Stills) else len(batch.pixels)
        for batch in (batches[i] for i in range(len(batches)))
    ]
    assert set(kinds[:10]) - {"stills"} == {2}
    assert set(kinds[10:20]) - {"stills"} == {3}
    assert set(kinds[20:]) - {"stills"} == {5}
    assert 0 < kinds.count("stills") < 15


def test_processes_of_a_team_get_batches_of_one_kind_that_differ() -> None:
    parts = [[ClipKind(1, 2, 2, share=0.5), ClipKind(1, 3, 2, share=0.5)]]
    first, second = (
        MixedBatches(7, 0, 8, 2, 2, parts, still_share=0.3, team=Team(place, 2)) for place in (0, 1)
    )
    for mine, other in ((first[i], second[i]) for i in range(8)):
        assert isinstance(mine, Stills) == isinstance(other, Stills)
        assert mine.pixels.shape[:1] == other.pixels.shape[:1]
        assert not torch.equal(mine.pixels, other.pixels)


def test_pictures_out_of_clips_teach_no_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """They show things that nobody follows, which the truth of the finest level does not have."""
    batch = still_batch(np.random.default_rng(0), images=6, objects=3)
    assert 0 < len(batch.told) == len(batch.anything) < 6
    assert set(batch.image.tolist()) == set(range(6))
    monkeypatch.setattr(segmenter_stills, "FILMED", 1.0)
    filmed = still_batch(np.random.default_rng(0), images=2, objects=3)
    assert filmed.anything.shape == (0, 6, IMAGE_SIZE // 4, IMAGE_SIZE // 4)
    trainer = Trainer(Path("unused"), seed=0)
    loss, _ = still_loss(trainer.model, trainer.heads, filmed)
    assert torch.isfinite(loss)


def test_clip_batch_holds_every_object_in_its_first_frame() -> None:
    batch = clip_batch(np.random.default_rng(2), ClipKind(clips=2, frames=6, objects=3))
    assert batch.pixels.shape == (6, 2, IMAGE_SIZE, IMAGE_SIZE, 3)
    assert batch.present[0].all()
    assert batch.clip.tolist() == sorted(batch.clip.tolist())
    empty = batch.masks.flatten(2).amax(2) == 0
    assert not empty[batch.present].any()
    assert (batch.boxes[~batch.present] == 0).all()


def test_a_slow_camera_sees_things_farther_apart() -> None:
    def mean_step(stride: int) -> float:
        kind = ClipKind(clips=4, frames=6, objects=3, strides=(stride,))
        batch = clip_batch(np.random.default_rng(5), kind)
        middle = (batch.boxes[..., :2] + batch.boxes[..., 2:]) / 2
        both = batch.present[1:] & batch.present[:-1]
        return float((middle[1:] - middle[:-1]).norm(dim=-1)[both].mean())

    assert mean_step(3) > 1.5 * mean_step(1)


def test_the_first_object_of_a_hidden_kind_goes_out_of_sight_and_the_others_stay() -> None:
    kind = ClipKind(clips=6, frames=14, objects=2, strides=(2,), hidden=8)
    batch = clip_batch(np.random.default_rng(3), kind)
    assert batch.present.shape == (14, 12)
    away = (~batch.present).sum(0)
    assert (away[::2] >= 7).all()
    assert away[::2].sum() > 3 * away[1::2].sum()
    assert batch.present[-1, ::2].all()


def test_frames_that_are_only_followed_leave_memory_but_no_gradient() -> None:
    """What they leave is what teaching them all would leave, so the loss of the rest is equal."""
    trainer = Trainer(Path("unused"), seed=0)
    trainer.model.eval()
    batch = clip_batch(np.random.default_rng(4), ClipKind(clips=1, frames=5, objects=2))

    def loss_of(untaught: int) -> tuple[float, float, torch.Tensor]:
        trainer.model.zero_grad()
        loss, overlap = clip_loss(
            trainer.model, None, replace(batch, untaught=untaught), 1.0, _calm_generator()
        )
        loss.backward()
        gradient = trainer.model.memory_encoder.projection.weight.grad
        assert gradient is not None
        return float(loss.detach()), overlap, gradient

    whole, rest = loss_of(0), loss_of(3)
    assert rest[1] == pytest.approx(whole[1], abs=1e-6)  # same masks, frame by frame
    assert rest[0] != pytest.approx(whole[0])
    # Frame 3 is taught and remembered, 4 reads it: only that way does the encoder learn here.
    assert 0 < rest[2].norm() < whole[2].norm()


def _calm_generator() -> torch.Generator:
    """With which no frame is prompted again and the first one is as old as it is."""
    for seed in range(1000):
        draws = torch.rand(4, generator=torch.Generator().manual_seed(seed))
        if draws[0] > 0.5 and draws[2] > PROMPT_AGAIN:
            return torch.Generator().manual_seed(seed)
    raise AssertionError("no such seed")


@pytest.mark.slow
def test_training_goes_on_from_a_finished_model_and_from_its_own_state(tmp_path: Path) -> None:
    """With this seed both steps are pictures, which take a sixth of the time."""
    shipped = Path(checkpoints.locate("demo-segmenter"))
    before = load(shipped)
    for steps, told in (("1", ""), ("2", "going on at step 1 of long")):
        command = ["--out", str(tmp_path), "--from", str(shipped), "--seed", "45", "--save-every"]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "gsam_ros.training.segmenter.train", *command, "1"),
                *("--long-steps", steps, "--calibration-clips", "0", "--processes", "2"),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=250,
        )
        assert done.returncode == 0, done.stderr
        assert told in done.stdout
        state = torch.load(tmp_path / "state.pt", weights_only=True)
        assert state["step"] == int(steps)
        after = load(tmp_path / "model")
        for (name, mine), theirs in zip(after.named_parameters(), before.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs, atol=2e-3, rtol=1e-2, msg=name)


@pytest.mark.parametrize("name", ["stills", "video"])
def test_a_run_cut_in_two_ends_where_a_whole_one_does(tmp_path: Path, name: str) -> None:
    stage = _stage(name, steps=4)

    def batches(first: int) -> list:
        source = (
            StillBatches(7, first, 4, images=2, objects=2)
            if name == "stills"
            else _batches(first, 4)
        )
        return [source[i] for i in range(len(source))]

    whole = Trainer(tmp_path / "whole", seed=0)
    whole.out.mkdir()
    whole.begin(stage)
    run_stage(whole, stage, batches(0))

    first = Trainer(tmp_path / "cut", seed=0)
    first.out.mkdir()
    first.begin(stage)
    run_stage(first, stage, batches(0)[:2])
    second = Trainer(tmp_path / "cut", seed=1)
    second.load_state([stage])
    assert second.step == 2
    second.seed = 0
    run_stage(second, stage, batches(2))

    for mine, theirs in zip(
        second.model.state_dict().values(), whole.model.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(mine, theirs)
    # What is written is the average, and it loads.
    written = load(tmp_path / "cut" / "model")
    torch.testing.assert_close(
        written.no_object_pointer, whole.average.no_object_pointer, atol=1e-3, rtol=1e-3
    )


def test_rates_ramp_up_and_fall() -> None:
    stage = Stage("stills", 100, 1e-3, 1e-3, warm_up=10, last_rate=0.1)
    assert stage.progress(50) == pytest.approx(0.5)
    assert stage.progress(200) == 1.0
    assert stage.factor(0) == pytest.approx(0.1)
    assert stage.factor(50) == pytest.approx(0.55)
    assert stage.factor(100) == pytest.approx(0.1)


def test_clicks_lie_where_their_labels_say() -> None:
    masks = np.zeros((2, 256, 256), np.uint8)
    masks[0, 20:60, 30:50] = 255
    masks[1, 100:103, 100:200] = 255
    for seed in range(20):
        prompts = click(np.random.default_rng(seed), masks)
        for mask, points, labels in zip(masks, prompts.points, prompts.labels, strict=True):
            assert labels[0] == 1
            for (x, y), label in zip(points.int().tolist(), labels.tolist(), strict=True):
                assert (mask[y, x] == 255) == bool(label)
