"""Labels on the overlay stay apart, inside the image, and show the letters that were typed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gsam_ros.label_plates import LabelPlates

RED, BLUE = (255, 40, 40), (40, 40, 255)


def covered(canvas: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (canvas == colour).all(2)


def test_the_second_label_at_one_place_goes_below_the_object() -> None:
    canvas = np.zeros((240, 320, 3), np.uint8)
    plates = LabelPlates(canvas)
    box = np.array([100, 80, 160, 140], np.float32)
    plates.put("red mug #1", box, RED)
    plates.put("blue box #2", box, BLUE)
    red, blue = (np.flatnonzero(covered(canvas, colour).any(1)) for colour in (RED, BLUE))
    assert red.max() < 80
    assert blue.min() >= 140


@given(arrays(np.float32, 4, elements=st.floats(-500, 900, width=32)), st.text(max_size=30))
def test_no_box_and_no_text_leads_out_of_the_image(box: np.ndarray, text: str) -> None:
    canvas = np.zeros((48, 64, 3), np.uint8)
    LabelPlates(canvas).put(text, box, RED)
    assert covered(canvas, RED).any()


def test_accents_are_shown() -> None:
    drawn = []
    for text in ("Käse", "Kase"):
        canvas = np.zeros((48, 120, 3), np.uint8)
        LabelPlates(canvas).put(text, np.array([0, 40, 9, 48]), RED)
        drawn.append(canvas)
    assert (drawn[0] != drawn[1]).any()
