"""Truth of every kind: read, fitted to a run, and refused where it does not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation_cases import HEIGHT, PLACES, WIDTH, frame, rectangle
from evaluation_runs import STEP, coco, run, xywh

from gsam_ros.evaluation.comparison.compare import compare
from gsam_ros.evaluation.run_results import RunResults
from gsam_ros.evaluation.run_score import RunScore, score_results
from gsam_ros.evaluation.truths import TruthError, load_truth
from gsam_ros.recordings.bag_writer import BagWriter
from gsam_ros.recordings.message_types import typestore
from gsam_ros.recordings.result_messages import box_message, header_message

MUG, BALL = "red mug", "green ball"
BOTH = ((7, MUG, "left"), (8, BALL, "right"))
PERFECT = run(BOTH, BOTH, BOTH)


def scored(results: RunResults, *places: str | Path, **options) -> RunScore:
    return score_results(results, load_truth([str(place) for place in places], results, **options))


def write(path: Path, data: object) -> Path:
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def truth_of(count: int) -> dict[str, list[tuple[int, str, str]]]:
    return {f"{i}.png": [(1, MUG, "left"), (2, BALL, "right")] for i in range(count)}


NAMES = {i * STEP: f"{i}.png" for i in range(9)}


def named(*frames) -> RunResults:
    return run(*frames, names={s: n for s, n in NAMES.items() if s < len(frames) * STEP})


def test_coco_images_are_found_by_their_names(tmp_path: Path) -> None:
    for folder in ("", "train/"):  # with folders or without
        data = coco({folder + name: found for name, found in truth_of(3).items()})
        score = scored(named(BOTH, BOTH, BOTH), write(tmp_path / "t.json", data))
        assert (score.tracking.hits, score.tracking.misses) == (6, 0)
        assert score.detection.box_ap == pytest.approx(1)
        assert score.tracking.idf1 == pytest.approx(1)
        assert score.boxes_only
        assert np.isnan(score.detection.mask_ap)
        assert np.isnan(score.tracking.j_and_f)


def test_coco_images_are_found_by_their_stamps(tmp_path: Path) -> None:
    data = coco(truth_of(3))
    for i, image in enumerate(data["images"]):
        image["stamp_ns"] = i * STEP
    assert scored(PERFECT, write(tmp_path / "t.json", data)).tracking.hits == 6


def test_coco_images_of_a_camera_that_did_not_run_are_left_out(tmp_path: Path) -> None:
    """Their stamps are those of the other camera's."""
    front = coco(truth_of(3))
    for image in front["images"]:
        image.update(stamp_ns=(image["id"] - 1) * STEP, camera="front")
    rear = [image | {"id": image["id"] + 10, "camera": "rear"} for image in front["images"]]
    front["images"] += rear
    score = scored(PERFECT, write(tmp_path / "t.json", front))
    assert len(score.frames) == 3
    assert any("3 images are no frames of the run" in problem for problem in score.problems)
    data = write(tmp_path / "u.json", coco(truth_of(3)))
    with pytest.raises(TruthError, match="is given as of the camera 'lft', and the run has front"):
        scored(PERFECT, f"lft={data}")


@pytest.mark.parametrize(
    ("part", "key", "words"),
    [
        ("images", "height", r"images\[0\] has no height"),
        ("annotations", "bbox", r"annotations\[0\] has no bbox"),
        ("categories", "id", r"categories\[0\] has no id"),
    ],
)
def test_what_a_coco_file_lacks_is_named(tmp_path: Path, part: str, key: str, words: str) -> None:
    data = coco(truth_of(3))
    del data[part][0][key]
    with pytest.raises(TruthError, match=words):
        scored(named(BOTH, BOTH, BOTH), write(tmp_path / "t.json", data))


def test_a_coco_object_of_no_category_is_named(tmp_path: Path) -> None:
    data = coco(truth_of(3))
    data["annotations"][1]["category_id"] = 9
    with pytest.raises(TruthError, match=r"annotations\[1\] is of the category 9, which is not"):
        scored(named(BOTH, BOTH, BOTH), write(tmp_path / "t.json", data))


