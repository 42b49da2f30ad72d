"""COCO data for fine-tuning: what is read, what is refused and how, and what becomes a batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.ops import box_convert
from transformers import AutoImageProcessor, GroundingDinoForObjectDetection

from gsam_ros.checkpoints import locate
from gsam_ros.prompts import parse_phrases
from gsam_ros.recordings.sources import open_source
from gsam_ros.training.detector.denoising import NoiseSettings
from gsam_ros.training.detector.words import build_tokenizer
from gsam_ros.training.fine_tuning.coco_batches import BatchMaker, CocoBatches, in_turn, split
from gsam_ros.training.fine_tuning.coco_boxes import CocoError, read_image
from gsam_ros.training.fine_tuning.coco_prompts import PromptMaker
from gsam_ros.training.fine_tuning.coco_reading import read_coco
from gsam_ros.training.fine_tuning.loss import DetectorLoss


def example() -> dict[str, Any]:
    """Two images, the second without an object."""
    return {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 40, "height": 30},
            {"id": 9, "file_name": "b.png", "width": 40, "height": 30},
        ],
        "categories": [{"id": 3, "name": "Red_Mug"}, {"id": 5, "name": "ball"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [2, 4, 10, 20]},
            {"id": 2, "image_id": 7, "category_id": 5, "bbox": [20, 5, 8, 8], "iscrowd": 0},
            {"id": 3, "image_id": 7, "category_id": 5, "bbox": [0, 0, 40, 9], "iscrowd": 1},
        ],
    }


def save(folder: Path, data: object) -> Path:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30), (90, 120, 30)).save(folder / name)
    path = folder / "coco.json"
    path.write_text(json.dumps(data))
    return path


def read(folder: Path, data: object, source: str = "categories"):
    return read_coco(save(folder, data), folder, source)


def test_boxes_phrases_crowds_and_empty_images(tmp_path):
    data = read(tmp_path, example())
    assert data.phrases == ("red mug", "ball")
    first, second = data.images
    assert first.boxes.tolist() == [[2, 4, 12, 24], [20, 5, 28, 13]]
    assert first.phrases.tolist() == [0, 1]
    assert first.crowds.tolist() == [[0, 0, 40, 9]] and first.crowd_phrases.tolist() == [1]
    assert second.boxes.shape == (0, 4) and second.size == (30, 40)


def test_categories_that_mean_the_same_are_one_phrase(tmp_path):
    data = example()
    data["categories"] = [{"id": 3, "name": "Ball"}, {"id": 5, "name": "the ball"}]
    read_data = read(tmp_path, data)
    assert read_data.phrases == ("ball",)
    assert read_data.images[0].phrases.tolist() == [0, 0]


def test_captions_name_objects_by_span_or_on_their_own(tmp_path):
    data = example()
    data["images"][0]["caption"] = "A red mug beside, well, a ball."
    data["annotations"][0]["tokens_positive"] = [[2, 5], [6, 9]]
    data["annotations"][1]["caption"] = "The small, round thing."
    data["annotations"][2]["tokens_positive"] = [[26, 30]]
    read_data = read(tmp_path, data, "captions")
    assert read_data.phrases == ("red mug", "small round thing", "ball")
    assert read_data.images[0].phrases.tolist() == [0, 1]


def test_captions_of_annotations_that_share_an_id_are_refused(tmp_path):
    data = example()
    for annotation in data["annotations"]:
        annotation["caption"] = "thing"
    data["annotations"][1]["id"] = data["annotations"][0]["id"]
    with pytest.raises(CocoError, match="annotations whose id another one has: "):
        read(tmp_path, data, "captions")


def test_rounding_over_the_border_is_cut_and_no_area_is_left_out(tmp_path):
    data = example()
    data["annotations"][0]["bbox"] = [-1.5, 4, 43, 20]
    data["annotations"][1]["bbox"] = [5, 5, 0, 8]
    read_data = read(tmp_path, data)
    assert read_data.images[0].boxes.tolist() == [[0, 4, 40, 24]]
    assert read_data.notes == (f"{tmp_path / 'coco.json'}: left out boxes without an area: 2",)


def change(data: dict[str, Any], place: str, value: object) -> None:
    *way, last = [int(step) if step.isdigit() else step for step in place.split("/")]
    entry: Any = data
    for step in way:
        entry = entry[step]
    entry[last] = value


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("categories", [], "it names no categories"),
        ("categories/0/name", " . ", "categories without a name: id 3"),
        ("images/0/file_name", "lost.png", "missing images: "),
        ("images/0/file_name", "coco.json", "files that are no images: "),
        ("images/0/width", 50, "images of another size than it says: "),
        ("images/1/id", 7, "image ids that stand twice"),
        ("annotations/0/bbox", [35, 4, 10, 5], "annotation 1 of a.png (35, 4, 45, 9 in 40x30)"),
        ("annotations/0/bbox", [1, 2, 3], "boxes that are not four numbers: annotation 1"),
        ("annotations/1/category_id", 8, "annotations of unknown categories: 2"),
        ("annotations/1/image_id", 8, "annotations of images that it does not list: 2"),
        ("annotations", [], "it has no box that is not a crowd's"),
        ("images/0", {"id": 7}, "number 0 of its images has no file_name"),
        ("categories", None, "it has no list of categories"),
    ],
)
def test_mistakes_are_named(tmp_path, place, value, told):
    data = example()
    change(data, place, value)
    with pytest.raises(CocoError) as caught:
        read(tmp_path, data)
    assert told in str(caught.value) and "coco.json" in str(caught.value)


def test_an_image_of_too_many_pixels_is_named(tmp_path, monkeypatch):
    path = save(tmp_path, example())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(CocoError, match=r"more pixels than Pillow takes for meant: .*a\.png"):
        read_coco(path, tmp_path)


def test_all_kinds_of_mistakes_are_told_at_once(tmp_path):
    data = example()
    change(data, "images/1/file_name", "lost.png")
    change(data, "annotations/0/bbox", [35, 4, 10, 5])
    with pytest.raises(CocoError, match=r"lost\.png") as caught:
        read(tmp_path, data)
    assert "boxes outside their image" in str(caught.value)


def test_what_is_no_coco_file_is_refused(tmp_path):
    for text in ("{", "[]", "3"):
        (tmp_path / "coco.json").write_text(text)
        with pytest.raises(CocoError, match=r"coco\.json"):
            read_coco(tmp_path / "coco.json", tmp_path)
    with pytest.raises(CocoError, match=r"absent\.json"):
        read_coco(tmp_path / "absent.json", tmp_path)


def prompts(phrases=("red mug", "ball", "cone", "blue box"), tokens=256, negatives=2):
    return PromptMaker(phrases, build_tokenizer(), tokens, negatives)


@given(st.lists(st.integers(0, 3), max_size=6), st.integers(0, 4), st.integers(0, 99))
def test_prompts_hold_what_is_there_and_some_that_is_not(present, negatives, seed):
    numbers = prompts(negatives=negatives).draw(np.random.default_rng(seed), present)
    assert len(set(numbers)) == len(numbers)
    assert set(present) <= set(numbers)
    absent = len(numbers) - len(set(present))
    # An image without an object is asked for something all the same.
    assert absent == min(max(negatives, not present), 4 - len(set(present)))


def test_what_is_there_comes_first_where_the_text_is_short():
    # "ball." has two tokens, "red mug." has three; [CLS] and [SEP] take two.
    maker = prompts(tokens=7, negatives=3)
    for seed in range(20):
        numbers = maker.draw(np.random.default_rng(seed), [0])
        assert 0 in numbers and len(numbers) == 2
    with pytest.raises(CocoError, match="'red mug' \\(3\\)"):
        prompts(tokens=4)


@given(st.lists(st.integers(0, 3), max_size=3), st.lists(st.integers(0, 3)), st.integers(0, 99))
def test_what_is_there_in_a_crowd_is_never_asked_for_as_absent(present, unsure, seed):
    numbers = prompts(negatives=4).draw(np.random.default_rng(seed), present, unsure)
    absent = set(numbers) - set(present)
    assert not absent & set(unsure)
    assert absent == set(range(4)) - {*present, *unsure}


def make_maker(**changes: Any) -> BatchMaker:
    processor = AutoImageProcessor.from_pretrained(locate("demo-detector"))
    parts = {"noise": None, "augmentation": "none", "prompts": prompts(("red mug", "ball"))}
    return BatchMaker(tokenizer=build_tokenizer(), processor=processor, **{**parts, **changes})


def test_a_batch_says_which_tokens_name_which_box(tmp_path):
    data = read(tmp_path, example())
    batch = make_maker().make(np.random.default_rng(0), data.images)
    assert batch.pixel_values.shape[0] == 2
    boxes = box_convert(batch.targets.boxes[0], "cxcywh", "xyxy") * torch.tensor([40, 30, 40, 30])
    torch.testing.assert_close(boxes, torch.from_numpy(data.images[0].boxes))
    tokenizer = build_tokenizer()
    words = [tokenizer.decode(batch.input_ids[0][tokens]) for tokens in batch.targets.tokens_of(0)]
    assert words == ["red mug", "ball"]
    assert batch.targets.boxes[1].shape == (0, 4)


def test_a_crowd_s_phrase_is_no_negative(tmp_path):
    data = example()
    data["annotations"][1]["image_id"] = 9  # the first image's balls are all in a crowd
    first = read(tmp_path, data).images[0]
    maker, tokenizer = make_maker(), build_tokenizer()
    for seed in range(8):
        batch = maker.make(np.random.default_rng(seed), [first])
        assert tokenizer.decode(batch.input_ids[0], skip_special_tokens=True) == "red mug."


def test_what_a_crop_leaves_without_a_box_is_no_negative(tmp_path):
    """Part of it may still be to be seen."""
    data = example()
    del data["annotations"][2]
    change(data, "annotations/0/bbox", [0, 0, 26, 30])
    change(data, "annotations/1/bbox", [28, 5, 10, 20])
    first = read(tmp_path, data).images[0]
    maker, tokenizer = make_maker(augmentation="crop"), build_tokenizer()
    texts = set()
    for seed in range(40):
        batch = maker.make(np.random.default_rng(seed), [first])
        left = batch.targets.boxes[0].shape[0]
        text = tokenizer.decode(batch.input_ids[0], skip_special_tokens=True)
        texts.add((left, text.count(".")))
    assert texts == {(2, 2), (1, 1)}  # cut or not, just what has a box is asked for


def test_phrases_that_no_box_has_are_left_out_and_told(tmp_path):
    data = example()
    data["categories"].insert(0, {"id": 0, "name": "_background_"})
    found = read(tmp_path, data)
    assert found.phrases == ("red mug", "ball")
    assert found.images[0].phrases.tolist() == [0, 1]
    assert found.images[0].crowd_phrases.tolist() == [1]
    [note] = found.notes
    assert note.endswith("left out phrases that no box has: background")


def test_names_lose_the_marks_that_mean_something_in_a_prompt(tmp_path):
    data = example()
    data["categories"] = [{"id": 3, "name": "fork, plastic"}, {"id": 5, "name": "sign: stop!"}]
    found = read(tmp_path, data)
    assert found.phrases == ("fork plastic", "sign stop")
    assert parse_phrases(". ".join(found.phrases)) == found.phrases


def test_spans_that_are_none_are_named(tmp_path):
    data = example()
    data["annotations"][0]["tokens_positive"] = [2, 5]
    with pytest.raises(CocoError, match=r"tokens_positive that are no \[\[start, end\], ...\]: 1"):
        read(tmp_path, data, "captions")


def test_an_image_of_a_crowd_alone_is_asked_for_nothing(tmp_path):
    """Where the data have one phrase; nothing that could be asked for has a known answer."""
    data = example()
    data["categories"] = [{"id": 3, "name": "ball"}, {"id": 5, "name": "ball"}]
    data["annotations"][2]["image_id"] = 9
    both = read(tmp_path, data).images
    maker = make_maker(prompts=prompts(("ball",)), noise=NoiseSettings(queries=8))
    detector = GroundingDinoForObjectDetection.from_pretrained(locate("demo-detector")).eval()
    loss = DetectorLoss(detector, denoising=True)
    for images in (both, both[1:]):
        batch = maker.make(np.random.default_rng(0), images)
        assert not batch.targets.phrase_tokens[-1].any()
        with torch.no_grad():
            assert all(part.isfinite() for part in loss(batch).values())


def test_images_of_different_size_are_padded_and_their_boxes_are_not(tmp_path):
    """Boxes are fractions of the image, its padding left out, as transformers predicts them."""
    data = read(tmp_path, example())
    Image.new("RGB", (30, 60)).save(tmp_path / "b.png")
    batch = make_maker().make(np.random.default_rng(0), data.images)
    assert batch.pixel_mask[0].sum() < batch.pixel_mask[0].numel()
    assert batch.targets.boxes[0][0].tolist() == pytest.approx([7 / 40, 14 / 30, 10 / 40, 20 / 30])


def test_flipped_and_cut_images_keep_boxes_on_their_objects(tmp_path):
    """A bright object on dark ground: the box stays around the bright pixels."""
    data = example()
    data["annotations"] = [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [4, 6, 12, 10]}]
    path = save(tmp_path, data)
    picture = np.zeros((30, 40, 3), np.uint8)
    picture[6:16, 4:16] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    image = read_coco(path, tmp_path).images[0]
    maker = make_maker(augmentation="crop")
    seen = set()
    for seed in range(30):
        changed, boxes, phrases = maker._augment(np.random.default_rng(seed), image)
        if not len(boxes):
            continue
        rows, columns = np.nonzero((changed.numpy() > 200).all(-1))
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(boxes[0].numpy(), found, atol=1.01)
        assert phrases.tolist() == [0]
        seen.add((tuple(changed.shape), round(float(boxes[0, 0]))))
    assert len(seen) > 5


def test_batches_depend_on_their_number_alone(tmp_path):
    data = read(tmp_path, example())
    maker = make_maker(noise=NoiseSettings(queries=8), augmentation="crop")
    batches = CocoBatches(data, maker, size=3, seed=4)
    torch.manual_seed(1)
    first = [*in_turn(batches, range(4), workers=0)]
    torch.manual_seed(2)
    [third] = in_turn(batches, range(2, 3), workers=1)
    for own, again in ((first[2], third), (first[2], batches[2])):
        assert torch.equal(own.pixel_values, again.pixel_values)
        assert torch.equal(own.input_ids, again.input_ids)
        assert torch.equal(own.queries.boxes, again.queries.boxes)


def test_every_image_comes_once_each_time_round(tmp_path):
    data = read(tmp_path, example())
    batches = CocoBatches(data, make_maker(), size=1, seed=4)
    for lap in range(5):
        assert sorted(batches._order(lap)) == [0, 1]
    assert len({tuple(batches._order(lap)) for lap in range(20)}) == 2


def test_an_image_that_breaks_off_is_named_even_from_another_process(tmp_path):
    data = read(tmp_path, example())
    noise = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    for workers in (0, 1):
        with pytest.raises(CocoError, match=r"^the image .*a\.png can't be read"):
            list(in_turn(CocoBatches(data, make_maker(), 2, 0), range(1), workers))
    with pytest.raises(CocoError, match=r"a\.png"):
        read_image(data.images[0])


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_images_of_16_bits_are_those_that_the_machine_sees(tmp_path, ending):
    file = tmp_path / f"grey.{ending}"
    grey = np.linspace(0, 65535, 40 * 30).astype(np.uint16).reshape(30, 40)
    Image.fromarray(grey).save(file)
    data = example()
    data["images"][0]["file_name"] = file.name
    picture = read_image(read(tmp_path, data).images[0])
    assert (picture == (grey >> 8)[..., None]).all()
    [frame] = open_source(file).items()
    assert (frame.image == picture).all()


def test_a_jpeg_that_breaks_off_is_not_filled_up(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    data = example()
    data["images"][0]["file_name"] = "a.jpg"
    image = read(tmp_path, data).images[0]
    whole = image.file.read_bytes()
    image.file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CocoError, match=r"a\.jpg can't be read: image file is truncated"):
        read_image(image)


def test_data_are_split_without_overlap(tmp_path):
    data = read(tmp_path, example())
    training, validation = split(data, 0.5, seed=0)
    assert validation is not None
    assert {i.name for i in training.images} | {i.name for i in validation.images} == {
        "a.png",
        "b.png",
    }
    assert len(training.images) == len(validation.images) == 1
    assert split(data, 0.0, seed=0) == (data, None)
    training, validation = split(data, 0.99, seed=0)
    assert validation is not None
    assert len(training.images) == len(validation.images) == 1  # one at least is trained on
