"""Message definitions for writing bags, found where ROS packages install them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from gsam_ros.evaluation.installation import share_folders

_OWN_PACKAGES = ("vision_msgs", "gsam_ros")


class MessageTypeError(RuntimeError):
    """A message definition that isn't installed; the message says which and where it was sought."""


@cache
def typestore() -> Typestore:
    """ROS 2's common messages, vision_msgs and this package's own.

    Raises:
        MessageTypeError: the definitions of vision_msgs or of this package can't be found.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    for package in _OWN_PACKAGES:
        register(store, package)
    return store


def register(store: Typestore, package: str) -> None:
    """Add all messages of `package` that `store` does not know yet.

    Raises:
        MessageTypeError: the package's .msg files can't be found.
    """
    types = {}
    for path in sorted(message_folder(package).glob("*.msg")):
        types.update(get_types_from_msg(path.read_text(), f"{package}/msg/{path.stem}"))
    store.register({name: kind for name, kind in types.items() if name not in store.fielddefs})


def message_folder(package: str) -> Path:
    """The folder that holds the .msg files of `package`.

    Raises:
        MessageTypeError: no installation holds them.
    """
    sought = [folder / "msg" for folder in share_folders(package)]
    for folder in sought:
        if any(folder.glob("*.msg")):
            return folder
    raise MessageTypeError(
        f"no .msg files of the package {package} in any of "
        f"{', '.join(map(str, sought))}: build or install {package}, or source its installation"
    )
