"""What became of a job: its figures or the reason why it has none, kept in its folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gsam_ros.evaluation.sweep.plan import Job

_FILE = "outcome.json"


@dataclass(frozen=True)
class Outcome:
    """The end of one job.

    Attributes:
        fingerprint: of the job.
        failure: why there are no figures; "" where there are.
        notes: what was left out or could not be read.
        figures: name to value; those of accuracy only where there is truth.
    """

    fingerprint: str
    failure: str = ""
    notes: tuple[str, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Keep it; an interrupted call leaves none or a whole one."""
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{_FILE}.part"
        part.write_text(json.dumps(asdict(self), indent=1))
        part.replace(folder / _FILE)


def outcome_of(job: Job) -> Outcome | None:
    """What an earlier call left of just this job; None if it did not end, or not with figures."""
    try:
        values = json.loads((Path(job.out) / _FILE).read_text())
        outcome = Outcome(**{**values, "notes": tuple(values["notes"])})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, KeyError):
        return None  # written by another version: it is run again
    return outcome if outcome.fingerprint == job.fingerprint and not outcome.failure else None


def last_outcome(folder: Path) -> Outcome | None:
    """What the newest process in this folder left, a failure as well; None if it left nothing."""
    try:
        values = json.loads((folder / _FILE).read_text())
    except FileNotFoundError:
        return None
    return Outcome(**{**values, "notes": tuple(values["notes"])})
