"""The `gsam` command as it is typed."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from evaluation_bags import write_answers
from evaluation_html import Page

from gsam_ros.cli import main
from gsam_ros.demo.sample import SampleOptions, write_sample
from gsam_ros.evaluation import report


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `gsam demo` leaves it."""
    path = tmp_path_factory.mktemp("run")
    write_sample(path / "sample", SampleOptions(seconds=0.2))
    write_answers(path / "sample", path / "result")
    return path


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for another world."""
    path = tmp_path_factory.mktemp("other")
    write_sample(path / "sample", SampleOptions(seconds=0.2, seed=99))
    write_answers(path / "sample", path / "result")
    return path


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "one.png"
    cv2.imwrite(str(path), np.zeros((48, 64, 3), np.uint8))
    return path


def test_python_m_works_and_help_does_not_load_torch() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "gsam_ros.cli", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    for name in ("demo", "track", "evaluate", "compare"):
        assert name in told.stdout
    assert "torch" not in told.stderr


@pytest.mark.parametrize("arguments", [[], ["fly"], ["track"], ["demo", "--runs", "0"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: gsam" in capsys.readouterr().err


def test_evaluate_scores_a_folder_of_the_demo(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), "--out", str(tmp_path)]) == 0
    assert "HOTA" in capsys.readouterr().out
    assert json.loads((tmp_path / "report.json").read_text())["frames"][0]["played"] == 2
    for name in ("report.md", "contact_sheet.png", "timeline.png", "video.mp4"):
        assert (tmp_path / name).stat().st_size > 0
    assert Page(tmp_path / "report.html").headings[0] == f"Run {tmp_path.name}"


def test_evaluate_of_a_run_without_phrases_has_no_table_of_them(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "phrase_rows", lambda score: [])
    assert main(["evaluate", str(run)]) == 0
    assert "by phrase" not in capsys.readouterr().out


def test_evaluate_tells_a_folder_named_world_from_the_world(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "world").symlink_to(run)
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "./world"]) == 0
    assert "HOTA" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["evaluate", "world", "--help"])
    told = capsys.readouterr().out
    assert told.startswith("usage: gsam evaluate world ")
    assert "--truth" not in told


def test_evaluate_scores_a_bag_against_another(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run / "result"), "--truth", str(run / "sample")]) == 0
    assert "AP50" in capsys.readouterr().out


@pytest.fixture(scope="module")
def tracked(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `gsam track` on a camera of the sample."""
    out = tmp_path_factory.mktemp("tracked") / "out"
    track = ["track", str(run / "sample"), "--topic", "/left/image", "--out", str(out)]
    assert main(track) == 0
    return out


def test_track_wants_the_same_results_each_time(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    track = ["track", str(image), "--prompt", "red mug.", "--out", str(tmp_path / "out")]
    assert main([*track, "--set", "detector.beside=always"]) == 1
    assert "results depend on how fast the detector is" in capsys.readouterr().err


def test_evaluate_scores_a_run_of_track_against_the_bag_that_it_read(
    tracked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(tracked), "--out", str(tmp_path)]) == 0
    told = capsys.readouterr()
    assert re.search(r"^frames out +2  left 2/2$", told.out, re.MULTILINE)
    assert "gsam: the camera 'right' has truth and no results" in told.err
    figures = json.loads((tmp_path / "report.json").read_text())
    assert figures["detection"]["masks"]["ap50"] > 0.1
    assert figures["tracking"]["jaccard"] > 0.1
    assert set(figures["detection"]["recall_at"]) == {"0.1", "0.3", "1.0"}
    assert (tmp_path / "contact_sheet.png").exists()
    assert any(alt.startswith("Truth at left") for alt in Page(tmp_path / "report.html").pictures)


def test_evaluate_asks_what_track_was_asked_and_not_the_recording(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    track = ["track", str(run / "sample"), "--topic", "/left/image", "--out", str(tmp_path / "t")]
    assert main([*track, "--prompt", "red mug."]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "t")]) == 0
    table = capsys.readouterr().out.split("the weakest first")[1]
    assert [line.split("  ")[1] for line in table.strip("\n").splitlines()] == ["red mug"]