@pytest.mark.parametrize("kind", ["polygon", "runs", "compressed"])
def test_coco_masks_in_every_form(tmp_path: Path, kind: str) -> None:
    data = coco(truth_of(3))
    for annotation in data["annotations"]:
        place = "left" if annotation["track_id"] == 1 else "right"
        left, top, right, bottom = PLACES[place]
        pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
        pixels[top:bottom, left:right] = 1
        flat = np.flatnonzero(np.diff(pixels.ravel(order="F"), prepend=0, append=0))
        runs = np.diff([0, *flat, HEIGHT * WIDTH]).tolist()
        annotation["segmentation"] = {
            "polygon": [[left, top, right, top, right, bottom, left, bottom]],
            "runs": {"size": [HEIGHT, WIDTH], "counts": runs},
            "compressed": rectangle(PLACES[place]),
        }[kind]
    score = scored(named(BOTH, BOTH, BOTH), write(tmp_path / "t.json", data))
    assert not score.boxes_only
    assert score.detection.mask_ap == pytest.approx(1)
    assert score.tracking.j_and_f == pytest.approx(1)


def test_a_crowd_need_not_be_found_and_excuses_who_finds_it(tmp_path: Path) -> None:
    data = coco(truth_of(3))
    for annotation in data["annotations"]:
        annotation["iscrowd"] = int(annotation["track_id"] == 2)
    score = scored(named(BOTH, BOTH, BOTH[:1]), write(tmp_path / "t.json", data))
    assert (score.tracking.hits, score.tracking.misses, score.tracking.false_alarms) == (3, 0, 0)


def test_names_of_a_foreign_truth_mean_what_they_say(tmp_path: Path) -> None:
    """The sample world takes a cup for a mug; somebody else's data set may hold both."""
    results = named(((7, "cup", "left"),))
    results = replace(results, prompts={1: ("cup",)})
    data = coco({"0.png": [(1, "mug", "left")]}, names=("mug",))
    score = scored(results, write(tmp_path / "t.json", data))
    assert (score.tracking.hits, score.tracking.false_alarms) == (0, 1)


def test_what_a_truth_lacks_is_told(tmp_path: Path) -> None:
    data = coco(truth_of(5))
    for annotation in data["annotations"]:
        del annotation["track_id"]
    score = scored(named(BOTH, BOTH, BOTH), write(tmp_path / "t.json", data))
    assert score.tracking.hits == 6
    assert "2 images are no frames of the run: 3.png, 4.png" in score.problems[0]
    assert "no track_id: figures of tracking mean nothing" in score.problems[1]


def mot_rows(*rows: tuple[int, int, str], tail: str = "1,1,1") -> str:
    """Frame, id, place; corners count from 1."""
    lines = []
    for number, track, place in rows:
        left, top, width, height = xywh(place)
        lines.append(f"{number},{track},{left + 1},{top + 1},{width},{height},{tail}")
    return "\n".join(lines)


def test_mot_text_counts_frames_and_pixels_from_one(tmp_path: Path) -> None:
    path = write(tmp_path / "gt.txt", mot_rows((1, 1, "left"), (2, 1, "left"), (3, 1, "left")))
    mugs = run(*[BOTH[:1]] * 3, prompt=(MUG,))
    score = scored(mugs, path)
    assert (score.tracking.hits, score.tracking.misses, score.tracking.false_alarms) == (3, 0, 0)
    assert score.tracking.mask_iou == pytest.approx(1)
    sequence = tmp_path / "MOT17-02" / "gt"
    sequence.mkdir(parents=True)
    path.rename(sequence / "gt.txt")
    assert scored(mugs, tmp_path / "MOT17-02").tracking.hits == 3


def test_mot_text_speaks_of_one_phrase(tmp_path: Path) -> None:
    path = write(tmp_path / "gt.txt", mot_rows((1, 1, "left")))
    with pytest.raises(TruthError, match=r"asked for green ball, red mug: say with --phrase"):
        scored(PERFECT, path)
    score = scored(PERFECT, path, phrase="Red mug")
    # Frames 2 and 3 have truth, too: that nothing is there.
    assert (score.tracking.hits, score.tracking.misses, score.tracking.false_alarms) == (1, 0, 2)


def test_mot_text_leaves_out_and_excuses_what_the_benchmark_does(tmp_path: Path) -> None:
    rows = [
        mot_rows((1, 1, "left")),
        mot_rows((1, 2, "middle"), tail="0,1,1"),  # not to be considered: as if it were not there
        mot_rows((1, 3, "right"), tail="1,8,1"),  # a distractor: need not be found
    ]
    path = write(tmp_path / "gt.txt", "\n".join(rows))
    everywhere = [(i, MUG, place) for i, place in enumerate(PLACES)]
    score = scored(run(everywhere, prompt=(MUG,)), path)
    assert (score.tracking.hits, score.tracking.misses, score.tracking.false_alarms) == (1, 0, 1)


