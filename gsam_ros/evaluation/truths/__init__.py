"""Truth of any kind: bags, COCO files, MOTChallenge and MOTS text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gsam_ros.evaluation.run_results import RunResults
from gsam_ros.evaluation.truths.bag_truth import bag_truth
from gsam_ros.evaluation.truths.coco_truth import coco_truth
from gsam_ros.evaluation.truths.mot_truth import mot_truth
from gsam_ros.evaluation.truths.truth_data import (
    Truth,
    TruthError,
    check_frames,
    of_frames,
    phrases_of,
)
from gsam_ros.recordings.bag import is_bag

__all__ = ["Truth", "TruthError", "check_options", "check_place", "load_truth", "place_of"]


def load_truth(
    places: Sequence[str], results: RunResults, topics: Sequence[str] = (), phrase: str = ""
) -> Truth:
    """Read the truth of a run.

    Args:
        places: a bag, a COCO file, or text files. Several cameras may have one each, as
            NAME=PLACE.
        results: of the run.
        topics: of a bag: where the truth is.
        phrase: of text files: what their objects are.

    Raises:
        BagError: a bag can't be read.
        TruthError: it is none of these, or does not fit the run, or several don't fit together or
            tell of the same frame.
    """
    truths = [_load(place, results, topics, phrase) for place in places]
    if len({(t.exact, t.boxes_only, t.phrase) for t in truths}) > 1:
        raise TruthError(f"{' and '.join(places)} are of different kinds: score them one by one")
    prompts = [truth.prompts for truth in truths if truth.prompts is not None]
    if len({tuple(change.phrases for change in changes) for changes in prompts}) > 1:
        raise TruthError(f"{' and '.join(places)} hold different prompts: score them one by one")
    check_frames((f.camera, f.stamp, str(truth.path)) for truth in truths for f in truth.frames)
    whole = replace(
        truths[0],
        frames=tuple(frame for truth in truths for frame in truth.frames),
        images={camera: stamps for truth in truths for camera, stamps in truth.images.items()},
        prompts=prompts[0] if prompts else None,
        seconds=max((t.seconds for t in truths if t.seconds is not None), default=None),
        problems=tuple(problem for truth in truths for problem in truth.problems),
    )
    strange = _unasked(whole, results)
    if strange:
        told = (
            f"{' and '.join(places)} has objects for which the run was never asked, and which "
            f"don't count: {of_frames(strange)}"
        )
        whole = replace(whole, problems=(*whole.problems, told))
    return whole


def _unasked(truth: Truth, results: RunResults) -> list[str]:
    """Names in a truth that no prompt had. A world's own truth always has some: its background."""
    prompts = truth.prompts or ()
    asked = phrases_of(results).union(*(change.phrases for change in prompts))
    if not truth.exact or not asked:
        return []
    known = {phrase.casefold() for phrase in asked}
    names = {name for frame in truth.frames for name in frame.phrases}
    return sorted(name for name in names if name.casefold() not in known)


def place_of(place: str) -> tuple[str | None, Path]:
    """The camera that a place names, if any, and the path: "left=a.txt" or "a.txt"."""
    name, equals, rest = place.partition("=")
    own = equals and not Path(place).exists()
    return (name, Path(rest)) if own else (None, Path(place))


def check_place(place: str) -> None:
    """See that truth lies there, without reading it.

    Raises:
        TruthError: nothing is there, or nothing that `load_truth` reads.
    """
    _, path = place_of(place)
    if not path.exists():
        raise TruthError(f"{path} does not exist")
    if not (is_bag(path) or path.suffix == ".json" or _is_text(path)):
        raise TruthError(
            f"{path} is no truth that can be read: a bag, a COCO file (.json), MOTChallenge or "
            "MOTS text (.txt) or a MOTChallenge sequence (with gt/gt.txt)"
        )


def check_options(places: Sequence[str], topics: Sequence[str] = (), phrase: str = "") -> None:
    """See that truth lies there and that what is said of it applies to it.

    Args:
        places: as of `load_truth`.
        topics: likewise.
        phrase: likewise.

    Raises:
        TruthError: nothing is there that `load_truth` reads, or it takes no topics or no phrase.
    """
    for place in places:
        check_place(place)
    bags = [is_bag(place_of(place)[1]) for place in places]
    texts = [_is_text(place_of(place)[1]) for place in places]
    if topics and not any(bags):
        raise TruthError(
            f"--truth-topic says where in a bag the truth is, and {' and '.join(places)} is no "
            "bag: leave it out"
        )
    if phrase and not any(text and not bag for text, bag in zip(texts, bags, strict=True)):
        raise TruthError(
            f"--phrase says what the objects of MOTChallenge and MOTS text are, and those of "
            f"{' and '.join(places)} have names: leave it out"
        )


def _load(place: str, results: RunResults, topics: Sequence[str], phrase: str) -> Truth:
    check_place(place)
    camera, path = place_of(place)
    if is_bag(path):
        return bag_truth(path, results, topics, camera)
    if path.suffix == ".json":
        return coco_truth(path, results, camera)
    return mot_truth(path, results, camera, phrase)


def _is_text(path: Path) -> bool:
    return path.suffix == ".txt" or (path / "gt" / "gt.txt").is_file()
