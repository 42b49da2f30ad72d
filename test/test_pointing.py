"""Pointing at objects of the demo world: who is followed, under which name and id, and how long."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gsam_ros.instances import Frame, TrackState
from gsam_ros.pipeline.grounded_tracker import GroundedTracker
from gsam_ros.pipeline.settings import Settings
from gsam_ros.prompts import PromptError
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.track import masks_of
from gsam_ros.visual_prompts import VisualPrompt
from gsam_ros.world.scene import RenderedFrame, Scene

PERIOD = 100_000_000  # nanoseconds between two frames
SCENE = Scene(seed=1)
TRUTH = SCENE.render(0, 0.0)
HEIGHT, WIDTH = TRUTH.image.shape[:2]
CAMERA = "front"


@pytest.fixture(scope="module")
def machine() -> GroundedTracker:
    return GroundedTracker(Settings(device="cpu"))


@pytest.fixture
def tracker(machine) -> GroundedTracker:
    """A machine that looks for what the scene does not show, and has seen one frame."""
    machine.configure(Settings(device="cpu"))
    machine.reset()
    machine.set_prompt("dog. chair.")
    show(machine, 0)
    return machine


def show(tracker, index: int, image: np.ndarray | None = None):
    if image is None:
        image = SCENE.render(0, index * 0.1).image
    return tracker.step([Frame(image, index * PERIOD, CAMERA)])[0]


def truth_of(name: str, frame: RenderedFrame = TRUTH) -> int:
    """The row of the object of that name that shows most."""
    rows = [i for i, pair in enumerate(frame.pairs) if " ".join(pair) == name]
    return max(rows, key=lambda row: frame.masks[row].sum())


def box_of(name: str) -> np.ndarray:
    return TRUTH.boxes[truth_of(name)]


def at(name: str, called: str = "tool") -> VisualPrompt:
    return VisualPrompt(CAMERA, called, box=box_of(name))


def called(result, name: str) -> np.ndarray:
    """Rows of the instances under a name."""
    return np.flatnonzero(result.instances.phrase_index == result.prompt.classes.index(name))


def overlap(result, row: int, mask: np.ndarray) -> float:
    found = result.instances.masks.pixels()[row]
    return (found & mask).sum() / (found | mask).sum()


def test_a_boxed_object_is_followed_though_no_detector_knows_it(tracker):
    before = tracker.prompt.version
    track_id = tracker.point_out(at("red mug"))
    for index in range(1, 15):  # seven keyframes, on each of which the detector misses it
        result = show(tracker, index)
        assert result.prompt.version == before + 1
        [row] = called(result, "tool")
        assert result.instances.track_id[row] == track_id
        assert result.instances.state[row] == TrackState.CONFIRMED
        assert result.instances.scores[row] == 1
    rendered = SCENE.render(0, 1.4)
    same = np.flatnonzero(rendered.ids == TRUTH.ids[truth_of("red mug")])
    assert overlap(result, row, rendered.masks[same[0]]) > 0.4


def test_after_an_absence_it_is_found_again_by_memory_alone(tracker):
    track_id = tracker.point_out(at("red mug"))
    away = np.full_like(TRUTH.image, 110)
    for index in range(1, 4):
        show(tracker, index, TRUTH.image)
    for index in range(4, 30):  # 2.6 s, more than `occluded_after`
        gone = show(tracker, index, away)
    assert not len(gone.instances)
    for index in range(30, 34):
        back = show(tracker, index, TRUTH.image)
    assert back.instances.track_id.tolist() == [track_id]
    assert back.instances.state.tolist() == [TrackState.CONFIRMED]


def test_a_mask_is_taken_at_its_word(tracker):
    mask = TRUTH.masks[truth_of("black cross")]
    tracker.point_out(VisualPrompt(CAMERA, "cross", mask=mask))
    result = show(tracker, 1, TRUTH.image)
    [row] = called(result, "cross")
    assert overlap(result, row, mask) > 0.6


def test_masks_of_most_objects_are_followed_by_memory(tracker):
    """Masks as prompts are not trained: weights that forgot them would lose most at once."""
    kept = []
    for row, mask in enumerate(TRUTH.masks):
        if TRUTH.visible[row] < 0.6:
            continue
        tracker.reset()
        tracker.set_prompt("dog.")
        show(tracker, 0)
        tracker.point_out(VisualPrompt(CAMERA, "tool", mask=mask))
        kept += [len(show(tracker, index).instances) == 1 for index in (1, 2)]
    assert len(kept) > 8
    assert np.mean(kept) > 0.8


@pytest.mark.parametrize("side", [8, 16])
def test_a_mask_of_a_few_pixels_is_taken_at_its_word_too(tracker, side):
    """On SAM 2's grid of the whole image nothing of it would be left."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    y, x = (int(each) for each in np.argwhere(TRUTH.masks[truth_of("black cross")]).mean(0))
    mask[y : y + side, x : x + side] = True
    tracker.point_out(VisualPrompt(CAMERA, "dot", mask=mask))
    [track] = [t for t in tracker._tracker.cameras[CAMERA].tracks if t.name == "dot"]
    [shown] = masks_of([track], (HEIGHT, WIDTH)).pixels()
    assert (shown & mask).sum() / (shown | mask).sum() > 0.7


