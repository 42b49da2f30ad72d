"""The whole: a recording, the real node, the recorder, the score, twice with the same results."""

import json
from pathlib import Path

import cv2
import pytest

from gsam_ros.demo.run import DemoOptions, run_demo
from gsam_ros.demo.sample import SampleOptions
from gsam_ros.processes import ProcessError

pytestmark = pytest.mark.alone

SHORT = SampleOptions(seconds=3.0)
FRAMES = 30


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_the_demo_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problems = run_demo(DemoOptions(tmp_path, runs=2, sample=SHORT))
    # Three seconds are too short to judge the figures by the bounds of the whole recording.
    assert not [p for p in problems if "no result" in p or "differ" in p]
    report = json.loads((tmp_path / "report.json").read_text())
    assert [(c["camera"], c["played"], c["answered"]) for c in report["frames"]] == [
        ("left", FRAMES, FRAMES),
        ("right", FRAMES, FRAMES),
    ]
    assert report["timing"]["age"]["p50"] > 0
    assert {"decode", "detect"} <= report["timing"]["stages"].keys()
    assert sum(report["tracking"][key] for key in ("hits", "misses")) > FRAMES
    told = capsys.readouterr().out
    assert "frames out" in told
    assert "memory of the node" in told
    seconds, size = (tmp_path / "logs" / "result" / "memory.csv").read_text().split()[-1].split(",")
    assert float(seconds) > 0
    assert 1e8 < int(size) < 1e10  # torch alone takes hundreds of megabytes
    assert cv2.VideoCapture(str(tmp_path / "video.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES
    for name in ("contact_sheet.png", "timeline.png"):
        assert cv2.imread(str(tmp_path / name)) is not None


def test_a_node_that_cannot_load_is_told_at_once(tmp_path: Path) -> None:
    parameters = tmp_path / "wrong.yaml"
    parameters.write_text("/**: {ros__parameters: {detector.model: no-such-model}}")
    options = DemoOptions(
        tmp_path / "out", sample=SampleOptions(seconds=0.2), parameters=parameters
    )
    with pytest.raises(ProcessError, match=r"(?s)node gave up; .*node\.log:\n.*no-such-model"):
        run_demo(options)
