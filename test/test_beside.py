"""The detector's thread beside the stream."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from gsam_ros.instances import Detections, Frame
from gsam_ros.pipeline.beside import BesideDetector
from gsam_ros.pipeline.step_errors import CamerasFailed
from gsam_ros.pipeline.step_groups import APART

PATIENCE = 60.0
FOUND = (Detections.none(), Detections.none())


class Gate:
    """A job that lasts until it is let through."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()
        self.batches: list[list[str]] = []

    def job(self, frames):
        self.batches.append([frame.camera for frame in frames])

        def look():
            self.begun.set()
            assert self.open.wait(PATIENCE)
            return [FOUND] * len(frames)

        return look


@pytest.fixture
def done() -> threading.Semaphore:
    return threading.Semaphore(0)


@pytest.fixture
def detector(done) -> Iterator[BesideDetector]:
    made = BesideDetector(torch.device("cpu"), done.release)
    yield made
    made.close()


def image(camera: str, stamp: int = 0) -> Frame:
    return Frame(np.zeros((4, 4, 3), np.uint8), stamp, camera)


def test_how_long_a_look_takes_is_told_while_it_takes():
    clock, done, looks = [100.0], threading.Semaphore(0), threading.Event()

    def look():
        assert looks.wait(PATIENCE)
        return [FOUND]

    detector = BesideDetector(torch.device("cpu"), done.release, lambda: clock[0])
    assert detector.looking_for == 0
    detector.ask(image("a"))
    detector.begin(lambda frames: look)
    clock[0] += 40
    assert detector.looking_for == 40
    looks.set()
    assert done.acquire(timeout=PATIENCE)
    assert len(detector.take()) == 1
    assert detector.looking_for == 0
    detector.close()


def test_it_works_beside_and_answers_once(detector, done):
    gate = Gate()
    frame = image("a", 7)
    detector.ask(frame)
    detector.begin(gate.job)
    assert gate.begun.wait(PATIENCE)
    assert detector.take() == []
    assert detector.asked == {"a": 7}
    gate.open.set()
    assert done.acquire(timeout=PATIENCE)
    [answer] = detector.take()
    assert answer.frame is frame
    assert answer.found is FOUND
    assert answer.detect_ms > 0
    assert detector.take() == []
    assert detector.asked == {}


def test_cameras_that_wait_are_looked_at_together(detector, done):
    gate = Gate()
    for camera in "abc":
        detector.ask(image(camera))
        detector.begin(gate.job)
    assert gate.batches == [["a"]]
    gate.open.set()
    assert done.acquire(timeout=PATIENCE)
    assert [answer.frame.camera for answer in detector.take()] == ["a"]
    detector.begin(gate.job)
    assert gate.batches == [["a"], ["b", "c"]]
    assert done.acquire(timeout=PATIENCE)
    assert [answer.frame.camera for answer in detector.take()] == ["b", "c"]


@pytest.mark.parametrize("again", [False, True])
def test_what_is_forgotten_is_not_answered(detector, done, again):
    """Not even where the camera asks again meanwhile."""
    gate = Gate()
    for camera in "ab":
        detector.ask(image(camera))
    detector.begin(gate.job)
    detector.ask(image("c"))
    detector.forget("a")
    detector.forget("c")
    if again:
        detector.ask(image("a", 1))
    gate.open.set()
    assert done.acquire(timeout=PATIENCE)
    assert [answer.frame.camera for answer in detector.take()] == ["b"]
    assert detector.asked == ({"a": 1} if again else {})
    detector.begin(gate.job)
    assert gate.batches[1:] == ([["a"]] if again else [])


def test_an_error_is_raised_where_answers_are_taken_and_ends_nothing(detector, done):
    detector.ask(image("a"))
    detector.begin(fail)
    assert done.acquire(timeout=PATIENCE)
    with pytest.raises(CamerasFailed) as failed:
        detector.take()
    assert failed.value.cameras == {"a"}
    assert str(failed.value.__cause__) == "device on fire"
    assert detector.asked == {}
    gate = Gate()
    gate.open.set()
    detector.ask(image("a"))
    detector.begin(gate.job)
    assert done.acquire(timeout=PATIENCE)
    assert len(detector.take()) == 1


def fail(frames):
    """A look that the device fails on."""

    def look():
        raise RuntimeError("device on fire")

    return look


def let_fail(detector: BesideDetector, done: threading.Semaphore, *cameras: str) -> None:
    """Have a look at images of these cameras end in an error."""
    for camera in cameras:
        detector.ask(image(camera))
    detector.begin(fail)
    assert done.acquire(timeout=PATIENCE)
    with pytest.raises(CamerasFailed):
        detector.take()


def test_after_an_error_frames_are_looked_at_one_by_one_for_a_while(done):
    clock = [0.0]
    detector = BesideDetector(torch.device("cpu"), done.release, lambda: clock[0])
    gate = Gate()
    gate.open.set()

    def take(camera_count: int) -> None:
        assert done.acquire(timeout=PATIENCE)
        assert len(detector.take()) == camera_count

    let_fail(detector, done, "a", "b")
    for camera in "ab":
        detector.ask(image(camera))
    detector.begin(gate.job)
    take(1)
    detector.begin(gate.job)
    take(1)
    clock[0] = APART
    for camera in "ab":
        detector.ask(image(camera))
    detector.begin(gate.job)
    take(2)
    assert gate.batches == [["a"], ["b"], ["a", "b"]]
    detector.close()


def test_a_camera_on_which_it_keeps_failing_alone_stays_alone(done):
    clock = [0.0]
    detector = BesideDetector(torch.device("cpu"), done.release, lambda: clock[0])
    gate = Gate()
    gate.open.set()
    let_fail(detector, done, "bad")
    for camera in "ab":
        detector.ask(image(camera))
    detector.begin(gate.job)
    assert done.acquire(timeout=PATIENCE)
    assert len(detector.take()) == 1
    detector.close()


def test_an_error_of_a_look_that_nobody_wants_any_more_is_nobodys_fault(detector, done):
    for camera in "ab":
        detector.ask(image(camera))
    detector.begin(fail)
    detector.forget("a")
    assert done.acquire(timeout=PATIENCE)
    with pytest.raises(CamerasFailed) as failed:
        detector.take()
    assert failed.value.cameras == {"b"}
    detector.ask(image("a"))
    detector.begin(fail)
    detector.forget("a")
    assert done.acquire(timeout=PATIENCE)
    assert detector.take() == []


def test_closing_waits_for_the_work_and_drops_what_waits():
    detector = BesideDetector(torch.device("cpu"), lambda: None)
    gate = Gate()
    detector.ask(image("a"))
    detector.begin(gate.job)
    detector.ask(image("b"))
    assert gate.begun.wait(PATIENCE)
    closer = threading.Thread(target=detector.close)
    closer.start()
    gate.open.set()
    closer.join(PATIENCE)
    assert not closer.is_alive()
    assert gate.batches == [["a"]]