def test_of_a_text_that_goes_on_the_run_s_frames_count(tmp_path: Path) -> None:
    path = write(tmp_path / "gt.txt", mot_rows(*((i, 1, "left") for i in range(1, 7))))
    score = scored(PERFECT, path, phrase=MUG)
    assert (score.tracking.hits, score.tracking.misses) == (3, 0)
    assert any("goes on to frame 6, and the run has 3 frames" in p for p in score.problems)


def test_frames_of_a_text_are_counted_as_they_came(tmp_path: Path) -> None:
    """The second image has the stamp of the first, and the third is older: neither is answered."""
    [camera] = PERFECT.cameras
    arrivals = (0, 0, -STEP, STEP, 2 * STEP)
    odd = replace(camera, stamps=tuple(sorted(set(arrivals))), arrivals=arrivals)
    path = write(tmp_path / "gt.txt", mot_rows((1, 1, "left"), (4, 1, "left"), (5, 1, "left")))
    score = scored(replace(PERFECT, cameras=(odd,)), path, phrase=MUG)
    assert (score.tracking.hits, score.tracking.misses) == (3, 0)


def test_a_run_that_finds_nothing_is_scored(tmp_path: Path) -> None:
    blind = run((), (), ())
    sized = replace(blind, cameras=(replace(blind.cameras[0], size=(HEIGHT, WIDTH)),))
    path = write(tmp_path / "gt.txt", mot_rows((1, 1, "left"), (2, 1, "left")))
    score = scored(sized, path, phrase=MUG)
    assert (score.tracking.hits, score.tracking.misses) == (0, 2)
    assert np.isnan(score.tracking.mask_iou), "of nothing that was found"
    with pytest.raises(TruthError, match="holds no instance_mask, so the size of its images is"):
        scored(blind, path, phrase=MUG)


def test_classes_of_a_text_are_not_mixed(tmp_path: Path) -> None:
    runs = rectangle(PLACES["left"])["counts"]
    rows = [f"1 {kind}001 {kind} {HEIGHT} {WIDTH} {runs}" for kind in (1, 2, 10)]
    path = write(tmp_path / "cars.txt", "\n".join(rows))
    with pytest.raises(TruthError, match=r"objects of the classes 1, 2, and only one phrase"):
        scored(PERFECT, path, phrase=MUG)


def test_mots_text_has_masks(tmp_path: Path) -> None:
    rows = [f"{t} 2001 2 {HEIGHT} {WIDTH} {rectangle(PLACES['left'])['counts']}" for t in (1, 2, 3)]
    rows.append(f"1 10000 10 {HEIGHT} {WIDTH} {rectangle(PLACES['middle'])['counts']}")
    path = write(tmp_path / "0002.txt", "\n".join(rows))
    ignored = [(7, MUG, "left"), (9, MUG, "middle")]
    score = scored(run(ignored, *[BOTH[:1]] * 2, prompt=(MUG,)), path)
    assert not score.boxes_only
    assert (score.tracking.hits, score.tracking.false_alarms) == (3, 0)
    assert score.tracking.j_and_f == pytest.approx(1)


def test_several_cameras_have_a_text_each(tmp_path: Path) -> None:
    left, right = (run(*[BOTH[:1]] * 2, camera=name, prompt=(MUG,)) for name in ("l", "r"))
    results = replace(left, cameras=left.cameras + right.cameras)
    path = write(tmp_path / "gt.txt", mot_rows((1, 1, "left"), (2, 1, "left")))
    with pytest.raises(TruthError, match="the run has l, r: give it as --truth NAME=FILE"):
        scored(results, path)
    score = scored(results, f"l={path}", f"r={path}")
    assert (score.tracking.hits, len(score.cameras)) == (4, 2)
    score = scored(results, f"l={path}")
    assert score.tracking.hits == 2
    assert "the camera 'r' has results and no truth" in score.problems


