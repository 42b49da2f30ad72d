"""Message definitions, as ROS packages install them and as recordings carry them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from rosbags.typesys import (
    Stores,
    TypesysError,
    get_types_from_idl,
    get_types_from_msg,
    get_typestore,
)
from rosbags.typesys.store import Typestore

from gsam_ros.installation import share_folders

_OWN_PACKAGES = ("vision_msgs", "gsam_ros")
_IDL_HEAD = re.compile(r"^=+\nIDL: .*\n", re.MULTILINE)
_DAMAGE = (
    *(AssertionError, LookupError, TypesysError, UnicodeDecodeError, ValueError),
    SyntaxError,  # rosbags makes Python of a definition, and of names that are none
)


class MessageTypeError(RuntimeError):
    """A message definition that isn't installed or can't be read; the message says which."""


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


def parsed_definition(name: str, encoding: str, data: bytes) -> dict[str, Any]:
    """The type `name` and those that it is made of, out of a schema of an mcap file.

    Args:
        name: of the type.
        encoding: of the schema, as mcap calls it.
        data: its text.

    Raises:
        MessageTypeError: it is damaged, of another kind, or there is none.
    """
    types: dict[str, Any] = {}
    try:
        if encoding == "ros2msg":
            types.update(get_types_from_msg(data.decode(), name))
        elif encoding in ("ros2idl", "omgidl"):
            for part in filter(str.strip, _IDL_HEAD.split(data.decode())):
                types.update(get_types_from_idl(part))
        get_typestore(Stores.EMPTY).register(types)
    except _DAMAGE as error:
        raise MessageTypeError(f"the recording's definition of {name} is damaged") from error
    if name not in types:
        raise MessageTypeError(f"the recording has no definition of {name}")
    return types
