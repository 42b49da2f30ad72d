"""Image messages of every encoding become the same RGB picture."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from node_faults import png_header
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from gsam_ros.bridge import cv_bridge
from gsam_ros.bridge.compressed_images import decode_compressed_image
from gsam_ros.bridge.images import ENCODINGS, decode_image, encode_image
from gsam_ros.pipeline.drops import BadFrameError

RED, GREEN, BLUE = (200, 30, 20), (25, 190, 40), (15, 35, 210)
# Left half red, right half blue, a green bar below: no two channels can be confused.
SCENE = np.zeros((16, 24, 3), np.uint8)
SCENE[:, :12], SCENE[:, 12:], SCENE[12:] = RED, BLUE, GREEN
GREY = cv2.cvtColor(SCENE, cv2.COLOR_RGB2GRAY)
BAYER = {"rggb": (0, 1, 1, 2), "bggr": (2, 1, 1, 0), "gbrg": (1, 2, 0, 1), "grbg": (1, 0, 2, 1)}


def bayer(pattern: str) -> np.ndarray:
    """Every pixel keeps the one channel that its filter lets through."""
    mosaic = np.zeros(SCENE.shape[:2], np.uint8)
    for i, channel in enumerate(BAYER[pattern]):
        mosaic[i // 2 :: 2, i % 2 :: 2] = SCENE[i // 2 :: 2, i % 2 :: 2, channel]
    return mosaic


def yuv422(order: str) -> np.ndarray:
    """ITU-R BT.601, studio range, which is what OpenCV and cv_bridge take 4:2:2 video for."""
    red, green, blue = (SCENE[..., i].astype(float) for i in range(3))
    y = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
    u = 128 - 0.148 * red - 0.291 * green + 0.439 * blue
    v = 128 + 0.439 * red - 0.368 * green - 0.071 * blue
    packed = np.zeros((*SCENE.shape[:2], 2), np.uint8)
    luma, chroma = (0, 1) if order == "yuyv" else (1, 0)
    packed[..., luma] = np.rint(y)
    packed[:, 0::2, chroma] = np.rint(u[:, 0::2])
    packed[:, 1::2, chroma] = np.rint(v[:, 1::2])
    return packed


def stored(encoding: str) -> np.ndarray:
    """The scene as a camera of this encoding stores it."""
    alpha = np.full((*SCENE.shape[:2], 1), 77, np.uint8)
    if encoding.startswith("bayer_"):
        pixels = bayer(encoding[6:10])
    elif encoding in ("yuv422", "uyvy"):
        return yuv422("uyvy")
    elif encoding in ("yuv422_yuy2", "yuyv"):
        return yuv422("yuyv")
    elif encoding in ("mono8", "mono16", "8UC1", "16UC1"):
        pixels = GREY
    else:
        rgb = encoding.startswith("rgb")
        pixels = SCENE if rgb else SCENE[..., ::-1]
        if "a" in encoding or encoding.endswith("C4"):
            pixels = np.concatenate([pixels, alpha], 2)
    # 16 bits: the upper byte is the picture, the lower one is noise.
    return pixels.astype(np.uint16) * 256 + 99 if "16" in encoding else pixels.copy()


def message_of(pixels: np.ndarray, encoding: str, padding: int = 0, big_endian: bool = False):
    """An image message with `padding` bytes of rubbish after every row."""
    if big_endian:
        pixels = pixels.astype(pixels.dtype.newbyteorder(">"))
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=213)
    message = Image(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        step=padded.shape[1],
        is_bigendian=int(big_endian),
    )
    message.data.frombytes(padded.tobytes())
    return message


def check_scene(image: np.ndarray, encoding: str) -> None:
    assert image.shape == SCENE.shape
    assert image.dtype == np.uint8
    # Demosaicing and shared chroma blur edges; well inside the areas the colour must be there.
    areas = [
        (slice(3, 9), slice(3, 9)),
        (slice(3, 9), slice(15, 21)),
        (slice(14, 15), slice(3, 21)),
    ]
    expected = SCENE
    if encoding in ("mono8", "mono16", "8UC1"):
        expected = np.repeat(GREY[..., None], 3, 2)
    if encoding == "16UC1":  # stretched: the darkest area is black, the brightest white
        levels = [image[area].mean() for area in areas]
        assert levels[1] < 5
        assert levels[2] > 250
        assert 5 < levels[0] < 250
        return
    for area in areas:
        assert np.abs(image[area].astype(int) - expected[area]).max() <= 4, encoding


@pytest.fixture(autouse=True)
def _forget_cv_bridge():
    cv_bridge._working_bridge.cache_clear()
    yield
    cv_bridge._working_bridge.cache_clear()


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_shows_the_scene(encoding: str, padding: int) -> None:
    check_scene(decode_image(message_of(stored(encoding), encoding, padding)), encoding)


@pytest.mark.parametrize("encoding", [e for e in ENCODINGS if "16" in e])
def test_big_endian_numbers_show_the_same(encoding: str) -> None:
    pixels = stored(encoding)
    little = decode_image(message_of(pixels, encoding))
    big = decode_image(message_of(pixels, encoding, padding=2, big_endian=True))
    np.testing.assert_array_equal(big, little)


def test_rgb_is_not_copied() -> None:
    message = message_of(SCENE, "rgb8", padding=5)
    image = decode_image(message)
    message.data[0] = 255
    assert image[0, 0, 0] == 255


def test_the_last_row_may_lack_its_padding() -> None:
    message = message_of(SCENE, "rgb8", padding=8)
    del message.data[-8:]
    check_scene(decode_image(message), "rgb8")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"height": 0}, "no pixels (24x0)"),
        ({"width": 0}, "no pixels (0x16)"),
        ({"encoding": "jpeg"}, "encoding 'jpeg' is not known"),
        ({"encoding": ""}, "encoding '' is not known"),
        ({"step": 71}, "need 72 bytes per row, its step is 71"),
        ({"height": 17}, "need 1224 bytes, it has 1152"),
        ({"encoding": "rgba8"}, "need 96 bytes per row"),
        ({"encoding": "bayer_rggb8", "height": 15}, "not a multiple of 2x2"),
        ({"encoding": "yuyv", "width": 23}, "not a multiple of 2x1"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(change: dict, words: str) -> None:
    message = message_of(SCENE, "rgb8")
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(BadFrameError) as caught:
        decode_image(message)
    assert words in str(caught.value)
    assert caught.value.cause == "bad_image"


def test_stretching_survives_an_even_image_and_hot_pixels() -> None:
    even = np.full((32, 32), 4000, np.uint16)
    assert not decode_image(message_of(even, "16UC1")).any()
    ramp = np.tile(np.arange(1000, 1064, dtype=np.uint16), (64, 1))
    ramp[5, 5] = 65535
    image = decode_image(message_of(ramp, "16UC1"))
    assert image[0, 0, 0] == 0
    assert image[0, 62, 0] > 240
    assert abs(int(image[0, 32, 0]) - 128) < 10


def test_an_array_goes_into_a_message_and_back() -> None:
    header = Header(frame_id="cam")
    message = encode_image(SCENE, "rgb8", header)
    assert (message.header, message.step, len(message.data)) == (header, 72, SCENE.size)
    np.testing.assert_array_equal(decode_image(message), SCENE)
    ids = np.array([[0, 258], [65535, 1]], np.uint16)
    message = encode_image(ids, "mono16", header)
    assert (message.step, message.is_bigendian) == (4, int(sys.byteorder == "big"))
    assert np.frombuffer(message.data, np.uint16).tolist() == [0, 258, 65535, 1]


CV_BRIDGE = """
import os, signal
import numpy as np

