"""Matching and loss of the demo detector against cases worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from gsam_ros.training.detector.loss import (
    detection_terms,
    phrase_loss,
    phrase_token_masks,
    token_centres,
    token_focal_loss,
)
from gsam_ros.training.detector.matching import (
    TOKENS_PER_OBJECT,
    Targets,
    generalised_iou,
    match_queries,
    match_tokens,
)

CLS, SEP, DOT, PAD = 101, 102, 1012, 0
LEFT, RIGHT = [0.25, 0.5, 0.2, 0.4], [0.75, 0.5, 0.2, 0.4]


def bool_rows(*rows: str) -> torch.Tensor:
    return torch.tensor([[c == "1" for c in row] for row in rows])


def make_targets(*images: tuple[list[list[float]], list[str], list[int]]) -> Targets:
    """Images given as (boxes, which phrases name each box, token ids), padded to one batch."""
    length = max(len(ids) for _, _, ids in images)
    padded = torch.tensor([ids + [PAD] * (length - len(ids)) for _, _, ids in images])
    phrase_tokens = phrase_token_masks(padded)
    count = phrase_tokens.shape[1]
    boxes = [torch.tensor(b).reshape(-1, 4) for b, _, _ in images]
    named = [
        torch.tensor(
            [[c == "1" for c in row.ljust(count, "0")] for row in rows],
            dtype=torch.bool,
        ).reshape(-1, count)
        for _, rows, _ in images
    ]
    return Targets(boxes, named, phrase_tokens, padded != PAD)


def test_phrases_are_what_stands_between_separators():
    ids = torch.tensor([[CLS, 7, 8, DOT, 9, DOT, SEP], [CLS, 7, DOT, SEP, PAD, PAD, PAD]])
    expected = torch.stack([bool_rows("0110000", "0000100"), bool_rows("0100000", "0000000")])
    assert torch.equal(phrase_token_masks(ids), expected)


def test_an_empty_phrase_does_not_count():
    ids = torch.tensor([[CLS, 7, DOT, DOT, 9, SEP]])
    assert torch.equal(phrase_token_masks(ids)[0], bool_rows("010000", "000010"))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        pytest.param([0, 0, 1, 1], [0, 0, 1, 1], 1.0, id="same box"),
        pytest.param([0, 0, 1, 1], [2, 0, 3, 1], -1 / 3, id="apart: hull 3, union 2"),
        pytest.param([0, 0, 2, 1], [1, 0, 3, 1], 1 / 3, id="half overlap: hull equals union"),
    ],
)
def test_generalised_iou(a, b, expected):
    boxes = torch.tensor(a, dtype=torch.float32), torch.tensor(b, dtype=torch.float32)
    assert generalised_iou(*boxes).item() == pytest.approx(expected)


def test_focal_loss_of_undecided_tokens():
    logits = torch.tensor([[[0.0, 0.0, -math.inf]]])
    target = torch.tensor([[[1.0, 0.0, 0.0]]])
    # At p = 1/2 both tokens weigh (1/2)^2 ln 2, times 0.25 for the wanted, 0.75 for the other.
    loss = token_focal_loss(logits, target, torch.tensor([[True, True, False]]))
    assert loss.item() == pytest.approx(0.25 * math.log(2))


def test_phrase_loss_is_a_softmax_over_the_phrases_of_the_image():
    logits = torch.tensor([[-math.inf, 1.0, 3.0, 2.0, -math.inf]])
    tokens = bool_rows("01100", "00010", "00000")[None]  # two phrases, then padding
    # Both phrases have the logit 2: the one that names the object gets half.
    assert phrase_loss(logits, bool_rows("100"), tokens).item() == pytest.approx(math.log(2))
    assert phrase_loss(logits, bool_rows("110"), tokens).item() == pytest.approx(0.0)


def test_queries_are_matched_across_not_in_order():
    targets = make_targets(([LEFT, RIGHT], ["1", "1"], [CLS, 7, DOT, SEP]))
    boxes = torch.tensor([[RIGHT, [0.5, 0.1, 0.1, 0.1], LEFT]])
    [(queries, objects)] = match_queries(torch.zeros(1, 3, 4), boxes, targets)
    assert dict(zip(queries.tolist(), objects.tolist(), strict=True)) == {0: 1, 2: 0}


def test_a_query_with_the_right_words_wins_over_its_twin():
    targets = make_targets(([LEFT], ["01"], [CLS, 7, DOT, 8, DOT, SEP]))
    logits = torch.full((1, 2, 6), -3.0)
    logits[0, 0, 1] = logits[0, 1, 3] = 3.0  # the second query says what names the object
    [(queries, _)] = match_queries(logits, torch.tensor([[LEFT, LEFT]]), targets)
    assert queries.tolist() == [1]


def test_tokens_inside_the_object_answer_for_it():
    shapes = [(6, 8), (3, 4)]
    centres = token_centres(shapes)
    targets = make_targets(([LEFT], ["1"], [CLS, 7, DOT, SEP]), ([], [], [CLS, 7, DOT, SEP]))
    boxes = torch.cat([centres, torch.full_like(centres, 0.1)], 1).expand(2, -1, -1)
    one, none = match_tokens(torch.zeros(2, len(centres), 4), boxes, centres, targets)
    assert len(one[0]) == TOKENS_PER_OBJECT
    assert one[1].tolist() == [0] * TOKENS_PER_OBJECT
    offset = (centres[one[0]] - torch.tensor(LEFT[:2])).abs()
    assert (offset <= torch.tensor(LEFT[2:]) / 2).all()
    assert len(none[0]) == 0


def test_perfect_predictions_cost_almost_nothing():
    targets = make_targets(([LEFT], ["10"], [CLS, 7, DOT, 8, DOT, SEP]))
    logits = torch.full((1, 2, 6), -12.0)
    logits[0, 0, 1] = 12.0
    boxes = torch.tensor([[LEFT, RIGHT]])
    loss = detection_terms(logits, boxes, targets, match_queries(logits, boxes, targets))
    assert loss.item() < 1e-3


def test_a_batch_of_prompts_of_different_length_adds_up():
    """The loss of a batch is that of its images alone, weighted by their objects.

    One-hot targets that run on across images, as in transformers' loss, would fail here.
    """
    images = [
        ([LEFT, RIGHT], ["100", "011"], [CLS, 7, 8, DOT, 9, DOT, 5, DOT, SEP]),
        ([RIGHT], ["1"], [CLS, 6, DOT, SEP]),
        ([], [], [CLS, 6, DOT, 9, DOT, SEP]),
    ]
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 9, generator=generator)
    boxes = torch.rand(3, 5, 4, generator=generator) * 0.3 + 0.3

    def loss_of(members: list[int]) -> float:
        targets = make_targets(*(images[i] for i in members))
        mask = targets.text_mask
        own = logits[members, :, : mask.shape[1]].masked_fill(~mask[:, None], -math.inf)
        matches = match_queries(own, boxes[members], targets)
        return detection_terms(own, boxes[members], targets, matches).item()

    assert loss_of([0, 1]) * 3 == pytest.approx(loss_of([0]) * 2 + loss_of([1]), rel=1e-5)
    # An image without objects adds its false tokens; on its own they are divided by one.
    assert loss_of([0, 1, 2]) * 3 == pytest.approx(loss_of([0, 1]) * 3 + loss_of([2]), rel=1e-5)


def test_loss_falls_when_a_box_or_a_word_gets_better():
    targets = make_targets(([LEFT], ["1"], [CLS, 7, DOT, SEP]))
    logits = torch.zeros(1, 1, 4, requires_grad=True)
    boxes = torch.tensor([[[0.35, 0.5, 0.2, 0.4]]], requires_grad=True)
    detection_terms(logits, boxes, targets, [(torch.tensor([0]), torch.tensor([0]))]).backward()
    assert logits.grad[0, 0, 1] < 0 < logits.grad[0, 0, 0]  # the word up, "[CLS]" down
    assert boxes.grad[0, 0, 0] > 0  # too far right
