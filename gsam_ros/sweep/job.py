"""One job of a sweep in a process of its own: a crash or a full memory ends this job alone.

python -m gsam_ros.sweep.job JOB.json
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from gsam_ros.pipeline.settings import Settings
from gsam_ros.processes import run_this_code
from gsam_ros.settings import with_texts
from gsam_ros.sweep.outcome import Outcome, last_outcome
from gsam_ros.sweep.plan import Job, JobError

_LOOK_EVERY = 0.2  # seconds between two looks at the process
_TAIL = 3  # lines of a log that tell why a process failed
_PR_SET_PDEATHSIG = 1  # prctl(2)
_PATIENCE = 20.0  # seconds for a process that was asked to end, to secure what it has


def run_job(job: Job, threads: int, stopped: Callable[[], bool] = lambda: False) -> Outcome:
    """Run a job in a process of its own and wait for it.

    Args:
        job: what to do.
        threads: that torch computes with.
        stopped: whether to give up; the process is asked to end, and goes on where it was when the
            job is run again.

    Returns:
        The outcome, which lies in the job's folder as well.
    """
    folder = Path(job.out)
    folder.mkdir(parents=True, exist_ok=True)
    description = folder / "job.json"
    description.write_text(job.as_json())
    log = folder / "log.txt"
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OMP_WAIT_POLICY="PASSIVE")
    run_this_code(environment)
    (folder / "outcome.json").unlink(missing_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(description)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches the sweep alone, which asks the jobs to end
        )
    try:
        while process.poll() is None and not stopped():
            time.sleep(_LOOK_EVERY)
    finally:
        _end(process)
    outcome = last_outcome(folder)
    if outcome is None:
        outcome = Outcome(job.fingerprint, _why(process.returncode, log, stopped()))
        outcome.write(folder)
    return outcome


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _why(status: int, log: Path, stopped: bool) -> str:
    """What to say of a process that left no outcome."""
    if stopped:
        return "interrupted"
    if status == -9:
        return "killed, most likely for want of memory: give fewer --jobs"
    with log.open(errors="replace") as lines:
        tail = " ".join(line.strip() for line in deque(lines, _TAIL))
    return f"its process ended with status {status}: {tail}; see {log}"


def main(job: Job) -> int:
    """What the process does; returns its exit status."""
    _end_with_parent()
    try:
        outcome = _track_and_score(job)
    except JobError as error:
        outcome = Outcome(job.fingerprint, str(error))
    if outcome is None:
        return 143  # somebody asked it to end
    outcome.write(Path(job.out))
    print(outcome.failure or "done", flush=True)
    return 1 if outcome.failure else 0


def _end_with_parent() -> None:
    """A cluster that loses a worker, or a sweep that is killed, leaves no job behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _track_and_score(job: Job) -> Outcome | None:
    """The figures of a job; None if somebody interrupted it."""
    from gsam_ros.standalone.track_run import TrackError, TrackOptions, run_track
    from gsam_ros.sweep.figures import figures_of

    settings = with_texts(Settings(), [*job.fixed, *job.varied])
    run = Path(job.out) / "run"
    options = TrackOptions(
        job.source, run, job.prompt, job.topics, settings, video=False, limit=job.frames
    )
    try:
        done = run_track(options, tell=lambda text: print(text, flush=True))
    except TrackError as error:
        raise JobError(str(error)) from error
    if not done.finished:
        return None
    if not done.frames:
        raise JobError(f"{job.source}: no frame could be read. {' '.join(done.problems)}")
    figures, notes = figures_of(job, run, done)
    return Outcome(job.fingerprint, notes=(*done.problems, *notes), figures=figures)


if __name__ == "__main__":
    sys.exit(main(Job.from_json(Path(sys.argv[1]).read_text())))
