"""The pipeline with the detector beside the stream: detections that are late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from gsam_ros.detection.settings import DetectorSettings
from gsam_ros.instances import Frame, FrameResult
from gsam_ros.pipeline import grounded_tracker
from gsam_ros.pipeline.grounded_tracker import GroundedTracker
from gsam_ros.pipeline.settings import Settings
from gsam_ros.pipeline.step_errors import CamerasFailed
from gsam_ros.visual_prompts import VisualPrompt
from gsam_ros.world.scene import Scene

PERIOD = 100_000_000  # nanoseconds between two frames
PATIENCE = 60.0
PROMPT = "red mug. purple ball. blue ring."
SCENE = Scene(seed=1)


@pytest.fixture(scope="module")
def loaded() -> Iterator[GroundedTracker]:
    made = GroundedTracker(Settings(device="cpu"), live=True)
    yield made
    made.close()


class Bench:
    """A pipeline whose detector answers when the test says so."""

    def __init__(self, pipeline: GroundedTracker) -> None:
        self.pipeline = pipeline
        self._detect = pipeline._detector.detect
        self._may = threading.Semaphore(0)
        self._done = threading.Semaphore(0)
        self.error: Exception | None = None
        self.looked: list[tuple[str, ...]] = []
        pipeline.when_detected = self._done.release

    def detect(self, images, text, *arguments):
        assert self._may.acquire(timeout=PATIENCE)
        self.looked.append(text.phrases)
        if self.error:
            error, self.error = self.error, None
            raise error
        return self._detect(images, text, *arguments)

    def answer(self) -> None:
        """Let the detector look at what it was given, and wait until it has."""
        self._may.release()
        assert self._done.acquire(timeout=PATIENCE)

    def show(self, *indices: int, camera: int = 0) -> FrameResult:
        for index in indices:
            [result] = self.pipeline.step([frame(index, camera)])
        return result

    def end(self) -> None:
        self.pipeline.reset()
        while self.pipeline._following.late._detector.looking_for:
            self._may.release()
            time.sleep(0.01)
            self.pipeline.catch_up()


@pytest.fixture
def bench(loaded, monkeypatch) -> Iterator[Bench]:
    loaded.configure(Settings(device="cpu"))
    loaded.reset()
    made = Bench(loaded)
    monkeypatch.setattr(loaded._detector, "detect", made.detect)
    loaded.set_prompt(PROMPT)
    yield made
    made.end()


def frame(index: int, camera: int = 0) -> Frame:
    rendered = SCENE.render(camera, index * 0.1)
    return Frame(rendered.image, index * PERIOD, f"camera {camera}")


def test_masks_do_not_wait_and_the_detections_count_when_they_are_there(bench):
    results = [bench.show(index) for index in range(3)]
    assert [result.keyframe for result in results] == [True, False, False]
    assert not any(len(result.instances) for result in results)
    assert all("detect" not in result.stage_ms for result in results)
    bench.answer()
    result = bench.show(3)
    assert len(result.instances) >= 2
    assert (result.late.stamp, result.keyframe) == (0, True)
    assert result.late.detect_ms > 0
    assert 0 < result.late.catch_up_ms <= result.stage_ms["catch_up"]
    assert bench.show(4).late is None


def test_frames_that_glide_show_fine_outlines_after_a_late_answer(bench):
    """The tracks went their way anew, without any."""
    settings = bench.pipeline.settings
    bench.pipeline.configure(replace(settings, tracker=replace(settings.tracker, rate=2.0)))
    bench.show(0)
    bench.answer()
    result = bench.show(1)
    assert "glide" in result.stage_ms and "encode" not in result.stage_ms
    assert any(track.refined for track in bench.pipeline._tracker.cameras["camera 0"].shown)


def test_what_is_worked_in_between_two_frames_costs_the_next_one_nothing(bench):
    bench.show(0)
    bench.answer()
    bench.pipeline.catch_up()
    result = bench.show(1)
    assert len(result.instances) >= 2
    assert result.late.stamp == 0
    assert "catch_up" not in result.stage_ms


@pytest.mark.parametrize("name", ["RED MUG", "tool"])
def test_what_is_pointed_at_while_the_detector_looks_has_the_names_of_then(bench, name):
    """The answer goes back to before it was pointed at, and comes by it again."""
    bench.show(0)
    bench.answer()
    bench.show(1, 2)
    truth = SCENE.render(0, 0.2)
    box = truth.boxes[truth.pairs.index(("red", "mug"))]
    track = bench.pipeline.point_out(VisualPrompt("camera 0", name, box=box))
    other = truth.boxes[truth.pairs.index(("purple", "ball"))]
    bench.pipeline.point_out(VisualPrompt("camera 0", name.title(), box=other))
    bench.show(3)
    bench.answer()
    result = bench.show(4)
    row = result.instances.track_id.tolist().index(track)
    called = result.prompt.classes[result.instances.phrase_index[row]]
    assert called.casefold() == name.casefold()


@pytest.mark.parametrize("meanwhile", ["encode", "track"])
def test_a_detector_faster_than_the_masks_counts_for_its_own_frame(bench, monkeypatch, meanwhile):
    owner, name = {
        "encode": (bench.pipeline._segmenter, "encode_image"),
        "track": (bench.pipeline._tracker, "step"),
    }[meanwhile]
    operation = getattr(owner, name)

    def run(*arguments):
        monkeypatch.setattr(owner, name, operation)  # only once: crops are encoded, too
        bench.answer()
        return operation(*arguments)

    monkeypatch.setattr(owner, name, run)
    result = bench.show(0)
    assert len(result.instances) >= 2
    assert (result.keyframe, result.late.stamp) == (True, 0)
    assert ("catch_up" in result.stage_ms) == (meanwhile == "track")


def test_late_detections_end_where_those_in_time_do(bench):
    with_wait = GroundedTracker(Settings(device="cpu", detector=DetectorSettings(rate=1.0)))
    bench.pipeline.configure(with_wait.settings)
    with_wait.set_prompt(PROMPT)
    for index in range(4):
        [expected] = with_wait.step([frame(index)])
    bench.show(0, 1, 2)
    bench.answer()
    instances, wanted = bench.show(3).instances, expected.instances
    assert len(instances) == len(wanted) > 1
    shift = instances.track_id.min() - wanted.track_id.min()  # others were there before
    np.testing.assert_array_equal(instances.track_id - shift, wanted.track_id)
    np.testing.assert_array_equal(instances.phrase_index, wanted.phrase_index)
    np.testing.assert_allclose(instances.masks.logits, wanted.masks.logits, atol=2e-3)


def test_detections_of_another_prompt_are_dropped(bench):
    bench.show(0)
    version = bench.pipeline.set_prompt("orange cone. red mug.").version
    bench.answer()  # of the first prompt
    result = bench.show(1)
    assert result.keyframe
    assert result.late is None
    assert (len(result.instances), result.prompt.version) == (0, version)
    bench.answer()
    result = bench.show(2)
    assert result.late.stamp == PERIOD
    assert {result.prompt.phrases[i] for i in result.instances.phrase_index} >= {"red mug"}
    assert bench.looked[-2:] == [
        ("red mug", "purple ball", "blue ring"),
        ("orange cone", "red mug"),
    ]


def test_a_camera_that_gets_its_own_prompt_loses_only_its_own_detections(bench):
    both = lambda index: bench.pipeline.step([frame(index, 0), frame(index, 1)])  # noqa: E731
    both(0)
    own = bench.pipeline.set_prompt("orange cone. red mug.", "camera 1")
    bench.answer()  # what the first prompt asked of both
    first, second = both(1)
    assert first.late.stamp == 0
    assert len(first.instances) >= 2
    assert (second.keyframe, second.late, len(second.instances)) == (True, None, 0)
    bench.answer()
    first, second = both(2)
    assert second.late.stamp == PERIOD
    assert second.prompt == own
    assert {own.phrases[i] for i in second.instances.phrase_index} >= {"red mug"}
    bench.answer()  # the first camera's next keyframe
    assert [phrases[0] for phrases in bench.looked] == ["red mug", "orange cone", "red mug"]
    bench.pipeline.set_prompt("", "camera 1")


@pytest.mark.parametrize(
    "disturb",
    [
        lambda pipeline: pipeline.reset(),
        lambda pipeline: pipeline.reset("camera 0"),
        lambda pipeline: pipeline.step([frame(0)]),  # time jumped back
        lambda pipeline: pipeline.step(
            [Frame(np.ascontiguousarray(frame(7).image[::2, ::2]), 7 * PERIOD, "camera 0")]
        ),
    ],
    ids=["all", "one camera", "time", "size"],
)
def test_a_stream_that_starts_anew_takes_nothing_from_before(bench, disturb: Callable):
    bench.show(5)
    disturb(bench.pipeline)
    bench.answer()
    bench.pipeline.catch_up()
    assert bench.pipeline._following.late.news("camera 0") is None
    assert not any(camera.tracks for camera in bench.pipeline._tracker.cameras.values())
    result = bench.show(20)
    assert result.late is None or result.late.stamp != 5 * PERIOD


def test_an_error_of_the_detector_fails_the_next_step_and_only_that(bench):
    bench.error = RuntimeError("device on fire")
    bench.show(0)
    bench.answer()
    bench.pipeline.catch_up()
    with pytest.raises(CamerasFailed, match="camera 0") as failed:
        bench.show(1)
    assert "on fire" in str(failed.value.__cause__)
    bench.pipeline.reset()
    assert bench.show(2).keyframe
    bench.answer()
    assert len(bench.show(3).instances) >= 2


def test_an_error_of_the_detector_is_the_fault_of_the_camera_whose_frame_it_saw(bench):
    bench.error = RuntimeError("device on fire")
    bench.show(0)
    bench.answer()
    assert bench.show(0, 1, camera=1) is not None
    with pytest.raises(CamerasFailed, match=r"'camera 0'$"):
        bench.show(1)


def test_an_error_from_before_a_reset_is_forgotten(bench):
    bench.error = RuntimeError("device on fire")
    bench.show(0)
    bench.answer()
    bench.pipeline.catch_up()
    bench.pipeline.reset()
    assert bench.show(1).keyframe


def test_a_camera_that_stopped_is_served_and_does_not_hold_up_the_other(bench):
    bench.show(0)
    bench.show(0, camera=1)  # waits until the detector is free
    bench.answer()
    assert bench.show(1, camera=1).late is None
    bench.answer()
    assert bench.show(2, camera=1).late.stamp == 0
    assert bench.show(9).late.stamp == 0


def test_pointing_and_removing_while_the_detector_works(bench):
    bench.show(0)
    bench.answer()
    first = bench.show(1, 2)  # 2 is the next keyframe
    gone = int(first.instances.track_id[0])
    bench.pipeline.remove_object("camera 0", gone)
    rendered = SCENE.render(0, 0.2)
    rows = [i for i, pair in enumerate(rendered.pairs) if pair == ("green", "star")]
    box = rendered.boxes[max(rows, key=lambda row: rendered.masks[row].sum())]
    pointed = bench.pipeline.point_out(VisualPrompt("camera 0", "tool", box=box))
    bench.answer()
    result = bench.show(3)
    assert result.late.stamp == 2 * PERIOD
    ids = result.instances.track_id.tolist()
    assert gone not in ids
    assert len(set(ids)) == len(ids)
    assert result.prompt.classes[-1] == "tool"
    [row] = np.flatnonzero(result.instances.phrase_index == len(result.prompt.classes) - 1)
    assert ids[row] == pointed


def test_without_kept_frames_the_frame_waits(bench):
    settings = bench.pipeline.settings
    kept_none = type(settings.tracker)(kept_frames=0)
    bench.pipeline.configure(Settings(device="cpu", tracker=kept_none))
    bench._may.release()
    result = bench.show(0)
    assert len(result.instances) >= 2
    assert result.stage_ms["detect"] > 0


def test_a_machine_that_cannot_warm_up_leaves_no_thread(monkeypatch):
    """It would keep the models for ever, and the next ones would not fit."""

    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(grounded_tracker, "warm_up", fail)
    before = set(threading.enumerate())
    with pytest.raises(torch.OutOfMemoryError):
        GroundedTracker(Settings(device="cpu"), live=True)
    left = {thread.name for thread in threading.enumerate() if thread not in before}
    assert "gsam-detector" not in left


@pytest.mark.parametrize(
    ("beside", "live", "is_beside"),
    [("auto", True, True), ("auto", False, False), ("always", False, True), ("never", True, False)],
)
def test_who_has_the_detector_beside(beside, live, is_beside):
    pipeline = GroundedTracker(
        Settings(device="cpu", detector=DetectorSettings(beside=beside)), live=live
    )
    pipeline.set_prompt("red mug.")
    [result] = pipeline.step([frame(0)])
    assert ("detect" not in result.stage_ms) == is_beside
    pipeline.close()
