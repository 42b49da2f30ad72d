"""What every test runs under: a ROS 2 of its own that no other run on this machine can hear."""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

import hypothesis
import pytest

# No test is timed: these machines are busy.
hypothesis.settings.register_profile("gsam_ros", deadline=None)
hypothesis.settings.load_profile("gsam_ros")

ROOT = Path(__file__).resolve().parent.parent
DOMAINS = range(1, 102)  # those whose ports Linux does not hand out to others


def lock_domain() -> IO[str]:
    """Take a ROS domain that no other run has; it is given back when the process ends."""
    for domain in DOMAINS:
        lock = (Path(tempfile.gettempdir()) / f"gsam_ros_test_domain_{domain}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        return lock
    raise RuntimeError("every ROS domain is taken by another run of these tests")


# Threads of torch that wait by spinning would take the cores from the processes that tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Set on import: rclpy and the processes that tests start read them once, at their beginning.
_domain_lock = lock_domain()
_logs = tempfile.TemporaryDirectory(prefix="gsam_ros_logs_")
os.environ["ROS_LOG_DIR"] = _logs.name
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "SYSTEM_DEFAULT"
os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(ROOT / "config" / "fastdds.xml")
os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = os.environ["FASTDDS_DEFAULT_PROFILES_FILE"]
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"  # a message that a robot would refuse fails here
os.environ["HF_HUB_OFFLINE"] = "1"  # no test waits for a network
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")
os.environ["MPLBACKEND"] = "Agg"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--alone",
        choices=("only", "never"),
        help="of the tests marked `alone`: run no others, or leave them out",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if (asked := config.getoption("alone")) is None:
        return
    parts: dict[bool, list[pytest.Item]] = {True: [], False: []}
    for item in items:
        parts[bool(item.get_closest_marker("alone")) == (asked == "only")].append(item)
    config.hook.pytest_deselected(items=parts[False])
    items[:] = parts[True]
