"""A sweep's results in one table: for the terminal, as CSV, Markdown and HTML."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from gsam_ros.evaluation.pages.page import paragraph, table, write_page
from gsam_ros.sweep.figures import ALL, COST
from gsam_ros.sweep.outcome import Outcome
from gsam_ros.sweep.plan import Job

BEST = "best"


@dataclass(frozen=True)
class Row:
    """One line.

    Attributes:
        mark: `BEST` or "".
        recording: its name; of a line over all, how many there are.
        setting: what was varied.
        figures: name to value.
        note: why there are no figures, or what was left out.
    """

    mark: str
    recording: str
    setting: str
    figures: dict[str, float]
    note: str


@dataclass(frozen=True)
class Results:
    """All of a sweep.

    Attributes:
        by: the figure that rows are sorted by, best first.
        settings: one row per setting, means over the recordings that every setting finished.
        runs: one row per recording and setting.
    """

    by: str
    settings: tuple[Row, ...]
    runs: tuple[Row, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The figures that any row has, that of `by` first."""
        known = {name for row in self.runs for name in row.figures}
        return tuple(sorted(known, key=lambda name: (name != self.by, ALL.index(name))))


def results_of(outcomes: Sequence[tuple[Job, Outcome]], by: str = "") -> Results:
    """Sort, and mark the best.

    Args:
        outcomes: of all jobs that have ended, in the order of their plan.
        by: a figure; "": HOTA where there is any, else the time per frame.
    """
    known = {name for _, outcome in outcomes for name in outcome.figures}
    by = by or ("HOTA" if "HOTA" in known else "ms per frame")
    runs: list[Row] = []
    sources = list(dict.fromkeys(job.source for job, _ in outcomes))
    for source, name in zip(sources, _names(sources), strict=True):
        of_source = [(job, outcome) for job, outcome in outcomes if job.source == source]
        rows = [
            Row("", name, j.label, o.figures, o.failure or "; ".join(o.notes)) for j, o in of_source
        ]
        runs += _ranked(rows, by)
    return Results(by, tuple(_ranked(_over_recordings(outcomes), by)), tuple(runs))


def _names(sources: Sequence[str]) -> list[str]:
    """Their last names, or as much of their paths as tells them apart."""
    paths = [Path(source) for source in sources]
    parts = 1
    while True:
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(names):
            return names
        parts += 1


def _over_recordings(outcomes: Sequence[tuple[Job, Outcome]]) -> list[Row]:
    """Means over the same recordings for every setting; a mean over others would not compare."""
    sources = list(dict.fromkeys(job.source for job, _ in outcomes))
    labels = list(dict.fromkeys(job.label for job, _ in outcomes))
    finished = {(job.source, job.label) for job, outcome in outcomes if not outcome.failure}
    shared = [s for s in sources if all((s, label) in finished for label in labels)]
    rows = []
    for label in labels:
        of_label = [(job.source, outcome) for job, outcome in outcomes if job.label == label]
        own = [outcome for source, outcome in of_label if source in shared]
        names = [name for name in ALL if own and all(name in o.figures for o in own)]
        means = {name: fmean(o.figures[name] for o in own) for name in names}
        lost = {
            "failed": sum(bool(outcome.failure) for _, outcome in of_label),
            "not run yet": len(sources) - len(of_label),  # of an interrupted sweep
        }
        notes = [f"{count} of {len(sources)} {what}" for what, count in lost.items() if count]
        rows.append(Row("", f"{len(shared)} recordings", label, means, "; ".join(notes)))
    return rows


def _ranked(rows: Sequence[Row], by: str) -> list[Row]:
    """Best first, those without the figure last; the best one marked where there are several."""

    def worth(row: Row) -> float:
        value = row.figures.get(by, math.nan)
        if math.isnan(value):
            return math.inf
        return value if by in COST else -value

    ranked = sorted(rows, key=worth)
    if len(ranked) > 1 and math.isfinite(best := worth(ranked[0])):
        return [
            Row(BEST if worth(r) == best else "", r.recording, r.setting, r.figures, r.note)
            for r in ranked
        ]
    return ranked


def write_tables(results: Results, folder: Path, lead: Sequence[str]) -> None:
    """Write sweep.csv, sweep.md and sweep.html into `folder`; `lead` says what was run."""
    with (folder / "sweep.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["recording", "setting", *results.columns, "best", "note"])
        for row in results.runs:
            values = [row.figures.get(name, "") for name in results.columns]
            writer.writerow([row.recording, row.setting, *values, row.mark, row.note])
    parts = [("Settings", results.settings), ("Every run", results.runs)]
    text = "\n\n".join(
        f"## {heading}\n\n{as_markdown(results, rows)}" for heading, rows in parts if rows
    )
    (folder / "sweep.md").write_text("\n".join([*lead, "", text, ""]))
    kinds = ("", "", "verdict", *("number" for _ in results.columns), "note")
    sections = [
        (
            heading,
            paragraph(f"Sorted by {results.by}.")
            + table(_head(results), [_cells(results, row) for row in rows], kinds),
        )
        for heading, rows in parts
    ]
    write_page(folder / "sweep.html", "Sweep", list(lead), sections)


def as_markdown(results: Results, rows: Sequence[Row]) -> str:
    """A Markdown table, which is read on a terminal as well."""
    head = _head(results)
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        cells = [cell.replace("|", "\\|") for cell in _cells(results, row)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _head(results: Results) -> list[str]:
    return ["setting", "recording", "", *results.columns, "note"]


def _cells(results: Results, row: Row) -> list[str]:
    values = [_shown(name, row.figures.get(name)) for name in results.columns]
    return [row.setting, row.recording, row.mark, *values, row.note]


def _shown(name: str, value: float | None) -> str:
    if value is None or math.isnan(value):
        return ""
    if name in ("frames", "ids", "id switches"):
        return f"{value:.0f}"
    return f"{value:.1f}" if name in ("ms per frame", "objects per frame") else f"{value:.3f}"
