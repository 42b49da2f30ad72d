"""A device's memory runs out: less at once, the same results, and more again later."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsam_ros import batches
from gsam_ros.batches import PATIENCE, Batches, Limit, Shortage, is_out_of_memory
from gsam_ros.instances import Detections, Frame, Instances
from gsam_ros.pipeline.grounded_tracker import GroundedTracker
from gsam_ros.pipeline.settings import Settings
from gsam_ros.pipeline.step_errors import NothingBegun
from gsam_ros.prompts import PromptError
from gsam_ros.tracking.camera_tracks import CameraTracks, View
from gsam_ros.tracking.memory import TrackMemory
from gsam_ros.tracking.object_limits import ObjectLimits
from gsam_ros.tracking.propagation import encode_images
from gsam_ros.tracking.segmenters.packages import load_segmenter
from gsam_ros.tracking.segmenters.sam2_operations import Sam2Operations
from gsam_ros.tracking.settings import SegmenterSettings, TrackerSettings
from gsam_ros.tracking.track import Track
from gsam_ros.tracking.tracker import InstanceTracker
from gsam_ros.visual_prompts import VisualPrompt
from gsam_ros.world.scene import Scene

SCENE = Scene(seed=1)
PERIOD = 100_000_000  # nanoseconds between two frames
CAMERAS = ("left", "right")


def full() -> torch.OutOfMemoryError:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a")


@pytest.fixture(autouse=True)
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.WARNING, "gsam_ros")
    return lambda: [record.message for record in caplog.records]


class Device:
    """Memory for so many items at once."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.tried: list[int] = []

    def work(self, items):
        self.tried.append(len(items))
        if len(items) > self.room:
            raise full()
        return [2 * item for item in items]


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


def made(clock: list[float]) -> Batches:
    return Batches("things at once", "buy memory", lambda: clock[0])


def done(own: Batches, count: int, device: Device) -> list[int]:
    return list(chain.from_iterable(own.in_turn(range(count), device.work)))


def test_a_batch_is_halved_until_it_fits_and_that_is_remembered(clock, said) -> None:
    device, own = Device(3), made(clock)
    for _ in range(2):
        assert done(own, 10, device) == list(range(0, 20, 2))
    assert device.tried == [10, 5, 2, 2, 2, 2, 2] + [2] * 5
    assert said() == [
        "CUDA out of memory: memory is short for 10 things at once, 5 fit; buy memory",
        "CUDA out of memory: memory is short for 10 things at once, 2 fit; buy memory",
    ]
    assert own.limit.shortage == "memory is short for 10 things at once, 2 fit"


def test_more_is_tried_again_after_a_while_and_recovery_is_told(clock, said) -> None:
    device, own = Device(3), made(clock)
    own.in_turn(range(8), device.work)
    before = said()
    clock[0] += PATIENCE
    device.tried.clear()
    own.in_turn(range(8), device.work)  # still short: 4 are too many
    clock[0] += PATIENCE
    own.in_turn(range(8), device.work)  # a trial that failed makes it wait for twice as long
    assert device.tried == [4, 2, 2, 2, 2] + [2] * 4
    assert said() == before, "nothing new was found out"
    device.room = 100
    for expected in ([4, 4], [8]):
        clock[0] += 2 * PATIENCE
        device.tried.clear()
        own.in_turn(range(8), device.work)
        assert device.tried == expected
    assert said()[len(before) :] == ["memory is there again: 8 things at once are tried"]
    assert own.limit.shortage == ""


def test_where_less_is_asked_for_meanwhile_the_shortage_ends_all_the_same(clock, said) -> None:
    device, own = Device(2), made(clock)
    own.in_turn(range(4), device.work)
    clock[0] += PATIENCE
    assert done(own, 1, device) == [0]
    assert own.limit.shortage == ""
    assert said()[-1] == "memory is there again: 4 things at once are tried"
    own.in_turn(range(4), device.work)
    clock[0] += PATIENCE
    own.in_turn(range(4), device.work)
    assert device.tried[-2:] == [2, 2], "what was not proven is not trusted as soon"


def test_what_no_batch_can_help_is_raised(clock) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        made(clock).in_turn(range(4), Device(0).work)

    def broken(_):
        raise RuntimeError("CUDA error: an illegal memory access")

    with pytest.raises(RuntimeError, match="illegal"):
        made(clock).in_turn(range(4), broken)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20), st.floats(0, 30)), max_size=8))
