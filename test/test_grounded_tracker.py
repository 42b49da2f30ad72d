"""The machine with the bundled models on the demo world: what a user sees of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from gsam_ros.boxes import box_iou
from gsam_ros.detection.settings import DetectorSettings
from gsam_ros.instances import Frame, TrackState
from gsam_ros.pipeline.grounded_tracker import GroundedTracker
from gsam_ros.pipeline.settings import Settings
from gsam_ros.prompts import PromptError
from gsam_ros.settings import SettingError, with_texts
from gsam_ros.standalone.run_state import load_state, save_state
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.visual_prompts import VisualPrompt
from gsam_ros.world.scene import Scene

PERIOD = 100_000_000  # nanoseconds between two frames
SCENE = Scene(seed=1)


@pytest.fixture(scope="module")
def machine() -> GroundedTracker:
    return GroundedTracker(Settings(device="cpu"))


@pytest.fixture
def tracker(machine) -> GroundedTracker:
    """A machine that has seen nothing; loading it anew for every test would take most of them."""
    machine.configure(Settings(device="cpu"))
    machine.reset()
    return machine


def frame(index: int, camera: int = 0) -> Frame:
    rendered = SCENE.render(camera, index * 0.1)
    return Frame(rendered.image, stamp=index * PERIOD, camera=f"camera {camera}")


def run(tracker, indices, camera=0):
    return [tracker.step([frame(index, camera)])[0] for index in indices]


def test_named_objects_are_found_where_they_are(tracker):
    prompt = tracker.set_prompt("red mug. purple ball.")
    [result] = tracker.step([frame(0)])
    truth = SCENE.render(0, 0.0)
    clear = truth.visible > 0.6
    for name in prompt.phrases:
        wanted = [b for b, p, c in zip(truth.boxes, truth.pairs, clear, strict=True)
                  if c and " ".join(p) == name]  # fmt: skip
        named = result.instances.phrase_index == prompt.phrases.index(name)
        overlap = box_iou(
            np.array(wanted, np.float32).reshape(-1, 4), result.instances.boxes[named]
        )
        assert wanted, f"the scene shows no {name}: the test proves nothing"
        assert (overlap.max(1) > 0.5).all(), f"a {name} was missed"
    assert result.prompt == prompt
    assert result.frame.stamp == 0


def test_ids_stay_while_objects_move(tracker):
    tracker.set_prompt("red mug. blue ring. purple ball.")
    results = run(tracker, range(20))
    first = {int(i) for i in results[6].instances.track_id}
    last = {int(i) for i in results[19].instances.track_id}
    assert len(first & last) >= 2
    confirmed = results[19].instances.state == TrackState.CONFIRMED
    assert confirmed.any()


@pytest.mark.parametrize(("rate", "every"), [(2.5, 4), (5.0, 2), (10.0, 1), (100.0, 1)])
def test_the_detector_runs_at_its_rate(tracker, rate, every):
    """Of a camera with 10 frames a second."""
    tracker.set_prompt("red mug.")
    tracker.configure(Settings(device="cpu", detector=DetectorSettings(rate=rate)))
    assert [r.keyframe for r in run(tracker, range(9))] == [i % every == 0 for i in range(9)]


def gliding(rate: float) -> Settings:
    return Settings(device="cpu", tracker=TrackerSettings(rate=rate))


@pytest.mark.parametrize(("rate", "every"), [(2.5, 4), (5.0, 2), (10.0, 1)])
def test_sam2_looks_at_its_rate_and_masks_glide_in_between(tracker, rate, every):
    """Of a camera with 10 frames a second."""
    tracker.configure(gliding(rate))
    tracker.set_prompt("red mug. blue ring. purple ball.")
    results = run(tracker, range(9))
    assert ["encode" in r.stage_ms for r in results] == [i % every == 0 for i in range(9)]
    assert not any(r.keyframe for r in results if "encode" not in r.stage_ms)
    for before, after in pairwise(results):
        if "encode" in after.stage_ms:
            continue
        assert set(after.instances.track_id) <= set(before.instances.track_id)
        assert len(after.instances) >= len(before.instances) - 1
        assert not np.array_equal(after.instances.boxes, before.instances.boxes)


def test_what_changes_between_two_looks_counts_from_the_next_frame_on(tracker):
    tracker.configure(gliding(2.0))
    tracker.set_prompt("red mug.")
    run(tracker, range(2))
    tracker.set_prompt("purple ball.")
    [result] = tracker.step([frame(2)])
    assert result.keyframe
    assert result.prompt.phrases == ("purple ball",)
    truth = SCENE.render(0, 0.3)
    box = truth.boxes[truth.pairs.index(("red", "mug"))]
    tracker.step([frame(3)])
    track = tracker.point_out(VisualPrompt(camera="camera 0", name="tool", box=box))
    results = run(tracker, range(4, 6))
    assert ["encode" in r.stage_ms for r in results] == [True, False]
    assert all(track in r.instances.track_id for r in results)
    tracker.remove_object("camera 0", track)
    [result] = run(tracker, [6])
    assert track not in result.instances.track_id
    before = set(result.instances.track_id)
    # The stream starts over, if by no more than the frames that glided: nothing of it lives on.
    tracker.step([replace(frame(7), stamp=20 * PERIOD)])
    run(tracker, range(21, 24))
    again = tracker.step([replace(frame(7), stamp=21 * PERIOD)])[0]
    assert "encode" in again.stage_ms
    assert not before & set(again.instances.track_id)


def test_a_run_goes_on_between_two_looks(tracker, tmp_path):
    tracker.configure(gliding(2.0))
    tracker.set_prompt("red mug. purple ball.")
    run(tracker, range(7))
    save_state(tmp_path / "state.pt", tracker.state())
    expected = run(tracker, range(7, 12))
    tracker.reset()
    tracker.restore(load_state(tmp_path / "state.pt", "cpu"))
    for one, other in zip(expected, run(tracker, range(7, 12)), strict=True):
        np.testing.assert_array_equal(one.instances.boxes, other.instances.boxes)
        np.testing.assert_array_equal(one.instances.track_id, other.instances.track_id)


def test_a_changed_prompt_keeps_the_tracks_whose_phrase_stays(tracker):
    before = tracker.set_prompt("red mug. purple ball.")
    results = run(tracker, range(6))
    mugs = results[-1].instances.track_id[results[-1].instances.phrase_index == 0]
    assert len(mugs)
    after = tracker.set_prompt("blue ring. Red Mug.")
    assert after.version == before.version + 1
    [result] = tracker.step([frame(6)])
    assert result.prompt == after
    kept = result.instances.track_id[result.instances.phrase_index == 1]
    assert set(mugs.tolist()) <= set(kept.tolist())
    new = result.instances.track_id[result.instances.phrase_index == 0]
    assert (new > max(mugs)).all(), "ids are never used again"


def test_a_prompt_that_cannot_be_used_changes_nothing(tracker):
    before = tracker.set_prompt("red mug.")
    for text in ("", "...", "word " * 2000):
        with pytest.raises(PromptError):
            tracker.set_prompt(text)
    assert tracker.prompt == before
    assert len(tracker.step([frame(0)])[0].instances)


def test_what_is_not_there_is_not_found(tracker):
    tracker.set_prompt("dog. chair. bottle.")
    assert sum(len(result.instances) for result in run(tracker, range(6))) == 0


def test_words_that_the_detector_does_not_know_are_told(tracker):
    assert tracker.set_prompt("red mug. чашка.").unknown == ("чашка",)


def test_the_same_frames_give_the_same_results(tracker):
    def once():
        tracker.reset()
        tracker.set_prompt("red mug. blue ring. purple ball.")
        return run(tracker, range(12))

    first, second = once(), once()
    shift = min(r.instances.track_id.min() for r in second if len(r.instances)) - min(
        r.instances.track_id.min() for r in first if len(r.instances)
    )
    for a, b in zip(first, second, strict=True):
        assert (a.instances.boxes == b.instances.boxes).all()
        assert (a.instances.track_id == b.instances.track_id - shift).all()
        assert (a.instances.masks.logits == b.instances.masks.logits).all()


def test_cameras_do_not_influence_each_other(tracker):
    prompt = "red mug. purple ball."
    tracker.set_prompt(prompt)
    together = [tracker.step([frame(i, 0), frame(i, 1)]) for i in range(8)]
    tracker.reset()
    tracker.set_prompt(prompt)
    for camera in (0, 1):
        for index, alone in enumerate(run(tracker, range(8), camera)):
            beside = together[index][camera]
            assert 0 < len(alone.instances) == len(beside.instances) or index == 0
            np.testing.assert_allclose(alone.instances.boxes, beside.instances.boxes, atol=2)


def test_a_stream_that_starts_over_gets_new_ids_and_goes_on(tracker):
    tracker.set_prompt("red mug.")
    before = run(tracker, range(3, 6))
    again = run(tracker, range(3))
    assert again[0].keyframe
    assert len(again[0].instances)
    assert again[0].instances.track_id.min() > before[-1].instances.track_id.max()


def test_another_resolution_starts_its_camera_anew(tracker):
    tracker.set_prompt("red mug.")
    run(tracker, range(2))
    half = replace(frame(2), image=np.ascontiguousarray(frame(2).image[::2, ::2]))
    [result] = tracker.step([half])
    assert result.keyframe
    assert result.instances.masks.height == 240
    assert len(result.instances)
    assert (result.instances.boxes <= [320, 240, 320, 240]).all()


def test_before_the_first_prompt_frames_are_answered_with_nothing():
    [result] = GroundedTracker(Settings(device="cpu")).step([frame(0)])
    assert result.prompt is None and len(result.instances) == 0 and not result.keyframe


def test_phrases_read_one_at_a_time_get_the_scores_that_they_get_alone():
    machine = GroundedTracker(with_texts(Settings(device="cpu"), ["detector.phrases_at_once=1"]))
    image = frame(0).image
    score = machine.detect(image, "purple ball.")[0].scores.max()
    found, prompt = machine.detect(image, "purple ball. zebra. cross. red mug.")
    named = [prompt.phrases[index] == "purple ball" for index in found.phrase_index]
    assert found.scores[named].max() == pytest.approx(score, abs=1e-5)


def test_two_frames_of_one_camera_are_no_step(tracker):
    tracker.set_prompt("red mug.")
    with pytest.raises(ValueError, match="one frame of each camera"):
        tracker.step([frame(0), frame(1)])
    assert tracker.step([]) == []


def test_objects_are_limited(tracker):
    few = replace(tracker.settings.tracker, max_objects=2)
    tracker.configure(replace(tracker.settings, tracker=few))
    tracker.set_prompt("red mug. purple ball. blue ring. orange cone.")
    assert max(len(result.instances) for result in run(tracker, range(6))) == 2


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"box_threshold": -0.1}, r"detector\.box_threshold is -0\.1: give a value from 0"),
        ({"box_threshold": 1.5}, r"detector\.box_threshold"),
        ({"rate": 0.0}, r"detector\.rate is 0\.0: give a value from 0\.001"),
    ],
)
def test_settings_outside_their_range_are_named(values, named):
    with pytest.raises(SettingError, match=named):
        Settings(detector=DetectorSettings(**values))


@pytest.mark.slow
def test_state_is_constant_over_a_long_stream(tracker):
    """However long an object is followed, it is remembered in the same few frames."""
    tracker.set_prompt("red mug.")
    run(tracker, range(130))
    tracks = tracker._tracker.cameras["camera 0"].tracks
    assert max(track.memory.clock for track in tracks) > 60, "nothing was followed for long"
    for track in tracks:
        assert len(track.memory.frames()) <= 4 + 6
        assert len(track.memory.pointers()) <= 4 + 15


def test_products_of_masks_do_not_wait_for_threads_of_numpys_own():
    """Whoever uses the class without the node has what the node has."""
    with threadpool_limits(2, "blas"):
        GroundedTracker(Settings(device="cpu"))
        assert {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"} == {1}
