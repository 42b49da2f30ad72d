"""What became of a job: its figures or the reason why it has none, kept in its folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gsam_ros.sweep.plan import Job

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


def last_outcome(folder: Path) -> Outcome | None:
    """What the newest run in a folder left; None where nothing whole, or another version's, is."""
    try:
        values = json.loads((folder / _FILE).read_text())
        return Outcome(**{**values, "notes": tuple(values["notes"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def outcome_of(job: Job) -> Outcome | None:
    """The figures that an earlier call left of just this job; None if there are none."""
    outcome = last_outcome(Path(job.out))
    known = outcome and outcome.fingerprint == job.fingerprint and not outcome.failure
    return outcome if known else None
