"""Cameras as launch files are told of them: names with their image topics."""

from __future__ import annotations


def parse_cameras(text: str) -> dict[str, str]:
    """Image topic by name of camera.

    >>> parse_cameras("left=/left/image_raw right=/right/image_raw")
    {'left': '/left/image_raw', 'right': '/right/image_raw'}

    Raises:
        ValueError: it is written another way.
    """
    pairs = [pair.partition("=") for pair in text.split()]
    if any(not (name and topic) for name, _, topic in pairs):
        raise ValueError(
            f"cameras is {text!r}: write NAME=IMAGE_TOPIC for each camera, with spaces between"
        )
    return {name: topic for name, _, topic in pairs}
