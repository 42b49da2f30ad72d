"""The load benchmark: its sums on a worked example, and a short run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.camera_feed import draw, stamped
from benchmark.load import load_of, table
from benchmark.load_run import Answer, Load, figures
from gsam_ros.bridge.stamps import nanoseconds, read_header

pytestmark = pytest.mark.alone

ROOT = Path(__file__).resolve().parent.parent


def test_a_load_is_read_as_typed() -> None:
    assert load_of("4x640x480@15") == Load(4, "640x480", 15.0)
    assert load_of("2x1920x1080") == Load(2, "1920x1080", 30.0)


def test_two_cameras_in_two_steps_add_up() -> None:
    def answer(camera: str, step: int, read: float, left: float, drops: int) -> Answer:
        counts = (10 * step + drops, step, {"superseded": drops})
        return Answer(camera, left - step, step + read, step + left, 2.0 + read, (step,), counts)

    answers = [
        answer("a", 1, 0.0, 0.30, 2),
        answer("b", 1, 0.1, 0.40, 0),
        answer("a", 2, 0.0, 0.50, 5),
        answer("b", 2, 0.1, 0.60, 1),
    ]
    taken = figures(answers, 2.0, (1.5, 1.9), 10**9)
    assert (taken.received, taken.processed) == (13 + 11, 2)
    assert taken.drops == {"superseded": 4}
    # The first step took from 1.0 to 1.4, the second from 2.0 to 2.6.
    assert taken.round_p50 == pytest.approx(500)
    assert taken.age_p50 == pytest.approx(1e3 * ((0.40 - 1) + (0.50 - 2)) / 2)
    assert taken.ros_p50 == pytest.approx(2.05)
    [_, _, row] = table([(Load(2), 59.8, taken)]).splitlines()
    assert "| 2 of 640x480 at 30 Hz | 59.8 | 12.0 | 1.0 | 4 superseded |" in row
    assert row.endswith("| 1.50, 1.90 | 1000 |")


def test_nothing_answered_is_no_number_and_no_error() -> None:
    assert "nan" in table([(Load(1), 30.0, figures([], 5.0, (0.0, 0.0), 10**9))])


def test_a_camera_stamps_what_was_drawn_before() -> None:
    import time

    images = draw(0, 64, 48)
    before = time.time_ns()
    header = read_header(stamped(images[3]))
    assert before <= nanoseconds(header.stamp) <= time.time_ns()
    assert header.frame_id == "view0"


@pytest.mark.slow
def test_a_short_run_leaves_a_table(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmark.load", "--loads", "1x160x120@5", "--seconds", "4"]
    run = subprocess.run(
        [*command, "--out", tmp_path],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    row = (tmp_path / "load.md").read_text().splitlines()[2].split("|")
    assert row[1].strip() == "1 of 160x120 at 5 Hz"
    assert float(row[4]) > 0