def test_points_go_to_the_model_in_its_own_pixels(tracker, monkeypatch):
    """Where they are and what they mean; how good the mask is depends on the weights."""
    given = []
    prompt = tracker._segmenter.prompt

    def spy(features, points, labels):
        given.append((points, labels))
        corners = np.array([[293, 245], [419, 386]]) * (256 / WIDTH, 256 / HEIGHT)
        box = points.new_tensor(corners)[None]
        return prompt(features, box, labels.new_tensor([[2, 3]]))

    monkeypatch.setattr(tracker._segmenter, "prompt", spy)
    points, labels = np.array([[WIDTH / 2, HEIGHT / 4], [0, HEIGHT]]), np.array([1, 0])
    tracker.point_out(VisualPrompt(CAMERA, "tool", points=points, labels=labels))
    [(sent, meant)] = given
    assert sent.tolist() == [[[128, 64], [0, 256]]]
    assert meant.tolist() == [[1, 0]]


def test_without_any_text_prompt_only_what_was_pointed_at_is_there():
    tracker = GroundedTracker(Settings(device="cpu"))
    assert show(tracker, 0).prompt is None
    tracker.point_out(at("red mug"))
    result = show(tracker, 1)
    assert result.prompt.classes == ("tool",) and not result.keyframe
    assert result.instances.phrase_index.tolist() == [0]
    assert tracker.set_prompt("dog.").classes == ("dog", "tool")


def test_pointing_at_what_is_followed_already_renames_it(tracker):
    tracker.set_prompt("red mug.")
    for index in range(1, 5):
        found = show(tracker, index)
    ids = found.instances.track_id
    assert len(ids), "no mug was found: the test proves nothing"
    first = VisualPrompt(CAMERA, "my mug", box=found.instances.boxes[0])
    assert tracker.point_out(first) == ids[0]
    assert tracker.point_out(replace(first, name="our mug")) == ids[0]
    for index in range(5, 12):  # the detector goes on to say "red mug"
        result = show(tracker, index)
        [row] = called(result, "our mug")
        assert result.instances.track_id[row] == ids[0]
        others = np.delete(np.arange(len(result.instances)), row)
        pixels = result.instances.masks.pixels()
        for other in others:
            shared = (pixels[row] & pixels[other]).sum() / (pixels[row] | pixels[other]).sum()
            assert shared < 0.7, "one object has two tracks"


def test_a_name_that_the_text_has_too_is_one_class(tracker):
    tracker.set_prompt("dog. red Mug.")
    show(tracker, 1)
    tracker.point_out(at("red mug", called="Red mug"))
    assert tracker.prompt.classes == ("dog", "red Mug")
    result = show(tracker, 2)
    assert (result.instances.phrase_index == 1).any()


def test_it_outlives_the_text_prompt_and_ends_when_it_is_removed(tracker):
    track_id = tracker.point_out(at("red mug"))
    prompt = tracker.set_prompt("chair. bottle.")
    assert prompt.classes == ("chair", "bottle", "tool")
    result = show(tracker, 1)
    assert result.instances.track_id[called(result, "tool")].tolist() == [track_id]
    with pytest.raises(LookupError, match=f"camera 'front' has the id {track_id + 1}"):
        tracker.remove_object(CAMERA, track_id + 1)
    with pytest.raises(LookupError, match="camera 'back'"):
        tracker.remove_object("back", track_id)
    tracker.remove_object(CAMERA, track_id)
    with pytest.raises(LookupError):
        tracker.remove_object(CAMERA, track_id)
    assert not len(show(tracker, 2).instances)
    assert tracker.set_prompt("chair.").classes == ("chair",)
    assert tracker.point_out(at("red mug")) > track_id, "ids are never used again"


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (VisualPrompt("back", "tool", box=box_of("red mug")), "no image of camera 'back'"),
        (VisualPrompt(CAMERA, "tool", box=np.array([700, 0, 800, 90])), "no area within"),
        (VisualPrompt(CAMERA, "tool", points=np.array([[1, 481]])), "lies outside"),
        (VisualPrompt(CAMERA, "tool", mask=np.ones((48, 64), bool)), "the mask is 64x48"),
    ],
)
def test_what_cannot_be_used_leaves_prompt_and_tracks_as_they_were(tracker, prompt, words):
    track_id = tracker.point_out(at("black cross", called="cross"))
    before = tracker.prompt
    with pytest.raises(PromptError, match=words):
        tracker.point_out(prompt)
    assert tracker.prompt == before
    assert show(tracker, 1).instances.track_id.tolist() == [track_id]


def test_after_a_reset_nothing_can_be_pointed_at_before_the_next_image(tracker):
    tracker.point_out(at("red mug"))
    tracker.reset()
    with pytest.raises(PromptError, match="no image"):
        tracker.point_out(at("red mug"))
    assert not len(show(tracker, 1).instances)


def test_five_hundred_boxes_at_once_encode_no_image_and_push_nobody_out(tracker, monkeypatch):
    tracker.configure(Settings(device="cpu", tracker=TrackerSettings(max_objects=3)))
    encoded = []
    monkeypatch.setattr(tracker._segmenter, "encode_image", encoded.append)
    monkeypatch.setattr(tracker._newest, "_encode", encoded.append)
    first = [tracker.point_out(at(name, name)) for name in ("red mug", "black cross", "blue ring")]
    answers = []
    for index in range(500):
        left, top = 7 * (index % 60), 9 * (index // 60)
        box = np.array([left, top, left + 90, top + 90])
        try:
            tracker.point_out(VisualPrompt(CAMERA, "box", box=box))
        except PromptError as error:
            answers.append(str(error))
    assert not encoded, "the features of the newest image are kept"
    assert len(answers) > 400
    assert all("no room" in answer or "no object there" in answer for answer in answers)
    monkeypatch.undo()
    assert set(show(tracker, 1).instances.track_id) <= set(first)
