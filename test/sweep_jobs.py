"""Jobs of `gsam sweep` for its tests."""

from __future__ import annotations

import csv
from pathlib import Path

from gsam_ros.sweep.plan import Job, combinations, plan


def damaged(folder: Path) -> Path:
    folder.mkdir()
    (folder / "metadata.yaml").write_text("rosbag2_bagfile_information: {}")
    return folder


def jobs_for(tmp_path: Path, *sources: str, varied: tuple[str, ...] = ()) -> list[Job]:
    paths = [tmp_path / source for source in sources]
    return plan(paths, combinations(varied), tmp_path / "out", prompt="mug.")


def lines_of(out: Path) -> list[dict[str, str]]:
    with (out / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))
