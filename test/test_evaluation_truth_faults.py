"""Truth that is damaged or bent: refused with its place, or told where figures are still right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_cases import HEIGHT, PLACES, WIDTH, rectangle
from evaluation_runs import STEP, coco, run, xywh
from pycocotools import mask as coco_mask

from gsam_ros.cli import main
from gsam_ros.evaluation.objects import read_objects
from gsam_ros.evaluation.rle import RleError, check_rle
from gsam_ros.evaluation.run_results import RunResults
from gsam_ros.evaluation.run_score import RunScore, score_results
from gsam_ros.evaluation.truths import TruthError, check_options, load_truth
from gsam_ros.evaluation.truths.truth_data import check_boxes
from gsam_ros.recordings.bag import BagError, open_bag
from gsam_ros.recordings.bag_writer import BagWriter
from gsam_ros.recordings.result_messages import box_message, header_message, message

MUG, BALL = "red mug", "green ball"
BOTH = ((7, MUG, "left"), (8, BALL, "right"))
NAMES = {i * STEP: f"{i}.png" for i in range(3)}
RUN = run(BOTH, BOTH, BOTH, names=NAMES)
MASK = rectangle(PLACES["left"])
PIXELS = HEIGHT * WIDTH
LINE = f"1 1 1 {HEIGHT} {WIDTH} {MASK['counts']}"

Data = dict[str, Any]


def truth() -> Data:
    return coco({f"{i}.png": [(1, MUG, "left"), (2, BALL, "right")] for i in range(3)})


def scored(data: Data | str, folder: Path, results: RunResults = RUN, **options: str) -> RunScore:
    path = folder / ("t.txt" if isinstance(data, str) else "t.json")
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return score_results(results, load_truth([str(path)], results, **options))


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("images", "id", [1]),
        ("images", "height", None),
        ("images", "width", 0),
        ("images", "width", 2**31),
        ("images", "stamp_ns", "now"),
        ("images", "camera", ["a"]),
        ("images", "file_name", 5),
        ("categories", "id", [1]),
        ("categories", "name", None),
        ("annotations", "image_id", [1]),
        ("annotations", "category_id", None),
        ("annotations", "track_id", "abc"),
        ("annotations", "track_id", 2**70),
        ("annotations", "iscrowd", "0"),
        ("annotations", "segmentation", "abc"),
        ("annotations", "bbox", None),
        ("annotations", "bbox", [1, 2, 3]),
        ("annotations", "bbox", [1, 2, "3", 4]),
        ("annotations", "bbox", [float("nan"), 2, 3, 4]),
        ("annotations", "bbox", [1, 2, float("inf"), 4]),
        ("annotations", "bbox", [1, 2, 10**400, 4]),
        ("annotations", "bbox", [9, 9, -3, -3]),
    ],
)
def test_a_value_of_a_wrong_type_is_named(
    part: str, key: str, value: object, tmp_path: Path
) -> None:
    data = truth()
    data[part][0][key] = value
    with pytest.raises(TruthError, match=rf"t\.json: {part}\[0\]: its {key} is .*has to be"):
        scored(data, tmp_path)


@pytest.mark.parametrize("value", [None, {"a": 1}, 5])
def test_a_part_that_is_no_list_is_named(value: object, tmp_path: Path) -> None:
    with pytest.raises(TruthError, match=r"no COCO data set: it has no annotations \(lists\)"):
        scored(truth() | {"annotations": value}, tmp_path)
    with pytest.raises(TruthError, match=r"annotations\[0\] is .*, and has to be an object"):
        scored(truth() | {"annotations": [value and 1]}, tmp_path)


def test_json_that_python_can_t_hold_is_refused(tmp_path: Path) -> None:
    for text in ("[" * 10**5, "9" * 5000):
        path = tmp_path / "t.json"
        path.write_text(text)
        with pytest.raises(TruthError, match="can't be read as JSON"):
            load_truth([str(path)], RUN)


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ([[1, 2]], "at least three points"),
        ([[1, 2, 3, 4, 5, 6, 7]], "at least three points"),
        ([1, 2, 3, 4, 5, 6], "at least three points"),
        ([["a", 2, 3, 4, 5, 6]], "goes to 'a'"),
        ([[float("nan"), 1, 5, 6, 7, 8]], "goes to nan"),
        ([[1e300, 2, 3, 4, 5, 6]], "far from its image of 64x48 pixels"),
        ([[1e9, 2, 3, 1e9, 5, 6]], "far from its image"),
        ({"counts": [PIXELS]}, "has the size None"),
        ({"size": [HEIGHT, WIDTH]}, "its counts are None"),
        ({"size": [HEIGHT, WIDTH], "counts": [-5, PIXELS + 5]}, "a run .* has the length -5"),
        ({"size": [HEIGHT, WIDTH], "counts": [10, 20]}, "are of 30 pixels, its image of 3072"),
        ({"size": [HEIGHT, WIDTH], "counts": [10.5, PIXELS - 10.5]}, "has the length 10.5"),
        ({"size": [WIDTH, HEIGHT], "counts": [PIXELS]}, r"has the size \[64, 48\]"),
        ({"size": [2**31, 2**31], "counts": "Pn31"}, "has the size"),
        ({"size": [HEIGHT, WIDTH], "counts": "hello world"}, "no run lengths"),
        ({"size": [HEIGHT, WIDTH], "counts": "\ud800\u00fc"}, "no run lengths"),
        ({"size": [HEIGHT, WIDTH], "counts": ""}, "no run lengths"),
        ({"size": [HEIGHT, WIDTH], "counts": "oooooooooooooooo1"}, "more than 32 bits"),
        ({"size": [HEIGHT, WIDTH], "counts": MASK["counts"] + "1"}, "don't make up its 64x48"),
    ],
)
def test_a_damaged_mask_is_named_and_never_read(
    segmentation: object, words: str, tmp_path: Path
) -> None:
    data = truth()
    for annotation in data["annotations"]:
        annotation["segmentation"] = MASK
    data["annotations"][3]["segmentation"] = segmentation
    with pytest.raises(TruthError, match=rf"t\.json: annotations\[3\]: .*{words}"):
        scored(data, tmp_path)


@pytest.mark.parametrize("seed", range(3))
def test_masks_as_pycocotools_writes_them_pass(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for share in (0.0, 0.01, 0.5, 1.0):
        shape = rng.integers(1, 300, 2)
        pixels = np.asfortranarray(rng.random(shape) < share, np.uint8)
        encoded = coco_mask.encode(pixels)
        mask = {"size": encoded["size"], "counts": encoded["counts"].decode()}
        check_rle(mask)
        with pytest.raises(RleError):
            check_rle({**mask, "size": [int(shape[0]), int(shape[1]) + 1]})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("inf,1,5,5,9,9,1,1,1", "not finite, or huge"),
        ("1,inf,5,5,9,9,1,1,1", "not finite, or huge"),
        ("1,1,nan,5,9,9,1,1,1", "not finite, or huge"),
        (f"1,{10**22},5,5,9,9,1,1,1", "not finite, or huge"),
        ("1.7,1,5,5,9,9,1,1,1", "whole numbers"),
        ("1,1,5,5,-9,-9,1,1,1", "a box of -9x-9 pixels"),
        ("1,-1,5,5,9,9,0.9,-1,-1,-1", r"det\.txt"),
        (LINE.replace("1 1 1 48 64", "1 1 1 0 0"), "have 0x0 pixels, the run's images 64x48"),
        (LINE.replace(" 48 64 ", " -48 -64 "), "have -64x-48 pixels"),
        (f"1 1 1 {HEIGHT} {WIDTH} Pn31", "don't make up its 64x48 pixels"),
        (f"1 1 1 {HEIGHT} {WIDTH} hello", "no run lengths"),
        (LINE.replace("1 1 1", f"1 {2**70} 1"), "a number is huge"),
    ],
)
def test_a_line_that_can_t_be_is_named(line: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(TruthError, match=rf"t\.txt, line 1: .*{words}"):
        scored(line, tmp_path, phrase=MUG)


def test_boxes_and_masks_in_one_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TruthError, match=r"mixes lines of MOTChallenge .* and of MOTS"):
        scored(f"{LINE}\n2,1,5,5,9,9,1,1,1", tmp_path, phrase=MUG)


@pytest.mark.parametrize("folders", [("train/", "val/"), ("", "")])
def test_two_images_of_one_frame_are_refused(folders: tuple[str, str], tmp_path: Path) -> None:
    data = truth()
    first = data["images"][0]
    data["images"].append({**first, "id": 9, "file_name": f"{folders[1]}0.png"})
    first["file_name"] = f"{folders[0]}0.png"
    words = rf"images\[0\] \({folders[0]}0\.png\) and .*images\[3\] \({folders[1]}0\.png\) both"
    with pytest.raises(TruthError, match=words):
        scored(data, tmp_path)


def test_a_truth_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    data = truth()
    scored(data, tmp_path)
    path = tmp_path / "t.json"
    other = path.rename(tmp_path / "u.json")
    path.write_text(other.read_text())
    with pytest.raises(TruthError, match=r"t\.json and .*u\.json both tell of one frame of front"):
        load_truth([str(path), str(other)], RUN)
    with pytest.raises(TruthError, match=r"t\.json tells twice of one frame"):
        load_truth([str(path), str(path)], RUN)


@pytest.mark.parametrize(
    ("part", "entry", "words"),
    [
        ("images", {"id": 1, "file_name": "9.png"}, r"images\[3\] \(9.png\) has the id 1 of"),
        ("categories", {"id": 1, "name": "zebra"}, r"categories\[2\], 'zebra', has the id 1 of"),
        ("annotations", {"image_id": "1"}, r"annotations\[6\] is of the image '1', which is not"),
        ("annotations", {"image_id": 77}, r"annotations\[6\] is of the image 77, which is not"),
        ("annotations", {}, r"images\[0\] \(0.png\) has several objects 'red mug' with the id 1"),
    ],
)
def test_entries_that_contradict_others_are_refused(
    part: str, entry: Data, words: str, tmp_path: Path
) -> None:
    data = truth()
    data[part].append({**data[part][0], **entry})
    with pytest.raises(TruthError, match=words):
        scored(data, tmp_path)


def test_an_object_that_a_text_has_twice_in_a_frame_is_refused(tmp_path: Path) -> None:
    line = f"2,1,{','.join(map(str, xywh('left')))},1,1,1\n"
    with pytest.raises(TruthError, match=r"frame 2 has several objects 'red mug' with the id 1"):
        scored(line * 2, tmp_path, phrase=MUG)
    distractors = line.replace("1,1,1\n", "1,8,1\n") * 2  # of these there may be
    assert scored(line + distractors, tmp_path, phrase=MUG).tracking.misses == 0


def change(**values: object) -> Callable[[Data], None]:
    """Values for the first annotation."""
    return lambda data: data["annotations"][0].update(values)


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        (change(track_id=None), r"1 of 6 objects have no track_id .*: annotations\[0\]"),
        (change(track_id=-1), r"1 of 6 objects have no track_id"),
        (change(segmentation=MASK), r"5 of 6 objects have no segmentation, so .* boxes for all"),
        (lambda data: data["categories"][1].update(name="cup"), "never asked, .* count: cup"),
        (lambda data: data.update(annotations=[]), "no object that would have to be found"),
    ],
)
def test_what_bends_figures_is_told(
    bend: Callable[[Data], None], words: str, tmp_path: Path
) -> None:
    data = truth()
    assert not scored(data, tmp_path).problems
    bend(data)
    [problem] = scored(data, tmp_path).problems
    assert re.search(words, problem)


def test_boxes_outside_their_images_are_refused(tmp_path: Path) -> None:
    data = truth()
    for annotation in data["annotations"]:
        annotation["bbox"] = [500, 500, 9, 9]
    with pytest.raises(TruthError, match=r"reach to \(509, 509\), the run's images have 64x48"):
        scored(data, tmp_path)


def test_what_other_tools_write_is_read(tmp_path: Path) -> None:
    """Stamps and ids as texts, sizes as floats, crowds without ids, images without objects."""
    data = truth()
    for i, image in enumerate(data["images"]):
        image.update(height=float(HEIGHT), stamp_ns=str(i * STEP), camera=None, id=f"image {i}")
    for i, annotation in enumerate(data["annotations"]):
        annotation.update(image_id=f"image {i // 2}", track_id=str(annotation["track_id"]))
        annotation.update(segmentation=[], iscrowd=False, id=f"annotation {i}")
    data["annotations"][4].update(iscrowd=1, track_id=None)
    data["annotations"][5].update(iscrowd=1, track_id=None)
    score = scored(data, tmp_path)
    assert (score.tracking.hits, score.tracking.misses, score.tracking.false_alarms) == (4, 0, 0)
    assert not score.problems


def test_a_phrase_that_was_never_asked_for_is_refused(tmp_path: Path) -> None:
    line = f"1,1,{','.join(map(str, xywh('left')))},1,1,1"
    assert scored(line, tmp_path, phrase="Red Mug").tracking.hits == 1
    with pytest.raises(TruthError, match=r"said to be 'zebra' .*was asked for green ball, red mug"):
        scored(line, tmp_path, phrase="zebra")


def instances_bag(path: Path, **changes: object) -> Path:
    """A bag with one frame of two objects; changes, as "mask.height", are made to the second."""
    found = [
        message(
            "gsam_ros/msg/Instance",
            track,
            1,
            phrase,
            1.0,
            2,
            box_message(*map(float, PLACES[place])),
            message("gsam_ros/msg/RleMask", HEIGHT, WIDTH, rectangle(PLACES[place])["counts"]),
        )
        for track, phrase, place in BOTH
    ]
    for name, value in changes.items():
        *parts, last = name.split(".")
        target = found[1]
        for part in parts:
            target = getattr(target, part)
        setattr(target, last, value)
    with BagWriter(path) as writer:
        topic = "/gsam_node/front/instances"
        writer.add_topic(topic, "gsam_ros/msg/InstanceArray")
        array = message("gsam_ros/msg/InstanceArray", header_message(0, ""), 1, found)
        writer.write(topic, 0, array)
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mask.height": 0}, r"instances\[1\]: its mask has 64x0 pixels"),
        ({"mask.height": 49}, r"instances\[1\]: the runs .* don't make up its 64x49 pixels"),
        ({"mask.height": WIDTH, "mask.width": HEIGHT}, "image have 64x48 and 48x64 pixels"),
        ({"mask.counts": "hello"}, r"instances\[1\]: .* no run lengths: 'hello'"),
        ({"bbox.size_x": float("nan")}, "no finite number"),
        ({"score": float("nan")}, "no finite number"),
    ],
)
def test_objects_of_a_bag_that_can_t_be_are_refused(
    changes: dict[str, object], words: str, tmp_path: Path
) -> None:
    path = instances_bag(tmp_path / "bag", **changes)
    with (
        open_bag(path) as bag,
        pytest.raises(BagError, match=rf"/front/instances at 0\.000 s: .*{words}"),
    ):
        list(read_objects(bag, "/gsam_node/front/instances", "front"))


def test_a_box_of_a_foreign_truth_that_is_none_is_refused() -> None:
    for box in ([float("nan"), 2, 3, 4], [5, 2, 3, 4]):
        with pytest.raises(TruthError, match="has a box that is none: from left to bottom"):
            check_boxes(np.array([box]), (HEIGHT, WIDTH), Path("bag"))


def test_an_object_that_a_bag_has_twice_in_a_frame_is_refused(tmp_path: Path) -> None:
    path = instances_bag(tmp_path / "bag", track_id=7, phrase=MUG)
    with pytest.raises(TruthError, match=r"at 0\.000 s has several objects 'red mug' with the id"):
        load_truth([str(path)], RUN)
    path = instances_bag(tmp_path / "other")
    with pytest.raises(TruthError, match="tells twice of one frame of front"):
        load_truth([str(path)] * 2, RUN)


def test_options_that_do_not_apply_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, data, text = instances_bag(tmp_path / "bag"), tmp_path / "t.json", tmp_path / "t.txt"
    data.write_text(json.dumps(truth()))
    text.write_text(LINE)
    for place in (bag, data):
        with pytest.raises(TruthError, match=f"--phrase says what .*{place.name} have names"):
            check_options([str(place)], phrase=MUG)
    for place in (data, text):
        with pytest.raises(TruthError, match=f"--truth-topic says where .*{place.name} is no bag"):
            check_options([str(place)], topics=["/x"])
    check_options([f"front={text}"], phrase=MUG)
    check_options([str(bag)], topics=["/x"])
    command = ["evaluate", str(bag), "--truth", str(data)]
    for option in (["--phrase", MUG], ["--truth-topic", "/x"]):
        assert main([*command, *option]) == 1
        assert f"gsam: {option[0]} says" in capsys.readouterr().err