def detections_bag(
    path: Path, objects: list[tuple[str, str, str]], *topics: str, prompt: str = ""
) -> Path:
    """Three frames with Detection2D (id, phrase, place), in each of the topics.

    With a prompt it is there as well, and images of the camera of the topics `/NAME/truth`.
    """
    types = typestore().types
    pose = types["geometry_msgs/msg/PoseWithCovariance"](
        types["geometry_msgs/msg/Pose"](
            types["geometry_msgs/msg/Point"](0.0, 0.0, 0.0),
            types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0),
        ),
        np.zeros(36),
    )
    with BagWriter(path) as writer:
        for topic in topics:
            writer.add_topic(topic, "vision_msgs/msg/Detection2DArray")
            if prompt:
                writer.add_topic(topic.replace("/truth", "/image"), "sensor_msgs/msg/Image")
        for i in range(3):
            header = header_message(i * STEP, "")
            found = [
                types["vision_msgs/msg/Detection2D"](
                    header,
                    [
                        types["vision_msgs/msg/ObjectHypothesisWithPose"](
                            types["vision_msgs/msg/ObjectHypothesis"](phrase, 1.0), pose
                        )
                    ],
                    box_message(*map(float, PLACES[place])),
                    name,
                )
                for name, phrase, place in objects
            ]
            array = types["vision_msgs/msg/Detection2DArray"](header, found)
            for topic in topics:
                writer.write(topic, i * STEP, array)
                if prompt:
                    name = topic.replace("/truth", "/image")
                    image = types["sensor_msgs/msg/Image"](
                        header, 1, 1, "mono8", 0, 1, np.zeros(1, np.uint8)
                    )
                    writer.write(name, i * STEP, image)
        if prompt:
            writer.add_topic("/prompt", "std_msgs/msg/String")
            writer.write("/prompt", 0, types["std_msgs/msg/String"](prompt))
    return path


def test_boxes_of_somebody_s_bag_are_a_truth(tmp_path: Path) -> None:
    objects = [("a", MUG, "left"), ("b", BALL, "right")]
    for topic in ("/front/truth", "/front/detections", "/labels"):
        path = detections_bag(tmp_path / topic.replace("/", "_"), objects, topic)
        score = scored(PERFECT, path)
        assert (score.tracking.hits, score.tracking.misses) == (6, 0), topic
        assert score.boxes_only
        name = "labels" if topic == "/labels" else "front"
        assert [camera.camera for camera in score.cameras] == [name]
    with pytest.raises(TruthError, match=r"/x is not there; it has /labels; truth is of type"):
        scored(PERFECT, path, topics=["/x"])


@pytest.mark.parametrize("topics", [("/labels",), ("/labels", "/front/detections")])
def test_a_bag_speaks_of_the_camera_that_is_said(tmp_path: Path, topics: tuple[str, ...]) -> None:
    path = detections_bag(tmp_path / "bag", [("a", MUG, "left"), ("b", BALL, "right")], *topics)
    score = scored(PERFECT, f"front={path}")
    assert [camera.camera for camera in score.cameras] == ["front"]
    assert (score.tracking.hits, score.tracking.misses) == (6, 0)
    with pytest.raises(TruthError, match="given as of the camera 'attic', and the run has front"):
        scored(PERFECT, f"attic={path}")


def test_bags_of_two_cameras_are_one_truth(tmp_path: Path) -> None:
    """Each has the images of its camera, and counts those without an answer as missing."""
    rear = run(BOTH, BOTH, camera="rear")
    results = replace(PERFECT, cameras=(*PERFECT.cameras, *rear.cameras))
    objects = [("a", MUG, "left"), ("b", BALL, "right")]

    def bag(name: str, camera: str, prompt: str) -> Path:
        return detections_bag(tmp_path / name, objects, f"/{camera}/truth", prompt=prompt)

    front = bag("front", "front", f"{MUG}. {BALL}.")
    score = scored(results, front, bag("rear", "rear", f"{MUG}. {BALL}."))
    assert [(c.camera, c.played, c.answered) for c in score.cameras] == [
        ("front", 3, 3),
        ("rear", 3, 2),
    ]
    other = bag("other", "rear", f"{BALL}.")
    with pytest.raises(TruthError, match=r"front and .*other hold different prompts"):
        scored(results, front, other)


def test_of_several_topics_none_is_taken_for_a_camera_that_has_another_name(tmp_path: Path) -> None:
    path = detections_bag(tmp_path / "bag", [("a", MUG, "left")], "/x/labels", "/y/labels")
    with pytest.raises(TruthError, match=r"has truth in /x/labels, /y/labels: say which .*topic"):
        scored(PERFECT, f"front={path}")
    score = scored(PERFECT, f"front={path}", topics=["/y/labels"])
    assert [camera.camera for camera in score.cameras] == ["front"]


