"""`gsam detect` as it is typed: pictures and COCO of single images."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from standalone_trackers import RED, picture

from gsam_ros.cli import main
from gsam_ros.demo.sample import SampleOptions, write_sample
from gsam_ros.instances import Frame, Instances
from gsam_ros.pipeline.grounded_tracker import GroundedTracker
from gsam_ros.prompts import Prompt
from gsam_ros.recordings.sources import SourceError
from gsam_ros.recordings.sources.source import Item, Origin, Source, Unreadable
from gsam_ros.standalone.detect import OutputError, detect
from gsam_ros.world.stills import draw_still
from gsam_ros.world.vocabulary import phrase_of


class Shown(Source):
    """Images of some names, of which "bad" can't be read; then an error, if one is given."""

    def __init__(self, *names: str, error: Exception | None = None) -> None:
        super().__init__()
        self._names = names
        self._error = error

    def items(self, skip: int = 0) -> Iterator[Item]:
        for name in self._names[skip:]:
            origin = Origin(name, 0)
            bad = name == "bad"
            yield Unreadable("", 0, origin, "why") if bad else Frame(picture(RED), 0, token=origin)
        if self._error:
            self.problems.append("the source is damaged")
            raise self._error

    def identity(self) -> dict[str, Any]:
        return {}


class Blind:
    """Finds nothing, and knows no word."""

    def detect(self, image: np.ndarray, text: str) -> tuple[Instances, Prompt]:
        return Instances.none(*image.shape[:2]), Prompt(0, (text,), unknown=(text,))


UNKNOWN = "the detector knows no word of: mug"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "images"
    images.mkdir()
    for name, seed in (("2.png", 5), ("10.png", 6)):
        still = draw_still(np.random.default_rng(seed), height=480, width=640, max_objects=4)
        cv2.imwrite(str(images / name), still.image[:, :, ::-1])
    return images


def test_every_image_is_answered_on_its_own(folder: Path, tmp_path: Path, capsys) -> None:
    (folder / "3.png").write_bytes(b"no picture")
    still = draw_still(np.random.default_rng(5), height=480, width=640, max_objects=4)
    words = [phrase_of(pair) for pair in zip(still.colour, still.shape, strict=True)]
    out = tmp_path / "out"
    status = main(
        ["detect", str(folder), "--prompt", ". ".join(words), "--out", str(out), "--device", "cpu"]
    )
    told = capsys.readouterr()
    assert status == 0, told.err
    assert "3.png: it is no image that can be read" in told.err
    assert f"in 2 images, results in {out}" in told.out

    data = COCO(out / "results.json")
    names = {entry["file_name"]: entry["id"] for entry in data.dataset["images"]}
    assert list(names) == ["2.png", "10.png"]
    assert [category["name"] for category in data.dataset["categories"]] == words
    found = data.loadAnns(data.getAnnIds(imgIds=[names["2.png"]]))
    assert {annotation["track_id"] for annotation in found} == {0}
    right = 0
    for annotation in found:
        mask = data.annToMask(annotation).astype(bool)
        label = words[annotation["category_id"] - 1]
        own = [still.masks[i] for i, word in enumerate(words) if word == label]
        right += any((mask & other).sum() > 0.5 * (mask | other).sum() for other in own)
    assert right >= len(words) / 2
    drawn = cv2.imread(str(out / "2.png.png"))
    assert drawn.shape == (480, 640, 3)
    assert (drawn != cv2.imread(str(folder / "2.png"))).any()


def test_a_bag_s_images_are_chosen_by_topic(tmp_path: Path, capsys) -> None:
    bag, out = tmp_path / "sample", tmp_path / "out"
    write_sample(bag, SampleOptions(seconds=0.2))
    command = ["detect", str(bag), "--prompt", "mug.", "--out", str(out), "--device", "cpu"]
    assert main(command) == 1
    assert "choose with --topic" in capsys.readouterr().err
    assert main([*command, "--topic", "/left/image"]) == 0
    assert len(list(out.glob("_left_image@*.png"))) == 2


