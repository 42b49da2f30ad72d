"""One picture that shows a whole run: cameras in rows, moments in columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from gsam_ros.evaluation.pairing import PairedFrame
from gsam_ros.evaluation.pictures.panels import DIM, INK, PAPER, Panel, drawn_panels, font
from gsam_ros.recordings.run_images import check_found

_TILE = (512, 384)  # width and height, pixels
_GAP = 10
_MARGIN = 28
_HEAD = 64  # the prompt above its columns
_FOOT = 36  # the time below each column
_ACCENT = (96, 205, 140)


def write_contact_sheet(
    path: Path, sample: Path, frames: Sequence[PairedFrame], columns: int = 4
) -> None:
    """Draw moments of every camera, spread over the prompts, and write a PNG.

    Args:
        path: the file.
        sample: the bag with the images.
        frames: the answers.
        columns: how many moments.

    Raises:
        NoImageError: it has no image of such a moment.
        BagError: the bag is damaged.
    """
    cameras = sorted({frame.answer.camera for frame in frames})
    by_camera = {
        camera: {f.answer.stamp: f for f in frames if f.answer.camera == camera}
        for camera in cameras
    }
    moments = _moments(by_camera[cameras[0]], columns)
    rows = [_row(sample, camera, by_camera[camera], moments) for camera in cameras]
    start = min(frame.answer.stamp for frame in frames)
    _sheet(rows, cameras, start).save(path)


def _moments(frames: Mapping[int, PairedFrame], columns: int) -> list[int]:
    """Stamps, the same number under every prompt, each where most was to be found near it.

    Every column gets a stretch of the run and takes the frame of the stretch's middle that shows
    most of what was asked for, however much of it was found.
    """
    stamps = sorted(frames)
    prompts = [list(g) for _, g in groupby(stamps, key=lambda stamp: frames[stamp].phrases)]
    moments = []
    for i, stretch in enumerate(prompts):
        count = columns // len(prompts) + (i < columns % len(prompts))
        for part in np.array_split(np.array(stretch), min(max(count, 1), len(stretch))):
            middle = part[len(part) // 4 : max(len(part) * 3 // 4, 1)].tolist()
            asked = {stamp: int(frames[stamp].expected.wanted.sum()) for stamp in middle}
            moments.append(max(middle, key=asked.__getitem__))
    return moments[:columns]


def _row(
    sample: Path, camera: str, frames: Mapping[int, PairedFrame], moments: Sequence[int]
) -> list[Panel]:
    """A camera's panels nearest to the moments."""
    stamps = np.array(sorted(frames))
    chosen = [int(stamps[np.abs(stamps - moment).argmin()]) for moment in moments]
    panels = {p.stamp: p for p in drawn_panels(sample, camera, {s: frames[s] for s in chosen})}
    check_found(sample, camera, chosen, panels)
    return [panels[stamp] for stamp in chosen]


def _sheet(rows: Sequence[Sequence[Panel]], cameras: Sequence[str], start: int) -> Image.Image:
    width, height = _TILE
    columns = len(rows[0])
    size = (
        2 * _MARGIN + columns * width + (columns - 1) * _GAP,
        _MARGIN + _HEAD + len(rows) * (height + _GAP) + _FOOT,
    )
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for left, right, phrases in _spans(rows[0]):
        prompt = " ".join(f"{phrase}." for phrase in phrases)
        middle = _MARGIN + _HEAD // 2 - 6
        draw.text((left, middle), f"“{prompt}”", INK, font(26), anchor="lm")
        draw.line((left, _MARGIN + _HEAD - 14, right, _MARGIN + _HEAD - 14), _ACCENT, 3)
    for j in range(columns):
        x = _MARGIN + j * (width + _GAP)
        for i, row in enumerate(rows):
            y = _MARGIN + _HEAD + i * (height + _GAP)
            tile = cv2.resize(row[j].picture, _TILE, interpolation=cv2.INTER_AREA)
            sheet.paste(Image.fromarray(tile), (x, y))
            if j == 0:
                draw.text(
                    (x + 10, y + height - 10),
                    cameras[i],
                    INK,
                    font(20),
                    anchor="ls",
                    stroke_width=3,
                    stroke_fill=PAPER,
                )
        seconds = (rows[0][j].stamp - start) / 1e9
        draw.text(
            (x + width / 2, size[1] - _FOOT / 2), f"+{seconds:.1f} s", DIM, font(20), anchor="mm"
        )
    return sheet


def _spans(row: Sequence[Panel]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """(left, right, phrases) of columns in a row that share a prompt, in pixels."""
    first = 0
    for phrases, group in groupby(row, key=lambda panel: panel.phrases):
        last = first + len(list(group))
        step = _TILE[0] + _GAP
        yield _MARGIN + first * step, _MARGIN + last * step - _GAP, phrases
        first = last
