"""Denoising queries: how they are drawn, and that the model's own queries never learn of them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_checkpoints import small_detector_config
from test_training_detector_loss import CLS, DOT, LEFT, RIGHT, SEP, make_targets
from torchvision.ops import box_convert, box_iou
from transformers import GroundingDinoForObjectDetection

from gsam_ros.checkpoints import locate
from gsam_ros.training.detector.denoising import (
    NoiseSettings,
    attention_mask,
    draw_queries,
    noise_boxes,
)
from gsam_ros.training.detector.denoising_forward import DenoisingContent, appended
from gsam_ros.training.detector.forward import Predictions, predict
from gsam_ros.training.detector.loss import denoising_sums, detection_loss

TWO_PHRASES = [CLS, 7, DOT, 8, 9, DOT, SEP]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def example_targets():
    """An image with two objects, one with one, one with none."""
    return make_targets(
        ([LEFT, RIGHT], ["10", "01"], TWO_PHRASES),
        ([RIGHT], ["1"], [CLS, 6, DOT, SEP]),
        ([], [], TWO_PHRASES),
    )


def inside(draw: st.DrawFn) -> list[float]:
    width, height = draw(st.floats(0.02, 1.0)), draw(st.floats(0.02, 1.0))
    x, y = draw(st.floats(width / 2, 1 - width / 2)), draw(st.floats(height / 2, 1 - height / 2))
    return [x, y, width, height]


box_lists = st.lists(st.composite(inside)(), min_size=1, max_size=8)


def shifts(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """[..., 4] by how many times half the box's extent each side moved."""
    half = before[..., 2:].repeat(1, 2) / 2
    sides = box_convert(after, "cxcywh", "xyxy") - box_convert(before, "cxcywh", "xyxy")
    return sides.abs() / half


@given(box_lists, st.floats(0.05, 0.5), st.integers(0, 1000))
def test_noise_keeps_its_bounds_and_negatives_are_farther(boxes, scale, seed):
    truth = torch.tensor(boxes)
    positive = noise_boxes(truth, torch.ones(len(truth), dtype=torch.bool), scale, generator(seed))
    negative = noise_boxes(truth, torch.zeros(len(truth), dtype=torch.bool), scale, generator(seed))
    slack = 1e-3
    assert (shifts(truth, positive) <= scale + slack).all()
    assert (shifts(truth, negative) >= scale - slack).all()
    assert (shifts(truth, negative) <= 2 * scale + slack).all()
    for noised in (positive, negative):
        corners = box_convert(noised, "cxcywh", "xyxy")
        assert (corners >= -1e-6).all() and (corners <= 1 + 1e-6).all()
        assert (noised[:, 2:] >= 0).all()


def test_positives_overlap_the_truth_more():
    truth = torch.tensor([[0.5, 0.5, 0.3, 0.3]]).repeat(4000, 1)
    half = torch.arange(4000) % 2 == 0
    noised = noise_boxes(truth, half, 0.4, generator())
    overlap = box_iou(
        box_convert(noised, "cxcywh", "xyxy"), box_convert(truth[:1], "cxcywh", "xyxy")
    )[:, 0]
    assert overlap[half].mean() > overlap[~half].mean() + 0.2
    assert overlap[~half].max() < 0.55  # nothing is called false that COCO would call found


def test_a_box_that_fills_the_image_has_no_negative_that_equals_it():
    truth = torch.tensor([[0.5, 0.5, 1.0, 1.0]]).repeat(500, 1)
    noised = noise_boxes(truth, torch.zeros(500, dtype=torch.bool), 0.4, generator())
    assert (noised[:, 2:] <= 0.6 + 1e-6).all()


@pytest.mark.parametrize(
    "wrong", [{"queries": 0}, {"box_noise": 0.0}, {"box_noise": 0.6}, {"phrase_noise": 1.5}]
)
def test_noise_outside_its_range_is_refused(wrong):
    with pytest.raises(ValueError):
        NoiseSettings(**wrong)