def test_a_file_whose_name_is_not_utf_8_is_answered(folder: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"r\xe4der.png")
    (folder / "2.png").rename(folder / name)
    out = tmp_path / "out"
    command = ["detect", str(folder / name), "--prompt", "mug.", "--device", "cpu"]
    assert main([*command, "--out", str(out)]) == 0
    assert cv2.imdecode(np.fromfile(out / f"{name}.png", np.uint8), 1).shape == (480, 640, 3)
    data = json.loads((out / "results.json").read_text())
    assert [image["file_name"] for image in data["images"]] == [name]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.png", "--prompt", "mug."], "nowhere.png does not exist"),
        (["BAD", "--prompt", "mug."], "bad.mcap"),
        ([".", "--prompt", "..."], "names no object"),
        (["SELF", "--prompt", "mug.", "--set", "detector.rat=1"], "detector.rat"),
        (["SELF", "--prompt", "mug.", "--detector", "no-such-model"], "no-such-model"),
    ],
)
def test_what_cannot_be_done_is_named(
    folder: Path, tmp_path: Path, arguments: list[str], words: str, capsys
) -> None:
    bad = tmp_path / "bad.mcap"
    bad.write_bytes(b"no recording" * 100)
    places = {"SELF": str(folder), "BAD": str(bad)}
    typed = [places.get(word, word) for word in arguments]
    assert main(["detect", *typed, "--out", str(tmp_path / "out")]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out" / "results.json").exists()


def test_what_was_answered_before_an_interruption_is_kept(
    folder: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    answer = GroundedTracker.detect

    def interrupted(self, image, text):
        if image.shape[0] < 480:
            raise KeyboardInterrupt
        return answer(self, image, text)

    cv2.imwrite(str(folder / "11.png"), np.zeros((100, 100, 3), np.uint8))
    monkeypatch.setattr(GroundedTracker, "detect", interrupted)
    out = tmp_path / "out"
    assert main(["detect", str(folder), "--prompt", "mug.", "--out", str(out)]) == 130
    data = json.loads((out / "results.json").read_text())
    assert [image["file_name"] for image in data["images"]] == ["2.png", "10.png"]


def test_a_refused_prompt_leaves_the_results_of_the_run_before(
    folder: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "out"
    detect(Shown("a.png"), Blind(), "mug", out, print)
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    command = ["detect", str(folder), "--prompt", "very " * 400 + "mug", "--device", "cpu"]
    for place in (out, tmp_path / "new"):
        assert main([*command, "--out", str(place)]) == 1
        assert "1601 word pieces" in capsys.readouterr().err
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    assert not (tmp_path / "new").exists()


def test_where_no_image_can_be_read_nothing_is_written(tmp_path: Path) -> None:
    told: list[str] = []
    assert detect(Shown("bad"), Blind(), "mug", tmp_path / "out", told.append).images == 0
    assert told == ["bad: why"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("full", ["b.png.png", "results.json"])
def test_a_full_disk_is_named_and_no_file_is_torn(tmp_path: Path, full: str) -> None:
    (tmp_path / full).write_bytes(b"of the run before")
    (tmp_path / f"{full}.part").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=rf"{full} can't be written \(No space .* another --out"):
        detect(Shown("a.png", "b.png", "c.png"), Blind(), "mug", tmp_path, print)
    assert (tmp_path / full).read_bytes() == b"of the run before"
    pictures = ["a.png.png", "b.png.png"] + ["c.png.png"] * (full == "results.json")
    assert sorted(file.name for file in tmp_path.iterdir()) == [*pictures, "results.json"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/out can't be written .* another --out"):
        detect(Shown("a.png"), Blind(), "mug", tmp_path / "file" / "out", print)


def test_no_picture_is_written_over_another(tmp_path: Path) -> None:
    names = ["/a/b/image@0", "/a_b/image@0", "_a_b_image@0_2", "/a/b/image@0", "ü" * 124 + ".png"]
    outcome = detect(Shown(*names, names[-1]), Blind(), "mug", tmp_path, print)
    assert outcome.images == 6
    *short, long, again = sorted(file.stem for file in tmp_path.glob("*.png"))
    assert short == [f"_a_b_image@0{end}" for end in ("", "_2", "_2_2", "_3")]
    assert long.endswith("üü.png") and again == f"{long}_2"
    data = json.loads((tmp_path / "results.json").read_text())
    assert [image["file_name"] for image in data["images"]] == [*names, names[-1]]


def test_a_picture_that_cannot_be_written_is_told_and_those_behind_it_are_answered(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.png.png").mkdir()
    told: list[str] = []
    assert detect(Shown("a.png", "b.png"), Blind(), "mug", tmp_path, told.append).images == 2
    assert told == [UNKNOWN, "a.png: its picture can't be written: Is a directory"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png.png", "b.png.png", "results.json"]


def test_what_was_wrong_before_a_failure_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    source = Shown("bad", "a.png", "b.png", error=SourceError("it ends here"))
    with pytest.raises(SourceError, match="it ends here"):
        detect(source, Blind(), "mug", tmp_path, told.append)
    assert told == ["bad: why", UNKNOWN, "the source is damaged"]


def test_words_that_the_detector_does_not_know_are_told(
    folder: Path, tmp_path: Path, capsys
) -> None:
    command = ["detect", str(folder), "--prompt", "红色杯子. red mug.", "--device", "cpu"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err.count("the detector knows no word of: 红色杯子\n") == 1


def test_memory_that_ran_out_is_said_with_what_to_do(
    folder: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    def too_much(self, image, text):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(GroundedTracker, "detect", too_much)
    command = ["detect", str(folder), "--prompt", "mug.", "--out", str(tmp_path / "out")]
    assert main(command) == 1
    assert "memory ran out: take smaller models" in capsys.readouterr().err


def test_results_are_json_that_others_read(folder: Path, tmp_path: Path) -> None:
    one = folder / "10.png"
    assert main(["detect", str(one), "--prompt", "dog.", "--out", str(tmp_path / "o")]) == 0
    data = json.loads((tmp_path / "o" / "results.json").read_text())
    assert [image["file_name"] for image in data["images"]] == ["10.png"]
    assert data["annotations"] == []


@pytest.mark.slow
def test_small_objects_of_a_large_picture_have_fine_masks(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    still = draw_still(rng, 720, 960, max_objects=8, share=(14 / 720, 30 / 720))
    cv2.imwrite(str(tmp_path / "large.png"), still.image[:, :, ::-1])
    words = {phrase_of(pair) for pair in zip(still.colour, still.shape, strict=True)}
    command = ["detect", str(tmp_path / "large.png"), "--prompt", ". ".join(sorted(words))]
    command += ["--device", "cpu", "--set", "detector.slices.mode=always"]
    command += ["--set", "detector.slices.width=256", "--set", "detector.slices.height=192"]
    overlaps = {}
    for closeups, refined in (("0", "0"), ("0", "64"), ("16", "0")):
        out = tmp_path / f"{closeups} {refined}"
        own = ["--out", str(out), "--set", f"tracker.closeup_below={closeups}"]
        own += ["--set", f"tracker.refine_below={refined}"]
        assert main([*command, *own]) == 0
        data = COCO(out / "results.json")
        found = [data.annToMask(a).astype(bool) for a in data.loadAnns(data.getAnnIds())]
        overlaps[closeups, refined] = np.mean(
            [max((m & own).sum() / (m | own).sum() for m in found) for own in still.masks]
        )
    assert overlaps["0", "64"] > overlaps["0", "0"] + 0.1
    assert overlaps["16", "0"] > overlaps["0", "0"] + 0.1
