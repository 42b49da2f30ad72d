"""`~/set_prompt`: a text prompt whose caller learns how it was understood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from gsam_ros.bridge.visual_prompts import camera_of_name
from gsam_ros.errors import with_place
from gsam_ros.instances import which
from gsam_ros.node.lifecycle import TransitionError
from gsam_ros.prompts import Prompt, PromptError, parse_phrases
from gsam_ros.srv import SetPrompt


class PromptService:
    """Answers when the prompt is in force.

    Args:
        node: has the service.
        request: as `PromptKeeper.request`.
        cameras: names of the cameras that there are.
        wait: for a future's result; raises TransitionError where it will never come.
    """

    def __init__(
        self,
        node: Node,
        request: Callable[[str, str | None], Future[Prompt | None] | None],
        cameras: Callable[[], Sequence[str]],
        wait: Callable[[Future[Prompt | None]], Prompt | None],
    ) -> None:
        self._node = node
        self._request = request
        self._cameras = cameras
        self._wait = wait
        group = MutuallyExclusiveCallbackGroup()
        node.create_service(SetPrompt, "~/set_prompt", self._set_prompt, callback_group=group)

    def _set_prompt(
        self, request: SetPrompt.Request, response: SetPrompt.Response
    ) -> SetPrompt.Response:
        try:
            camera = self._camera(request.camera)
            outcome = self._request(request.text, camera)
            if outcome is None:
                response.message = "kept: it comes into force when the models are loaded"
                response.phrases = list(parse_phrases(request.text) if request.text.strip() else ())
            elif (prompt := self._wait(outcome)) and prompt.classes:
                response.message = prompt.warning
                response.prompt_version = prompt.version
                response.phrases = list(prompt.phrases)
            else:
                response.message = (
                    f"{which(request.camera)} looks for nothing: no prompt is for all"
                )
            response.success = True
        except (PromptError, TransitionError, CancelledError) as error:
            response.message = str(error) or "the node was shut down meanwhile"
        except Exception as error:  # noqa: BLE001  a service that raises would end the node
            response.message = f"the pipeline failed on this prompt: {with_place(error)}"
            self._node.get_logger().error(f"~/set_prompt: {response.message}")
        return response

    def _camera(self, name: str) -> str | None:
        """The camera that is meant; None: all without their own prompt.

        Raises:
            PromptError: there is no such camera.
        """
        return camera_of_name(name, self._cameras()) if name else None
