"""Prompts of their own for some cameras, with the bundled models on the demo world."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gsam_ros.instances import Frame, FrameResult
from gsam_ros.pipeline.grounded_tracker import GroundedTracker
from gsam_ros.pipeline.settings import Settings
from gsam_ros.prompts import PromptError
from gsam_ros.standalone.run_state import load_state, save_state
from gsam_ros.visual_prompts import VisualPrompt
from gsam_ros.world.scene import RenderedFrame, Scene

PERIOD = 100_000_000  # nanoseconds between two frames
SCENE = Scene(seed=1)
COMMON, OWN = "red mug. purple ball.", "blue ring. red mug."
_numbers = itertools.count()


@pytest.fixture(scope="module")
def loaded() -> GroundedTracker:
    return GroundedTracker(Settings(device="cpu"))


@pytest.fixture
def tracker(loaded: GroundedTracker) -> Iterator[GroundedTracker]:
    """A machine on which no camera has a prompt of its own."""
    loaded.reset()
    loaded.set_prompt(COMMON)
    yield loaded
    for camera in [name for name in loaded._prompts._sought if name is not None]:
        loaded.set_prompt("", camera)


@pytest.fixture
def front() -> str:
    """A camera that was not there before."""
    return f"front{next(_numbers)}"


@pytest.fixture
def rear() -> str:
    return f"rear{next(_numbers)}"


class Asked:
    """Takes notes of what the detector is asked."""

    def __init__(self, tracker: GroundedTracker, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looks: list[tuple[tuple[str, ...], int]] = []
        self.read: list[tuple[str, ...]] = []
        self._detect, self._encode = tracker._detector.detect, tracker._detector.encode
        monkeypatch.setattr(tracker._detector, "detect", self.detect)
        monkeypatch.setattr(tracker._detector, "encode", self.encode)

    def detect(self, images: Any, text: Any, *arguments: Any) -> Any:
        self.looks.append((text.phrases, len(images)))
        return self._detect(images, text, *arguments)

    def encode(self, prompt: Any) -> Any:
        text = self._encode(prompt)
        self.read.append(text.phrases)
        return text


def rendered(index: int) -> RenderedFrame:
    return SCENE.render(0, index * PERIOD / 1e9)


def frame(index: int, camera: str) -> Frame:
    return Frame(rendered(index).image, index * PERIOD, camera)


def show(tracker: GroundedTracker, camera: str, *indices: int) -> list[FrameResult]:
    return [tracker.step([frame(index, camera)])[0] for index in indices]


def named(result: FrameResult) -> dict[int, str]:
    """Phrase by track id."""
    assert result.prompt
    classes, found = result.prompt.classes, result.instances
    return {int(i): classes[p] for i, p in zip(found.track_id, found.phrase_index, strict=True)}


def test_each_camera_finds_what_it_looks_for_itself(tracker, front, rear) -> None:
    own = tracker.set_prompt(OWN, front)
    assert own.version == tracker.prompt.version + 1
    assert (tracker.prompt_of(front), tracker.prompt_of(rear)) == (own, tracker.prompt)
    for index in range(3):
        ahead, behind = tracker.step([frame(index, front), frame(index, rear)])
        assert (ahead.prompt, behind.prompt) == (own, tracker.prompt)
    # The same image: what differs is what was asked for, and where it stands in the prompt.
    assert set(named(ahead).values()) == {"blue ring", "red mug"}
    assert set(named(behind).values()) == {"purple ball", "red mug"}
    mugs = [[i for i, name in named(each).items() if name == "red mug"] for each in (ahead, behind)]
    assert len(mugs[0]) == len(mugs[1])


def test_a_camera_keeps_its_own_prompt_until_it_gives_it_up(tracker, front, rear) -> None:
    own = tracker.set_prompt(OWN, front)
    common = tracker.set_prompt("dog. red mug.")
    assert (tracker.prompt_of(front), tracker.prompt_of(rear)) == (own, common)
    [before] = show(tracker, front, 0)
    mugs = {i for i, name in named(before).items() if name == "red mug"}
    assert mugs, "no mug was found: the test proves nothing"
    [ring] = {i for i, name in named(before).items() if name == "blue ring"}

    again = tracker.set_prompt("  ", front)
    assert again.version == common.version + 1
    assert again.phrases == common.phrases
    assert tracker.prompt_of(front) is tracker.prompt_of(rear) is again
    [after] = show(tracker, front, 1)
    assert after.keyframe
    assert mugs <= set(named(after))
    assert ring not in named(after)
    assert tracker.set_prompt("", front) == again, "there was nothing to give up"
    assert tracker.set_prompt(COMMON).version == again.version + 1
    assert tracker.prompt_of(front) == tracker.prompt


def test_other_cameras_do_not_notice(tracker, front, rear) -> None:
    """Boxes, masks and ids of a camera are what they would be, to the last bit."""
    expected = show(tracker, "alone" + rear, *range(6))
    assert len(expected[-1].instances) > 1
    seen = show(tracker, rear, 0, 1)
    show(tracker, front, 0)
    tracker.set_prompt(OWN, front)
    seen += show(tracker, rear, 2)
    show(tracker, front, 1)
    tracker.set_prompt("orange cone.", front)
    seen += show(tracker, rear, 3)
    tracker.set_prompt("", front)
    seen += show(tracker, rear, 4, 5)
    for one, other in zip(seen, expected, strict=True):
        assert one.keyframe == other.keyframe
        for values in ("boxes", "scores", "phrase_index", "track_id", "state"):
            mine, theirs = getattr(one.instances, values), getattr(other.instances, values)
            np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(one.instances.masks.logits, other.instances.masks.logits)


def test_the_detector_is_asked_once_for_all_who_look_for_the_same(
    tracker, front, rear, monkeypatch
) -> None:
    asked, third = Asked(tracker, monkeypatch), front + "3"
    common, own = ("red mug", "purple ball"), ("blue ring", "red mug")
    tracker.set_prompt(OWN, front)
    tracker.set_prompt("blue ring,  red mug", third)
    assert asked.read == [("blue ring", "red mug")], "one text was read twice"
    tracker.step([frame(0, front), frame(0, rear), frame(0, third)])
    assert asked.looks == [(own, 2), (common, 1)]
    tracker.set_prompt(COMMON, front)
    assert len(asked.read) == 1, "the text for all was read again"
    tracker.step([frame(1, front), frame(1, rear), frame(1, third)])
    assert asked.looks[2:] == [(common, 1)], "who looks for what it did need not look again"
    tracker.step([frame(2, front), frame(2, rear), frame(2, third)])
    assert asked.looks[3:] == [(common, 1), (own, 1)]  # front's turn comes a frame later
    tracker.step([frame(4, front), frame(4, rear), frame(4, third)])
    assert asked.looks[5:] == [(common, 2), (own, 1)]


def test_a_text_that_cannot_be_used_changes_nothing(tracker, front) -> None:
    own = tracker.set_prompt(OWN, front)
    for text in ("...", "mug:50.", "word " * 2000):
        with pytest.raises(PromptError):
            tracker.set_prompt(text, front)
    assert tracker.prompt_of(front) == own
    assert set(named(show(tracker, front, 0)[0]).values()) == {"blue ring", "red mug"}
    assert tracker.set_prompt("dog.", front).version == own.version + 1


def test_pointing_on_a_camera_with_its_own_prompt_is_told_there_alone(tracker, front, rear) -> None:
    tracker.set_prompt("dog.", front)
    common = tracker.prompt
    show(tracker, front, 0)
    box = rendered(0).boxes[rendered(0).pairs.index(("red", "mug"))]
    track_id = tracker.point_out(VisualPrompt(front, "tool", box=box))
    assert tracker.prompt_of(front).classes == ("dog", "tool")
    assert tracker.prompt_of(rear) == common
    assert named(show(tracker, front, 1)[0]) == {track_id: "tool"}
    assert tracker.set_prompt("chair. tool.", front).classes == ("chair", "tool")
    assert named(show(tracker, front, 2)[0]) == {track_id: "tool"}
    again = tracker.set_prompt("", front)
    assert again.classes == (*common.phrases, "tool")
    assert named(show(tracker, front, 3)[0])[track_id] == "tool"
    tracker.remove_object(front, track_id)


def test_a_stamp_of_another_clock_is_refused(tracker: GroundedTracker, front: str) -> None:
    """A moment after the newest image is that of an image on its way; a minute is not."""
    tracker.step([Frame(SCENE.render(0, 0).image, PERIOD, front)])
    box = np.array([100, 100, 200, 200], np.float32)
    with pytest.raises(PromptError, match=r"60\.00 s newer than the newest image of camera"):
        tracker.point_out(VisualPrompt(front, "tool", box=box, stamp=PERIOD + 60 * 10**9))
    assert "tool" not in tracker.prompt_of(front).classes
    tracker.point_out(VisualPrompt(front, "tool", box=box, stamp=3 * PERIOD))
    assert "tool" in tracker.prompt_of(front).classes


def test_without_a_prompt_for_all_the_other_cameras_cost_nothing(front, rear, monkeypatch) -> None:
    tracker = GroundedTracker(Settings(device="cpu"))
    with pytest.raises(PromptError, match="no prompt of its own to give up"):
        tracker.set_prompt("", front)
    tracker.set_prompt(OWN, front)
    encoded: list[int] = []
    encode = tracker._segmenter.encode_image

    def counting(images: list[np.ndarray]) -> Any:
        if images[0].shape == frame(0, front).image.shape:  # and no crop of one
            encoded.append(len(images))
        return encode(images)

    monkeypatch.setattr(tracker._segmenter, "encode_image", counting)
    ahead, behind = tracker.step([frame(0, front), frame(0, rear)])
    assert len(ahead.instances) > 1
    assert behind.prompt is None
    assert not len(behind.instances)
    assert encoded == [1]
    given_up = tracker.set_prompt("", front)
    assert given_up.classes == ()
    [result] = show(tracker, front, 1)
    assert (result.prompt, len(result.instances)) == (given_up, 0)
    assert encoded == [1], "there is nothing to follow"
    tracker.set_prompt(OWN)
    for result in tracker.step([frame(2, front), frame(2, rear)]):
        assert result.keyframe
        assert len(result.instances) > 1


def test_a_state_goes_on_with_every_camera_and_prompt(tracker, front, rear, tmp_path) -> None:
    tracker.set_prompt(OWN, front)
    both = lambda machine, index: machine.step([frame(index, front), frame(index, rear)])  # noqa: E731
    for index in range(3):
        both(tracker, index)
    gone = tracker.set_prompt("dog.", "nobody")  # its version must not be given twice
    tracker.set_prompt("", "nobody")
    save_state(tmp_path / "state", tracker.state())
    other = GroundedTracker(Settings(device="cpu"))
    other.set_prompt("something else.", rear)
    other.restore(load_state(tmp_path / "state", torch.device("cpu")))
    assert (other.prompt_of(front), other.prompt) == (tracker.prompt_of(front), tracker.prompt)
    assert other.prompt_of(rear) == tracker.prompt
    for index in range(3, 5):
        for one, two in zip(both(tracker, index), both(other, index), strict=True):
            assert one.prompt == two.prompt
            assert one.keyframe == two.keyframe
            np.testing.assert_array_equal(one.instances.track_id, two.instances.track_id)
            np.testing.assert_array_equal(one.instances.boxes, two.instances.boxes)
    assert other.set_prompt("dog.", front).version > gone.version + 1


TEXTS = ["red mug.", "red mug. purple ball.", "blue ring.", "dog. red mug:0.4.", "", "..."]


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from([None, "a", "b"]), st.sampled_from(TEXTS)), max_size=8))
def test_whatever_is_asked_each_camera_has_its_own_or_the_common_prompt(loaded, changes) -> None:
    """Held against the rule in three lines; versions only grow."""
    for camera in ("a", "b"):
        loaded.set_prompt("white ring.", camera)
        loaded.set_prompt("", camera)
    texts: dict[str | None, str] = {None: "chair."}
    newest = loaded.set_prompt("chair.").version
    for camera, text in changes:
        try:
            version = loaded.set_prompt(text, camera).version
        except PromptError:
            assert not any(c.isalnum() for c in text)
            continue
        changed = bool(text) or camera in texts
        assert version == newest + 1 if changed else version <= newest
        newest = max(newest, version)
        texts[camera] = text
        if camera is not None and not text:
            del texts[camera]
    for camera in ("a", "b", "c", None):
        wanted = texts.get(camera, texts[None])
        assert loaded.prompt_of(camera).text == wanted.replace(":0.4", "")
