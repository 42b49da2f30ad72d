"""Install the vision core and the `gsam` command with pip, without ROS 2.

The metadata is that of package.xml; what a robot runs is built by colcon (see CMakeLists.txt).
"""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
MANIFEST = ElementTree.parse(ROOT / "package.xml").getroot()


def of_manifest(tag: str) -> str:
    """Return the text of an element of package.xml, its lines joined."""
    return " ".join((MANIFEST.findtext(tag) or "").split())


def requirements(name: str) -> list[str]:
    """Return the lines of a requirements file."""
    return (ROOT / "requirements" / f"{name}.txt").read_text().split("\n")[:-1]


def shared_files() -> list[tuple[str, list[str]]]:
    """The messages, of which bags are written where there is no ROS 2, and Fast DDS's profile."""
    patterns = ("msg/*.msg", "third_party/vision_msgs/msg/*.msg", "config/*.xml")
    return [
        (
            f"share/gsam_ros/{Path(pattern).parent}",
            sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(pattern)),
        )
        for pattern in patterns
    ]


setup(
    name=of_manifest("name"),
    version=of_manifest("version"),
    description=of_manifest("description"),
    license=of_manifest("license"),
    license_files=["LICENSE"],
    maintainer=of_manifest("maintainer"),
    python_requires=">=3.10",
    packages=find_packages(include=["gsam_ros", "gsam_ros.*"]),
    data_files=shared_files(),
    package_data={"gsam_ros": ["models/*/*"]},
    install_requires=requirements("core"),
    extras_require={"ray": requirements("ray"), "sam2": requirements("sam2")},
    entry_points={"console_scripts": ["gsam = gsam_ros.cli:main"]},
    zip_safe=False,
)