def test_groups_hold_each_object_once_true_and_once_false():
    queries = draw_queries(example_targets(), NoiseSettings(queries=12), generator())
    assert queries.group.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert queries.positive.tolist() == [True, True, False, False] * 3
    assert queries.object_index.tolist() == [0, 1] * 6
    assert queries.real.sum(1).tolist() == [12, 6, 0]
    # Hungarian matching has nothing to do: the first image's positives, group by group.
    assert [m.tolist() for m in queries.matches()[0]] == [[0, 1, 4, 5, 8, 9], [0, 1] * 3]
    assert len(queries.matches()[2][0]) == 0


def test_images_without_objects_have_no_queries():
    targets = make_targets(([], [], TWO_PHRASES))
    assert draw_queries(targets, NoiseSettings(), generator()) is None


def test_phrases_are_right_or_wrong_in_the_share_asked_for():
    targets = make_targets(([LEFT], ["100"], [CLS, 7, DOT, 8, DOT, 9, DOT, SEP]))
    phrases = draw_queries(targets, NoiseSettings(6000, phrase_noise=0.3), generator()).phrases[0]
    share = torch.bincount(phrases, minlength=3) / len(phrases)
    assert share.tolist() == pytest.approx([0.7, 0.15, 0.15], abs=0.03)
    single = make_targets(([LEFT], ["1"], [CLS, 7, DOT, SEP]), ([], [], TWO_PHRASES))
    always = draw_queries(single, NoiseSettings(100, phrase_noise=1.0), generator())
    assert (always.phrases[0] == 0).all()  # there is no wrong one: the second phrase is padding


def test_the_mask_keeps_the_truth_from_those_that_have_to_find_it():
    queries = draw_queries(example_targets(), NoiseSettings(queries=8), generator())
    allowed = attention_mask(queries, matching=3)
    assert allowed.shape == (3, 11, 11)
    assert allowed[:, :, :3].all()  # the matching queries are seen by all
    assert not allowed[:, :3, 3:].any()  # and see no other
    groups = queries.group
    apart = groups[:, None] != groups[None]
    assert not allowed[:, 3:, 3:][:, apart].any()
    assert allowed[0, 3:, 3:][~apart].all()
    seen = allowed[:, 3:, 3:] & ~torch.eye(8, dtype=torch.bool)
    assert not seen.transpose(1, 2)[~queries.real].any()  # what is not real is seen by none


@pytest.fixture(scope="module", params=["demo", "random"])
def setting(request):
    """A model in float64 with a batch for it: the bundled one, and one with a Swin backbone."""
    if request.param == "demo":
        model = GroundingDinoForObjectDetection.from_pretrained(locate("demo-detector"))
    else:
        torch.manual_seed(0)
        model = GroundingDinoForObjectDetection(small_detector_config())
    model = model.eval().double()
    pixels = torch.randn(3, 3, 96, 128, generator=generator()).double()
    targets = example_targets()
    ids = torch.zeros(targets.text_mask.shape, dtype=torch.long)
    for image, tokens in enumerate((TWO_PHRASES, [CLS, 6, DOT, SEP], TWO_PHRASES)):
        ids[image, : len(tokens)] = torch.tensor(tokens)
    content = DenoisingContent(model).double()
    return model, content, pixels, ids, targets


def test_matching_queries_answer_as_if_there_were_no_others(setting):
    model, content, pixels, ids, targets = setting
    queries = draw_queries(targets, NoiseSettings(queries=20), generator())
    with torch.no_grad():
        plain = predict(model, pixels, ids, targets)
        both = predict(model, pixels, ids, targets, denoising=(content, queries))
    stock = model(pixels, ids, attention_mask=targets.text_mask.long())
    # transformers writes its logits into float32.
    assert torch.equal(plain.layers[-1][0].float(), stock.logits[..., : ids.shape[1]])
    torch.testing.assert_close(plain.layers[-1][1], stock.pred_boxes.float(), rtol=0, atol=1e-6)
    # The softmax over more columns adds in another order; nothing else may differ.
    for (logits, boxes), (own_logits, own_boxes) in zip(plain.layers, both.layers, strict=True):
        torch.testing.assert_close(own_logits, logits, rtol=0, atol=1e-10)
        torch.testing.assert_close(own_boxes, boxes, rtol=0, atol=1e-7)  # boxes are float32
    assert both.denoised[0][0].shape[1] == len(queries.group)
    assert not plain.denoised