def test_whatever_memory_does_every_item_is_worked_on_once(calls) -> None:
    clock = [0.0]
    own = made(clock)
    for count, room, seconds in calls:
        clock[0] += seconds
        assert done(own, count, Device(room)) == list(range(0, 2 * count, 2))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (full(), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), True),
        (RuntimeError("CUDA error: an illegal memory access"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_memory_that_ran_out(error, expected) -> None:
    assert is_out_of_memory(error) is expected


# The tracker


@pytest.fixture(scope="module")
def model() -> Sam2Operations:
    return load_segmenter(SegmenterSettings(), torch.device("cpu"))


@pytest.fixture
def fresh(model: Sam2Operations) -> Sam2Operations:
    """The model, that knows nothing of earlier shortages."""
    model.batches = type(model.batches)()
    return model


def limited(monkeypatch, model: Sam2Operations, operation: str, fits: Callable[[int], bool]):
    """Have an operation fail for numbers of rows that do not fit."""
    real = getattr(model, operation)

    def narrow(first, *others):
        rows = first if operation == "encode_image" else first.index
        if not fits(len(rows)):
            raise full()
        return real(first, *others)

    monkeypatch.setattr(model, operation, narrow)


def film(tracker: InstanceTracker, count: int, start: int = 0) -> list[list[Instances]]:
    """Show both cameras frames of the world, every other one with its true boxes."""
    shown = []
    for index in range(start, start + count):
        views, images = [], []
        for number, camera in enumerate(CAMERAS):
            frame = SCENE.render(number, index * PERIOD / 1e9)
            found = Detections(
                frame.boxes.astype(np.float32),
                np.full(len(frame.boxes), 0.9, np.float32),
                np.zeros(len(frame.boxes), np.int64),
            )
            images.append(frame.image)
            size = frame.image.shape[:2]
            detections = None if index % 2 else found
            views.append(View(camera, index * PERIOD, size, detections, image=frame.image))
        shown.append(tracker.step(encode_images(tracker.model, images), views))
    return shown


def tracker_of(model: Sam2Operations, **rules) -> InstanceTracker:
    tracker = InstanceTracker(model, TrackerSettings(**rules))
    tracker.set_phrases(("thing",))
    return tracker


def ids(tracker: InstanceTracker) -> dict[str, list[int]]:
    return {name: [t.track_id for t in own.tracks] for name, own in tracker.cameras.items()}


@pytest.fixture(scope="module")
def expected(model: Sam2Operations) -> list[list[Instances]]:
    return film(tracker_of(model), 3)


@pytest.mark.parametrize(
    ("operations", "shortages"),
    [(["encode_image", "prompt", "attend", "encode_memory"], 4), (["decode"], 1)],
)
def test_smaller_batches_give_the_same_results(
    expected, fresh, monkeypatch, said, operations, shortages
) -> None:
    for operation in operations:
        limited(monkeypatch, fresh, operation, lambda rows: rows == 1)
    found = film(tracker_of(fresh), 3)
    assert min(len(each) for each in found[-1]) >= 2
    for want, got in zip(expected, found, strict=True):
        for one, other in zip(want, got, strict=True):
            assert one.track_id.tolist() == other.track_id.tolist()
            np.testing.assert_allclose(one.boxes, other.boxes, atol=1)
            np.testing.assert_allclose(one.masks.logits, other.masks.logits, atol=0.02, rtol=0.01)
    assert len(fresh.batches.shortages) == shortages
    assert len(said()) == len(set(said())), "every halving is said once"


def test_where_not_one_object_fits_the_least_needed_ones_end(fresh, monkeypatch, said) -> None:
    monkeypatch.setattr(batches, "PATIENCE", 0.0)
    tracker = tracker_of(fresh)
    film(tracker, 3)
    before = ids(tracker)
    assert min(len(own) for own in before.values()) > 3
    newest = max(before["left"])
    tracker.cameras["left"].tracks[-1].name = "thing"  # somebody pointed at it
    total = lambda: sum(len(own.tracks) for own in tracker.cameras.values())  # noqa: E731
    limited(monkeypatch, fresh, "attend", lambda _: total() <= 5)
    film(tracker, 1, start=3)
    after = ids(tracker)
    assert sum(map(len, after.values())) == 5
    assert all(set(after[name]) < set(before[name]) for name in CAMERAS)
    assert newest in after["left"], "what people point at stays, and the older of the others"
    assert after["right"] == before["right"][: len(after["right"])]
    assert [told for told in said() if "objects of camera 'left'" in told]
    assert tracker.limits.shortages
    monkeypatch.undo()
    film(tracker, 5, start=4)  # with detections on three of them
    assert len(ids(tracker)["right"]) >= len(before["right"])
    assert [told for told in said() if told.startswith("memory is there again")]
    assert tracker.limits.shortages == []


def test_a_shortage_of_objects_ends_though_no_new_one_comes(clock, said) -> None:
    limits, full_once = ObjectLimits(), [True]
    tracks = [Track(i, TrackMemory(7, 16), born=0) for i in range(1, 6)]
    state = CameraTracks(tracks, next_id=6)
    limits._limits["front"] = Limit("objects of the camera", "buy memory", lambda: clock[0])

    def step() -> None:
        if full_once.pop() if full_once else False:
            raise full()

    limits.go({"front": state}, step)
    assert [told for told in limits.shortages if "5 objects of the camera, 4 fit" in told]
    for _ in range(3):
        clock[0] += 2 * PATIENCE
        limits.go({"front": state}, step)
    assert limits.shortages == []
    assert len(state.tracks) == 4


def test_a_step_without_tracks_that_does_not_fit_is_an_error(fresh, monkeypatch) -> None:
    limited(monkeypatch, fresh, "prompt", lambda _: False)
    with pytest.raises(torch.OutOfMemoryError):
        film(tracker_of(fresh), 1)


def test_an_object_that_is_pointed_at_and_does_not_fit_is_refused(fresh, monkeypatch) -> None:
    tracker = tracker_of(fresh)
    film(tracker, 2)
    before = ids(tracker)
    frame = SCENE.render(0, PERIOD / 1e9)
    view = View("left", PERIOD, frame.image.shape[:2], None)
    features = fresh.encode_image([frame.image])
    box = np.array([0, 0, 60, 60], np.float32)
    limited(monkeypatch, fresh, "encode_memory", lambda _: False)
    with pytest.raises(PromptError, match=r"no memory for one object more \(CUDA out of memory\)"):
        tracker.point_out(features, view, VisualPrompt("left", "corner", box=box))
    assert ids(tracker) == before
    monkeypatch.undo()
    film(tracker, 1, start=2)


def test_memory_that_comes_and_goes_is_told_of_once(clock, said) -> None:
    own = Shortage("nothing is drawn", "it is drawn again", lambda: clock[0])

    def fails() -> None:
        raise full()

    for _ in range(5):
        assert own.attempt(fails) is None
        clock[0] += 0.1
        assert own.attempt(lambda: 1) == 1
    assert said() == ["CUDA out of memory: nothing is drawn"] == [own.told]
    clock[0] += PATIENCE
    assert own.attempt(lambda: 1) == 1
    assert (said()[1:], own.told) == (["it is drawn again"], "")


def machine_and_show() -> tuple[GroundedTracker, Callable[[int], list[int]]]:
    """A machine with a prompt, and what shows it a frame of the world: the ids in sight."""
    machine = GroundedTracker(Settings(device="cpu"))
    machine.set_prompt("red mug. purple ball. blue ring.")

    def show(index: int) -> list[int]:
        [result] = machine.step([Frame(SCENE.render(0, index / 10).image, index * PERIOD)])
        return result.instances.track_id.tolist()

    return machine, show


@pytest.mark.parametrize("error", [full(), RuntimeError("Promotion for uint16 types")])
def test_an_image_that_can_not_be_encoded_leaves_the_tracks_alone(monkeypatch, error) -> None:
    machine, show = machine_and_show()
    known = show(0)
    assert known

    def fail(*_):
        raise error

    monkeypatch.setattr(machine._segmenter, "encode_image", fail)
    with pytest.raises(NothingBegun):
        show(1)
    monkeypatch.undo()
    assert show(2) == known


def test_a_look_that_an_image_costs_is_made_up_for_at_the_next_one(monkeypatch) -> None:
    machine, show = machine_and_show()
    detector = replace(machine.settings.detector, rate=1.0)
    machine.configure(replace(machine.settings, detector=detector))
    assert show(0)

    def fail(*_):
        raise full()

    monkeypatch.setattr(machine._segmenter, "encode_image", fail)
    with pytest.raises(NothingBegun):
        show(10)  # on which the detector looked
    monkeypatch.undo()
    image = SCENE.render(0, 1.1).image
    [result] = machine.step([Frame(image, 11 * PERIOD)])
    assert result.keyframe


def test_a_detector_without_memory_leaves_the_tracks_alone(monkeypatch, said) -> None:
    machine, show = machine_and_show()
    known = show(0)
    assert known
    monkeypatch.setattr(type(machine._detector), "detect", lambda *_: (_ for _ in ()).throw(full()))
    assert [show(index) for index in (1, 2)] == [known, known]
    [told] = said()
    assert "the detector has no memory for an image" in told
    assert machine.shortages() == [told]
    monkeypatch.undo()
    monkeypatch.setattr(batches, "PATIENCE", 0.0)
    assert set(known) <= set([show(index) for index in (3, 4)][-1])
    assert machine.shortages() == []
    assert said()[1:] == ["memory is there again: the detector finds what is new"]


def test_outlines_without_memory_are_those_of_tracking(monkeypatch, said) -> None:
    machine, show = machine_and_show()
    known = show(0)
    assert known
    model = machine._segmenter
    real, whole = model.encode_image, SCENE.render(0, 0).image.shape

    def no_crops(images):
        if images[0].shape != whole:
            raise full()
        return real(images)

    monkeypatch.setattr(model, "encode_image", no_crops)
    assert set(show(1)) >= set(known)
    [told] = [line for line in machine.shortages() if "outline" in line]
    assert told in said()
    assert not any(machine._tracker.instances("").masks.closeups)
    monkeypatch.undo()
    monkeypatch.setattr(batches, "PATIENCE", 0.0)
    show(2)
    assert any(machine._tracker.instances("").masks.closeups)
    assert "memory is there again: masks are outlined anew" in said()
