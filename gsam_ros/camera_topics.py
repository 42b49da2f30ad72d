"""Cameras as launch files are told of them: names with their image topics."""

from __future__ import annotations

import re
from collections.abc import Collection

import yaml

_NAME = re.compile(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)
_NO_TEXT = ("y", "n", "nan", "inf", "infinity")
"""What rcl takes for a truth value or a number, in capitals as well: launch writes names without
quotes into its parameter file, and the node would end with a parser's message."""

_RULE = "write letters, digits and _, with / between parts"


def parse_cameras(text: str, argument: str = "cameras") -> dict[str, str]:
    """Topic by name of camera; `argument` is where it is written.

    >>> parse_cameras("left=/left/image_raw right=/right/image_raw")
    {'left': '/left/image_raw', 'right': '/right/image_raw'}

    Raises:
        ValueError: it is written another way, or ROS takes no such names.
    """
    pairs = [pair.partition("=") for pair in text.split()]
    if any(not (name and topic) for name, _, topic in pairs):
        raise ValueError(
            f"{argument} is {text!r}: write NAME=TOPIC for each camera, with spaces between"
        )
    topics = {name: topic for name, _, topic in pairs}
    if len(topics) < len(pairs):
        raise ValueError(f"{argument} is {text!r}: give every camera a name of its own")
    for name, topic in topics.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{argument} names a camera {name!r}: {_RULE}")
        if name.lower() in _NO_TEXT:
            raise ValueError(
                f"{argument} names a camera {name!r}, which ROS 2 does not take for text: give "
                "another name"
            )
        check_topic(topic, argument)
    return topics


def check_topic(topic: str, argument: str) -> str:
    """`topic`, which `argument` gives.

    Raises:
        ValueError: ROS takes no such name; the node would end with a parser's message.
    """
    if not _NAME.fullmatch(re.sub("^~?/", "", topic)):
        raise ValueError(f"{argument} gives the topic {topic!r}: {_RULE}")
    return topic


def parse_camera_prompts(text: str, cameras: Collection[str]) -> list[str]:
    """The own prompt of each camera, in their order; empty where it has none.

    >>> parse_camera_prompts("{right: 'dog. cat.'}", ["left", "right"])
    ['', 'dog. cat.']

    Raises:
        ValueError: it is written another way, or names a camera that isn't there.
    """
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(each, str) for each in given.values()):
        raise ValueError(
            f"prompts is {text!r}: write \"{{NAME: 'red mug. person.', NAME: 'dog.'}}\""
        )
    for name in given:
        if name not in cameras:
            raise ValueError(
                f"prompts names {name!r}: give names of cameras, which are "
                f"{', '.join(map(repr, cameras)) or 'given by cameras:=NAME=IMAGE_TOPIC'}"
            )
    return [given.get(name, "") for name in cameras]


def absolute(topic: str, namespace: str) -> str:
    """What ROS makes of a name that the node in `namespace` is given.

    >>> absolute("left/image", "robot"), absolute("/image", "robot")
    ('/robot/left/image', '/image')
    """
    if topic.startswith("/"):
        return topic
    above = namespace.strip("/")
    root = f"/{above}" if above else ""
    if topic.startswith("~/"):
        return f"{root}/gsam_node/{topic.removeprefix('~/')}"
    return f"{root}/{topic}"
