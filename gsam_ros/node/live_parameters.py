"""The node's settings: read from its parameters at start, and changed while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter

from gsam_ros.node.lifecycle import ManagedNode
from gsam_ros.node.parameters import all_leaves, declare, read, unknown_overrides
from gsam_ros.node.settings import NodeSettings
from gsam_ros.pipeline.settings import Settings
from gsam_ros.prompts import PromptError
from gsam_ros.settings import SettingError, with_values

Apply = Callable[[dict[str, Any], NodeSettings, Settings], None]
"""Is given the values that change, and all settings as they will be."""


class LiveParameters:
    """Declares the node's parameters, and takes a change of them as a whole or not at all.

    Args:
        node: has the parameters.
        apply: puts a change into force; raises SettingError or PromptError where it can't be used.

    Attributes:
        options: the node's own settings.
        pipeline: those of the pipeline.

    Raises:
        SettingError: a value can't be used.
        rclpy.exceptions.ParameterException: likewise, of the wrong type or out of range.
    """

    def __init__(self, node: ManagedNode, apply: Apply) -> None:
        self._node = node
        self._apply = apply
        declare(node)
        self.warn_of_unused()
        self.options = read(node, NodeSettings())
        self.pipeline = read(node, Settings())
        self._about = {name: about for name, _, about in all_leaves()}
        self._lock = threading.Lock()
        node.add_on_set_parameters_callback(self._set)

    def warn_of_unused(self, *, of_topics: bool = False) -> None:
        """Name what was given on the command line or in a file and means nothing here.

        Args:
            of_topics: speak of topics' quality of service, once the topics are there.
        """
        for name in unknown_overrides(self._node, of_topics=of_topics):
            self._node.get_logger().warning(
                f"there is no parameter {name!r}: its value is not used"
            )

    def _set(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        values = {p.name: p.value for p in parameters if p.name in self._about}
        if not values:  # rclpy declares a topic's quality of service in whatever thread makes it
            return SetParametersResult(successful=True)
        with self._lock:
            return self._change(values)

    def _change(self, values: dict[str, Any]) -> SetParametersResult:
        for name, value in values.items():
            if value == self._node.get_parameter(name).value:
                continue  # as most of a file is that is loaded again
            if self._node.state != "unconfigured" and not self._about[name]["runtime"]:
                return _refused(
                    f"{name} is read when the node is configured: deactivate and cleanup first "
                    f"(ros2 lifecycle set {self._node.get_fully_qualified_name()} cleanup)"
                )
        try:
            options = with_values(self.options, values)
            pipeline = with_values(self.pipeline, values)
            self._apply(values, options, pipeline)
        except (SettingError, PromptError) as error:
            return _refused(str(error))
        self.options, self.pipeline = options, pipeline
        return SetParametersResult(successful=True)


def _refused(reason: str) -> SetParametersResult:
    return SetParametersResult(successful=False, reason=reason)
