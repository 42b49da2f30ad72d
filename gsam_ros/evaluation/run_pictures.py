"""What one looks at of a scored run: report, annotated video, contact sheet, timeline."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from gsam_ros.evaluation.pages.run_page import write_run_page
from gsam_ros.evaluation.pictures.contact_sheet import write_contact_sheet
from gsam_ros.evaluation.pictures.panels import drawn_panels
from gsam_ros.evaluation.pictures.side_by_side import side_by_side
from gsam_ros.evaluation.pictures.timeline import write_timeline
from gsam_ros.evaluation.run_score import RunScore
from gsam_ros.recordings.run_images import NoImageError
from gsam_ros.recordings.video import write_video


def draw_run(
    score: RunScore, images: Path | None, out: Path, video: bool = True
) -> tuple[str, ...]:
    """Write report.html, timeline.png and, with images, contact_sheet.png and video.mp4 into `out`.

    Args:
        score: of the run.
        images: where they are, see `frames_of`; None: they are gone, and nothing shows them.
        out: folder.
        video: whether to draw one.

    Returns:
        What could not be drawn, in words: the images may be those of another recording.

    Raises:
        BagError: the images can't be read.
        VideoError: the video can't be written.
    """
    problems = []
    if images is not None:
        try:
            if video:
                _draw_video(score, images, out / "video.mp4")
            write_contact_sheet(out / "contact_sheet.png", images, score.frames)
        except NoImageError as error:
            problems.append(str(error))
    write_timeline(out / "timeline.png", score.frames)
    write_run_page(out / "report.html", score, images, out.resolve().name)
    return tuple(problems)


def _draw_video(score: RunScore, images: Path, path: Path) -> None:
    """All cameras side by side."""
    answers: dict[str, dict] = {}
    for frame in score.frames:
        answers.setdefault(frame.answer.camera, {})[frame.answer.stamp] = frame
    stamps = sorted(next(iter(answers.values())))
    rate = (len(stamps) - 1) / max((stamps[-1] - stamps[0]) / 1e9, 1e-9) or 1.0
    pictures = side_by_side([drawn_panels(images, name, own) for name, own in answers.items()])
    bar = tqdm(pictures, total=len(stamps), desc="annotated video", unit="frame")
    write_video(path, bar, rate)
