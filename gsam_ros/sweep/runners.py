"""Where a sweep's jobs run: on the cores of this machine, or on a Ray cluster."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from gsam_ros.errors import first_line
from gsam_ros.sweep.job import run_job
from gsam_ros.sweep.outcome import Outcome
from gsam_ros.sweep.plan import Job

LOCAL_RAY = "local"
"""The address that starts a Ray on this machine alone."""


class FleetError(RuntimeError):
    """Jobs can't be run there; the message says what is missing."""


def run_here(jobs: Sequence[Job], at_once: int) -> Iterator[tuple[Job, Outcome]]:
    """Run jobs on this machine, each in a process of its own, in the order in which they end.

    Args:
        jobs: what to run.
        at_once: how many at a time; they share the cores.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // at_once)
    stop = threading.Event()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            waiting = {pool.submit(run_job, job, threads, stop.is_set): job for job in jobs}
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        finally:  # an interruption, too: those that run are asked to end, the others never start
            stop.set()
            pool.shutdown(cancel_futures=True)


def run_on_ray(
    jobs: Sequence[Job], address: str, cores: float, gpus: float
) -> Iterator[tuple[Job, Outcome]]:
    """Run jobs on a Ray cluster, in the order in which they end.

    gsam_ros has to be installed on the cluster's machines, and recordings and output have to lie
    under the same paths on all of them; the outcomes come back by themselves.

    Args:
        jobs: what to run.
        address: "ray://HEAD:10001", "HEAD:6379", "auto", or `LOCAL_RAY`.
        cores: that a job reserves.
        gpus: likewise.

    Raises:
        FleetError: Ray is not installed, or nobody answers at the address.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise FleetError(
            "--ray needs the package ray, here and on the cluster's machines: "
            "pip install 'ray>=2.40'"
        ) from error
    try:
        ray.init(
            address=None if address == LOCAL_RAY else address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False if address == LOCAL_RAY else None,
        )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise FleetError(
            f"no Ray cluster can be had at {address!r}: {first_line(error)}"
        ) from error
    try:
        # Lost machines and killed workers are Ray's to mend; a job that fails fails again.
        remote = ray.remote(num_cpus=cores, num_gpus=gpus, max_retries=1)(_run_remotely)
        waiting = {remote.remote(job.as_json(), max(1, int(cores))): job for job in jobs}
        while waiting:
            [done], _ = ray.wait(list(waiting), num_returns=1)
            job = waiting.pop(done)
            yield job, _fetched(ray, done, job)
    finally:
        ray.shutdown()


def _run_remotely(text: str, threads: int) -> Outcome:
    return run_job(Job.from_json(text), threads)


def _fetched(ray: Any, done: Any, job: Job) -> Outcome:
    """The outcome of a task; of one that Ray lost, the reason."""
    try:
        outcome: Outcome = ray.get(done)
    except ray.exceptions.RayError as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return Outcome(job.fingerprint, f"Ray lost it: {lines[-1]}")
    return outcome
