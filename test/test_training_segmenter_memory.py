"""What a clip's memory hands out in training, on cases worked by hand."""

from __future__ import annotations

import pytest
import torch

from gsam_ros.training import segmenter_memory
from gsam_ros.training.segmenter_forward import Memory
from gsam_ros.training.segmenter_memory import ClipMemory
from gsam_ros.training.segmenter_model import new_model

OBJECTS = 2
MODEL = new_model(0)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list:
    """What is attended to: (prompted, propagated), as `recall` gets it."""
    calls: list = []
    monkeypatch.setattr(
        segmenter_memory,
        "recall",
        lambda model, features, prompted, propagated: calls.append((prompted, propagated)),
    )
    return calls


def _memory(frame: int) -> Memory:
    """Every number of it is the frame's, plus a tenth for the second object."""
    value = frame + torch.tensor([0.0, 0.1])
    return Memory(
        value[None, :, None].expand(4, OBJECTS, 3),
        value[None, :, None].expand(4, OBJECTS, 3),
        value[:, None].expand(OBJECTS, 6),
    )


def _filled(own_clock: bool, thinned: bool, shown: list[tuple[bool, bool]]) -> ClipMemory:
    memory = ClipMemory(born=-7, own_clock=own_clock, thinned=thinned)
    for t, present in enumerate(shown):
        memory.add(t, _memory(t), torch.tensor(present), prompted=t == 0)
    return memory


def test_a_session_remembers_every_frame_by_its_age(asked: list) -> None:
    memory = _filled(False, False, [(True, True), (False, True), (True, True)])
    memory.recall(MODEL, None, 3, torch.Generator())  # type: ignore[arg-type]
    ((prompted, propagated),) = asked
    assert [age for age, _ in prompted] == [10]
    assert [age for age, _ in propagated] == [2, 1]


def test_a_tracker_remembers_the_frames_that_showed_the_object(asked: list) -> None:
    # The first object is away in frames 2 and 3, the second in frame 4.
    shown = [(True, True), (True, True), (False, True), (False, True), (True, False)]
    memory = _filled(True, False, shown)
    memory.recall(MODEL, None, 5, torch.Generator())  # type: ignore[arg-type]
    ((_, propagated),) = asked
    assert [age for age, _ in propagated] == [2, 1]
    seen = [memory.pointer[:, 0].tolist() for _, memory in propagated]
    # Two frames each: 1 and 4 of the first object, 2 and 3 of the second.
    assert seen == [pytest.approx([1.0, 2.1]), pytest.approx([4.0, 3.1])]
    assert propagated[0][1].spatial[0, :, 0].tolist() == pytest.approx([1.0, 2.1])


def test_an_object_that_never_was_seen_again_leaves_the_prompted_frame_alone(asked: list) -> None:
    memory = _filled(True, False, [(True, True), (False, True), (False, True)])
    memory.recall(MODEL, None, 3, torch.Generator())  # type: ignore[arg-type]
    ((prompted, propagated),) = asked
    assert len(prompted) == 1
    assert propagated == []


def test_thinned_memory_keeps_the_newest_frame_and_some_of_the_others(asked: list) -> None:
    memory = _filled(False, True, [(True, True)] * 12)
    for seed in range(20):
        memory.recall(MODEL, None, 12, torch.Generator().manual_seed(seed))  # type: ignore[arg-type]
    counts = [len(propagated) for _, propagated in asked]
    assert all(propagated[-1][0] == 1 for _, propagated in asked)
    assert 1 <= min(counts) < max(counts) <= 11
