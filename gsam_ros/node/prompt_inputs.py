"""Every way on which text prompts come in: parameters, topics and the service."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from rclpy.node import Node

from gsam_ros.node.lifecycle import TransitionError
from gsam_ros.node.prompt_service import PromptService
from gsam_ros.node.prompt_topic import PromptTopic
from gsam_ros.node.settings import NodeSettings
from gsam_ros.pipeline.prompting import PromptKeeper
from gsam_ros.prompts import Prompt, PromptError, parse_prompt
from gsam_ros.settings import SettingError


class PromptInputs:
    """`~/prompt` and `~/set_prompt`, the parameters `prompt` and `prompts`, and `~/NAME/prompt`.

    The last two are of cameras, and count while there are some: from `open` to `close`.

    Args:
        node: has the topics and the service.
        keeper: is given what comes in; it tells of what it rejects.
        options: the parameters, as they are now.
        wait: as of `PromptService`.
    """

    def __init__(
        self,
        node: Node,
        keeper: PromptKeeper,
        options: Callable[[], NodeSettings],
        wait: Callable[[Future[Prompt | None]], Prompt | None],
    ) -> None:
        self._node = node
        self._keeper = keeper
        self._options = options
        self._own: list[PromptTopic] = []
        if options().prompt:
            self._hear(options().prompt, from_before=True)
        PromptTopic(node, "~/prompt", self._hear)
        PromptService(node, keeper.request, lambda: options().cameras, wait)

    def open(self) -> None:
        """There are cameras: hear of prompts of their own.

        Raises:
            TransitionError: the parameter `prompts` does not fit the cameras.
        """
        try:
            own = self._options().own_prompts()
        except SettingError as error:
            raise TransitionError(str(error)) from error
        for camera, text in own.items():
            if text:
                self._hear(text, from_before=True, camera=camera)

            def hear(text: str, from_before: bool, camera: str = camera) -> None:
                self._hear(text, from_before, camera)

            self._own.append(PromptTopic(self._node, f"~/{camera}/prompt", hear))

    def close(self) -> None:
        """The cameras go."""
        for topic in self._own:
            topic.close()
        self._own.clear()

    def change(self, values: dict[str, Any], options: NodeSettings, in_use: bool) -> None:
        """Ask for what is set while the node runs.

        Args:
            values: parameters that change.
            options: all, as they will be.
            in_use: whether there are cameras, which `prompts` has to fit; else it need not yet.

        Raises:
            SettingError: `prompts` does not fit the cameras.
            PromptError: a text can't be used; nothing is asked for.
        """
        own: dict[str, str] = {}
        if "prompts" in values:
            try:
                own = options.own_prompts()
            except SettingError:
                if in_use:
                    raise  # else `open` tells, if the cameras are not set to fit before
        # What is empty and was empty says nothing: a file that is loaded again, of a prompt that
        # came on a topic.
        before = self._own_so_far()
        for text in filter(None, own.values()):
            parse_prompt(text)
        prompt = values.get("prompt", "")
        if prompt or ("prompt" in values and self._options().prompt):
            self._keeper.request(prompt, awaited=False)
        for camera, text in own.items():
            if text or before.get(camera):
                self._keeper.request(text, camera, awaited=False)

    def _own_so_far(self) -> dict[str, str]:
        try:
            return self._options().own_prompts()
        except SettingError:
            return {}  # they never fitted, so none was asked for

    def _hear(self, text: str, from_before: bool, camera: str | None = None) -> None:
        try:
            self._keeper.request(text, camera, from_before=from_before, awaited=False)
        except PromptError:
            return  # told by the keeper
