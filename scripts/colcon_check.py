#!/usr/bin/env python3
"""Build this package with colcon, with and without --symlink-install, and look at what it installs.

To be run in the environment of scripts/env.sh. The build folders are kept: a second run is quick.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Run from the installed files alone: the modules, the messages and the weights lie side by side.
LOOK = """
import pathlib, sys
import gsam_ros, gsam_ros.prompts
from gsam_ros.msg import FrameStatus, Instance, InstanceArray, RleMask
from gsam_ros.srv import SetPrompt
place = pathlib.Path(gsam_ros.__file__).parent
assert str(place).startswith(sys.argv[1]), f"imported {place}, not the installed package"
assert FrameStatus.__module__.startswith("gsam_ros.msg"), FrameStatus
"""


def build(folder: Path, *options: str) -> Path:
    """Build into a folder and return the install prefix.

    Raises:
        SystemExit: when colcon fails; its output is shown.
    """
    prefix = folder / "install"
    command = [
        "colcon", "--log-base", str(folder / "log"), "build", "--base-paths", str(ROOT),
        "--packages-select", "gsam_ros", "--build-base", str(folder / "build"),
        "--install-base", str(prefix), "--merge-install", *options,
        "--cmake-args", "-G", "Ninja", "-DBUILD_TESTING=OFF",
    ]  # fmt: skip
    result = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if result.returncode:
        raise SystemExit(f"{result.stdout}\ncolcon build {' '.join(options)} failed")
    return prefix


def installed_files() -> list[str]:
    """Return what must be found under the prefix, for every file that the sources hold."""
    executables = [f"lib/gsam_ros/{path.name}" for path in (ROOT / "bin").iterdir()]
    shared = [
        f"share/gsam_ros/{folder}/{path.name}"
        for folder in ("launch", "config")
        for path in (ROOT / folder).iterdir()
        if path.is_file()
    ]
    return [*executables, *shared, "share/gsam_ros/package.xml", "share/gsam_ros/local_setup.bash"]


def look_at(prefix: Path) -> None:
    """Check the installed files and import the package from them.

    Raises:
        SystemExit: when a file is missing, with its name.
        subprocess.CalledProcessError: when the import fails.
    """
    missing = [name for name in installed_files() if not (prefix / name).exists()]
    if missing:
        raise SystemExit(f"colcon build did not install {', '.join(missing)}")
    (modules,) = prefix.glob("lib/python3*/site-packages")
    models = {path.relative_to(ROOT) for path in (ROOT / "gsam_ros" / "models").rglob("*.*")}
    absent = [str(path) for path in models if not (modules / path).exists()]
    if absent:
        raise SystemExit(f"colcon build did not install {', '.join(absent)}")
    shell = f'. "{prefix}/local_setup.sh" && cd / && exec "$0" -c "$1" "$2"'
    subprocess.run(["sh", "-c", shell, sys.executable, LOOK, str(modules)], check=True)


def main() -> None:
    """Build both ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to build")
    folder = parser.parse_args().folder.absolute()
    for name, options in (("copies", ()), ("links", ("--symlink-install",))):
        print(f"==> colcon build {' '.join(options)}", flush=True)
        look_at(build(folder / name, *options))


if __name__ == "__main__":
    main()
