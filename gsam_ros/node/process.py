"""The process around the node: starts it, spins it, and ends in order when it is told to."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import traceback
from typing import NoReturn

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.signals import SignalHandlerOptions

from gsam_ros import fastdds as shared_memory
from gsam_ros.errors import first_sentence
from gsam_ros.node.executor import ShortCallbackExecutor
from gsam_ros.node.gsam_node import GsamNode
from gsam_ros.node.log import RosLogHandler
from gsam_ros.process_memory import share_arenas
from gsam_ros.settings import SettingError

_SERVICE_THREADS = 8
"""A transition, a prompt, `~/detect` and `~/reset` may each wait for the end of a step, one request
of a kind; states, parameters and `~/enable` are answered meanwhile."""

_HASTE = 1.0  # seconds


def main(args: list[str] | None = None) -> NoReturn:
    """Run `gsam_node` until SIGINT or SIGTERM, and end the process."""
    share_arenas()
    # rclpy's own handlers shut the context down at once, under the hands of a thread that is
    # publishing. With these, the node stops its pipeline first.
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # a remapping that is none, say; then follow places in rcl
        rclpy.logging.get_logger("gsam_node").fatal(f"can't be started: {first_sentence(error)}")
        _end(1)
    told_to_end = threading.Event()
    failed = threading.Event()

    def fail() -> None:
        failed.set()
        told_to_end.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told_to_end.set())
    try:
        node = GsamNode(on_lost=fail)
    except (ParameterException, SettingError) as error:
        is_whole = "expecting type 'DOUBLE'" in str(error)
        remedy = ": write it with a dot, as in 5.0" if is_whole else ""
        rclpy.logging.get_logger("gsam_node").fatal(f"a parameter can't be used: {error}{remedy}")
        rclpy.shutdown()
        _end(1)
    logging.getLogger("gsam_ros").addHandler(RosLogHandler(node.get_logger()))
    if fault := shared_memory.shortage():
        node.get_logger().warning(fault)
    executor = ShortCallbackExecutor(_SERVICE_THREADS)
    executor.add_node(node)

    def spin() -> None:
        try:
            executor.spin()
        except BaseException:  # noqa: BLE001  a callback is at fault: end, and say so
            traceback.print_exc()
            fail()

    spinner = threading.Thread(target=spin, name="gsam-spin", daemon=True)
    spinner.start()
    node.start()
    told_to_end.wait()
    in_order = node.exit()
    in_order &= executor.shutdown(timeout_sec=0.3)
    _leave(node, None if in_order else _HASTE)
    _end(1 if failed.is_set() else 0)


def _leave(node: GsamNode, patience: float | None) -> None:
    """Take the node off the network, so that its shared memory (17 MB) is given back.

    A step or a load in native code can't be interrupted; it ends with the process, and what it
    holds of the node may keep this waiting: not longer than `patience` seconds, None: for ever.
    """

    def leave() -> None:
        node.destroy_node()
        gc.collect()  # what has run of the executor's refers to the node, in cycles
        rclpy.shutdown()

    leaving = threading.Thread(target=leave, name="gsam-leave", daemon=True)
    leaving.start()
    leaving.join(patience)


def _end(status: int) -> NoReturn:
    """Leave at once: Python takes seconds to take torch and transformers apart, for nothing."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
