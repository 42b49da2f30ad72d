#!/usr/bin/env python3
"""Point the CMake files of the ROS 2 wheels at this environment's Python and NumPy headers.

The wheels were built in a container, whose include folders (/opt/python/...) they name. To be run
with the environment's own interpreter; a second run changes nothing.
"""

import re
import sys
import sysconfig
from pathlib import Path

import numpy

PYTHON_HEADERS = re.compile(r"/opt/python/[^/;\"]+/include/python3\.\d+")
NUMPY_HEADERS = re.compile(r"/opt/python/[^;\"]+/site-packages/numpy/_?core/include")


def patch(text: str) -> str:
    """Return the text of a CMake file with the container's include folders replaced."""
    text = NUMPY_HEADERS.sub(lambda _: numpy.get_include(), text)
    return PYTHON_HEADERS.sub(lambda _: sysconfig.get_paths()["include"], text)


def main() -> None:
    """Patch every CMake file under the environment's share folder."""
    changed = 0
    for path in Path(sys.prefix).glob("share/*/cmake/*.cmake"):
        before = path.read_text()
        after = patch(before)
        if after != before:
            path.write_text(after)
            changed += 1
    print(f"patched the include folders of {changed} CMake files")


if __name__ == "__main__":
    main()
