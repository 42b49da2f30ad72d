"""A run of the segmenter's training: clips' batches, and a run that was cut in two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gsam_ros.training.segmenter_data import (
    MixedBatches,
    StillBatches,
    Stills,
    click,
    clip_batch,
)
from gsam_ros.training.segmenter_model import IMAGE_SIZE, load
from gsam_ros.training.segmenter_trainer import Stage, Trainer
from gsam_ros.training.train_segmenter import run_stage


def _batches(first: int, last: int, lengths: tuple[int, ...] = (2,)) -> MixedBatches:
    return MixedBatches(
        7, first, last, images=2, clips=1, objects=2, lengths=lengths, still_share=0.4
    )


def _stage(name: str, steps: int) -> Stage:
    return Stage(name, steps, None, 1e-3, 1e-3, warm_up=1, last_rate=0.0)


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


def test_clip_batch_holds_every_object_in_its_first_frame() -> None:
    batch = clip_batch(np.random.default_rng(2), clips=2, frames=6, objects=3)
    assert batch.pixels.shape == (6, 2, IMAGE_SIZE, IMAGE_SIZE, 3)
    assert batch.present[0].all()
    assert batch.clip.tolist() == sorted(batch.clip.tolist())
    empty = batch.masks.flatten(2).amax(2) == 0
    assert not empty[batch.present].any()
    assert (batch.boxes[~batch.present] == 0).all()


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


def test_rates_ramp_up_and_fall_with_the_further_of_steps_and_time() -> None:
    stage = Stage("stills", 100, 10.0, 1e-3, 1e-3, warm_up=10, last_rate=0.1)
    assert stage.progress(50, elapsed_s=60) == pytest.approx(0.5)
    assert stage.progress(50, elapsed_s=480) == pytest.approx(0.8)
    assert stage.progress(50, elapsed_s=6000) == 1.0
    assert stage.factor(0, 0.0) == pytest.approx(0.1)
    assert stage.factor(50, 0.5) == pytest.approx(0.55)
    assert stage.factor(99, 1.0) == pytest.approx(0.1)


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
