"""Prompts on their way to the thread that owns the tracker. The tracker is a double."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from types import SimpleNamespace

import numpy as np
import pytest
from gsam_ros.srv import Detect, SetPrompt
from runner_bench import Bench
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from gsam_ros.instances import Instances
from gsam_ros.node.detect_service import DetectService
from gsam_ros.node.pointing import ObjectServices
from gsam_ros.node.prompt_service import PromptService
from gsam_ros.pipeline.prompting import MOST_WAITING, PromptKeeper
from gsam_ros.prompts import Prompt, PromptError
from gsam_ros.visual_prompts import VisualPrompt


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.may_load.set()
    assert made.runner.stop(10)


class Prompts:
    """A keeper and what it told."""

    def __init__(self) -> None:
        self.changes: list[tuple[int, tuple[str, ...], str | None]] = []
        self.rejections: list[tuple[str, str]] = []
        self.keeper = PromptKeeper(
            lambda prompt, camera: self.changes.append((prompt.version, prompt.phrases, camera)),
            lambda where, reason: self.rejections.append((where, reason)),
        )


def test_a_prompt_that_comes_early_is_kept_and_the_newest_counts(bench: Bench) -> None:
    prompts = Prompts()
    assert prompts.keeper.request("red mug.") is None
    assert prompts.keeper.request("green ball.") is None
    bench.runner.start()
    assert prompts.keeper.attach(bench.runner).result(10).phrases == ("green ball",)
    assert prompts.changes == [(1, ("green ball",), None)]
    assert prompts.keeper.current().unknown == ("zzz",)


@pytest.mark.parametrize("newest_only", [True, False])
def test_of_a_flood_the_newest_prompt_counts_where_frames_are_passed_over_too(
    bench: Bench, newest_only: bool
) -> None:
    prompts, go_on = Prompts(), threading.Event()
    bench.runner.start()
    prompts.keeper.attach(bench.runner, newest_only=newest_only)
    bench.runner.call(lambda tracker: go_on.wait(10))
    for i in range(50):
        prompts.keeper.request(f"mug {i}.", awaited=False)
        prompts.keeper.request(f"cup {i}.", "front", awaited=False)
        if i == 20:
            asked = prompts.keeper.request("ball.")
    go_on.set()
    bench.runner.call(lambda tracker: None).result(10)
    expected = ["ball", "mug 49"] if newest_only else [*(f"mug {i}" for i in range(50))]
    if not newest_only:
        expected.insert(21, "ball")
    assert [phrases[0] for _, phrases, camera in prompts.changes if camera is None] == expected
    own = [phrases[0] for _, phrases, camera in prompts.changes if camera == "front"]
    assert own == (["cup 49"] if newest_only else [f"cup {i}" for i in range(50)])
    assert asked.result(10).phrases == ("ball",), "who waits for it gets it"


def test_what_was_said_before_the_start_and_learnt_late_does_not_count(bench: Bench) -> None:
    prompts = Prompts()
    prompts.keeper.request("a parameter.", from_before=True)
    prompts.keeper.request("latched.", from_before=True)
    bench.runner.start()
    assert prompts.keeper.attach(bench.runner).result(10).phrases == ("latched",)
    assert prompts.keeper.request("asked for.").result(10).phrases == ("asked for",)
    assert prompts.keeper.request("latched elsewhere.", from_before=True) is None
    assert bench.runner.call(lambda tracker: tracker.prompt.phrases).result(10) == ("asked for",)


def test_what_comes_into_force_while_the_machine_is_given_back_is_asked_of_the_next(
    bench: Bench,
) -> None:
    prompts = Prompts()
    bench.runner.start()
    prompts.keeper.attach(bench.runner)
    bench.runner.call(lambda tracker: None).result(10)
    late = bench.runner.call(lambda tracker: prompts.keeper.detach())  # before the prompt's turn
    asked = prompts.keeper.request("red mug.")
    late.result(10)
    if asked:
        asked.result(10)
    assert prompts.keeper.current() is None
    other = Bench()
    other.runner.start()
    assert prompts.keeper.attach(other.runner).result(10).phrases == ("red mug",)
    assert other.runner.call(lambda tracker: tracker.prompt.phrases).result(10) == ("red mug",)
    assert other.runner.stop(10)


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
    assert prompts.keeper.current() == Prompt(1, ("red mug",))
    assert prompts.keeper.rejection == "the tracker refuses it"
    (first, why), second = prompts.rejections
    assert first == "" and "'...' names no object" in why
    assert second == ("", "the tracker refuses it")
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
    assert prompts.keeper.current() == Prompt(2, ("mug",), ("tool",))
    assert prompts.keeper.rejection == ""
    assert prompts.keeper.request("mug.").result(10).version == 2
    assert [version for version, _, _ in prompts.changes] == [1, 2]


def test_who_points_faster_than_is_followed_is_told_and_prompts_get_through(bench: Bench) -> None:
    prompts = Prompts()
    bench.runner.start()
    prompts.keeper.attach(bench.runner)
    held = threading.Event()
    bench.runner.call(lambda tracker: held.wait(10))
    pointed = VisualPrompt("", "tool", box=np.array([0, 0, 3, 3]))
    for _ in range(MOST_WAITING + 2):
        prompts.keeper.point_out("/topic", lambda: pointed)
    assert [reason for _, reason in prompts.rejections] == [
        f"/topic: {MOST_WAITING} objects that were pointed at wait to be followed already: point "
        "more slowly, each object needs it once"
    ] * 2
    held.set()
    bench.settle()
    prompts.keeper.point_out("/topic", lambda: pointed)
    bench.settle()
    assert len(prompts.changes) == MOST_WAITING + 1


def test_the_prompt_survives_a_change_of_machine(bench: Bench) -> None:
    prompts = Prompts()
    bench.runner.start()
    prompts.keeper.attach(bench.runner)
    prompts.keeper.request("red mug.").result(10)
    prompts.keeper.detach()
    assert prompts.keeper.current() is None
    second = Bench()
    second.runner.start()
    assert prompts.keeper.attach(second.runner).result(10).phrases == ("red mug",)
    assert second.runner.stop(10)


def test_what_a_machine_refused_is_not_asked_of_the_next_one(bench: Bench) -> None:
    prompts = Prompts()
    bench.runner.start()
    prompts.keeper.attach(bench.runner)
    prompts.keeper.request("red mug.").result(10)
    for camera in (None, "front"):
        with pytest.raises(PromptError, match="refuses"):
            prompts.keeper.request("refuse me.", camera).result(10)
    assert [reason for _, reason in prompts.rejections] == [
        "the tracker refuses it",
        "camera 'front': the tracker refuses it",
    ]
    prompts.keeper.detach()
    second = Bench()
    second.runner.start()
    assert prompts.keeper.attach(second.runner).result(10).phrases == ("red mug",)
    assert len(prompts.rejections) == 2
    assert second.runner.stop(10)


def test_a_camera_keeps_its_own_prompt_until_it_is_given_an_empty_one(bench: Bench) -> None:
    prompts = Prompts()
    bench.runner.start()
    prompts.keeper.attach(bench.runner)
    request, current = prompts.keeper.request, prompts.keeper.current
    assert request("", "front").result(10) is None, "there is nothing to give up"
    request("cup.", "front")
    request("mug.").result(10)
    assert (current("front").phrases, current("rear").phrases) == (("cup",), ("mug",))
    request("plate.").result(10)
    assert request("cup", "front").result(10).version == 1, "it is what it was"
    with pytest.raises(PromptError):
        request("...", "front")
    assert prompts.keeper.rejection.startswith("camera 'front': the prompt '...' names no object")
    bench.put(1, camera="front")
    bench.put(1, camera="rear")
    assert [(entry[1], entry[3]) for entry in bench.settle()] == [("front", 1), ("rear", 3)]
    assert request(" ", "front").result(10).phrases == ("plate",)
    assert current("front") == current("rear") == current()
    assert prompts.changes == [
        (1, ("cup",), "front"),
        (2, ("mug",), None),
        (3, ("plate",), None),
        (4, ("plate",), None),
    ]


def test_own_prompts_are_kept_while_there_is_no_machine(bench: Bench) -> None:
    """Those of cameras that are not there now wait; nobody is told of another prompt first."""
    prompts = Prompts()
    request = prompts.keeper.request
    request("a parameter.", "front", from_before=True)
    request("latched.", "rear", from_before=True)
    assert request("cup.", "front") is None
    assert request("a late parameter.", "front", from_before=True) is None
    request("latched again.", "rear", from_before=True)
    request("mug.")
    request("knife.", "attic")
    request("gone.", "cellar")
    request("", "cellar")
    bench.runner.start()
    prompts.keeper.attach(bench.runner, ["front", "rear", "cellar"]).result(10)
    assert prompts.changes == [
        (1, ("cup",), "front"),
        (2, ("latched again",), "rear"),
        (3, ("mug",), None),
    ]
    prompts.keeper.detach()
    second = Bench()
    second.runner.start()
    prompts.keeper.attach(second.runner).result(10)
    assert prompts.keeper.current("attic").phrases == ("knife",)
    assert second.runner.stop(10)


def test_what_is_pointed_at_belongs_to_its_cameras_own_prompt(bench: Bench) -> None:
    prompts = Prompts()
    bench.runner.start()
    prompts.keeper.attach(bench.runner)
    prompts.keeper.request("mug.")
    prompts.keeper.request("cup.", "front")
    for camera in ("front", "rear"):
        box = np.array([0, 0, 3, 3])
        prompts.keeper.point_out("/topic", lambda c=camera, b=box: VisualPrompt(c, "tool", box=b))
    bench.settle()
    assert prompts.keeper.current("front") == Prompt(3, ("cup",), ("tool",))
    assert prompts.keeper.current("rear") == Prompt(4, ("mug",), ("tool",))
    assert [camera for _, _, camera in prompts.changes] == [None, "front", "front", None]


def test_what_the_machine_before_looked_for_is_not_taken_for_what_this_one_does(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = Prompts()
    bench.runner.start()
    prompts.keeper.attach(bench.runner)
    prompts.keeper.request("mug.").result(10)
    prompts.keeper.detach()
    second = Bench()
    second.runner.start()
    works = second.runner.call(lambda tracker: tracker.set_prompt).result(10)

    def fail(*_: object) -> None:
        raise RuntimeError("CUDA out of memory")

    second.runner.call(lambda tracker: setattr(tracker, "set_prompt", fail)).result(10)
    with pytest.raises(RuntimeError):
        prompts.keeper.attach(second.runner).result(10)
    second.runner.call(lambda tracker: setattr(tracker, "set_prompt", works)).result(10)
    box = np.array([0, 0, 3, 3])
    prompts.keeper.point_out("/topic", lambda: VisualPrompt("", "tool", box=box))
    assert prompts.keeper.request("mug.").result(10).phrases == ("mug",)
    assert second.runner.stop(10)


@pytest.mark.parametrize("is_set", [True, False])
def test_a_machine_that_fails_on_a_request_is_told_and_the_node_lives(is_set: bool) -> None:
    """What a service callback raises would end the node."""
    callbacks, errors = {}, []
    node = SimpleNamespace(
        create_service=lambda kind, name, handle, **_: callbacks.update({name: handle}),
        get_logger=lambda: SimpleNamespace(error=errors.append),
    )

    def fail(*_: object) -> None:
        raise RuntimeError("CUDA out of memory")

    if is_set:
        PromptService(node, lambda text, camera: Future(), lambda: [""], fail)
        answer = callbacks["~/set_prompt"](SetPrompt.Request(text="mug."), SetPrompt.Response())
    else:
        ObjectServices(node, [], fail)
        answer = callbacks["~/reset"](Trigger.Request(), Trigger.Response())
    assert not answer.success
    assert "RuntimeError: CUDA out of memory" in answer.message
    assert len(errors) == 1


def test_services_tell_of_words_that_the_detector_does_not_know() -> None:
    callbacks = {}
    node = SimpleNamespace(
        create_service=lambda kind, name, handle, **_: callbacks.update({name: handle})
    )
    prompt = Prompt(3, ("red mug", "чашка"), unknown=("чашка",))
    PromptService(node, lambda text, camera: Future(), lambda: [""], lambda future: prompt)
    DetectService(node, lambda ask: (Instances.none(2, 2), prompt))
    image = Image(height=2, width=2, encoding="rgb8", step=6, data=bytes(12))
    asked = {
        "~/set_prompt": (SetPrompt.Request(text="red mug. чашка."), SetPrompt.Response()),
        "~/detect": (Detect.Request(text="red mug. чашка.", image=image), Detect.Response()),
    }
    for name, (request, response) in asked.items():
        answer = callbacks[name](request, response)
        assert answer.success
        assert answer.message == "the detector knows no word of: чашка"
        assert list(answer.phrases) == ["red mug", "чашка"]
