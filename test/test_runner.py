"""The thread that owns the tracker: order, refusals, failures. The tracker is a double."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from runner_bench import SECOND, Bench, Outlet, decode

from gsam_ros.pipeline.inbox import LiveInbox
from gsam_ros.pipeline.runner import Runner
from gsam_ros.pipeline.step_groups import APART, StepGroups


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.may_load.set()
    assert made.runner.stop(10)


def test_frames_are_answered_in_order_with_their_stages(bench: Bench) -> None:
    bench.runner.start()
    for i in range(5):
        bench.put(i)
    assert bench.settle() == [("answer", "", i * SECOND, 0) for i in range(5)]
    wait, decode, detect = bench.outlet.stages[0]
    assert [wait.name, decode.name, detect.name] == ["wait", "decode", "detect"]
    assert wait.begin <= wait.end == decode.begin <= decode.end
    assert detect.begin <= detect.end


def test_a_bad_frame_is_answered_and_the_next_good_one_processed(bench: Bench) -> None:
    bench.runner.start()
    bench.put(1)
    bench.put_bad(2)
    bench.put(3)
    assert bench.settle() == [
        ("answer", "", SECOND, 0),
        ("drop", "", 2 * SECOND, "bad_image"),
        ("answer", "", 3 * SECOND, 0),
    ]


@pytest.mark.parametrize("second", [5.0, 4.6])
def test_doubled_and_late_frames_are_dropped(bench: Bench, second: float) -> None:
    bench.runner.start()
    for stamp in (5.0, second, 5.1):
        bench.put(stamp)
    assert [entry[0] for entry in bench.settle()] == ["answer", "drop", "answer"]
    assert bench.outlet.log[1][3] == "stamp"
    assert "not newer" in bench.outlet.reason


def test_time_that_jumps_back_starts_anew(bench: Bench) -> None:
    bench.runner.start()
    for stamp in (20.0, 0.0, 0.1):
        bench.put(stamp)
    kinds = [entry[:1] + entry[2:3] for entry in bench.settle()]
    assert kinds == [("answer", 20 * SECOND), ("notice", "time"), ("answer", 0), ("answer", 10**8)]
    assert "jumped back by 20.0 s" in bench.outlet.message


def test_another_resolution_is_told_and_processed(bench: Bench) -> None:
    bench.runner.start()
    bench.put(1, (4, 6))
    bench.put(2, (8, 10))
    assert [entry[0] for entry in bench.settle()] == ["answer", "notice", "answer"]
    assert "from 6x4 to 10x8" in bench.outlet.message


def test_cameras_do_not_disturb_each_other(bench: Bench) -> None:
    bench.runner.start()
    bench.put(50, camera="a")
    bench.put(1, (8, 8), camera="b")
    bench.put(51, camera="a")
    assert [entry[0] for entry in bench.settle()] == ["answer"] * 3


def test_a_step_that_fails_costs_its_frame_and_the_tracks(bench: Bench) -> None:
    bench.runner.start()
    bench.put(1, fill=13)
    bench.put(2)
    assert [entry[0] for entry in bench.settle()] == ["drop", "answer"]
    assert bench.outlet.log[0][3] == "error"
    assert "RuntimeError: device on fire" in bench.outlet.reason
    assert "runner_bench.py" in bench.outlet.reason
    assert len(bench.tracker.reset_cameras) == 1


def three_cameras_in_a_step(fill: int) -> Bench:
    """Cameras a, b and c have had a live step together, in which b showed what makes it fail."""
    bench = Bench(lossless=False)
    bench.may_load.clear()
    bench.runner.start()
    bench.put(1, camera="a")
    bench.put(1, fill=fill, camera="b")
    bench.put(1, camera="c")
    bench.may_load.set()
    bench.settle_live()
    return bench


def test_a_camera_that_makes_steps_fail_costs_the_others_nothing_but_once_their_tracks() -> None:
    bench = three_cameras_in_a_step(fill=13)
    assert {entry[:2] for entry in bench.outlet.log} == {
        ("answer", "a"),
        ("drop", "b"),
        ("answer", "c"),
    }
    # From now on the culprit's steps are its own.
    bench.tracker.steps.clear()
    begun, held = threading.Event(), threading.Event()
    bench.runner.call(lambda tracker: begun.set() or held.wait(10))
    assert begun.wait(10)
    for camera, fill in (("b", 13), ("a", 0), ("c", 0)):
        bench.put(2, fill=fill, camera=camera)
    held.set()
    bench.settle_live()
    assert bench.tracker.steps == [[2 * SECOND, 2 * SECOND], [2 * SECOND]]
    first, last = bench.tracker.reset_cameras[:3], bench.tracker.reset_cameras[3:]
    assert (sorted(first), last) == (["a", "b", "c"], ["b", "b"])


def test_a_step_that_was_not_begun_costs_its_frames_and_no_track(bench: Bench) -> None:
    bench.runner.start()
    bench.put(1, fill=15)
    bench.put(2)
    assert [entry[0] for entry in bench.settle()] == ["drop", "answer"]
    assert "MemoryError: no room" in bench.outlet.reason
    assert bench.tracker.reset_cameras == []


def test_a_device_that_is_lost_ends_the_stream_and_is_told() -> None:
    bench = Bench()
    bench.runner.start()
    bench.put(1)
    bench.put(2, fill=12)
    bench.put(3)
    assert bench.lost.wait(10)
    assert bench.runner.stop(10)
    assert bench.why.startswith("RuntimeError: CUDA error: an illegal memory access was encou")
    assert bench.tracker.steps == [[SECOND], [2 * SECOND]]


def test_a_camera_whose_images_find_no_memory_costs_the_others_nothing() -> None:
    bench = three_cameras_in_a_step(fill=15)
    assert [entry[:2] for entry in bench.outlet.log] == [
        ("answer", "a"),
        ("drop", "b"),
        ("answer", "c"),
    ]
    assert bench.tracker.reset_cameras == []


def test_where_the_culprit_is_known_the_others_lose_nothing() -> None:
    bench = three_cameras_in_a_step(fill=14)
    assert [entry[:2] for entry in bench.outlet.log] == [
        ("drop", "b"),
        ("answer", "a"),
        ("answer", "c"),
    ]
    assert bench.outlet.reason == "RuntimeError: a lens on fire"
    assert bench.tracker.reset_cameras == ["b"]


def test_cameras_that_are_too_many_at_once_go_one_by_one() -> None:
    bench = Bench(lossless=False)
    bench.tracker.most = 1
    bench.may_load.clear()
    bench.runner.start()
    for camera in "ab":
        bench.put(1, camera=camera)
    bench.may_load.set()
    bench.settle_live()
    kinds = [entry[:2] for entry in bench.outlet.log]
    assert kinds == [("answer", "a"), ("answer", "b"), ("notice", "a")]
    assert "a step with the images of 2 cameras failed (MemoryError: out of memory" in (
        bench.outlet.message
    )


def test_who_was_kept_apart_comes_back() -> None:
    now = [0.0]
    groups = StepGroups(lambda: now[0])
    assert groups.of("abc", str) == [["a", "b", "c"]]
    groups.keep_apart("b")
    assert groups.of("abc", str) == [["a", "c"], ["b"]]
    assert groups.of("b", str) == [["b"]]
    now[0] = APART
    assert groups.of("abc", str) == [["a", "b", "c"]]
    assert groups.of("", str) == []


def test_a_frame_that_no_library_can_read_costs_only_itself(bench: Bench) -> None:
    bench.runner.start()
    bench.put_too_large(1)
    bench.put(2)
    assert [entry[0] for entry in bench.settle()] == ["drop", "answer"]
    assert bench.outlet.log[0][3] == "error"
    assert "MemoryError: no room for 10 GB" in bench.outlet.reason
    assert not bench.tracker.reset_cameras


def test_results_that_cannot_leave_cost_their_frame(bench: Bench) -> None:
    bench.runner.start()
    bench.outlet.can_publish = False
    bench.put(1)
    bench.settle()
    bench.outlet.can_publish = True
    bench.put(2)
    assert [entry[0] for entry in bench.settle()] == ["drop", "answer"]
    assert "could not leave: OSError: the middleware is gone" in bench.outlet.reason


def test_an_outlet_that_fails_on_the_answer_too_does_not_end_the_stream(
    bench: Bench, monkeypatch, caplog
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the middleware is gone")

    bench.runner.start()
    with monkeypatch.context() as broken:
        broken.setattr(bench.outlet, "drop", fail)
        bench.put_bad(1)
        bench.settle()
    bench.put(2)
    assert [entry[0] for entry in bench.settle()] == ["answer"]
    assert "a dropped frame could not be answered: OSError" in caplog.text


def test_live_takes_the_newest_frame_of_each_camera_in_one_step() -> None:
    bench = Bench(lossless=False)
    bench.may_load.clear()
    bench.runner.start()
    for stamp in (1, 2, 3):
        bench.put(stamp, camera="a")
    bench.put(7, camera="b")
    bench.may_load.set()
    bench.settle()
    assert bench.tracker.steps == [[3 * SECOND, 7 * SECOND]]
    assert bench.runner.stop(10)


def test_draining_drops_what_waits_and_forgets_stamps(bench: Bench) -> None:
    bench.runner.start()
    bench.put(9)
    bench.settle()
    bench.runner.drain().result(10)
    bench.put(9)
    assert [entry[0] for entry in bench.settle()] == ["answer", "answer"]
    assert len(bench.tracker.reset_cameras) == 1


def test_what_was_detected_beside_is_worked_in_while_no_frame_comes() -> None:
    bench = Bench(lossless=False)
    bench.runner.start()
    bench.put(1)
    bench.settle()
    detector = threading.Thread(target=bench.tracker.when_detected)
    detector.start()
    detector.join(10)
    bench.settle()
    assert bench.tracker.done == ["catch_up"]
    assert len(bench.tracker.steps) == 1
    assert bench.runner.stop(10)
    assert bench.tracker.done == ["catch_up", "close"]
    bench.tracker.when_detected()  # a detection that ends later harms nobody


def test_a_load_that_fails_is_found_by_whoever_waits() -> None:
    def load() -> None:
        raise OSError("no such folder")

    runner = Runner(load, LiveInbox(lambda *_: None), decode, Outlet())
    late = runner.call(lambda tracker: None)
    runner.start()
    with pytest.raises(OSError, match="no such folder"):
        runner.ready.result(10)
    assert late.cancelled()
    assert runner.call(lambda tracker: None).cancelled()
    assert runner.stop(10)


def test_it_can_be_told_to_end_before_it_began() -> None:
    """As a node is whose launch is broken off in its first second."""
    runner = Runner(lambda: None, LiveInbox(lambda *_: None), decode, Outlet())
    assert runner.stop(10)
