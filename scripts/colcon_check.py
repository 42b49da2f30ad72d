#!/usr/bin/env python3
"""Build this package with colcon, with and without --symlink-install, and look at what it installs.

To be run in the environment of scripts/env.sh. The build folders are kept: a second run is quick.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What the package is made of.
SOURCES = ("CMakeLists.txt", "package.xml", "bin", "config", "gsam_ros", "launch", "msg", "srv")
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


def stage(workspace: Path) -> None:
    """Bring a workspace's copy of the sources up to date; what has not changed keeps its date.

    CMake refuses a build whose NumPy lies within the sources, as it does in .venv.
    """
    wanted = set()
    for source in (ROOT / name for name in SOURCES):
        for path in [source, *source.rglob("*")]:
            if path.is_file() and "__pycache__" not in path.parts:
                target = workspace / path.relative_to(ROOT)
                wanted.add(target)
                date = path.stat().st_mtime_ns
                if not target.exists() or target.stat().st_mtime_ns != date:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, target)
    for path in workspace.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()


def build(workspace: Path, folder: Path, *options: str) -> Path:
    """Build into a folder and return the install prefix.

    Raises:
        SystemExit: when colcon fails; its output is shown.
    """
    prefix = folder / "install"
    command = [
        "colcon", "--log-base", str(folder / "log"), "build", "--base-paths", str(workspace),
        "--packages-select", "gsam_ros", "--build-base", str(folder / "build"),
        "--install-base", str(prefix), "--merge-install", *options,
        "--cmake-args", "-G", "Ninja", "-DBUILD_TESTING=OFF",
    ]  # fmt: skip
    for attempt in ("as it was left", "from nothing"):
        result = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if result.returncode == 0:
            return prefix
        print(f"colcon build {attempt} failed", flush=True)
        # What an older tree or another folder left may be all that is wrong.
        shutil.rmtree(folder)
    raise SystemExit(result.stdout)


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
    workspace = folder / "src" / "gsam_ros"
    stage(workspace)
    for name, options in (("copies", ()), ("links", ("--symlink-install",))):
        print(f"==> colcon build {' '.join(options)}", flush=True)
        look_at(build(workspace, folder / name, *options))


if __name__ == "__main__":
    main()
