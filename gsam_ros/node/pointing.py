"""Topics and services about single objects: point at one, remove one, forget all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from geometry_msgs.msg import PointStamped
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from std_srvs.srv import Trigger

from gsam_ros import msg
from gsam_ros.bridge.visual_prompts import camera_of_name, clicked_point, visual_prompt
from gsam_ros.errors import with_place
from gsam_ros.node import qos
from gsam_ros.node.camera import Camera
from gsam_ros.node.lifecycle import TransitionError
from gsam_ros.prompts import PromptError
from gsam_ros.srv import RemoveObject
from gsam_ros.visual_prompts import VisualPrompt


class PointingTopics:
    """`~/visual_prompt` and `~/clicked_point`.

    Args:
        node: has the subscriptions.
        cameras: those that there are now.
        clicked_name: what objects are called that are clicked on.
        point_out: is given the topic, and a function that makes the prompt or raises PromptError.
    """

    def __init__(
        self,
        node: Node,
        cameras: Iterable[Camera],
        clicked_name: Callable[[], str],
        point_out: Callable[[str, Callable[[], VisualPrompt]], None],
    ) -> None:
        self._node = node
        self._cameras = cameras
        self._clicked_name = clicked_name
        self._point_out = point_out
        group = MutuallyExclusiveCallbackGroup()
        for kind, topic, handle in (
            (msg.VisualPrompt, "~/visual_prompt", self._take_prompt),
            (PointStamped, "~/clicked_point", self._take_click),
        ):
            # What was pointed at before this node came is not in its images.
            profile = qos.command(DurabilityPolicy.VOLATILE)
            node.create_subscription(
                kind,
                topic,
                handle,
                profile,
                callback_group=group,
                event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            )

    def _take_prompt(self, message: msg.VisualPrompt) -> None:
        topic = self._node.resolve_topic_name("~/visual_prompt")
        self._point_out(topic, lambda: visual_prompt(message, frame_ids(self._cameras)))

    def _take_click(self, message: PointStamped) -> None:
        topic = self._node.resolve_topic_name("~/clicked_point")
        name = self._clicked_name()
        self._point_out(topic, lambda: clicked_point(message, frame_ids(self._cameras), name))


class ObjectServices:
    """`~/remove_object` and `~/reset`.

    Args:
        node: has the services.
        cameras: those that there are now.
        run: has a function called with the tracker between two frames and waits for its end; raises
            TransitionError where the tracker can't be had.
    """

    def __init__(
        self,
        node: Node,
        cameras: Iterable[Camera],
        run: Callable[[Callable[[Any], None]], None],
    ) -> None:
        self._node = node
        self._cameras = cameras
        self._run = run
        group = MutuallyExclusiveCallbackGroup()
        node.create_service(
            RemoveObject, "~/remove_object", self._remove_object, callback_group=group
        )
        node.create_service(Trigger, "~/reset", self._reset, callback_group=group)

    def _remove_object(
        self, request: RemoveObject.Request, response: RemoveObject.Response
    ) -> RemoveObject.Response:
        def remove(tracker: Any) -> None:
            camera = camera_of_name(request.camera, [camera.name for camera in self._cameras])
            tracker.remove_object(camera, request.track_id)

        return self._answer(remove, response)

    def _reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._answer(lambda tracker: tracker.reset(), response)

    def _answer(self, function: Callable[[Any], None], response: Any) -> Any:
        try:
            self._run(function)
            response.success = True
        except (PromptError, LookupError, TransitionError) as error:
            response.message = str(error)
        except Exception as error:  # noqa: BLE001  a service that raises would end the node
            response.message = f"the pipeline failed on this: {with_place(error)}"
            self._node.get_logger().error(response.message)
        return response


def frame_ids(cameras: Iterable[Camera]) -> dict[str, str]:
    """Name to the frame_id of the newest image."""
    return {camera.name: camera.frame_id for camera in cameras}
