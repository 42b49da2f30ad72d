"""`comparison.html`: two runs beside each other."""

from __future__ import annotations

from pathlib import Path

from gsam_ros.evaluation.comparison.blocks import DRAWS, LEVEL
from gsam_ros.evaluation.comparison.compare import ACCURACY, COUNT, TIME, Comparison
from gsam_ros.evaluation.comparison.report import HEAD, comparison_rows, summary
from gsam_ros.evaluation.pages.frame_choice import Mistakes, changed, outstanding
from gsam_ros.evaluation.pages.marked_frames import draw_answer, draw_truth, images_of, jpeg_uri
from gsam_ros.evaluation.pages.page import article, counted, figure, paragraph, table, write_page
from gsam_ros.evaluation.pages.plots import intervals
from gsam_ros.evaluation.pages.svg import as_svg, drawing_style
from gsam_ros.recordings.run_images import NoImageError

_PICTURES = 6
_KINDS = {
    ACCURACY: "Accuracy, B - A; right of the line B is better",
    COUNT: "Counts, B - A; left of the line B is better",
    TIME: "Times, B - A in percent of A; left of the line B is better",
}


def write_comparison_page(
    path: Path, comparison: Comparison, sample: Path | None, names: tuple[str, str]
) -> None:
    """Write a comparison as one HTML file.

    Args:
        path: the file.
        comparison: of two runs.
        sample: where the images are, see `frames_of`; None: they are gone.
        names: what A and B are.

    Raises:
        BagError: the sample bag is damaged.
    """
    lead = [f"A: {names[0]}", f"B: {names[1]}", " ".join(summary(comparison))]
    kinds = ("", "number", "number", "number", "number", "verdict")
    with drawing_style():
        sections = [
            ("Figures", table(HEAD, comparison_rows(comparison), kinds)),
            ("Intervals", _intervals(comparison)),
            ("How sure this is", _method(comparison)),
            ("Frames that changed most", _changed_most(comparison, sample)),
        ]
    write_page(path, "A and B compared", lead, sections)


def _intervals(comparison: Comparison) -> str:
    drawn = []
    for kind, caption in _KINDS.items():
        chosen = [d for d in comparison.differences if d.kind == kind and d.low == d.low]
        if kind == TIME:  # a share of nothing is no number
            chosen = [d for d in chosen if d.first > 0]
        if chosen:
            told = ", ".join(f"{d.name}: {d.verdict}" for d in chosen)
            svg = as_svg(intervals(chosen), kind, f"{caption}. {told}")
            drawn.append(figure(svg, caption, wide=True))
    return "".join(drawn) or paragraph("No figure has an interval.")


def _method(comparison: Comparison) -> str:
    return paragraph(
        f"The recording is taken as a sample of {comparison.blocks} blocks of "
        f"{comparison.seconds:g} s. Frames of one video are not independent, and cameras see the "
        "same scene at the same time, so whole blocks of all cameras are drawn with replacement, "
        f"{DRAWS} times, the same for A and B (block bootstrap: Carlstein 1986, Künsch 1989). The "
        f"{LEVEL} % interval is the expanded percentile interval (Hesterberg 2015), which is wider "
        "where blocks are few. A verdict is given where it leaves out zero; of twenty figures "
        "without any difference, one or two get a verdict by chance."
    ) + paragraph(
        "The intervals tell how the figures would vary with the scene. They do not know what else "
        "the machine did: where times matter, make several runs of each and see whether the "
        "verdicts stay. HOTA's matching of ids within a frame is kept as it is for the whole run."
    )


def _changed_most(comparison: Comparison, sample: Path | None) -> str:
    wrong = [(Mistakes.of(a), Mistakes.of(b)) for a, b in comparison.pairs]
    frames = [a for a, _ in comparison.pairs]
    chosen = outstanding(frames, [changed(a, b) for a, b in wrong], _PICTURES)
    if not chosen:
        return paragraph("A and B find and miss the same objects in every frame.")
    if sample is None:
        return paragraph("The images are not at hand.")
    try:
        images = images_of(sample, [frames[i] for i in chosen])
    except NoImageError as error:
        return paragraph(f"{error}.")
    told = paragraph(
        f"The recording is cut into {_PICTURES} stretches of equal length, and each gives the "
        "frame that changed most: objects that one run alone found, and the difference in false "
        "alarms. A red frame marks what is missed in both, and what is a false alarm."
    )
    start = min(frame.answer.stamp for frame in frames)
    shown = []
    for i in chosen:
        (a, b), (of_a, of_b) = comparison.pairs[i], wrong[i]
        image = images[a.answer.camera, a.answer.stamp]
        where = f"{a.answer.camera}, {(a.answer.stamp - start) / 1e9:.1f} s"
        in_a, in_b = of_a.told(a), of_b.told(b)
        both = sorted(set(of_a.missed) & set(of_b.missed))
        pictures = [
            (jpeg_uri(draw_answer(image, a, of_a.false)), f"A. {in_a}", f"A at {where}: {in_a}"),
            (jpeg_uri(draw_answer(image, b, of_b.false)), f"B. {in_b}", f"B at {where}: {in_b}"),
            (jpeg_uri(draw_truth(image, a, both)), "Truth", f"Truth at {where}"),
        ]
        told_a, told_b = counted(len(of_a), "mistake"), counted(len(of_b), "mistake")
        shown.append(article(f"{where}: {told_a} in A, {told_b} in B", "", pictures))
    return told + "".join(shown)