asked = []

class CvBridge:
    def imgmsg_to_cv2(self, message, encoding):
        assert encoding == "rgb8"
        asked.append(message.encoding)
        size = message.height * message.width * 3
        pixels = np.frombuffer(message.data, np.uint8)[:size]
        return CONVERT
"""
RIGHT = "pixels.reshape(message.height, message.width, 3)[..., ::-1]"


@pytest.fixture
def install_cv_bridge(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[str], None]]:
    """Has a cv_bridge, here and in other processes, that notes what it was asked for."""

    def install(convert: str) -> None:
        (tmp_path / "cv_bridge.py").write_text(CV_BRIDGE.replace("CONVERT", convert))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        monkeypatch.delitem(sys.modules, "cv_bridge", raising=False)

    yield install
    sys.modules.pop("cv_bridge", None)


def asked() -> list[str]:
    """The encodings that this process gave to cv_bridge; none where it never came to that."""
    return getattr(sys.modules.get("cv_bridge"), "asked", [])


def test_a_cv_bridge_that_works_is_used(install_cv_bridge) -> None:
    install_cv_bridge(RIGHT)
    check_scene(decode_image(message_of(stored("bgr8"), "bgr8")), "bgr8")
    assert asked() == ["bgr8"]
    check_scene(decode_image(message_of(stored("mono16"), "mono16")), "mono16")
    assert len(asked()) == 1  # 16 bits are converted here


def test_a_cv_bridge_is_not_asked_for_what_it_gets_wrong(install_cv_bridge) -> None:
    """It counts whole pixels per row, and swaps the bytes of 8 bits as well."""
    install_cv_bridge(RIGHT)
    padded, short, swapped = (message_of(stored("bgr8"), "bgr8", padding=p) for p in (1, 4, 0))
    short.data = short.data[:-4]  # no padding after the last row
    swapped.is_bigendian = 1
    for message in (padded, short, swapped):
        check_scene(decode_image(message), "bgr8")
    assert not asked()


@pytest.mark.parametrize(
    ("convert", "fault"),
    [
        ("pixels.reshape(message.height, message.width, 3)", "turned a blue image into another"),
        ("message._ARRAY_API", "AttributeError"),
        # As that of Jazzy does under numpy 2.
        ("os.kill(os.getpid(), signal.SIGSEGV)", "ended with SIGSEGV"),
    ],
)
def test_a_cv_bridge_that_does_not_work_is_not_used(
    install_cv_bridge, convert: str, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    install_cv_bridge(convert)
    for _ in range(2):
        check_scene(decode_image(message_of(stored("bgr8"), "bgr8")), "bgr8")
    assert not asked()
    assert caplog.text.count("cv_bridge is installed and does not work") == 1
    assert fault in caplog.text


def compressed(image: np.ndarray, suffix: str, form: str) -> CompressedImage:
    coded, data = cv2.imencode(suffix, image)
    assert coded
    message = CompressedImage(format=form)
    message.data.frombytes(data.tobytes())
    return message


@pytest.mark.parametrize(
    ("image", "suffix", "form"),
    [
        (SCENE[..., ::-1], ".png", "png"),
        (SCENE[..., ::-1], ".png", "rgb8; png compressed bgr8"),
        (SCENE[..., ::-1], ".png", "bgr8; png compressed "),
        (SCENE[..., ::-1], ".png", ""),
        (SCENE, ".png", "rgb8; png compressed rgb8"),  # as old publishers wrote it
        (bayer("gbrg"), ".png", "bayer_gbrg8; png compressed "),
        (stored("bgra8"), ".png", "bgra8; png compressed "),
    ],
)
def test_compressed_images_keep_their_colours(image, suffix, form) -> None:
    check_scene(decode_compressed_image(compressed(image, suffix, form)), form.split(";")[0])


def test_compressed_counts_are_stretched_as_raw_ones_are() -> None:
    counts = np.linspace(1000, 3000, 64 * 48).reshape(48, 64).astype(np.uint16)  # millimetres, say
    image = decode_compressed_image(compressed(counts, ".png", "16UC1; png compressed "))
    assert (image == decode_image(message_of(counts, "16UC1"))).all()
    assert np.ptp(image) == 255
    grey = (counts >> 4).astype(np.uint8)
    image = decode_compressed_image(compressed(grey, ".png", "16UC1; jpeg compressed "))
    assert (image == grey[..., None]).all()


@pytest.mark.parametrize("form", ["16UC1; jpeg compressed ", "bayer_rggb8; jpeg compressed bgr8"])
def test_one_channel_that_comes_as_three_is_taken_as_it_is(form: str) -> None:
    """Some encoders make three of one."""
    grey = np.repeat(np.full((64, 64, 1), 90, np.uint8), 3, 2)
    image = decode_compressed_image(compressed(grey, ".png", form))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, grey)


@pytest.mark.parametrize("form", ["16UC1; png compressed ", "bayer_rggb8; png compressed bgr8"])
@pytest.mark.parametrize(
    ("pixels", "suffix", "words"),
    [
        (stored("bgr16"), ".png", "they hold 3 channels of uint16"),
        (stored("bgra16"), ".png", "they hold 4 channels of uint16"),
        (GREY.astype(np.float32), ".tiff", "they hold 1 channel of float32"),
        (GREY.astype(np.int16), ".tiff", "they hold 1 channel of int16"),
        (GREY.astype(np.int8), ".tiff", "they hold 1 channel of int8"),
        (SCENE.astype(np.float32), ".tiff", "they hold 3 channels of float32"),
    ],
)
def test_compressed_pixels_that_the_format_belies_are_refused(
    pixels: np.ndarray, suffix: str, form: str, words: str
) -> None:
    """What is no uint8 would fail later, in a step that other cameras share."""
    with pytest.raises(BadFrameError) as caught:
        decode_compressed_image(compressed(pixels, suffix, form))
    assert words in str(caught.value)
    assert "name the format that it writes" in str(caught.value)
    assert caught.value.cause == "bad_image"


def test_jpeg_keeps_its_colours() -> None:
    big = np.ascontiguousarray(np.repeat(np.repeat(SCENE[..., ::-1], 8, 0), 8, 1))
    image = decode_compressed_image(compressed(big, ".jpg", "bgr8; jpeg compressed bgr8"))
    for (row, column), colour in {(40, 40): RED, (40, 150): BLUE, (120, 100): GREEN}.items():
        assert np.abs(image[row, column].astype(int) - colour).max() < 12


@pytest.mark.parametrize(
    ("data", "form", "words"),
    [
        (b"", "jpeg", "its 0 bytes of format 'jpeg' are no image"),
        (b"no image at all", "jpeg", "are no image that can be decoded"),
        (b"\0" * 50, "16UC1; compressedDepth png", "is depth"),
        (png_header(100_000, 100_000), "png", "CV_IO_MAX_IMAGE_PIXELS"),
        (png_header(40, 30), "png", "are no image that can be decoded"),
    ],
)
def test_compressed_data_that_is_no_image_is_refused(data: bytes, form: str, words: str) -> None:
    message = CompressedImage(format=form)
    message.data.frombytes(data)
    with pytest.raises(BadFrameError, match="it") as caught:
        decode_compressed_image(message)
    assert words in str(caught.value)
