"""`~/detect`: one image and a prompt in, instances out, beside the streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from gsam_ros.bridge.images import decode_image
from gsam_ros.bridge.instances import instance_array
from gsam_ros.errors import with_place
from gsam_ros.node.lifecycle import TransitionError
from gsam_ros.pipeline.drops import BadFrameError
from gsam_ros.prompts import PromptError
from gsam_ros.srv import Detect


class DetectService:
    """Answers requests one at a time, in a thread that may wait.

    Args:
        node: has the service.
        run: has a function called with the tracker between two frames, and returns what that
            returned; raises TransitionError where the tracker can't be had.
    """

    def __init__(self, node: Node, run: Callable[[Callable[[Any], Any]], Any]) -> None:
        self._node = node
        self._run = run
        node.create_service(
            Detect, "~/detect", self._detect, callback_group=MutuallyExclusiveCallbackGroup()
        )

    def _detect(self, request: Detect.Request, response: Detect.Response) -> Detect.Response:
        try:
            image = decode_image(request.image)
            found, prompt = self._run(lambda tracker: tracker.detect(image, request.text))
        except (BadFrameError, PromptError, TransitionError) as error:
            response.message = str(error)
            return response
        except Exception as error:  # noqa: BLE001  a service that raises would end the node
            response.message = f"the pipeline failed on this image: {with_place(error)}"
            self._node.get_logger().error(f"~/detect: {response.message}")
            return response
        response.success = True
        response.message = prompt.warning
        response.phrases = list(prompt.phrases)
        response.instances = instance_array(found, prompt, request.image.header)
        return response
