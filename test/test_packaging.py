"""What is shipped: metadata, the transcribed vision_msgs, the set-up and its messages."""

import ast
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

import gsam_ros

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"
VENV = Path(sys.prefix)
sys.path.insert(0, str(SCRIPTS))

from build_interfaces import remove_installed  # noqa: E402
from stamps import digest, once  # noqa: E402

# Type hashes (REP 2016) of vision_msgs 4.1.1, computed from the definitions that it publishes.
VISION_MSGS = {
    "BoundingBox2D": "008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f",
    "BoundingBox2DArray": "2464e82838009386d371b523211c21c91d74d313fcdd6788223c531d621cf691",
    "BoundingBox3D": "bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698",
    "BoundingBox3DArray": "a81938db9576b10c2eecd7c5a5da3eac496efd00221b25ed051dfbc81fb56da6",
    "Classification": "f74db28d0eaef3afb78f48bf2161cd709a1383a0309d3454383b25be11345143",
    "Detection2D": "0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea",
    "Detection2DArray": "214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968",
    "Detection3D": "ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b",
    "Detection3DArray": "793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018",
    "LabelInfo": "3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783",
    "ObjectHypothesis": "51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90",
    "ObjectHypothesisWithPose": "41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc",
    "Point2D": "eab0e83f44ab4de92ceaf76dd7d0e7638f2bdd1d16ffbe16c7a136c48e407247",
    "Pose2D": "b0b5d1d7b4c20dd4fcde3ed1d4b289a919290572007d67a97043814db25d3648",
    "VisionClass": "1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a",
    "VisionInfo": "95d3116a17484ad91c9a2686e1d54890bbfc3ff6c6a2de137738c4950d45d284",
}
# Importable packages that are part of ROS 2 but may be absent, and are imported only if present.
OPTIONAL_ROS = {"cv_bridge", "launch", "launch_ros", "message_filters"}
ROS_PACKAGE = re.compile(r"(\w+_msgs|\w+_interfaces|rclpy|ament_index_python|tf2_ros)$")


def manifest() -> ElementTree.Element:
    return ElementTree.parse(ROOT / "package.xml").getroot()


def imported_packages() -> set[str]:
    """Return the top-level names that the package imports anywhere."""
    names = set()
    for path in (ROOT / "gsam_ros").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names


def test_versions_agree():
    assert manifest().findtext("version") == gsam_ros.__version__


def test_every_ros_import_is_a_dependency():
    declared = {element.text for element in manifest() if element.tag in ("depend", "exec_depend")}
    imported = {name for name in imported_packages() if ROS_PACKAGE.match(name)}
    assert imported - {"gsam_ros"} - OPTIONAL_ROS <= declared
    assert {"rclpy", "vision_msgs", "sensor_msgs"} <= imported


def test_the_manifest_is_that_of_an_interface_package():
    assert manifest().get("format") == "3"
    assert manifest().findtext("member_of_group") == "rosidl_interface_packages"
    assert manifest().findtext("export/build_type") == "ament_cmake"
    assert manifest().findtext("license") == "Apache-2.0"


@pytest.mark.parametrize("name", VISION_MSGS)
def test_vision_msgs_have_the_type_hashes_of_the_real_package(name):
    prefixes = [VENV, *map(Path, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))]
    found = [prefix / "share/vision_msgs/msg" / f"{name}.json" for prefix in prefixes]
    description = json.loads(next(path for path in found if path.exists()).read_text())
    hashes = {entry["type_name"]: entry["hash_string"] for entry in description["type_hashes"]}
    assert hashes[f"vision_msgs/msg/{name}"] == f"RIHS01_{VISION_MSGS[name]}"


def test_the_transcription_is_whole_and_cannot_shadow_the_real_package():
    transcription = ROOT / "third_party" / "vision_msgs"
    assert {path.stem for path in transcription.glob("msg/*.msg")} == set(VISION_MSGS)
    assert (transcription / "COLCON_IGNORE").exists()
    assert (ROOT / "third_party" / "COLCON_IGNORE").exists()