def test_a_truth_of_another_time_is_refused(tmp_path: Path) -> None:
    data = coco({f"{i}.png": [(1, MUG, "left")] for i in range(40, 43)})
    with pytest.raises(TruthError, match=r"does not fit in time: none of its 3 images .*40.png"):
        scored(PERFECT, write(tmp_path / "t.json", data))
    path = write(tmp_path / "gt.txt", mot_rows((5, 1, "left"), (4, 1, "left")))
    with pytest.raises(TruthError, match=r"speaks of frame 4 and .*the run has 3 frames of front"):
        scored(PERFECT, path, phrase=MUG)
    path = write(tmp_path / "gt.txt", mot_rows((0, 1, "left"), (1, 1, "left")))
    with pytest.raises(TruthError, match=r"speaks of frame 0, and frames count from 1 .*: add 1"):
        scored(PERFECT, path, phrase=MUG)
    late = replace(PERFECT.cameras[0], stamps=(5,), answers=(frame(5, *BOTH),))
    bag = detections_bag(tmp_path / "bag", [("a", MUG, "left")], "/front/truth")
    with pytest.raises(TruthError, match=r"no frame of run was taken from .*bag: their stamps"):
        scored(replace(PERFECT, cameras=(late,)), bag)


def test_a_truth_of_another_size_is_refused(tmp_path: Path) -> None:
    data = coco(truth_of(3), width=WIDTH * 2)
    with pytest.raises(TruthError, match=r"fit in size: 0\.png has 128x48 pixels there and 64x48"):
        scored(named(BOTH, BOTH, BOTH), write(tmp_path / "t.json", data))
    path = write(tmp_path / "gt.txt", "1,1,600,400,50,50,1,1,1\n")
    with pytest.raises(TruthError, match=r"reach to \(649, 449\), the run's images have 64x48"):
        scored(PERFECT, path, phrase=MUG)
    path = write(tmp_path / "mots.txt", f"1 2001 2 10 10 {rectangle(PLACES['left'])['counts']}\n")
    with pytest.raises(TruthError, match="masks have 10x10 pixels, the run's images 64x48"):
        scored(PERFECT, path, phrase=MUG)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("t.json", "{", "can't be read as JSON"),
        ("t.json", "{}", "is no COCO data set: it has no images, annotations, categories"),
        ("t.txt", "1,2,3\n", r"line 1, is neither MOTChallenge .* nor MOTS"),
        ("t.txt", "1 2 x\n", r"line 1, is neither MOTChallenge .* nor MOTS"),
        ("t.txt", "\n", "tells of no object at all"),
        ("t.csv", "", r"is no truth that can be read: a bag, a COCO file"),
        ("nowhere/t.json", None, "t.json does not exist"),
    ],
)
def test_what_is_no_truth_is_named(
    tmp_path: Path, name: str, text: str | None, complaint: str
) -> None:
    if text is not None:
        write(tmp_path / name, text)
    with pytest.raises(TruthError, match=complaint):
        scored(PERFECT, tmp_path / name, phrase=MUG)


def test_frames_without_an_answer_are_told(tmp_path: Path) -> None:
    camera = PERFECT.cameras[0]
    results = replace(PERFECT, cameras=(replace(camera, answers=camera.answers[:2]),))
    path = write(tmp_path / "gt.txt", mot_rows((1, 1, "left"), (3, 1, "left")))
    score = scored(results, path, phrase=MUG)
    assert [(c.played, c.answered) for c in score.cameras] == [(3, 2)]
    assert "1 of 3 frames with truth have no answer" in score.problems


def test_runs_without_masks_in_the_truth_are_compared_by_boxes(tmp_path: Path) -> None:
    path = write(tmp_path / "gt.txt", mot_rows(*[(t, 1, "left") for t in range(1, 21)]))
    good = scored(run(*[BOTH[:1]] * 20, prompt=(MUG,)), path)
    empty = scored(run(*[BOTH[:1]] * 10, *[()] * 10, prompt=(MUG,)), path)
    figures = {d.name: d for d in compare(good, empty, 0.5, 20).differences}
    assert "AP50 of masks" not in figures
    assert (figures["missed"].first, figures["missed"].second) == (0, 10)
