"""The executor of a node whose callbacks are short, beside a thread that needs Python's lock."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rclpy.context import Context
from rclpy.executors import (
    ConditionReachedException,
    Executor,
    ExternalShutdownException,
    ShutdownException,
    TimeoutException,
)
from rclpy.service import Service


class ShortCallbackExecutor(Executor):
    """Runs messages and timers in the spinning thread, and service requests in threads beside it.

    A service may wait, for a model that loads or for the end of a step; nothing else may.

    rclpy's `MultiThreadedExecutor` hands every callback to a thread. Until that thread takes the
    message, the executor does not wait for the subscription but does wait for its QoS events, whose
    condition Fast DDS raises for the message as well (https://github.com/ros2/rclpy/issues/1223).
    So it turns round and round, and takes the interpreter lock at every turn: with `/clock` at
    100 Hz it used a whole core, and the thread that tracks, which takes the lock once per torch
    operation, was ten times slower.

    Args:
        num_threads: service requests that can be answered at the same time.
        context: of the nodes; None for rclpy's default one.
    """

    def __init__(self, num_threads: int, *, context: Context | None = None) -> None:
        super().__init__(context=context)
        self._pool = ThreadPoolExecutor(num_threads, thread_name_prefix="gsam-service")
        self._handed_on: set[Any] = set()
        self._failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
        self._spinning = threading.Lock()
        self._told_to_stop = threading.Event()

    def spin(self) -> None:
        """Run callbacks until `shutdown`, or until one raises; raises that."""
        with self._spinning:
            while self.context.ok() and not self._told_to_stop.is_set():
                self.spin_once()

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for one callback and run it, or have it run; raises what any callback raised."""
        entity: Any
        try:
            task, entity, _ = self.wait_for_ready_callbacks(
                timeout_sec=timeout_sec, condition=self._told_to_stop.is_set
            )
        except (
            ConditionReachedException,
            ExternalShutdownException,
            ShutdownException,
            TimeoutException,
        ):
            return
        if isinstance(entity, Service):
            # rclpy hands out what has not begun at every turn, so also what waits for a thread.
            if task not in self._handed_on:
                self._handed_on.add(task)
                self._pool.submit(self._run, task)
        else:
            self._run(task)
        if not self._failures.empty():
            raise self._failures.get()

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Stop spinning; True if every callback ended in time. Nothing new is begun.

        rclpy takes the executor apart at once, under the hands of the thread that spins, which then
        fails on what is gone. Here it is waited for; a callback must not call this.
        """
        self._told_to_stop.set()
        self.wake()
        ended = self._spinning.acquire(timeout=-1 if timeout_sec is None else timeout_sec)
        self._pool.shutdown(wait=False, cancel_futures=True)
        if not ended:
            return False
        self._spinning.release()
        done: bool = super().shutdown(timeout_sec)
        return done

    def _run(self, task: Any) -> None:
        task()
        self._handed_on.discard(task)
        error = task.exception()
        if error is not None:
            self._failures.put(error)
            self.wake()
