"""The lifecycle node: topics, services and parameters, wired to the machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, wait
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidTopicNameException
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.validate_topic_name import validate_topic_name
from std_srvs.srv import SetBool

from gsam_ros import ros_parameters
from gsam_ros.bridge import qos
from gsam_ros.bridge.camera import Camera, decode
from gsam_ros.bridge.detect_service import DetectService
from gsam_ros.bridge.diagnostics import (
    Health,
    camera_health,
    diagnostic_array,
    prompt_health,
    silence,
    topics_health,
)
from gsam_ros.bridge.lifecycle import SUCCESS, ManagedNode, TransitionError
from gsam_ros.bridge.log import ThrottledLog
from gsam_ros.bridge.misfits import misfits
from gsam_ros.bridge.pointing import ObjectServices, PointingTopics
from gsam_ros.bridge.prompt_service import PromptService
from gsam_ros.bridge.prompt_topic import PromptTopic
from gsam_ros.instances import FrameResult
from gsam_ros.node_settings import NodeSettings
from gsam_ros.pipeline.inbox import (
    QUEUE_FULL,
    STOPPED,
    SUPERSEDED,
    Arrival,
    LiveInbox,
    LosslessInbox,
)
from gsam_ros.pipeline.loading import LoadError, free_device_memory, load_tracker, memory_in_use
from gsam_ros.pipeline.prompting import PromptKeeper
from gsam_ros.pipeline.runner import ERROR, Runner
from gsam_ros.pipeline.settings import Settings
from gsam_ros.prompts import Prompt, PromptError
from gsam_ros.settings import SettingError
from gsam_ros.stages import Stage

if TYPE_CHECKING:
    from gsam_ros.pipeline.grounded_tracker import GroundedTracker

T = TypeVar("T")

_DIAGNOSTICS_PERIOD = 1.0  # seconds
_LASTING_PERIOD = 30.0  # seconds between two warnings of trouble with a topic that lasts
_EXIT_PATIENCE = 1.0  # seconds for the step that runs when the process is told to end


class GsamNode(ManagedNode):
    """Camera images and prompts in; tracked, named, segmented objects out.

    No model runs in a callback: a `Runner` owns the machine in a thread of its own, and this class
    is the outlet for its results. It wants an executor with several threads, since `configure`
    and `~/set_prompt` wait for that thread.
    """

    def __init__(self) -> None:
        super().__init__("gsam_node")
        ros_parameters.declare(self)
        for name in ros_parameters.unknown_overrides(self):
            self.get_logger().warning(f"there is no parameter {name!r}: its value is not used")
        self._options = ros_parameters.read(self, NodeSettings())
        self._machine = ros_parameters.read(self, Settings())
        self._about = {name: about for name, _, about in ros_parameters.all_leaves()}
        self.add_on_set_parameters_callback(self._set_parameters)

        self._cameras: dict[str, Camera] = {}
        self._runner: Runner | None = None
        self._active = False
        self._enabled = True
        self._subscribing = threading.Lock()
        self._lossless = False
        self._exiting = threading.Event()
        self._model_health = Health("models", 1, "not loaded: the node is not configured")
        self._shortages: Callable[[], list[str]] = list
        self._warn = ThrottledLog(self.get_logger().warning)
        self._error = ThrottledLog(self.get_logger().error)
        self._now_and_then = ThrottledLog(self.get_logger().warning, period=_LASTING_PERIOD)
        self._prompts = PromptKeeper(self._prompt_changed, self._prompt_rejected)
        if self._options.prompt:
            self._request_prompt(self._options.prompt, from_before=True)
        PromptTopic(self, "~/prompt", self._request_prompt)
        PromptService(self, self._prompts.request, self._await)
        PointingTopics(
            self, self._all_cameras, lambda: self._options.clicked_name, self._prompts.point_out
        )
        ObjectServices(self, self._all_cameras, self._run)
        DetectService(self, self._run)
        self.create_service(
            SetBool, "~/enable", self._enable, callback_group=MutuallyExclusiveCallbackGroup()
        )
        self._images = MutuallyExclusiveCallbackGroup()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # On a steady clock: with use_sim_time and no clock running, health must show all the same.
        self.create_timer(
            _DIAGNOSTICS_PERIOD,
            self._publish_diagnostics,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    # Lifecycle

    def start(self) -> None:
        """Configure and activate, in a thread of its own, where `autostart` says so."""
        if self._options.autostart:
            threading.Thread(target=self._autostart, name="gsam-autostart", daemon=True).start()

    def exit(self) -> bool:
        """Stop the machine for good; False if it is still in a step or a load."""
        self._exiting.set()
        runner = self._runner
        if not runner:
            return True
        # A load takes longer than anybody would wait, and leaves nothing half done.
        return runner.stop(_EXIT_PATIENCE if runner.ready.done() else 0.0)

    def configure(self) -> None:
        """Load the models and warm up."""
        options = self._options
        self._lossless = options.mode == "lossless"
        if self._lossless and self._machine.detector.beside == "always":
            raise TransitionError(
                "detector.beside is always, and mode is lossless: with a detector beside the "
                "stream the results depend on how fast it is; give auto, or mode live"
            )
        for name in options.cameras:
            _check_camera_name(name, options.cameras)
        try:
            for name in options.cameras:
                self._cameras[name] = Camera(self, name, options, partial(self.notice, name))
        except TransitionError:
            self.release()
            raise
        except SettingError as error:
            self.release()
            raise TransitionError(str(error)) from error
        inbox = (
            LosslessInbox(self._give_up, options.queue_size)
            if self._lossless
            else LiveInbox(self._give_up)
        )
        machine = self._machine
        self._runner = Runner(
            lambda: load_tracker(machine, self._tell, live=not self._lossless), inbox, decode, self
        )
        self._runner.start()
        try:
            self._await(self._runner.ready)
        except LoadError as error:
            self.release()
            self._model_health = Health("models", 2, f"not loaded: {error}")
            raise TransitionError(str(error)) from error
        self._prompts.attach(self._runner)
        # Calls are done in their order, so the prompt is in force when this one is answered.
        device, self._shortages = self._await(
            self._runner.call(lambda tracker: (str(tracker.device), tracker.shortages))
        )
        names = f"{machine.detector.model} and {machine.segmenter.model}"
        self._model_health = Health("models", 0, f"{names} on {device}")
        self.get_logger().info(f"ready: {names} on {device}")

    def activate(self) -> None:
        """Subscribe the cameras."""
        with self._subscribing:
            self._active = True
            for camera in self._cameras.values():
                camera.statistics.reset()
            if self._enabled:
                try:
                    self._subscribe()
                except TransitionError:
                    self._unsubscribe()
                    self._active = False
                    raise

    def deactivate(self) -> None:
        """Drop the subscriptions and the tracks; keep the models."""
        with self._subscribing:
            self._active = False
            self._unsubscribe()
        assert self._runner
        self._await(self._runner.drain())

    def release(self) -> None:
        """Give the models back, and their memory."""
        with self._subscribing:
            self._active = False
            self._unsubscribe()
        self._prompts.detach()
        self._shortages = list
        if self._runner:
            self._runner.stop()
            self._runner = None
        for camera in self._cameras.values():
            camera.close()
        self._cameras.clear()
        self._model_health = Health("models", 1, "not loaded: the node is not configured")
        free_device_memory()

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back, and let /diagnostics tell what led here."""
        outcome = super().on_error(state)
        self._model_health = Health("models", 2, f"not loaded: {self.failure}; configure again")
        return outcome

    def _subscribe(self) -> None:
        profile = qos.image_input(self._options.image_reliability, self._lossless)
        assert self._runner
        for camera in self._cameras.values():
            camera.subscribe(self._runner.put, profile, self._images)

    def _unsubscribe(self) -> None:
        for camera in self._cameras.values():
            camera.unsubscribe()

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        """Pause or go on, in any state: paused, no image is taken, and tracks and models stay."""
        with self._subscribing:
            if self._active and request.data != self._enabled:
                if request.data:
                    try:
                        self._subscribe()
                    except TransitionError as error:
                        self._unsubscribe()
                        response.message = str(error)
                        return response
                else:
                    self._unsubscribe()
            self._enabled = request.data
        response.success = True
        response.message = "" if request.data else "paused: ~/enable with true goes on"
        return response

    def _autostart(self) -> None:
        try:
            if self.trigger_configure() == SUCCESS:
                self.trigger_activate()
        except rclpy_implementation.RCLError:
            self.get_logger().warning(
                "autostart gave way to a transition that was asked for meanwhile: set autostart to "
                "false where a lifecycle manager runs the node"
            )

    def _await(self, future: Future[T]) -> T:
        """The future's result; given up when the process is told to end."""
        while not wait([future], timeout=0.1).done:
            if self._exiting.is_set():
                raise TransitionError("the node is told to end")
        return future.result()

    def _run(self, function: Callable[[GroundedTracker], T]) -> T:
        """Have a function called with the tracker between two frames; returns what it returned.

        Raises:
            TransitionError: there is no tracker.
        """
        if not self._runner:
            raise TransitionError("the models are not loaded: configure the node first")
        try:
            return self._await(self._runner.call(function))
        except CancelledError:
            raise TransitionError("the node was shut down meanwhile") from None

    def _all_cameras(self) -> list[Camera]:
        return list(self._cameras.values())

    def _tell(self, progress: str) -> None:
        self._model_health = Health("models", 1, progress)
        self.get_logger().info(progress)

    # Results; the runner's thread calls these

    def answer(self, arrival: Arrival, result: FrameResult, stages: Sequence[Stage]) -> None:
        """Publish a frame's results, and before them what their class ids mean."""
        self._cameras[arrival.camera].publish(arrival, result, stages)

    def drop(self, arrival: Arrival, cause: str, reason: str) -> None:
        """Count a frame that could not be processed, answer it, and tell people why."""
        camera = self._cameras[arrival.camera]
        camera.publish_drop(arrival, cause, reason, answer=True)
        say = self._error if cause == ERROR else self._warn
        say((arrival.camera, cause), f"an image of {camera.topic} is dropped: {reason}")

    def notice(self, camera: str, topic: str, message: str) -> None:
        """Tell people of something about a camera."""
        self._warn((camera, topic), f"{self._cameras[camera].topic}: {message}")

    def _give_up(self, arrival: Arrival, cause: str) -> None:
        """A frame had to give way in the inbox. Live that is the rule; lossless it is a loss."""
        camera = self._cameras[arrival.camera]
        reason = _WHY[cause]
        camera.publish_drop(arrival, cause, reason, answer=self._lossless)
        if cause == QUEUE_FULL:
            self._warn((arrival.camera, cause), f"an image of {camera.topic} is dropped: {reason}")

    # Prompts

    def _request_prompt(self, text: str, from_before: bool) -> None:
        try:
            self._prompts.request(text, from_before=from_before)
        except PromptError:
            return  # told by _prompt_rejected

    def _prompt_changed(self, prompt: Prompt, unknown: tuple[str, ...]) -> None:
        threshold = self._machine.detector.box_threshold
        for camera in self._cameras.values():
            camera.announce(prompt, threshold)
        self.get_logger().info(f"prompt {prompt.version}: {prompt.summary[:200]}")
        if unknown:
            self.get_logger().warning(f"the detector knows no word of: {', '.join(unknown)}")

    def _prompt_rejected(self, text: str, reason: str) -> None:
        self._warn(("prompt", text[:80]), f"prompt rejected: {reason}")

    # Parameters and health

    def _set_parameters(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        """Check a change as a whole, then put it into force between two frames."""
        values = {p.name: p.value for p in parameters if p.name in self._about}
        for name in values:
            if self.state != "unconfigured" and not self._about[name]["runtime"]:
                return _refused(
                    f"{name} is read when the node is configured: deactivate and cleanup first "
                    f"(ros2 lifecycle set {self.get_fully_qualified_name()} cleanup)"
                )
        try:
            options = ros_parameters.with_values(self._options, values)
            machine = ros_parameters.with_values(self._machine, values)
            if values.get("prompt"):
                self._prompts.request(values["prompt"])
        except (SettingError, PromptError) as error:
            return _refused(str(error))
        self._options, self._machine = options, machine
        if self._runner:
            self._runner.call(lambda tracker: tracker.configure(machine))
        return SetParametersResult(successful=True)

    def _publish_diagnostics(self) -> None:
        prompts, strangers = self._prompts, misfits(self)
        for misfit in strangers:
            self._now_and_then(misfit, misfit.message)
        # A copy: other threads put another health in its place, and this one only adds to it.
        models = replace(self._model_health, values=memory_in_use())
        for shortage in self._shortages():
            models.raise_to(1, shortage)
        healths = [
            models,
            prompt_health(prompts.current, prompts.unknown, prompts.rejection),
            topics_health(strangers),
        ]
        if not self._enabled:
            healths.append(Health("cameras", 1, "paused by ~/enable: no image is taken"))
        for camera in self._all_cameras() if self._active and self._enabled else ():
            snapshot, publishers = camera.statistics.snapshot(), self.count_publishers(camera.topic)
            healths.append(
                camera_health(
                    camera.name,
                    camera.topic,
                    publishers,
                    snapshot,
                    camera.last_drop,
                    self._options,
                )
            )
            if snapshot.silence > self._options.topic_timeout:
                message = silence(camera.topic, publishers, snapshot)
                self._now_and_then((camera.name, "silent"), message)
        now = self.get_clock().now().nanoseconds
        self._diagnostics.publish(
            diagnostic_array(self.get_fully_qualified_name().lstrip("/"), healths, now)
        )


_WHY = {
    SUPERSEDED: "a newer image came before it was its turn",
    QUEUE_FULL: "the queue is full: play slower, or raise queue_size",
    STOPPED: "the node was deactivated while it waited",
}


def _refused(reason: str) -> SetParametersResult:
    return SetParametersResult(successful=False, reason=reason)


def _check_camera_name(name: str, names: Sequence[str]) -> None:
    """Refuse camera names that make no topics."""
    if names.count(name) > 1:
        raise TransitionError(f"cameras names {name!r} twice: give each camera its own name")
    try:
        validate_topic_name(f"~/{name}/image" if name else "image")
    except InvalidTopicNameException as error:
        raise TransitionError(
            f"cameras holds {name!r}, which can't be part of a topic's name: {error}"
        ) from error
