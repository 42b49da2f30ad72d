"""What a sweep runs: every recording with every combination of settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from gsam_ros import __version__
from gsam_ros.evaluation.truths import place_of
from gsam_ros.pipeline.settings import Settings
from gsam_ros.settings import SettingError, leaves, with_texts
from gsam_ros.standalone.file_states import model_states, state_of

_LONGEST_NAME = 100  # characters of a folder's name
_NAMED_BY = 8  # digits of the fingerprint in a folder's name


class JobError(RuntimeError):
    """A job that can't be done; the message says why."""


@dataclass(frozen=True)
class Job:
    """One recording under one combination of settings.

    Attributes:
        source: the recording, an absolute path.
        prompt: what to look for; "" where the recording brings its prompts.
        topics: which images of a bag; none: as `gsam track` chooses.
        truth: places as `load_truth` takes them, with absolute paths; none: truth that lies in the
            recording itself.
        phrase: of truth that is text: what its objects are.
        frames: how many at most; 0: all.
        fixed: settings that all jobs share, "device=cpu".
        varied: the combination, "detector.rate=2".
        out: the run's own folder, an absolute path.
        fingerprint: changes with anything that the result depends on.
    """

    source: str
    prompt: str
    topics: tuple[str, ...]
    truth: tuple[str, ...]
    phrase: str
    frames: int
    fixed: tuple[str, ...]
    varied: tuple[str, ...]
    out: str
    fingerprint: str

    @property
    def label(self) -> str:
        """The combination in words; "defaults" where nothing is varied."""
        return " ".join(self.varied) or "defaults"

    def as_json(self) -> str:
        """What `from_json` reads."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Job:
        """The job that `as_json` wrote."""
        values = json.loads(text)
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return Job(**{**values, **lists})


def combinations(assignments: Sequence[str]) -> list[tuple[str, ...]]:
    """Every combination of settings.

    Args:
        assignments: "NAME=VALUE,VALUE,..." each; a name that comes twice has all its values.

    Returns:
        Combinations of "NAME=VALUE", the last name changing fastest. One, empty, for none.

    Raises:
        SettingError: an unknown name, or a value of another type or outside its range.
    """
    values: dict[str, list[str]] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not text:
            raise SettingError(f"{assignment!r} sets nothing: write NAME=VALUE,VALUE,...")
        known = values.setdefault(name, [])
        known += [value for value in text.split(",") if value not in known]
    found = [
        tuple(f"{name}={value}" for name, value in zip(values, chosen, strict=True))
        for chosen in product(*values.values())
    ]
    for combination in found:
        with_texts(Settings(), combination)
    return found


def plan(
    sources: Iterable[Path],
    varied: Sequence[tuple[str, ...]],
    out: Path,
    *,
    prompt: str = "",
    topics: tuple[str, ...] = (),
    truth: Sequence[str] = (),
    phrase: str = "",
    frames: int = 0,
    fixed: tuple[str, ...] = (),
) -> list[Job]:
    """One job for each recording and combination, recording by recording.

    Args:
        sources: recordings; that they can be read is left to their jobs.
        varied: as `combinations` gives them.
        out: the sweep's folder.
        prompt: as of `Job`, and so are the others.
        topics: which images.
        truth: where it lies apart from the recordings, as `load_truth` takes it.
        phrase: of truth that is text: what its objects are.
        frames: how many at most.
        fixed: settings that are not varied.

    Raises:
        SettingError: a setting can't be used.
    """
    jobs = []
    truths = [(camera, path.resolve()) for camera, path in map(place_of, truth)]
    places = tuple(f"{camera}={path}" if camera else str(path) for camera, path in truths)
    for source in sources:
        for combination in varied:
            settings = with_texts(Settings(), [*fixed, *combination])
            fingerprint = _fingerprint(
                {
                    "version": __version__,
                    "source": state_of(source),
                    "truth": [(camera, state_of(path)) for camera, path in truths],
                    "phrase": phrase,
                    "prompt": prompt,
                    "topics": topics,
                    "frames": frames,
                    "settings": {name: value for name, value, _ in leaves(settings)},
                    "models": model_states(settings),
                }
            )
            name = _folder_name(combination, fingerprint)
            folder = out.resolve() / "runs" / source.resolve().name / name
            jobs.append(
                Job(
                    source=str(source.resolve()),
                    prompt=prompt,
                    topics=topics,
                    truth=places,
                    phrase=phrase,
                    frames=frames,
                    fixed=fixed,
                    varied=combination,
                    out=str(folder),
                    fingerprint=fingerprint,
                )
            )
    return jobs


def _fingerprint(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _folder_name(combination: Sequence[str], fingerprint: str) -> str:
    """What was varied, without the groups of names: "rate=2_max_objects=8_1f0c55aa"."""
    pairs = [part.partition("=") for part in combination]
    words = [f"{name.rpartition('.')[2]}={value}" for name, _, value in pairs] or ["defaults"]
    text = "_".join(words)[:_LONGEST_NAME]
    safe = "".join(c if c.isalnum() or c in "=._-" else "-" for c in text)  # models are paths
    return f"{safe}_{fingerprint[:_NAMED_BY]}"
