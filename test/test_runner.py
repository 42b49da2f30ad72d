"""The thread that owns the tracker: order, refusals, failures, prompts. The tracker is a double."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from gsam_ros.instances import Frame, FrameResult, Instances
from gsam_ros.pipeline.company import APART, Company
from gsam_ros.pipeline.inbox import Arrival, LiveInbox, LosslessInbox
from gsam_ros.pipeline.prompting import PromptKeeper
from gsam_ros.pipeline.runner import BadFrameError, Runner
from gsam_ros.prompts import Prompt, PromptError, parse_phrases
from gsam_ros.visual_prompts import VisualPrompt

SECOND = 10**9


class DoubleTracker:
    """Answers every frame with nothing found; fails on images whose first pixel is 13."""

    vocabulary_warnings = ("zzz",)

    def __init__(self) -> None:
        self.prompt: Prompt | None = None
        self.reset_cameras: list[str | None] = []
        self.most = 8  # frames in a step that memory holds
        self.steps: list[list[int]] = []
        self.done: list[str] = []
        self.when_detected = lambda: None

    def set_prompt(self, text: str) -> Prompt:
        if "refuse" in text:
            raise PromptError("the tracker refuses it")
        version = self.prompt.version + 1 if self.prompt else 1
        self.prompt = Prompt(version, parse_phrases(text))
        return self.prompt

    def point_out(self, pointed: VisualPrompt) -> int:
        version, phrases = (self.prompt.version, self.prompt.phrases) if self.prompt else (0, ())
        self.prompt = Prompt(version + 1, phrases, (pointed.name,))
        return 1

    def reset(self, camera: str | None = None) -> None:
        self.reset_cameras.append(camera)

    def catch_up(self) -> None:
        self.done.append("catch_up")

    def close(self) -> None:
        self.done.append("close")

    def step(self, frames: Sequence[Frame]) -> list[FrameResult]:
        self.steps.append([f.stamp for f in frames])
        if any(f.image[0, 0, 0] == 13 for f in frames):
            raise RuntimeError("device on fire")
        if len(frames) > self.most:
            raise MemoryError("out of memory")
        nothing = Instances.none(*frames[0].image.shape[:2])
        return [FrameResult(f, nothing, self.prompt, True, {"detect": 2.0}) for f in frames]


class Outlet:
    """Notes everything in the order in which it came."""

    def __init__(self) -> None:
        self.log: list[tuple] = []
        self.stages: list[dict[str, float]] = []
        self.can_publish = True

    def answer(self, arrival: Arrival, result: FrameResult, stage_ms: dict[str, float]) -> None:
        if not self.can_publish:
            raise OSError("the middleware is gone")
        version = result.prompt.version if result.prompt else 0
        self.log.append(("answer", arrival.camera, arrival.stamp, version))
        self.stages.append(stage_ms)

    def drop(self, arrival: Arrival, cause: str, reason: str) -> None:
        self.log.append(("drop", arrival.camera, arrival.stamp, cause))
        self.reason = reason

    def notice(self, camera: str, topic: str, message: str) -> None:
        self.log.append(("notice", camera, topic))
        self.message = message


def decode(arrival: Arrival) -> Frame:
    if arrival.payload is None:
        raise BadFrameError("no pixels")
    if not isinstance(arrival.payload, np.ndarray):
        raise MemoryError(f"no room for {arrival.payload}")
    return Frame(arrival.payload, arrival.stamp, arrival.camera)


class Bench:
    def __init__(self, lossless: bool = True) -> None:
        self.outlet = Outlet()
        self.tracker = DoubleTracker()
        self.may_load = threading.Event()
        self.may_load.set()
        lose = lambda arrival, cause: self.outlet.drop(arrival, cause, "")  # noqa: E731
        inbox = LosslessInbox(lose, 100) if lossless else LiveInbox(lose)
        self.runner = Runner(self.load, inbox, decode, self.outlet)

    def load(self) -> DoubleTracker:
        assert self.may_load.wait(10)
        return self.tracker

    def put(self, stamp: float, size: tuple[int, int] = (4, 6), camera: str = "", fill: int = 0):
        image = np.full((*size, 3), fill, np.uint8)
        self.runner.put(Arrival(camera, round(stamp * SECOND), 0, image))

    def put_bad(self, stamp: float) -> None:
        self.runner.put(Arrival("", round(stamp * SECOND), 0, None))

    def put_too_large(self, stamp: float) -> None:
        self.runner.put(Arrival("", round(stamp * SECOND), 0, "10 GB"))

    def settle(self) -> list[tuple]:
        self.runner.call(lambda tracker: None).result(10)
        return self.outlet.log

    def settle_live(self) -> None:
        """A live inbox hands out calls before the frames that wait with them."""
        self.settle()
        self.settle()


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
    assert list(bench.outlet.stages[0]) == ["wait", "decode", "detect"]
    assert all(ms >= 0 for ms in bench.outlet.stages[0].values())


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
    assert "test_runner.py" in bench.outlet.reason
    assert len(bench.tracker.reset_cameras) == 1


def test_a_camera_that_makes_steps_fail_costs_the_others_nothing_but_once_their_tracks() -> None:
    bench = Bench(lossless=False)
    bench.may_load.clear()
    bench.runner.start()
    bench.put(1, camera="a")
    bench.put(1, fill=13, camera="b")
    bench.put(1, camera="c")
    bench.may_load.set()
    bench.settle_live()
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
    assert bench.tracker.reset_cameras == [None, "b", "b"]


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
    company = Company(lambda: now[0])
    assert company.groups("abc", str) == [["a", "b", "c"]]
    company.keep_apart("b")
    assert company.groups("abc", str) == [["a", "c"], ["b"]]
    assert company.groups("b", str) == [["b"]]
    now[0] = APART
    assert company.groups("abc", str) == [["a", "b", "c"]]
    assert company.groups("", str) == []


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


class Prompts:
    """A keeper and what it told."""

    def __init__(self) -> None:
        self.changes: list[tuple[int, tuple[str, ...], tuple[str, ...]]] = []
        self.rejections: list[tuple[str, str]] = []
        self.keeper = PromptKeeper(
            lambda prompt, unknown: self.changes.append((prompt.version, prompt.phrases, unknown)),
            lambda text, reason: self.rejections.append((text, reason)),
        )


def test_a_prompt_that_comes_early_is_kept_and_the_newest_counts(bench: Bench) -> None:
    prompts = Prompts()
    assert prompts.keeper.request("red mug.") is None
    assert prompts.keeper.request("green ball.") is None
    bench.runner.start()
    assert prompts.keeper.attach(bench.runner).result(10).phrases == ("green ball",)
    assert prompts.changes == [(1, ("green ball",), ("zzz",))]


def test_what_was_said_before_the_start_and_learnt_late_does_not_count(bench: Bench) -> None:
    prompts = Prompts()
    prompts.keeper.request("a parameter.", from_before=True)
    prompts.keeper.request("latched.", from_before=True)
    bench.runner.start()
    assert prompts.keeper.attach(bench.runner).result(10).phrases == ("latched",)
    assert prompts.keeper.request("asked for.").result(10).phrases == ("asked for",)
    assert prompts.keeper.request("latched elsewhere.", from_before=True) is None
    assert bench.runner.call(lambda tracker: tracker.prompt.phrases).result(10) == ("asked for",)


def test_prompts_have_their_place_among_the_frames(bench: Bench) -> None:
    prompts = Prompts()
    bench.runner.start()
    assert prompts.keeper.attach(bench.runner) is None
    bench.put(1)
    prompts.keeper.request("a.")
    bench.put(2)
    prompts.keeper.request("b.")
    bench.put(3)
    assert [entry[3] for entry in bench.settle()] == [0, 1, 2]


def test_the_same_prompt_again_changes_nothing(bench: Bench) -> None:
    prompts = Prompts()
    bench.runner.start()
    prompts.keeper.attach(bench.runner)
    assert prompts.keeper.request("red mug. cup.").result(10).version == 1
    assert prompts.keeper.request("red mug,  cup").result(10).version == 1
    assert len(prompts.changes) == 1


def test_another_threshold_or_other_words_are_another_prompt(bench: Bench) -> None:
    prompts = Prompts()
    bench.runner.start()
    prompts.keeper.attach(bench.runner)
    texts = ("mug:0.5.", "mug:0.6.", "mug=cup:0.6.", "mug=cup:0.6. !ball.")
    versions = [prompts.keeper.request(text).result(10).version for text in texts]
    assert versions == [1, 2, 3, 4]
    assert {phrases for _, phrases, _ in prompts.changes} == {("mug",)}


def test_a_rejected_prompt_leaves_the_old_one_and_a_reason(bench: Bench) -> None:
    prompts = Prompts()
    bench.runner.start()
    prompts.keeper.attach(bench.runner)
    prompts.keeper.request("red mug.").result(10)
    with pytest.raises(PromptError):
        prompts.keeper.request("...")
    with pytest.raises(PromptError, match="refuses"):
        prompts.keeper.request("refuse me.").result(10)
    assert prompts.keeper.current == Prompt(1, ("red mug",))
    assert prompts.keeper.rejection == "the tracker refuses it"
    assert [text for text, _ in prompts.rejections] == ["...", "refuse me."]
    prompts.keeper.request("cup.").result(10)
    assert prompts.keeper.rejection == ""


def test_what_is_pointed_at_changes_the_prompt_and_not_the_text(bench: Bench) -> None:
    prompts = Prompts()
    pointed = VisualPrompt("", "tool", box=np.array([0, 0, 3, 3]))
    prompts.keeper.point_out("/topic", lambda: pointed)
    assert prompts.rejections[0][1].startswith("/topic: the models are not loaded")
    bench.runner.start()
    prompts.keeper.attach(bench.runner)
    prompts.keeper.request("mug.")
    bench.put(1)
    prompts.keeper.point_out("/topic", lambda: pointed)
    bench.put(2)
    assert [entry[3] for entry in bench.settle()] == [1, 2]
    assert prompts.keeper.current == Prompt(2, ("mug",), ("tool",))
    assert prompts.keeper.rejection == ""
    assert prompts.keeper.request("mug.").result(10).version == 2
    assert [version for version, _, _ in prompts.changes] == [1, 2]


def test_the_prompt_survives_a_change_of_machine(bench: Bench) -> None:
    prompts = Prompts()
    bench.runner.start()
    prompts.keeper.attach(bench.runner)
    prompts.keeper.request("red mug.").result(10)
    prompts.keeper.detach()
    assert prompts.keeper.current is None
    second = Bench()
    second.runner.start()
    assert prompts.keeper.attach(second.runner).result(10).phrases == ("red mug",)
    assert second.runner.stop(10)
