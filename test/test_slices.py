"""Sliced inference against the sahi package, and what it does for small objects."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sahi.models.huggingface import HuggingfaceDetectionModel
from sahi.postprocess import combine as sahi_combine
from sahi.predict import get_sliced_prediction
from sahi.prediction import ObjectPrediction
from sahi.slicing import get_slice_bboxes
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

from gsam_ros import checkpoints
from gsam_ros.boxes import box_iou
from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.detection.merging import combine, merge
from gsam_ros.detection.settings import DetectorSettings, SliceSettings
from gsam_ros.detection.slicing import tiles, views
from gsam_ros.instances import Detections
from gsam_ros.pipeline.settings import Settings
from gsam_ros.prompts import Phrase
from gsam_ros.settings import SettingError
from gsam_ros.world.stills import Still, draw_still

ALWAYS = SliceSettings(mode="always", width=256, height=192)
KNOWN = (("red", "mug"), ("blue", "ring"), ("purple", "ball"), ("orange", "star"))
PHRASES = tuple(" ".join(pair) for pair in KNOWN)


@pytest.fixture(scope="module")
def detector() -> GroundingDetector:
    return GroundingDetector("demo-detector", torch.device("cpu"))


def small_objects(height: int = 480, width: int = 640, count: int = 40, seed: int = 0) -> Still:
    """Objects of 12 to 40 pixels, each answering to one of `PHRASES`."""
    rng = np.random.default_rng(seed)
    share = (12 / height, 40 / height)
    return draw_still(rng, height, width, KNOWN, max_objects=count, share=share)


def recall(still: Still, found: Detections) -> float:
    """Share of the objects that a box of the right phrase overlaps by half."""
    overlap = box_iou(still.boxes, found.boxes) > 0.5
    names = [" ".join(pair) for pair in zip(still.colour, still.shape, strict=True)]
    answers = [PHRASES[i] for i in found.phrase_index]
    same = np.array([[name == answer for answer in answers] for name in names], bool)
    return float((overlap & same.reshape(overlap.shape)).any(1).mean())


# Against sahi


@given(
    st.tuples(st.integers(1, 700), st.integers(1, 700)),
    st.tuples(st.integers(1, 700), st.integers(1, 700)),
    st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.5]),
)
def test_the_grid_is_sahis(size, tile, overlap):
    tile = (min(tile[0], size[0]), min(tile[1], size[1]))
    assume(size[0] * size[1] < 300 * tile[0] * tile[1])
    expected = get_slice_bboxes(*size, *tile, False, overlap, overlap)
    assert tiles(size, tile, overlap).tolist() == expected


@st.composite
def detections(draw) -> Detections:
    """Boxes on whole pixels, so that ratios come out alike, and no two scores alike."""
    corner, side = st.integers(0, 60), st.integers(1, 30)
    boxes = draw(st.lists(st.tuples(corner, corner, side, side), min_size=2, max_size=25))
    x, y, width, height = np.array(boxes, np.float32).T
    scores = np.array(draw(st.permutations(range(1, len(boxes) + 1))), np.float32) / 100
    phrases = draw(st.lists(st.integers(0, 2), min_size=len(boxes), max_size=len(boxes)))
    return Detections(np.stack([x, y, x + width, y + height], 1), scores, np.array(phrases))


SAHI = {
    "NMS": sahi_combine.NMSPostprocess,
    "LSNMS": sahi_combine.NMSPostprocess,
    "NMM": sahi_combine.NMMPostprocess,
    "GREEDYNMM": sahi_combine.GreedyNMMPostprocess,
}


@settings(max_examples=60)
@given(detections(), st.sampled_from([0.1, 0.3, 0.5, 0.9]), st.booleans())
@pytest.mark.parametrize(
    ("kind", "metric"), [*product(("NMS", "NMM", "GREEDYNMM"), ("IOU", "IOS")), ("LSNMS", "IOU")]
)
def test_merging_is_sahis(kind, metric, found, threshold, across):
    objects = [
        ObjectPrediction(bbox=box.tolist(), category_id=int(phrase), score=float(score))
        for box, score, phrase in zip(found.boxes, found.scores, found.phrase_index, strict=True)
    ]
    expected = [
        (*answer.bbox.to_xyxy(), answer.score.value, answer.category.id)
        for answer in SAHI[kind](threshold, metric, across)(objects)
    ]
    how = SliceSettings(merge=kind, metric=metric, threshold=threshold, across_phrases=across)
    got = merge(found, how).detections
    assert (np.diff(got.scores) <= 0).all()
    rows = np.concatenate([got.boxes, got.scores[:, None], got.phrase_index[:, None]], 1)
    np.testing.assert_allclose(rows, sorted(expected, key=lambda row: -row[4]), atol=1e-5)


class PhraseScores:
    """The processor as sahi's wrapper uses it, with our score of a phrase: its tokens' mean.

    transformers takes a box's best token of all instead, and strings labels together.
    """

    def __init__(self, processor, phrases):
        self.processor, self.phrases = processor, phrases

    def __call__(self, **inputs):
        return self.processor(**inputs)

    def post_process_grounded_object_detection(
        self, outputs, input_ids, threshold, text_threshold, target_sizes
    ):
        spans, position = [], 1
        for phrase in self.phrases:
            length = len(self.processor.tokenizer(phrase, add_special_tokens=False).input_ids)
            spans.append(slice(position, position + length))
            position += length + 1  # the dot
        answers = []
        for logits, boxes, (height, width) in zip(
            outputs.logits.sigmoid(), outputs.pred_boxes, target_sizes, strict=True
        ):
            best = torch.stack([logits[:, span].mean(1) for span in spans], 1).max(1)
            chosen = best.values > threshold
            centre, size = boxes[chosen].split(2, 1)
            corners = torch.cat([centre - size / 2, centre + size / 2], 1)
            answers.append(
                {
                    "scores": best.values[chosen],
                    "boxes": corners * torch.tensor([width, height, width, height]),
                    "labels": [self.phrases[i] for i in best.indices[chosen]],
                }
            )
        return answers


@pytest.mark.parametrize(
    ("change", "phrases"),
    [
        ({}, PHRASES),
        ({"merge": "NMS", "metric": "IOU"}, PHRASES),
        ({"full_image": False, "overlap": 0.4, "batch": 3}, PHRASES),
        ({}, ("mug", "ring", "ball", "star")),  # of one word: as sahi comes, nothing changed
    ],
    ids=str,
)
def test_boxes_are_those_of_sahis_sliced_prediction(detector, change, phrases):
    how = replace(ALWAYS, drop_cut=False, **change)
    image = small_objects(400, 600).image
    folder = checkpoints.locate("demo-detector")
    stock = AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    processor = AutoProcessor.from_pretrained(folder)
    model = HuggingfaceDetectionModel(
        model=stock,
        processor=processor if phrases is not PHRASES else PhraseScores(processor, phrases),
        text_labels=list(phrases),
        confidence_threshold=0.3,
        text_threshold=0.3,
        device="cpu",
    )
    expected = get_sliced_prediction(
        image,
        model,
        how.height,
        how.width,
        how.overlap,
        how.overlap,
        perform_standard_pred=how.full_image,
        postprocess_type=how.merge,
        postprocess_match_metric=how.metric,
        verbose=0,
    ).object_prediction_list
    [got] = detector.detect([image], detector.encode(phrases), 0.3, 1.0, how)
    assert len(got) == len(expected) > 5
    boxes = np.array([answer.bbox.to_xyxy() for answer in expected], np.float32)
    overlap = box_iou(got.boxes, boxes)
    partner = overlap.argmax(1)
    assert sorted(partner) == list(range(len(expected)))
    assert overlap.max(1).min() >= 0.99
    scores = np.array([expected[i].score.value for i in partner])
    np.testing.assert_allclose(got.scores, scores, atol=1e-3)
    assert [phrases[i] for i in got.phrase_index] == [expected[i].category.name for i in partner]


# What users see


def test_small_objects_are_found_in_tiles_and_not_in_the_whole(detector):
    still = small_objects(720, 960)
    text = detector.encode(PHRASES)
    [whole] = detector.detect([still.image], text)
    [sliced] = detector.detect([still.image], text, slices=ALWAYS)
    assert recall(still, sliced) > recall(still, whole) + 0.3


@pytest.mark.parametrize("seed", range(4))
def test_a_large_object_across_tiles_is_one_whole_box(detector, seed):
    rng = np.random.default_rng(seed)  # as large as the bundled model knows things
    still = draw_still(rng, 480, 640, KNOWN[:1], max_objects=1, share=(0.38, 0.4))
    [found] = detector.detect([still.image], detector.encode(PHRASES[:1]), slices=ALWAYS)
    assert len(found) == 1
    assert box_iou(still.boxes, found.boxes)[0, 0] > 0.7


def boxes_of_parts(*parts: list[tuple[float, ...]]) -> list[Detections]:
    """Detections of one phrase from rows of x0, y0, x1, y1 and score."""
    tables = [np.array(rows, np.float32).reshape(-1, 5) for rows in parts]
    return [Detections(t[:, :4], t[:, 4], np.zeros(len(t), np.int64)) for t in tables]


def test_a_piece_cut_by_a_border_goes_with_the_whole():
    parts = np.array([[0, 0, 200, 100], [0, 0, 110, 100], [90, 0, 200, 100]])
    # The object lies at 20 to 180. Of its pieces the better one wins over the whole, and as it
    # was it does not overlap the other piece by half.
    found = boxes_of_parts(
        [(20, 10, 180, 90, 0.5)], [(20, 10, 110, 90, 0.8)], [(0, 10, 90, 90, 0.7)]
    )
    assert len(combine(found, parts, (100, 200), replace(ALWAYS, drop_cut=False), 1.0)) == 2
    one = combine(found, parts, (100, 200), ALWAYS, 1.0)
    assert one.boxes.tolist() == [[20, 10, 180, 90]]
    assert one.scores.tolist() == pytest.approx([0.8])


def test_an_object_at_a_border_that_nothing_else_holds_stays():
    parts = np.array([[0, 0, 110, 100], [90, 0, 200, 100]])
    found = boxes_of_parts([(60, 10, 110, 90, 0.8), (0, 0, 30, 30, 0.6)], [])
    boxes = combine(found, parts, (100, 200), ALWAYS, 1.0).boxes.tolist()
    assert boxes == [[60, 10, 110, 90], [0, 0, 30, 30]]


def test_of_too_many_boxes_the_strongest_are_merged():
    x, y = (10.0 * axis.ravel() for axis in np.meshgrid(np.arange(80), np.arange(25)))
    score = np.linspace(1, 0, 2000)
    rows = np.stack([x + 1, y + 1, x + 9, y + 9, score], 1).tolist()
    parts = np.array([[0, 0, 800, 250], [800, 0, 1600, 250]])
    answer = combine(boxes_of_parts(rows, rows), parts, (250, 1600), ALWAYS, 1.0)
    assert len(answer) == 3000
    assert answer.scores.min() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("across", [False, True])
def test_an_empty_image_has_nothing(detector, across):
    blank = np.full((300, 400, 3), 120, np.uint8)
    how = replace(ALWAYS, across_phrases=across)
    [found] = detector.detect([blank], detector.encode(PHRASES), 0.99, slices=how)
    assert found.boxes.shape == (0, 4)
    assert len(found.scores) == len(found.phrase_index) == 0


def test_a_single_tile_is_moved_to_its_place():
    found = boxes_of_parts([(10, 20, 30, 50, 0.8)])
    only = combine(found, np.array([[90, 0, 200, 100]]), (100, 200), ALWAYS, 1.0)
    assert only.boxes.tolist() == [[100, 20, 120, 50]]


@pytest.mark.parametrize(
    ("size", "mode", "count"),
    [
        ((480, 640), "never", 1),
        ((384, 512), "auto", 1),  # shrunk by 2
        ((400, 512), "auto", 1 + 3 * 3),
        ((192, 256), "always", 1),  # a tile that is the image
        ((100, 100), "always", 1),
        ((192, 257), "always", 1 + 2),
    ],
)
def test_which_images_are_cut(size, mode, count):
    how = SliceSettings(mode=mode)
    shrunk = 192 if min(size) > 192 else min(size)
    assert len(views(size, (shrunk, shrunk), 192, how)) == count
    without = replace(how, full_image=False)
    assert len(views(size, (shrunk, shrunk), 192, without)) == max(count - 1, 1)


def test_what_only_keeps_a_track_is_told_of_images_that_are_not_cut(detector):
    image = small_objects(200, 260).image
    text = detector.encode(PHRASES)
    auto = SliceSettings(mode="auto")
    for share in (1.0, 0.4):
        [whole] = detector.detect([image], text, weak_share=share)
        [uncut] = detector.detect([image], text, slices=auto, weak_share=share)
        np.testing.assert_array_equal(uncut.scores, whole.scores)
    assert (whole.scores < 0.3).any()


def test_a_camera_that_is_cut_leaves_the_others_what_keeps_their_tracks(detector):
    small, large = small_objects(200, 260).image, small_objects(800, 1000, seed=3).image
    text = detector.encode(PHRASES)
    options = {"slices": SliceSettings(mode="auto"), "weak_share": 0.4}
    [alone] = detector.detect([small], text, **options)
    [cut] = detector.detect([large], text, **options)
    assert (alone.scores < 0.3).any() and (cut.scores >= 0.3).all()
    for images in ([small, large], [large, small]):
        answers = detector.detect(images, text, **options)
        expected = [alone if image is small else cut for image in images]
        for answer, one in zip(answers, expected, strict=True):
            np.testing.assert_allclose(answer.scores, one.scores, atol=1e-4)


def test_cameras_do_not_influence_each_other(detector):
    images = [small_objects(300, 400, seed=1).image, small_objects(200, 500, seed=2).image]
    text = detector.encode(PHRASES)
    together = detector.detect(images, text, slices=ALWAYS)
    for image, both in zip(images, together, strict=True):
        [alone] = detector.detect([image], text, slices=ALWAYS)
        assert len(alone) == len(both)
        np.testing.assert_allclose(alone.boxes, both.boxes, atol=0.01)
        np.testing.assert_array_equal(alone.phrase_index, both.phrase_index)


def test_a_tile_larger_than_the_image_is_cut_to_it_and_said_once(detector, caplog):
    text = detector.encode(PHRASES)
    image = small_objects(200, 300).image
    for _ in range(2):
        with caplog.at_level(logging.WARNING, "gsam_ros"):
            [found] = detector.detect([image], text, slices=replace(ALWAYS, width=5000))
    [expected] = detector.detect([image], text, slices=replace(ALWAYS, width=300))
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    [record] = caplog.records
    assert "detector.slices.width is 5000" in record.message
    assert "300x200 pixels: its tiles get 300" in record.message


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"overlap": 1.0}, "detector.slices.overlap is 1.0: give a value from 0.0 to 0.9"),
        ({"overlap": 1.5}, "detector.slices.overlap is 1.5: give a value from 0.0 to 0.9"),
        ({"threshold": -0.1}, "detector.slices.threshold is -0.1: give a value from 0.01 to 1.0"),
        ({"batch": 0}, "detector.slices.batch is 0: give a value from 1 to 1024"),
        ({"width": -1}, "detector.slices.width is -1: give a value from 0 to"),
        ({"mode": "on"}, "detector.slices.mode is 'on': give one of never, auto, always"),
        ({"merge": "LSNMS"}, "detector.slices.metric is IOS: LSNMS takes IOU only"),
    ],
)
def test_bad_settings_are_named(change, told):
    with pytest.raises(SettingError, match=told):
        Settings(detector=DetectorSettings(slices=SliceSettings(**change)))


@pytest.mark.parametrize("name", ["box_threshold", "nms_iou"])
def test_negative_thresholds_are_named(name):
    with pytest.raises(SettingError, match=f"detector.{name} is -0.2: give a value from 0.0 to 1"):
        Settings(detector=DetectorSettings(**{name: -0.2}))


def test_phrases_keep_their_own_thresholds_in_tiles(detector):
    image = small_objects(480, 640).image
    [every] = detector.detect([image], detector.encode(PHRASES), 0.3, slices=ALWAYS)
    prompt = [Phrase(PHRASES[0], threshold=0.99), *map(Phrase, PHRASES[1:])]
    [fewer] = detector.detect([image], detector.encode(prompt), 0.3, slices=ALWAYS)
    assert (every.phrase_index == 0).any() and not (fewer.phrase_index == 0).any()
    np.testing.assert_array_equal(fewer.boxes, every[every.phrase_index != 0].boxes)
