"""What users are told: statistics, diagnostics, and a log that doesn't flood."""

from __future__ import annotations

import pytest
import rclpy.logging

from gsam_ros.node.diagnostics import camera_health, diagnostic_array, prompt_health
from gsam_ros.node.log import ThrottledLog
from gsam_ros.node.settings import NodeSettings
from gsam_ros.pipeline.statistics import CameraStatistics, Snapshot
from gsam_ros.prompts import Prompt


class FakeTime:
    def __init__(self) -> None:
        self.value = 100.0

    def __call__(self) -> float:
        return self.value


def test_statistics_count_all_and_measure_the_last_seconds() -> None:
    now = FakeTime()
    statistics = CameraStatistics(now)
    for i in range(100):  # 10 s at 10 Hz, every tenth frame is dropped
        now.value += 0.1
        statistics.frame_received()
        if i % 10:
            statistics.frame_processed(0.05 if i < 98 else 0.5, objects=i % 4)
        else:
            statistics.frame_dropped("superseded")
    taken = statistics.snapshot()
    assert (taken.received, taken.processed, taken.drops) == (100, 90, {"superseded": 10})
    assert taken.rate_in == pytest.approx(10, abs=0.3)
    assert taken.rate_out == pytest.approx(9, abs=0.3)
    assert taken.recent_drops == {"superseded": 5}
    assert taken.objects == 99 % 4
    assert taken.age_p50 == pytest.approx(0.05)
    assert taken.age_p99 == pytest.approx(0.5)
    now.value += 7
    quiet = statistics.snapshot()
    assert (quiet.silence, quiet.rate_in, quiet.age_p50) == (pytest.approx(7), 0, None)
    assert (quiet.received, quiet.recent_drops) == (100, {})
    statistics.expect_frames()
    assert statistics.snapshot().silence == 0
    statistics.reset()
    assert statistics.counts() == (0, 0, {})


def test_who_waits_for_answers_is_not_silent() -> None:
    now = FakeTime()
    statistics = CameraStatistics(now)
    statistics.frame_received()
    now.value += 9
    assert statistics.snapshot().silence == 0
    statistics.frame_processed(9.0, objects=1)
    now.value += 2
    assert statistics.snapshot().silence == pytest.approx(2)


def test_time_without_an_answer_is_counted_from_the_first_frame_that_waits() -> None:
    now = FakeTime()
    statistics = CameraStatistics(now)
    assert statistics.snapshot().waiting == 0
    for i in range(30):  # the first is in work all the while, newer ones take each other's place
        statistics.frame_received()
        if i > 1:
            statistics.frame_dropped("superseded")
        now.value += 0.1
    assert statistics.snapshot().waiting == pytest.approx(3)
    statistics.frame_processed(3.0, objects=1)
    now.value += 1
    assert statistics.snapshot().waiting == pytest.approx(1), "the newest waits still"
    statistics.frame_dropped("error")
    now.value += 1
    assert statistics.snapshot().waiting == 0
    statistics.frame_received()
    now.value += 2
    assert statistics.snapshot().waiting == pytest.approx(2)