def test_nothing_flows_from_the_truth_to_a_matching_query(setting):
    """Not a bit changes with the denoising queries' boxes and phrases, and no gradient comes."""
    model, content, pixels, ids, targets = setting
    answers = []
    for seed in (1, 2):
        queries = draw_queries(targets, NoiseSettings(queries=20), generator(seed))
        answers.append(predict(model, pixels, ids, targets, denoising=(content, queries)))
    assert not torch.equal(answers[0].denoised[-1][1], answers[1].denoised[-1][1])
    for first, second in zip(answers[0].layers, answers[1].layers, strict=True):
        assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    boxes = torch.stack([boxes for _, boxes in answers[0].layers]).sum()
    gradients = torch.autograd.grad(boxes, list(content.parameters()), allow_unused=True)
    assert all(gradient is None or not gradient.any() for gradient in gradients)


def test_groups_do_not_learn_from_each_other(setting):
    model, content, pixels, ids, targets = setting
    queries = draw_queries(targets, NoiseSettings(queries=8), generator())
    boxes = queries.boxes.clone()
    boxes[:, 4:] = torch.rand(boxes[:, 4:].shape, generator=generator(5)) * 0.3 + 0.2
    other = type(queries)(**{**vars(queries), "boxes": boxes})
    with torch.no_grad():
        first = predict(model, pixels, ids, targets, denoising=(content, queries)).denoised[-1]
        second = predict(model, pixels, ids, targets, denoising=(content, other)).denoised[-1]
    assert torch.equal(first[1][:, :4], second[1][:, :4])
    assert not torch.equal(first[1][0, 4:], second[1][0, 4:])


def test_hooks_are_gone_afterwards_even_after_an_error(setting):
    model, content, _, _, targets = setting
    queries = draw_queries(targets, NoiseSettings(queries=8), generator())
    with pytest.raises(RuntimeError), appended(model, content, queries, targets.phrase_tokens):
        raise RuntimeError
    decoder = model.model.decoder
    modules = [decoder, *(layer.encoder_attn_text for layer in decoder.layers)]
    assert not any(module._forward_pre_hooks for module in modules)


def test_padding_queries_and_the_number_of_groups_do_not_change_a_perfect_loss():
    """Queries that are not real count for nothing, whatever they say."""
    targets = example_targets()
    queries = draw_queries(targets, NoiseSettings(queries=8, phrase_noise=0.0), generator())
    logits = torch.full((3, 8, targets.text_mask.shape[1]), -12.0)
    boxes = queries.boxes.clone()
    for image, (chosen, objects) in enumerate(queries.matches()):
        tokens = targets.tokens_of(image)[objects]
        logits[image, chosen] = torch.where(tokens, 12.0, -12.0)
        boxes[image, chosen] = targets.boxes[image][objects]
    wild = logits.clone()
    wild[~queries.real] = 5.0

    answers = Predictions((logits, boxes), [], [(logits, boxes), (wild, boxes)])
    perfect, same = denoising_sums(answers, queries, targets)
    assert perfect.item() < 5e-3
    assert same.item() == perfect.item()


def test_loss_falls():
    """A few steps on one batch: the denoising part goes down with the rest."""
    torch.manual_seed(0)
    model = GroundingDinoForObjectDetection.from_pretrained(locate("demo-detector")).train()
    content = DenoisingContent(model)
    targets = make_targets(([LEFT, RIGHT], ["10", "01"], TWO_PHRASES))
    ids = torch.tensor([TWO_PHRASES])
    pixels = torch.randn(1, 3, 96, 128)
    parameters = [p for p in [*model.parameters(), *content.parameters()] if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=3e-4)
    history = []
    for step in range(12):
        queries = draw_queries(targets, NoiseSettings(queries=16), generator(step))
        losses = detection_loss(
            model, pixels, ids, targets, [(6, 8), (3, 4), (2, 2)], (content, queries)
        )
        history.append(float(losses["denoising"].detach()))
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
    assert content.project.weight.grad.any()
    assert sum(history[-3:]) < 0.7 * sum(history[:3])
