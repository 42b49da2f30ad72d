"""Build the messages of a ROS 2 package into the virtual environment."""

import os
import shutil
import subprocess
from pathlib import Path


def environment(venv: Path) -> dict[str, str]:
    """Return the variables under which CMake finds ROS 2 in the environment or as sourced."""
    variables = dict(os.environ)
    for name in ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH"):
        sourced = variables.get(name)
        variables[name] = f"{sourced}{os.pathsep}{venv}" if sourced else str(venv)
    variables["VIRTUAL_ENV"] = str(venv)
    variables["PATH"] = f"{venv / 'bin'}{os.pathsep}{variables['PATH']}"
    return variables


def remove_installed(build: Path) -> None:
    """Take away what an earlier build installed, so that no message outlives its definition."""
    manifest = build / "install_manifest.txt"
    if manifest.exists():
        for line in manifest.read_text().splitlines():
            Path(line).unlink(missing_ok=True)
    shutil.rmtree(build, ignore_errors=True)


def build_interfaces(source: Path, build: Path, venv: Path, *options: str) -> None:
    """Configure, build and install the CMake package in `source` into the environment.

    Raises:
        subprocess.CalledProcessError: when a step fails; its output is on the terminal.
    """
    remove_installed(build)
    variables = environment(venv)
    configure = [
        "cmake", "-S", str(source), "-B", str(build), "-G", "Ninja",
        f"-DCMAKE_INSTALL_PREFIX={venv}",
        f"-DCMAKE_INSTALL_RPATH={venv / 'lib'}",
        f"-DPython3_EXECUTABLE={venv / 'bin' / 'python'}",
        "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_TESTING=OFF", *options,
    ]  # fmt: skip
    build_it, install = ["cmake", "--build", str(build)], ["cmake", "--install", str(build)]
    subprocess.run(configure, env=variables, stdout=subprocess.DEVNULL, check=True)
    subprocess.run(build_it, env=variables, check=True)
    subprocess.run(install, env=variables, stdout=subprocess.DEVNULL, check=True)
