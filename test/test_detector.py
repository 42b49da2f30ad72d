"""The detector against transformers' own processor, model and post-processing, same weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_checkpoints import save_detector, small_detector_config
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.detection.forward import encode_image, ground
from gsam_ros.detection.pixels import prepare
from gsam_ros.detection.settings import SliceSettings
from gsam_ros.prompts import Phrase, PromptError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_detector(tmp_path_factory.mktemp("detector"), small_detector_config())


@pytest.fixture(scope="module")
def detector(folder):
    return GroundingDetector(str(folder), CPU)


@pytest.fixture(scope="module")
def reference(folder):
    model = AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    return AutoProcessor.from_pretrained(folder), model


def image(seed: int, height: int = 90, width: int = 160) -> np.ndarray:
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 255, (9, 16, 3)).astype(np.uint8)
    return np.kron(coarse, np.ones((10, 10, 1), np.uint8))[:height, :width]


@torch.inference_mode()
def reference_scores(reference, images, phrases, spans):
    """[B, Q, P] phrase scores and [B, Q, 4] boxes in pixels, by transformers and by hand."""
    processor, model = reference
    text = " ".join(f"{phrase}." for phrase in phrases)
    inputs = processor(images=images, text=[text] * len(images), return_tensors="pt")
    outputs = model(**inputs)
    scores = torch.stack([outputs.logits.sigmoid()[..., s].mean(-1) for s in spans], -1)
    boxes = []
    for index, picture in enumerate(images):
        factor = torch.tensor([picture.shape[1], picture.shape[0]])  # padding is left out
        centre, size = outputs.pred_boxes[index].split(2, -1)
        boxes.append(torch.cat([centre - size / 2, centre + size / 2], -1) * factor.repeat(2))
    return scores, torch.stack(boxes)


def test_scores_and_boxes_are_transformers_own_reduced_by_phrase(detector, reference):
    images = [image(1), image(2, 90, 120)]
    phrases = ("red mug", "ball", "dog")
    # [CLS] red mug . ball . dog . [SEP]
    spans = [[1, 2], [4], [6]]
    # Each by itself: of images of one batch transformers would pad the second.
    each = [reference_scores(reference, [picture], phrases, spans) for picture in images]
    scores, boxes = (torch.cat(parts) for parts in zip(*each, strict=True))
    found = detector.detect(images, detector.encode(phrases), threshold=0.0, nms_iou=1.0)
    for index, detections in enumerate(found):
        best = scores[index].max(-1)
        height, width = images[index].shape[:2]
        limit = torch.tensor([width, height, width, height])
        clipped = torch.minimum(boxes[index].clamp(min=0), limit)
        solid = ((clipped[:, 2:] - clipped[:, :2]) >= 1).all(1)
        # As sets of rows: equal scores have no order of their own.
        expected = rows(clipped[solid], best.values[solid], best.indices[solid])
        got = rows(
            *map(torch.from_numpy, (detections.boxes, detections.scores, detections.phrase_index))
        )
        assert len(got) == len(expected)
        distance = torch.cdist(got, expected, p=float("inf"))
        assert distance.min(0).values.max() < 1e-2
        assert distance.min(1).values.max() < 1e-2


def rows(boxes, scores, phrases):
    """[N, 6] box, score and phrase, scaled so that a difference of 0.01 is a wrong one."""
    return torch.cat([boxes, 1e3 * scores[:, None], phrases[:, None].float()], 1)


def test_a_long_prompt_in_groups_equals_its_groups_alone(detector):
    phrases = tuple(f"red mug {word}" for word in "abcdefghijklmnopqrstuvwxyz")
    text = detector.encode(phrases)
    assert len(text.groups) > 1
    assert torch.cat([g.phrase_index for g in text.groups]).tolist() == list(range(len(phrases)))
    batch = prepare([image(3)], detector.processor, CPU, torch.float32)
    vision = encode_image(detector.model, batch.pixels, batch.mask)
    for group in text.groups:
        alone = detector.encode(tuple(phrases[i] for i in group.phrase_index)).groups
        assert len(alone) == 1
        for together, single in zip(
            ground(detector.model, vision, group),
            ground(detector.model, vision, alone[0]),
            strict=True,
        ):
            torch.testing.assert_close(together, single)


@settings(max_examples=20)
@given(st.permutations(["racecar", "car", "red mug", "red car", "Zürich"]))
def test_every_phrase_owns_its_tokens_whatever_the_order(detector, phrases):
    [group] = detector.encode(tuple(phrases)).groups
    owned = group.phrase_of_token
    torch.testing.assert_close(owned.sum(0), torch.ones(len(phrases)))
    assert ((owned > 0).sum(1) <= 1).all(), "a token belongs to one phrase"
    lengths = [
        len(detector.tokenizer(p.lower(), add_special_tokens=False).input_ids) for p in phrases
    ]
    assert (owned > 0).sum(0).tolist() == lengths


def test_phrases_see_themselves_and_nothing_else(detector):
    [group] = detector.encode(("red mug", "car")).groups
    # [CLS] red mug . car . [SEP]
    assert group.position_ids.tolist() == [[0, 0, 1, 2, 0, 1, 0]]
    blocks = [[0], [1, 2, 3], [4, 5], [6]]
    expected = torch.zeros(7, 7, dtype=torch.bool)
    for block in blocks:
        expected[np.ix_(block, block)] = True
    assert (group.self_attention[0] == expected).all()


def test_marks_inside_a_phrase_do_not_break_it(detector):
    [group] = detector.encode(("3.5 mm jack", "who? mug", "[SEP] ball")).groups
    assert group.phrase_of_token.shape[1] == 3
    torch.testing.assert_close(group.phrase_of_token.sum(0), torch.ones(3))
    # [CLS], [SEP] and three dots end the blocks, and nothing else does.
    ends = (group.phrase_of_token.sum(1) == 0).sum()
    assert ends == 5


def test_a_phrase_over_the_text_limit_is_named(detector):
    with pytest.raises(
        PromptError, match=r"'a very long name a very long name.*word pieces.*takes 45"
    ):
        detector.encode(("mug", "a very long name " * 20))


def test_unknown_words_are_told(detector):
    assert detector.encode(("red mug", "чашка")).unknown == ("чашка",)


@pytest.mark.parametrize("size", [(480, 640), (1080, 1920), (300, 300), (37, 211), (640, 481)])
def test_pixels_equal_transformers_processor(detector, reference, size):
    picture = np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8)
    expected = reference[0](images=[picture], text="a.", return_tensors="pt")
    batch = prepare([picture], detector.processor, CPU, torch.float32)
    assert batch.pixels.shape == expected["pixel_values"].shape
    grey_level = 1 / 255 / min(detector.processor.image_std)
    assert (batch.pixels - expected["pixel_values"]).abs().max() <= grey_level * 1.01


def test_boxes_stay_inside_the_image_and_duplicates_go(detector):
    text = detector.encode(("mug",))
    [every] = detector.detect([image(5)], text, threshold=0.0, nms_iou=1.0)
    [few] = detector.detect([image(5)], text, threshold=0.0, nms_iou=0.0)
    assert 0 < len(few) < len(every)
    assert (every.boxes >= 0).all() and (every.boxes <= [160, 90, 160, 90]).all()
    [none] = detector.detect([image(5)], text, threshold=1.0)
    assert len(none) == 0 and none.boxes.shape == (0, 4)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (10, 1000), (1000, 10), (1, 2000), (40, 640)])
def test_images_of_any_shape_are_looked_at(detector, size):
    strip = np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8)
    [found] = detector.detect([strip], detector.encode(("mug",)), threshold=0.0, nms_iou=1.0)
    assert len(found) or min(size) < 10  # boxes of less than a pixel are none
    assert (found.boxes >= 0).all()
    assert (found.boxes <= np.tile(size[::-1], 2)).all()


def by_phrase(detector, prompt, **options):
    """[N, 6] what is found, in an order of its own."""
    [found] = detector.detect([image(5)], detector.encode(prompt), **options)
    table = np.concatenate(
        [found.boxes, found.scores[:, None], found.phrase_index[:, None]], 1, dtype=np.float64
    )
    return table[np.lexsort(table.T)]


def test_a_threshold_of_its_own_stands_above_the_common_one(detector):
    plain = by_phrase(detector, ("mug", "ball"), threshold=0.0, nms_iou=1.0)
    assert set(plain[:, 5]) == {0, 1}
    middle = float(np.median(plain[:, 4]))
    own = by_phrase(
        detector, (Phrase("mug", threshold=middle), Phrase("ball")), threshold=0.0, nms_iou=1.0
    )
    np.testing.assert_array_equal(own, plain[(plain[:, 5] == 1) | (plain[:, 4] > middle)])
    lower = by_phrase(
        detector, (Phrase("mug", threshold=0.0), Phrase("ball")), threshold=1.0, nms_iou=1.0
    )
    np.testing.assert_array_equal(lower, plain[plain[:, 5] == 0])


def test_synonyms_are_found_under_one_name(detector):
    apart = by_phrase(detector, ("cup", "red mug", "ball"), threshold=0.0, nms_iou=1.0)
    assert set(apart[:, 5]) == {0, 1, 2}
    prompt = (Phrase("mug", ("cup", "red mug")), Phrase("ball"))
    assert detector.encode(prompt).phrases == ("mug", "ball")
    apart[:, 5] = np.array([0, 0, 1])[apart[:, 5].astype(int)]
    together = by_phrase(detector, prompt, threshold=0.0, nms_iou=1.0)
    np.testing.assert_array_equal(together, apart[np.lexsort(apart.T)])


@pytest.mark.parametrize("nms_iou", [1.0, 0.5])
@pytest.mark.parametrize("slices", [None, SliceSettings(mode="always", width=64, height=64)])
def test_a_negative_phrase_wins_boxes_and_is_not_told(detector, nms_iou, slices):
    options = {"threshold": 0.0, "nms_iou": nms_iou, "slices": slices}
    plain = by_phrase(detector, ("ball", "mug"), **options)
    assert set(plain[:, 5]) == {0, 1}
    competing = by_phrase(detector, (Phrase("ball", negative=True), Phrase("mug")), **options)
    expected = plain[plain[:, 5] == 1]
    expected[:, 5] = 0
    np.testing.assert_array_equal(competing, expected)
