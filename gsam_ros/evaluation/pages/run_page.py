"""`report.html`: one run to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gsam_ros.evaluation.metrics.detection import PrecisionCurve, precision_curves
from gsam_ros.evaluation.pages.frame_choice import Mistakes, outstanding
from gsam_ros.evaluation.pages.frame_plot import chosen_frames, frames_by_stage, waited
from gsam_ros.evaluation.pages.marked_frames import (
    draw_answer,
    draw_truth,
    images_of,
    jpeg_uri,
)
from gsam_ros.evaluation.pages.page import article, counted, figure, paragraph, table, write_page
from gsam_ros.evaluation.pages.plots import age_histogram, precision_recall, stages_over_time
from gsam_ros.evaluation.pages.svg import as_svg, drawing_style
from gsam_ros.evaluation.pictures.timeline import timeline_figure
from gsam_ros.evaluation.report import phrase_rows, rows
from gsam_ros.evaluation.run_score import RunScore
from gsam_ros.recordings.run_images import NoImageError

_PICTURES = 6
_CURVES = 24
_PERCENTILES = (50, 90, 95, 99)


def write_run_page(path: Path, score: RunScore, sample: Path | None, name: str) -> None:
    """Write the report of a run as one HTML file.

    Args:
        path: the file.
        score: of the run.
        sample: where the images are, see `frames_of`; None: they are gone.
        name: of the run, for the title.

    Raises:
        BagError: the sample bag is damaged.
    """
    cameras = ", ".join(camera.camera for camera in score.cameras)
    prompts = dict.fromkeys(frame.phrases for frame in score.frames)
    asked = "; ".join(f"“{' '.join(f'{phrase}.' for phrase in phrases)}”" for phrases in prompts)
    lead = [
        f"{score.answered} of {score.played} frames answered; cameras: {cameras}; "
        f"{score.recorded_seconds:.1f} s of recording.",
        f"Asked for: {asked}",
        *score.problems,
    ]
    with drawing_style():
        sections = [
            ("Figures", table(("figure", "value", "meaning"), rows(score), ("", "number", "note"))),
            ("Phrases", _phrases(score)),
            ("Precision and recall", _precision(score)),
            ("Tracks", _tracks(score)),
            ("Age of the results", _ages(score)),
            ("Time per stage", _stages(score)),
            ("Worst frames", _worst(score, sample)),
        ]
    write_page(path, f"Run {name}", lead, sections)


def _phrases(score: RunScore) -> str:
    found = phrase_rows(score)
    if not found:
        return paragraph("Nothing was wanted in any frame.")
    head = ("phrase, the weakest first", "AP50", "AP 50-95", "AP50 of masks", "AP 50-95 of masks")
    return table(head, found, ("", *["number"] * 4))


def _precision(score: RunScore) -> str:
    curves = sorted(precision_curves(score.frames), key=lambda curve: float(curve.boxes.mean()))
    if not curves:
        return paragraph("Nothing was wanted in any frame.")
    told = "At overlap 0.5, the weakest phrase first; the mean of a curve is the phrase's AP50."
    if len(curves) > _CURVES:
        told += f" The {_CURVES} weakest of {len(curves)} phrases are shown."
    drawn = "".join(_curve(i, curve) for i, curve in enumerate(curves[:_CURVES]))
    return f'{paragraph(told)}<div class="grid">{drawn}</div>\n'


def _curve(number: int, curve: PrecisionCurve) -> str:
    masks = "" if curve.masks is None else f"masks {curve.masks.mean():.2f}, "
    told = f"AP50 {curve.boxes.mean():.2f}, {masks}{curve.wanted} wanted"
    alternative = f"Precision over recall of “{curve.phrase}”: {told}"
    svg = as_svg(precision_recall(curve), f"curve-{number}", alternative)
    return figure(svg, f"{curve.phrase}: {told}")


def _tracks(score: RunScore) -> str:
    tracking = score.tracking
    alternative = (
        f"Timeline of {tracking.objects} objects: when each was visible, when it was found and "
        f"under which of {tracking.tracks} ids, with {tracking.id_switches} id switches marked"
    )
    return figure(
        as_svg(timeline_figure(score.frames), "tracks", alternative),
        "A line per object and phrase. The number in brackets is the object's own id.",
        wide=True,
    )


def _ages(score: RunScore) -> str:
    ages = 1e3 * np.array([timing.age for timing in score.timings])
    if not len(ages):
        return paragraph("The result bag holds no frame_status message.")
    values = np.percentile(ages, _PERCENTILES)
    marks = [(f"p{p}", float(value)) for p, value in zip(_PERCENTILES, values, strict=True)]
    told = [("least", float(ages.min())), *marks, ("greatest", float(ages.max()))]
    alternative = "Histogram of frame ages: " + ", ".join(f"{n} {v:.0f} ms" for n, v in told)
    drawn = figure(
        as_svg(age_histogram(ages, marks), "ages", alternative),
        "From the image's stamp to the moment when its results left, on the node's clock.",
        wide=True,
    )
    cells = ["age", *(f"{value:.0f} ms" for _, value in told)]
    head = ["", *(name for name, _ in told)]
    return drawn + table(head, [cells], ["", *["number"] * len(told)])


def _stages(score: RunScore) -> str:
    if not any(timing.stages for timing in score.timings):
        return paragraph("The result bag holds no times of stages.")
    start = min(timing.stamp for timing in score.timings)
    spreads = score.timing.stages
    alternative = "Milliseconds per frame over the run, stacked by stage; means: " + ", ".join(
        f"{name} {spread.mean:.1f} ms" for name, spread in spreads.items()
    )
    drawn = figure(
        as_svg(stages_over_time(score.timings, start), "stages", alternative),
        "Means over stretches of the run; a stage that did not run on a frame took no time there. "
        "Waiting is the time in the queue.",
        wide=True,
    )
    values = [
        (name, f"{s.mean:.1f}", f"{s.p50:.1f}", f"{s.p99:.1f}") for name, s in spreads.items()
    ]
    head = ("stage, ms where it runs", "mean", "p50", "p99")
    told = table(head, values, ("", "number", "number", "number"))
    return drawn + _single_frames(score) + told


def _single_frames(score: RunScore) -> str:
    chosen = chosen_frames(score.timings)
    words = "; ".join(
        f"{name}: {1e3 * timing.age:.0f} ms, {1e3 * waited(timing):.0f} of them waiting"
        for name, timing in chosen
    )
    return figure(
        as_svg(frames_by_stage(chosen), "frames", f"Two frames stage by stage. {words}"),
        f"Two frames stage by stage. {words[0].upper()}{words[1:]}. In a gap a frame waits for "
        "others of its round.",
        wide=True,
    )


def _worst(score: RunScore, sample: Path | None) -> str:
    wrong = [Mistakes.of(frame) for frame in score.frames]
    chosen = outstanding(score.frames, [len(w) for w in wrong], _PICTURES)
    if not chosen:
        return paragraph("No frame has a mistake.")
    if sample is None:
        return _in_words(score, wrong, chosen, "The images are not at hand.")
    try:
        images = images_of(sample, [score.frames[i] for i in chosen])
    except NoImageError as error:
        return _in_words(score, wrong, chosen, f"{error}.")
    what = "boxes" if score.boxes_only else "masks"
    told = paragraph(
        f"The run is cut into {_PICTURES} stretches of equal length, and each gives the frame with "
        f"most mistakes: objects missed and false alarms, {what} overlapping by half. A red frame "
        "marks them. The number at a true object is its visible share."
    )
    return told + "".join(_shown(score, images, wrong, chosen))


def _in_words(
    score: RunScore, wrong: Sequence[Mistakes], chosen: Sequence[int], reason: str
) -> str:
    words = (f"{_where(score, i)}: {wrong[i].told(score.frames[i])}" for i in chosen)
    return paragraph(reason) + "".join(map(paragraph, words))


def _shown(
    score: RunScore,
    images: Mapping[tuple[str, int], np.ndarray],
    wrong: Sequence[Mistakes],
    chosen: Sequence[int],
) -> list[str]:
    shown = []
    for i in chosen:
        frame, mistakes = score.frames[i], wrong[i]
        image = images[frame.answer.camera, frame.answer.stamp]
        where = _where(score, i)
        truth = jpeg_uri(draw_truth(image, frame, mistakes.missed))
        answer = jpeg_uri(draw_answer(image, frame, mistakes.false))
        told = mistakes.told(frame)
        shown.append(
            article(
                f"{where}: {counted(len(mistakes), 'mistake')}",
                told,
                [
                    (
                        truth,
                        "truth",
                        f"Truth at {where}: {len(frame.expected.wanted.nonzero()[0])} objects",
                    ),
                    (answer, "result", f"Result at {where}: {len(frame.answer)} objects; {told}"),
                ],
            )
        )
    return shown


def _where(score: RunScore, i: int) -> str:
    """A frame in words: camera and seconds from the first frame on."""
    start = min(frame.answer.stamp for frame in score.frames)
    answer = score.frames[i].answer
    return f"{answer.camera or 'camera'}, {(answer.stamp - start) / 1e9:.1f} s"
