#!/usr/bin/env python3
"""Make the virtual environment that everything here runs in: `make setup`.

To be run with the Python that the environment is made of. Steps whose inputs have not changed are
left out; a step that was interrupted is done again.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import ros_installation
from build_interfaces import build_interfaces, remove_installed
from stamps import digest, once

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
VISION_MSGS = ROOT / "third_party" / "vision_msgs"


def make_venv(venv: Path, *, system_packages: bool) -> None:
    """Make the environment, or repair one that was left half-made or made by another Python."""
    options = ["--clear"] if (venv / "bin").exists() else []
    if system_packages:
        options.append("--system-site-packages")
    subprocess.run([sys.executable, "-m", "venv", *options, str(venv)], check=True)


def install(python: Path, *arguments: str) -> None:
    """Install with pip under the locked versions."""
    lock = ["--constraint", str(REQUIREMENTS / "lock.txt")]
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", *lock, *arguments]
    # sam2's CUDA kernel only fills small holes of masks and would need a CUDA compiler.
    subprocess.run(pip, env={**os.environ, "SAM2_BUILD_CUDA": "0"}, check=True)


def install_requirements(python: Path, ros_wheels: Path | None) -> None:
    """Install every Python package, and ROS 2 where it comes as wheels."""
    files = [REQUIREMENTS / "core.txt", REQUIREMENTS / "dev.txt"]
    if ros_wheels:
        files.append(ros_wheels)
    install(python, "-r", str(REQUIREMENTS / "build.txt"))
    install(python, *(f"--requirement={file}" for file in files))
    # Isolated, its build would fetch a second torch.
    install(python, "--no-build-isolation", "-r", str(REQUIREMENTS / "sam2.txt"))
    for file in ("metrics.txt", "oracles.txt"):  # what they ask for is not wanted
        install(python, "--no-deps", "-r", str(REQUIREMENTS / file))
    if ros_wheels:
        subprocess.run([str(python), str(ROOT / "scripts" / "patch_ros_wheels.py")], check=True)


def definitions(source: Path) -> list[Path]:
    """Return the files that a package's interfaces are made of."""
    kinds = ("msg/*.msg", "srv/*.srv", "CMakeLists.txt", "package.xml")
    return [path for kind in kinds for path in source.glob(kind)]


def set_up(venv: Path, distribution: str) -> bool:
    """Bring the environment up to date; return whether there was something to do."""
    sourced = ros_installation.sourced(sys.executable)
    ros_wheels = None if sourced else REQUIREMENTS / f"ros-{distribution}.txt"
    python, state = venv / "bin" / "python", venv / ".gsam"
    version = sys.version.split()[0]
    ros = f"{sourced}, as sourced" if sourced else f"{distribution}, as wheels"
    base = f"{venv} {os.path.realpath(sys.executable)} {version} {ros}"

    work = once(
        state / "venv",
        base,
        f"virtual environment {venv} (Python {version}, ROS 2 {ros})",
        lambda: make_venv(venv, system_packages=bool(sourced)),
    )

    wanted = [path for path in REQUIREMENTS.glob("*.txt") if not path.name.startswith("ros-")]
    wanted += [ros_wheels] if ros_wheels else []
    work |= once(
        state / "requirements",
        digest(wanted, base),
        "Python packages (6 GB the first time, most of it torch)",
        lambda: install_requirements(python, ros_wheels),
    )

    ros_state = digest([ros_wheels] if ros_wheels else [], base)
    if ros_installation.has_package("vision_msgs", other_than=venv):
        remove_installed(state / "build" / "vision_msgs")
        (state / "vision_msgs").unlink(missing_ok=True)
    else:
        work |= once(
            state / "vision_msgs",
            digest(definitions(VISION_MSGS), ros_state),
            "messages: vision_msgs (this ROS 2 has none)",
            lambda: build_interfaces(VISION_MSGS, state / "build" / "vision_msgs", venv),
        )
    vision_msgs = state / "vision_msgs"
    work |= once(
        state / "gsam_ros",
        digest(definitions(ROOT) + [path for path in [vision_msgs] if path.exists()], ros_state),
        "messages: gsam_ros",
        lambda: build_interfaces(
            ROOT, state / "build" / "gsam_ros", venv, "-DGSAM_INTERFACES_ONLY=ON"
        ),
    )
    return work


def main() -> None:
    """Read the arguments and set up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where to make it")
    parser.add_argument(
        "--ros",
        choices=ros_installation.WHEELS,
        default=ros_installation.WHEELS[0],
        help="which ROS 2 to install where none is sourced",
    )
    arguments = parser.parse_args()
    try:
        worked = set_up(arguments.venv.absolute(), arguments.ros)
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd))
        raise SystemExit(
            f"set-up: this command failed with status {error.returncode}:\n    {command}\n"
            "What it said stands above. `make setup` goes on from here when that is mended."
        ) from None
    except KeyboardInterrupt:
        raise SystemExit("set-up: interrupted. `make setup` goes on from here.") from None
    if worked:
        print(f"==> ready: {arguments.venv}")


if __name__ == "__main__":
    main()
