"""Runs a sweep: what is done already stays, what fails is told, and all of it becomes one table.

What it leaves in its folder:

    sweep.csv .md .html      one line per recording and setting, and the settings compared
    runs/RECORDING/SETTING/  outcome.json, log.txt, and in run/ what `gsam track` leaves
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from gsam_ros.sweep.outcome import Outcome, outcome_of
from gsam_ros.sweep.plan import Job
from gsam_ros.sweep.table import Results, results_of, write_tables

Runner = Callable[[Sequence[Job]], Iterator[tuple[Job, Outcome]]]
"""Runs jobs and tells their outcomes in the order in which they end."""


def sweep(jobs: Sequence[Job], runner: Runner, out: Path, by: str = "") -> Results:
    """Run every job that has not been done, and write the tables.

    The tables are written after an interruption, too, of what was done until then.

    Args:
        jobs: as `plan` gives them.
        runner: where they run.
        out: the sweep's folder.
        by: the figure to sort by; "" leaves the choice to `results_of`.

    Raises:
        FleetError: the runner can't be had.
        OSError: a file can't be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    known = {job: outcome for job in jobs if (outcome := outcome_of(job))}
    missing = [job for job in jobs if job not in known]
    try:
        with tqdm(total=len(jobs), initial=len(known), desc="sweep", unit="run") as bar:
            if missing:
                for job, outcome in runner(missing):
                    known[job] = outcome
                    bar.update()
                    if outcome.failure:
                        name = f"{Path(job.source).name}, {job.label}"
                        tqdm.write(f"gsam: {name}: {outcome.failure}", sys.stderr)
    finally:
        results = results_of([(job, known[job]) for job in jobs if job in known], by)
        write_tables(results, out, _lead(jobs, known))
    return results


def _lead(jobs: Sequence[Job], done: Mapping[Job, Outcome]) -> list[str]:
    recordings = len({job.source for job in jobs})
    settings = len({job.varied for job in jobs})
    failed = sum(bool(outcome.failure) for outcome in done.values())
    lines = [
        f"{recordings} recordings and {settings} settings: {len(done)} of {len(jobs)} runs are "
        f"done, {failed} of them failed.",
        f"Prompt: {jobs[0].prompt or 'as recorded'}",
    ]
    if jobs[0].fixed:
        lines.append(f"Settings of all runs: {' '.join(jobs[0].fixed)}")
    lines.append(
        "Times compare only among runs that had the machine in the same way: sweep with --jobs 1 "
        "where they matter."
    )
    return lines