def snapshot(**changes: object) -> Snapshot:
    values = {
        "received": 100,
        "processed": 90,
        "drops": {},
        "rate_in": 10.0,
        "rate_out": 9.0,
        "recent_drops": {},
        "age_p50": 0.04,
        "age_p99": 0.06,
        "silence": 0.1,
        "waiting": 0.0,
        "objects": 3,
    }
    return Snapshot(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "publishers", "level", "words"),
    [
        ({}, 1, 0, "10.0 Hz in, 9.0 Hz out"),
        ({"recent_drops": {"superseded": 30}}, 1, 0, "Hz out"),  # that is how live works
        ({"recent_drops": {"bad_image": 3}}, 1, 1, "dropped (3 bad_image): no pixels"),
        ({"recent_drops": {"bad_image": 3}, "rate_out": 0.0}, 1, 2, "no pixels"),
        ({"age_p99": 1.5}, 1, 1, "1.5 s old"),
        ({"age_p99": 11.0}, 1, 2, "11.0 s old"),
        ({"waiting": 3.0}, 1, 1, "images of /cam/image come in and none was answered for 3.0 s"),
        ({"waiting": 30.0}, 1, 2, "for 30.0 s: the models are too slow, or they hang"),
        ({"silence": 61.0}, 1, 2, "no image on /cam/image for 61 s"),
        ({"age_p99": 1.7e9}, 1, 1, "use_sim_time"),
        ({"silence": 9.0}, 1, 1, "no image on /cam/image for 9 s; images came before"),
        # DDS may still find somebody:
        ({"silence": 9.0, "received": 0}, 0, 1, "for 9 s; publishers found so far: 0"),
        ({"silence": 11.0, "received": 0}, 0, 1, "nobody publishes on it: start the camera"),
        ({"silence": 11.0, "received": 0}, 2, 1, "ros2 topic info --verbose /cam/image"),
    ],
)
def test_camera_health_names_the_trouble(changes, publishers, level, words) -> None:
    health = camera_health(
        "cam", "/cam/image", publishers, snapshot(**changes), "no pixels", NodeSettings()
    )
    assert health.level == level
    assert words in health.message
    assert health.name == "camera cam"
    assert health.values["objects in sight"] == "3"
    assert health.values["frames received"] == str(snapshot(**changes).received)


@pytest.mark.parametrize(
    ("prompt", "rejection", "level", "words"),
    [
        (None, "", 0, "no prompt yet"),
        (Prompt(2, ("red mug", "cup")), "", 0, "red mug. cup."),
        (Prompt(2, ("red mug",)), "names no object", 1, "rejected: names no object"),
        (Prompt(2, ("xyzzy",), unknown=("xyzzy",)), "", 1, "knows no word of: xyzzy"),
    ],
)
def test_prompt_health(prompt, rejection, level, words) -> None:
    health = prompt_health(prompt, rejection)
    assert health.level == level
    assert words in health.message
    assert prompt_health(prompt, rejection, "front").name == "prompt front"


def test_a_cameras_health_tells_its_prompt() -> None:
    prompt = Prompt(7, ("red mug",), ("tool",))
    told = camera_health("cam", "/cam/image", 1, snapshot(), "", NodeSettings(), prompt).values
    assert (told["prompt"], told["prompt version"]) == ("red mug. pointed at: tool", "7")


def test_diagnostics_carry_the_nodes_name() -> None:
    array = diagnostic_array("robot/gsam_node", [prompt_health(None)], 5 * 10**9)
    [status] = array.status
    assert (status.name, status.hardware_id) == ("robot/gsam_node: prompt", "robot/gsam_node")
    assert array.header.stamp.sec == 5


def test_the_log_says_each_kind_once_per_period() -> None:
    now, said = FakeTime(), []
    log = ThrottledLog(said.append, period=5, now=now)
    for i in range(100):
        log(("front", "bad_image"), f"bad {i}")
        now.value += 0.01
    log(("rear", "bad_image"), "rear is bad")
    now.value += 5
    log(("front", "bad_image"), "still bad")
    assert said == ["bad 0", "rear is bad", "still bad (and 99 more times before)"]


def test_warnings_and_errors_of_one_logger_are_both_said() -> None:
    """rclpy raises where one line of code logs with another severity than before."""
    logger = rclpy.logging.get_logger("test_health")
    for first, second in (
        (ThrottledLog.of_warnings(logger), ThrottledLog.of_errors(logger)),
        (ThrottledLog.of_errors(logger), ThrottledLog.of_warnings(logger)),
    ):
        first(("a",), "said by a test")
        second(("a",), "said by a test")


def test_the_log_remembers_no_more_kinds_than_are_of_late() -> None:
    now, said = FakeTime(), []
    log = ThrottledLog(said.append, period=5, now=now)
    for i in range(5000):
        log(("prompt", f"text {i}"), "rejected")
        now.value += 0.1
    assert len(said) == 5000
    assert len(log._said) <= 256
    log(("prompt", "text 4999"), "again")
    assert said[-1] == "rejected", "what was said of late is forgotten"
