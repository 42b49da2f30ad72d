"""What the C library keeps of freed memory goes back to the system."""

import subprocess
import sys

import pytest

BLOCKS = """
import time
from gsam_ros.process_memory import RegularTrim, resident_bytes
trim = RegularTrim({every})
time.sleep(0.02)
blocks = [bytes(2_000) for _ in range(60_000)]
held = blocks[::1_000]  # a block here and there is kept, so that the heap's end can't be cut off
del blocks
before = resident_bytes()
trim()
print(before - resident_bytes())
"""


@pytest.mark.parametrize(("every", "least", "most"), [(0.01, 80e6, 130e6), (3600, -1e6, 1e6)])
def test_freed_memory_goes_back_when_it_is_time(every, least, most):
    """In a process of its own: what others have freed would be counted too."""
    told = subprocess.run(
        [sys.executable, "-c", BLOCKS.format(every=every)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert least <= int(told.stdout) <= most