def test_evaluate_takes_coco_and_mot_files(
    tracked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run against its own results as truth is perfect."""
    truth = ["evaluate", str(tracked), "--truth", str(tracked / "results.json")]
    assert main([*truth, "--out", str(tmp_path)]) == 0
    assert re.search(r"^HOTA +1\.000  on masks", capsys.readouterr().out, re.MULTILINE)
    data = json.loads((tracked / "results.json").read_text())
    found = data["annotations"][0]["category_id"]
    [category] = [c["name"] for c in data["categories"] if c["id"] == found]
    one = {a["track_id"] for a in data["annotations"] if a["category_id"] == found}
    lines = (tracked / "mot_left.txt").read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if int(line.split(",")[1]) in one)
    (tmp_path / "gt.txt").write_text(text)
    command = ["evaluate", str(tracked / "result"), "--truth", f"left={tmp_path / 'gt.txt'}"]
    assert main(command) == 1
    assert "say with --phrase" in capsys.readouterr().err
    assert main([*command, "--phrase", category]) == 0
    assert re.search(r"^HOTA +1\.000  on boxes", capsys.readouterr().out, re.MULTILINE)


def test_evaluate_of_a_result_that_was_cut_off_says_so(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_answers(run / "sample", tmp_path / "cut")
    (tmp_path / "cut" / "metadata.yaml").unlink()
    assert main(["evaluate", str(tmp_path / "cut"), "--truth", str(run / "sample")]) == 0
    told = capsys.readouterr()
    assert "cut was cut off or damaged and has no metadata.yaml: 8 messages" in told.err
    assert "HOTA" in told.out


def test_compare_tells_what_a_run_lost_and_shows_where(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def less(index: int, message: Any) -> Any:
        message.instances = message.instances[: len(message.instances) // 2]
        return message

    write_answers(run / "sample", tmp_path / "less", change=less)
    arguments = ["compare", str(run / "result"), str(tmp_path / "less"), "--block", "0.05"]
    out = tmp_path / "out"
    assert main([*arguments, "--truth", str(run / "sample"), "--out", str(out)]) == 0
    assert re.search(r"^missed .* worse$", capsys.readouterr().out, re.MULTILINE)
    figures = {f["name"]: f for f in json.loads((out / "comparison.json").read_text())["figures"]}
    assert figures["missed"]["low"] > 0
    page = Page(out / "comparison.html")
    assert "worse" in page.cells
    assert [label.split(",")[0] for label in page.drawings] == ["Accuracy", "Counts", "Times"]
    assert [alt.split(" ")[0] for alt in page.pictures[:3]] == ["A", "B", "Truth"]
    assert "missed: " in page.pictures[1]


def test_a_run_compared_with_itself_has_no_pictures(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(run), str(run), "--out", str(tmp_path)]) == 0
    assert "No difference between A and B is shown." in capsys.readouterr().out
    page = Page(tmp_path / "comparison.html")
    assert page.pictures == page.drawings == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["compare", "a", "b", "--out", "{image}"], "{image} is a file: give a folder"),
        (["track", "a", "--out", "{image}"], "{image} is a file: give a folder"),
        (["track", "a", "--save-every", "nan"], "'nan' does not fit: write a number of 0 or"),
        (["demo", "--seconds", "0"], "'0' does not fit: write a number above 0"),
        (["train", "demo", "--out", "a", "--share", "2"], "'2' does not fit: write a number above"),
        (["track", "a", "--frames", "few"], "'few' does not fit: write a whole number of at least"),
    ],
)
def test_arguments_that_cannot_be_are_told_at_once(
    arguments: list[str], complaint: str, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([argument.format(image=image) for argument in arguments])
    assert complaint.format(image=image) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["evaluate", "{tmp}/nowhere"], "gsam: {tmp}/nowhere does not exist"),
        (["evaluate", "{run}/result", "--truth", "{run}/result"], "nobody says what was asked"),
        (["evaluate", "{run}/result", "--truth", "{image}"], "{image} is no truth that can be"),
        (["compare", "{run}", "{tmp}/nowhere"], "gsam: {tmp}/nowhere does not exist"),
        (
            ["compare", "{run}", "{other}"],
            "gsam: {run} and {other} can't be compared: the runs were played from different",
        ),
        (
            ["compare", "{run}", "{run}", "--block", "0"],
            "gsam: {run} and {run} can't be compared: a block can't last 0 s",
        ),
        (["evaluate", "{image}"], "gsam: {image} is no recording: give the folder that gsam track"),
        (["track", "{tmp}/film.mp4", "--prompt", "mug."], "gsam: {tmp}/film.mp4 does not exist"),
        (
            ["track", "{run}/sample", "--prompt", "mug."],
            "gsam: {run}/sample: choose with --topic, once per camera: it has images on /left/",
        ),
        (["track", "{image}"], "gsam: {image} is no bag with prompts in it: give a --prompt"),
        (["track", "{image}", "--prompt", "..."], "gsam: the prompt '...' names no object"),
        (
            ["track", "{image}", "--prompt", "mug.", "--detector", "{tmp}/weights"],
            "{tmp}/weights",
        ),
        (
            ["demo", "--out", "{tmp}", "--params-file", "{tmp}/p.yaml"],
            "gsam: {tmp}/p.yaml does not exist",
        ),
    ],
)
def test_errors_name_the_file_or_the_word(
    arguments: list[str],
    complaint: str,
    run: Path,
    other: Path,
    image: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"run": run, "other": other, "image": image, "tmp": tmp_path}
    assert main([argument.format(**places) for argument in arguments]) == 1
    assert complaint.format(**places) in capsys.readouterr().err


def test_a_missing_package_is_named(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "gsam_ros.evaluation.run_score", raising=False)
    monkeypatch.delitem(sys.modules, "gsam_ros.evaluation.metrics.tracking", raising=False)
    monkeypatch.setitem(sys.modules, "trackeval.metrics", None)
    assert main(["evaluate", str(run)]) == 1
    assert "trackeval" in capsys.readouterr().err


def test_a_bag_of_which_nothing_can_be_read_is_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_answers(run / "sample", tmp_path / "cut")
    storage = next((tmp_path / "cut").glob("*.mcap"))
    os.truncate(storage, storage.stat().st_size // 2)
    assert main(["evaluate", str(tmp_path / "cut"), "--truth", str(run / "sample")]) == 1
    told = f"gsam: {tmp_path}/cut was cut off or damaged, and no message of it can be read"
    assert told in capsys.readouterr().err


def test_tracks_of_an_image_with_the_demo_models(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["track", str(image), "--prompt", "red mug. 叉车.", "--out", str(tmp_path)]
    assert main([*arguments, "--device", "cpu"]) == 0
    told = capsys.readouterr()
    assert "1 frames, results in" in told.out
    assert "knows no word of '叉车'" in told.err
    assert len(json.loads((tmp_path / "results.json").read_text())["images"]) == 1


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_tracks(tmp_path: Path) -> None:
    """With the real machine: its memories, ids and keyframes are those of a run in one go."""
    write_sample(tmp_path / "bag", SampleOptions(seconds=0.7))
    track = ["track", str(tmp_path / "bag"), "--topic", "/left/image", "--no-video"]
    track += ["--set", "detector.slices.mode=always", "--set", "detector.slices.regions=true"]
    track += ["--set", "detector.slices.width=480", "--set", "detector.slices.height=360"]
    assert main([*track, "--out", str(tmp_path / "whole")]) == 0
    out = tmp_path / "out"
    track += ["--out", str(out), "--save-every", "0"]
    process = subprocess.Popen([sys.executable, "-m", "gsam_ros.cli", *track])
    while process.poll() is None and not (out / "unfinished" / "part-000003").exists():
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert (out / "unfinished").exists()
    assert not (out / "results.json").exists()
    assert main(track) == 0
    whole, resumed = (
        json.loads((path / "results.json").read_text()) for path in (tmp_path / "whole", out)
    )
    assert resumed == whole
    assert len(whole["images"]) == 7
    assert len({annotation["track_id"] for annotation in whole["annotations"]}) > 3