def test_messages_import_without_an_environment():
    code = "import gsam_ros.msg, gsam_ros.srv, vision_msgs.msg as v; v.Detection2DArray()"
    code += "; from rclpy.type_support import check_for_type_support as c; c(gsam_ros.msg.Instance)"
    if os.environ.get("ROS_DISTRO"):
        pytest.skip("a sourced ROS 2 is all environment")
    subprocess.run([sys.executable, "-c", code], env={"PATH": "/usr/bin:/bin"}, check=True)


def test_everything_that_is_required_is_locked_once():
    def names(file: str) -> set[str]:
        lines = (ROOT / "requirements" / file).read_text().splitlines()
        found = (re.match(r"[A-Za-z0-9_.-]+", line) for line in lines if line[:1] not in ("#", ""))
        return {match[0].lower().replace("_", "-") for match in found if match}

    wanted = set().union(*(names(f"{kind}.txt") for kind in ("core", "dev", "build", "sam2")))
    assert wanted <= names("lock.txt")
    # lark 1.x would hide lark-parser's module, which ROS 2's generators need.
    assert "lark" not in names("lock.txt")
    for distribution in ("jazzy", "kilted"):
        wheels = (ROOT / "requirements" / f"ros-{distribution}.txt").read_text().splitlines()
        assert all("==" in line for line in wheels if not line.startswith("#"))
        assert "ros-rclpy" in names(f"ros-{distribution}.txt")


def test_no_package_index_is_named():
    for path in [*(ROOT / "requirements").glob("*"), *SCRIPTS.glob("*.*"), ROOT / "Makefile"]:
        assert not re.search(r"index-url|find-links|file://", path.read_text()), path


