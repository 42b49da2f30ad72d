"""The node's cameras: they come and go together, and their images can be paused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.validate_topic_name import validate_topic_name
from std_srvs.srv import SetBool

from gsam_ros.node.camera import Camera
from gsam_ros.node.lifecycle import TransitionError
from gsam_ros.node.settings import NodeSettings
from gsam_ros.pipeline.inbox import Arrival
from gsam_ros.settings import SettingError


class Cameras:
    """All cameras of the node, by name, and `~/enable`.

    Args:
        node: has the topics.
        warn: tells people of something about a camera, at times, by its kind.
    """

    def __init__(self, node: Node, warn: Callable[[tuple[str, ...], str], None]) -> None:
        self._node = node
        self._warn = warn
        self._cameras: dict[str, Camera] = {}
        self._take: tuple[Callable[[Arrival], None], QoSProfile] | None = None
        self._enabled = True
        self._subscribing = threading.Lock()
        self._images = MutuallyExclusiveCallbackGroup()
        node.create_service(
            SetBool, "~/enable", self._enable, callback_group=MutuallyExclusiveCallbackGroup()
        )

    def __getitem__(self, name: str) -> Camera:
        return self._cameras[name]

    def get(self, name: str) -> Camera | None:
        """The camera of that name, if there is one now."""
        return self._cameras.get(name)

    def __iter__(self) -> Iterator[Camera]:
        """Over those that there are now."""
        return iter(list(self._cameras.values()))

    @property
    def is_paused(self) -> bool:
        """Whether `~/enable` said so."""
        return not self._enabled

    @property
    def take_images(self) -> bool:
        """Whether images are subscribed."""
        return self._take is not None and self._enabled

    def open(self, options: NodeSettings) -> None:
        """Make the cameras with their result topics.

        Raises:
            TransitionError: the settings can't be used; what was made stays until `close`.
        """
        for name in options.cameras:
            _check_name(name, options.cameras)
        try:
            for name in options.cameras:
                notice = partial(self.notice, name)
                self._cameras[name] = Camera(self._node, name, options, notice)
        except SettingError as error:
            raise TransitionError(str(error)) from error

    def activate(self, take: Callable[[Arrival], None], profile: QoSProfile) -> None:
        """Subscribe, unless they are paused.

        Args:
            take: is given every image.
            profile: of the subscriptions.

        Raises:
            TransitionError: an override of the quality of service can't be used.
        """
        with self._subscribing:
            self._take = take, profile
            for camera in self:
                camera.statistics.reset()
            if self._enabled:
                try:
                    self._subscribe()
                except TransitionError:
                    self._unsubscribe()
                    self._take = None
                    raise

    def deactivate(self) -> None:
        """Drop the subscriptions."""
        with self._subscribing:
            self._take = None
            self._unsubscribe()

    def close(self) -> None:
        """Take the cameras away; they are not active."""
        for camera in self:
            camera.close()
        self._cameras.clear()

    def notice(self, camera: str, topic: str, message: str) -> None:
        """Tell people of something about a camera; `topic` names its kind."""
        self._warn((camera, topic), f"{self._cameras[camera].topic}: {message}")

    def _subscribe(self) -> None:
        assert self._take
        for camera in self:
            camera.subscribe(*self._take, self._images)

    def _unsubscribe(self) -> None:
        for camera in self:
            camera.unsubscribe()

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        """Pause or go on, in any state: paused, no image is taken, and tracks and models stay."""
        with self._subscribing:
            if self._take and request.data != self._enabled:
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


def _check_name(name: str, names: Sequence[str]) -> None:
    """Refuse camera names that make no topics."""
    if names.count(name) > 1:
        raise TransitionError(f"cameras names {name!r} twice: give each camera its own name")
    try:
        validate_topic_name(f"~/{name}/image" if name else "image")
    except InvalidTopicNameException as error:
        raise TransitionError(
            f"cameras holds {name!r}, which can't be part of a topic's name: {error}"
        ) from error
