"""`~/set_prompt`: a text prompt whose caller learns how it was understood."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from gsam_ros.bridge.lifecycle import TransitionError
from gsam_ros.prompts import Prompt, PromptError, parse_phrases
from gsam_ros.srv import SetPrompt


class PromptService:
    """Answers when the prompt is in force.

    Args:
        node: has the service.
        request: as `PromptKeeper.request`.
        wait: for a future's result; raises TransitionError where it will never come.
    """

    def __init__(
        self,
        node: Node,
        request: Callable[[str], Future[Prompt] | None],
        wait: Callable[[Future[Prompt]], Prompt],
    ) -> None:
        self._request = request
        self._wait = wait
        group = MutuallyExclusiveCallbackGroup()
        node.create_service(SetPrompt, "~/set_prompt", self._set_prompt, callback_group=group)

    def _set_prompt(
        self, request: SetPrompt.Request, response: SetPrompt.Response
    ) -> SetPrompt.Response:
        try:
            outcome = self._request(request.text)
            if outcome is None:
                response.message = "kept: it comes into force when the models are loaded"
                response.phrases = list(parse_phrases(request.text))
            else:
                prompt = self._wait(outcome)
                response.prompt_version = prompt.version
                response.phrases = list(prompt.phrases)
            response.success = True
        except (PromptError, TransitionError, CancelledError) as error:
            response.message = str(error) or "the node was shut down meanwhile"
        return response
