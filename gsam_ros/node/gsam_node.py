"""The lifecycle node: topics, services and parameters, wired to the pipeline."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from typing import TYPE_CHECKING, Any, TypeVar

from rclpy.impl.implementation_singleton import rclpy_implementation

from gsam_ros.instances import which
from gsam_ros.node import qos
from gsam_ros.node.camera import decode
from gsam_ros.node.cameras import Cameras
from gsam_ros.node.detect_service import DetectService
from gsam_ros.node.diagnostics import Health
from gsam_ros.node.health_report import HealthReport
from gsam_ros.node.lifecycle import SUCCESS, ManagedNode, TransitionError
from gsam_ros.node.live_parameters import LiveParameters
from gsam_ros.node.log import ThrottledLog
from gsam_ros.node.outlet import CameraOutlet
from gsam_ros.node.pointing import ObjectServices, PointingTopics
from gsam_ros.node.prompt_inputs import PromptInputs
from gsam_ros.node.settings import NodeSettings
from gsam_ros.pipeline.inbox import LiveInbox, LosslessInbox
from gsam_ros.pipeline.loading import LoadError, free_device_memory, load_tracker
from gsam_ros.pipeline.prompting import PromptKeeper
from gsam_ros.pipeline.runner import Runner
from gsam_ros.pipeline.settings import Settings
from gsam_ros.prompts import Prompt

if TYPE_CHECKING:
    from gsam_ros.pipeline.grounded_tracker import GroundedTracker

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 300.0  # seconds between two tries of autostart
_EXIT_PATIENCE = 1.0  # seconds for the step that runs when the process is told to end


class GsamNode(ManagedNode):
    """Camera images and prompts in; tracked, named, segmented objects out.

    No model runs in a callback: a `Runner` owns the pipeline in a thread of its own. The node wants
    an executor with several threads, since `configure` and `~/set_prompt` wait for that thread.
    """

    def __init__(self, on_lost: Callable[[], None] = lambda: None) -> None:
        """Declare parameters and topics.

        Args:
            on_lost: told, in any thread, that only another process can go on.
        """
        super().__init__("gsam_node")
        self._on_lost = on_lost
        self._runner: Runner | None = None
        self._exiting = threading.Event()
        self._warn = ThrottledLog.of_warnings(self.get_logger())
        self._error = ThrottledLog.of_errors(self.get_logger())
        # Whoever types may be told of each; a program that sends on and on, of one per second.
        self._warn_of_prompts = ThrottledLog.of_warnings(self.get_logger(), period=1.0)
        self._prompts = PromptKeeper(self._prompt_changed, self._prompt_rejected)
        self._settings = LiveParameters(self, self._apply_parameters)
        self._cameras = Cameras(self, self._warn)
        self._health = HealthReport(
            self, lambda: self._settings.options, self._prompts, self._cameras
        )
        self._inputs = PromptInputs(
            self, self._prompts, lambda: self._settings.options, self._await
        )
        PointingTopics(
            self,
            self._cameras,
            lambda: self._settings.options.clicked_name,
            self._prompts.point_out,
        )
        ObjectServices(self, self._cameras, self._run)
        DetectService(self, self._run)

    # Lifecycle

    def start(self) -> None:
        """Configure and activate, in a thread of its own, where `autostart` says so."""
        if self._settings.options.autostart:
            threading.Thread(target=self._autostart, name="gsam-autostart", daemon=True).start()

    def exit(self) -> bool:
        """Stop the pipeline for good; False if it is still in a step or a load."""
        self._exiting.set()
        self._prompts.detach()
        runner = self._runner
        if not runner:
            return True
        # A load takes longer than anybody would wait, and leaves nothing half done.
        return runner.stop(_EXIT_PATIENCE if runner.ready.done() else 0.0)

    def configure(self) -> None:
        """Load the models and warm up."""
        options, pipeline = self._settings.options, self._settings.pipeline
        lossless = options.mode == "lossless"
        if lossless and pipeline.detector.beside == "always":
            raise TransitionError(
                "detector.beside is always, and mode is lossless: with a detector beside the "
                "stream the results depend on how fast it is; give auto, or mode live"
            )
        try:
            self._cameras.open(options)
            self._inputs.open()
        except TransitionError:
            self.release()
            raise
        outlet = CameraOutlet(self._cameras, lossless, self._warn, self._error)
        inbox = (
            LosslessInbox(outlet.give_up, options.queue_size)
            if lossless
            else LiveInbox(outlet.give_up)
        )
        self._runner = Runner(
            lambda: load_tracker(pipeline, self._tell, live=not lossless),
            inbox,
            decode,
            outlet,
            self._give_up,
        )
        self._runner.start()
        try:
            self._await(self._runner.ready)
        except LoadError as error:
            self.release()
            raise TransitionError(str(error)) from error
        self._prompts.attach(self._runner, options.cameras, newest_only=not lossless)

        def begin(tracker: GroundedTracker) -> tuple[str, Callable[[], list[str]]]:
            tracker.configure(self._settings.pipeline)  # some was set while the models were loaded
            return str(tracker.device), tracker.shortages

        # Calls are done in their order, so the prompt is in force when this one is answered.
        device, self._health.shortages = self._await(self._runner.call(begin))
        names = f"{pipeline.detector.model} and {pipeline.segmenter.model}"
        self._health.models = Health("models", 0, f"{names} on {device}")
        # What replays wait for: `replay.commands.NODE_READY`.
        self.get_logger().info(f"ready: {names} on {device}")

    def activate(self) -> None:
        """Subscribe the cameras."""
        assert self._runner
        options = self._settings.options
        profile = qos.image_input(options.image_reliability, options.mode == "lossless")
        self._cameras.activate(self._runner.put, profile)
        self._settings.warn_of_unused(of_topics=True)

    def deactivate(self) -> None:
        """Drop the subscriptions and the tracks; keep the models."""
        self._cameras.deactivate()
        assert self._runner
        self._await(self._runner.drain())

    def release(self) -> None:
        """Give the models back, and their memory."""
        self._cameras.deactivate()
        self._inputs.close()
        self._prompts.detach()
        if self._runner:
            self._runner.stop()
            self._runner = None
        self._cameras.close()
        self._health.not_loaded()
        free_device_memory()

    def _autostart(self) -> None:
        """Configure and activate, again and again until it succeeds or somebody else takes over.

        A robot that boots before its network has no model yet.
        """
        requests, pause = self.requests, _FIRST_PAUSE
        try:
            while self.trigger_configure() != SUCCESS:
                self.get_logger().info(f"autostart tries again in {pause:g} s")
                if self._exiting.wait(pause) or self.requests > requests:
                    return
                pause = min(2 * pause, _LONGEST_PAUSE)
            self.trigger_activate()
        except rclpy_implementation.RCLError:
            self.get_logger().warning(
                "autostart gave way to a transition that was asked for meanwhile: set autostart to "
                "false where a lifecycle manager runs the node"
            )

    def _give_up(self, why: str) -> None:
        self.get_logger().fatal(
            f"the device is lost, and this process ends ({why}): look for what its driver says "
            "(dmesg), and have the launch start the node again (respawn:=true)"
        )
        self._on_lost()

    def _await(self, future: Future[T]) -> T:
        """The future's result.

        Raises:
            TransitionError: the process is told to end.
            CancelledError: there will be none.
        """
        while not future.done():
            if self._exiting.is_set():
                raise TransitionError("the node is told to end")
            wait([future], timeout=0.1)
        return future.result()

    def _run(self, function: Callable[[GroundedTracker], T]) -> T:
        """Have a function called with the tracker between two frames; returns what it returned.

        Raises:
            TransitionError: there is no tracker.
        """
        runner = self._runner  # which a transition may take away meanwhile
        if not runner:
            raise TransitionError("the models are not loaded: configure the node first")
        if not runner.ready.done():
            raise TransitionError("the models are being loaded: wait until they are")
        try:
            return self._await(runner.call(function))
        except CancelledError:
            raise TransitionError("the node was shut down meanwhile") from None

    def _tell(self, progress: str) -> None:
        self._health.models = Health("models", 1, progress)
        self.get_logger().info(progress)

    # Prompts

    def _prompt_changed(self, prompt: Prompt, owner: str | None) -> None:
        threshold = self._settings.pipeline.detector.box_threshold
        for camera in self._cameras:
            if self._prompts.holder(camera.name) == owner:
                camera.announce(prompt, threshold)
        of = f" of {which(owner)}" if owner is not None else ""
        self.get_logger().info(f"prompt {prompt.version}{of}: {prompt.summary[:200]}")
        if prompt.warning:
            self.get_logger().warning(prompt.warning)

    def _prompt_rejected(self, source: str, reason: str) -> None:
        self._warn_of_prompts((source,), f"prompt rejected: {reason}")

    # Parameters

    def _apply_parameters(
        self, values: dict[str, Any], options: NodeSettings, pipeline: Settings
    ) -> None:
        """Put a change into force, between two frames."""
        self._inputs.change(values, options, in_use=self.state != "unconfigured")

        def put_into_force(tracker: GroundedTracker) -> None:
            tracker.configure(pipeline)
            for camera in self._cameras:
                if prompt := self._prompts.current(camera.name):
                    camera.announce(prompt, pipeline.detector.box_threshold)

        if runner := self._runner:
            runner.call(put_into_force)