def check_tools(tools: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(SCRIPTS / "check_tools.sh")],
        env={"PATH": str(tools), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with every tool that the set-up asks for, and nothing else."""
    for name in ("cc", "c++", "cmake"):
        put(tmp_path, name, "exit 0")
    put(tmp_path, "uname", "echo x86_64")
    put(tmp_path, "python3", f'exec {sys.executable} "$@"')
    return tmp_path


def test_nothing_missing(tools):
    result = check_tools(tools)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.strip() == str(tools / "python3")


@pytest.mark.parametrize(
    ("tool", "says"),
    [
        ("cmake", "sudo apt install cmake"),
        ("c++", "sudo apt install g++"),
        ("cc", "sudo apt install gcc"),
        ("python3", "sudo apt install python3 python3-venv python3-dev"),
    ],
)
def test_a_missing_tool_is_named_with_its_command(tools, tool, says):
    (tools / tool).unlink()
    result = check_tools(tools)
    assert result.returncode == 1
    assert result.stdout == ""
    assert says in result.stderr
    assert result.stderr.count("missing:") == 1


def test_all_missing_tools_are_named_at_once(tmp_path):
    put(tmp_path, "uname", "echo x86_64")
    assert check_tools(tmp_path).stderr.count("missing:") == 4


def test_a_python_out_of_range_is_named(tools):
    put(tools, "python3", 'case "$1" in -V) echo Python 3.9.18;; *) exit 1;; esac')
    result = check_tools(tools)
    assert result.returncode == 1
    assert "found: Python 3.9.18" in result.stderr


def test_a_fitting_python_is_taken_where_the_default_does_not_fit(tools):
    (tools / "python3").rename(tools / "python3.11")
    put(tools, "python3", "exit 1")
    assert check_tools(tools).stdout.strip() == str(tools / "python3.11")


@pytest.mark.parametrize(("broken", "says"), [("ensurepip", "-venv"), ("sysconfig", "-dev")])
def test_a_python_without_venv_or_headers(tools, broken, says):
    python = f'case "$2" in *{broken}*) exit 1;; esac; exec {sys.executable} "$@"'
    put(tools, "python3", python)
    result = check_tools(tools)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"sudo apt install python{version}{says}" in result.stderr


def test_a_machine_without_wheels(tools):
    put(tools, "uname", "echo aarch64")
    assert "aarch64" in check_tools(tools).stderr
    assert check_tools(tools, ROS_DISTRO="jazzy").returncode == 0


def test_a_step_is_done_once_and_again_when_it_was_interrupted(tmp_path):
    stamp, done = tmp_path / "deep" / "stamp", []

    def interrupted() -> None:
        raise KeyboardInterrupt

    assert once(stamp, "a", "step", lambda: done.append(1))
    assert not once(stamp, "a", "step", lambda: done.append(2))
    with pytest.raises(KeyboardInterrupt):
        once(stamp, "b", "step", interrupted)
    assert once(stamp, "a", "step", lambda: done.append(3))
    assert done == [1, 3]


def test_a_digest_follows_names_and_contents(tmp_path):
    first, second = tmp_path / "a.msg", tmp_path / "b.msg"
    first.write_text("bool x\n")
    before = digest([first], "jazzy")
    assert before == digest([first], "jazzy")
    assert before != digest([first], "kilted")
    first.rename(second)
    assert before != digest([second], "jazzy")
    second.write_text("bool y\n")
    assert before != digest([second], "jazzy")


def test_a_removed_message_is_uninstalled(tmp_path):
    build, installed = tmp_path / "build", tmp_path / "Old.msg"
    build.mkdir()
    installed.write_text("")
    (build / "install_manifest.txt").write_text(f"{installed}\n{tmp_path / 'gone'}\n")
    remove_installed(build)
    assert not installed.exists()
    assert not build.exists()


def test_the_environment_script_leads_with_what_is_sourced():
    shell = ". scripts/env.sh && echo $AMENT_PREFIX_PATH && echo $FASTDDS_DEFAULT_PROFILES_FILE"
    variables = {"PATH": "/usr/bin:/bin", "AMENT_PREFIX_PATH": "/opt/ros/jazzy"}
    result = subprocess.run(
        ["sh", "-c", shell], cwd=ROOT, env=variables, capture_output=True, text=True, check=True
    )
    prefixes, profile = result.stdout.split()
    assert prefixes == f"/opt/ros/jazzy:{ROOT / '.venv'}"
    assert ElementTree.parse(profile).getroot().tag.endswith("dds")


def test_a_fast_dds_profile_that_holds_a_1080p_image():
    numbers = {
        element.tag.split("}")[1]: int(element.text)
        for element in ElementTree.parse(ROOT / "config" / "fastdds.xml").iter()
        if element.text and element.text.strip().isdigit()
    }
    assert numbers["maxMessageSize"] > 1920 * 1080 * 3
    assert numbers["segment_size"] >= 2 * numbers["maxMessageSize"]


def test_what_pip_installs_holds_the_messages(tmp_path):
    """Bags are written from their definitions where there is no ROS 2."""
    source = tmp_path / "source"
    for name in ("setup.py", "pyproject.toml", "package.xml", "LICENSE", "MANIFEST.in"):
        (source / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    for folder in ("msg", "third_party", "requirements"):
        shutil.copytree(ROOT / folder, source / folder)
    (source / "gsam_ros").mkdir()
    (source / "gsam_ros" / "__init__.py").touch()
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-q", "-w", tmp_path, source], check=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        found = {name.partition(".data/data/share/gsam_ros/")[2] for name in archive.namelist()}
    assert "msg/InstanceArray.msg" in found
    assert "third_party/vision_msgs/msg/Detection2D.msg" in found


def test_a_sourced_ros_that_is_too_old_is_named_before_anything_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sourced = runpy.run_path(str(ROOT / "scripts" / "ros_installation.py"))["sourced"]
    (tmp_path / "rclpy").mkdir()
    (tmp_path / "rclpy" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("ROS_DISTRO", "humble")
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/humble")
    with pytest.raises(SystemExit, match="humble is sourced, and Jazzy is the oldest"):
        sourced(sys.executable)
    (tmp_path / "rclpy" / "parameter_event_handler.py").touch()
    assert sourced(sys.executable) == "humble"
