"""A long run in parts, each of them whole, so that an interrupted run can go on.

A run writes into `OUT/unfinished/`. Results of some minutes lie in a folder of their own, which
gets its name once every file in it is complete and the state of the tracker after its last frame
lies beside them. Unfinished parts are deleted when an interrupted run is taken up; it resumes after
the last complete one, from the state that it had there, or from the one before if a power cut has
damaged the last. At the end the parts are joined, still in
`unfinished/`, and moved to where they belong; `run.json`, the last, says that the run is whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gsam_ros.recordings.run_folder import RUN, read_json, sync_folder, write_json
from gsam_ros.standalone.run_state import StateError, load_state, save_state

_STATE = "state.pt"
_PROGRESS = "progress.json"


class PartsError(RuntimeError):
    """An unfinished run that can't go on; the message says why and what to do."""


class _DamageError(RuntimeError):
    """A part that can't be gone on from; the message names its file and says why."""


@dataclass
class CameraProgress:
    """How far one camera has come.

    Attributes:
        frames: that were there, readable or not.
        processed: of them, that were answered.
        drops: of them, that were not, by cause.
        stamp: nanoseconds, of the last one that was answered; None before.
        video_size: width and height of its video; None before its first picture.
    """

    frames: int = 0
    processed: int = 0
    drops: dict[str, int] = field(default_factory=dict)
    stamp: int | None = None
    video_size: tuple[int, int] | None = None


@dataclass
class RunProgress:
    """How far a run has come; everything that goes on counting from part to part.

    Attributes:
        items: of the source, prompts among them.
        annotations: written so far.
        seconds: that the pipeline worked.
        prompt: what is asked for.
        categories: phrases that were asked for so far.
        cameras: by name.
        unreadable: the first frames that could not be read, in words.
        refused: prompts of the recording that could not be used, in words.
        unasked: frames that came before the first prompt.
    """

    items: int = 0
    annotations: int = 0
    seconds: float = 0.0
    prompt: str = ""
    categories: list[str] = field(default_factory=list)
    cameras: dict[str, CameraProgress] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unasked: int = 0

    @property
    def processed(self) -> int:
        """Frames that were answered."""
        return sum(camera.processed for camera in self.cameras.values())

    @property
    def frames(self) -> int:
        """Frames that were there."""
        return sum(camera.frames for camera in self.cameras.values())

    @staticmethod
    def of(values: Mapping[str, Any]) -> RunProgress:
        """From what `asdict` made of it."""
        cameras = {name: CameraProgress(**camera) for name, camera in values["cameras"].items()}
        for camera in cameras.values():
            if camera.video_size is not None:
                camera.video_size = (camera.video_size[0], camera.video_size[1])
        return RunProgress(**{**values, "cameras": cameras})


class Parts:
    """The parts of one run, on disk."""

    def __init__(self, out: Path, identity: dict[str, Any]) -> None:
        """Begin a run, or find what is there of it.

        Args:
            out: folder of the run.
            identity: what makes two runs the same; JSON values.

        Raises:
            PartsError: an unfinished run of another kind is there, or something else.
        """
        self.folder = out / "unfinished"
        self._identity = identity
        if self.complete:
            self._compare(out)
        else:  # a first try that was refused its prompt is nothing to go on with
            self.folder.mkdir(parents=True, exist_ok=True)
            own = self.folder / RUN
            if any(path.suffix != ".part" and path != own for path in self.folder.iterdir()):
                raise PartsError(
                    f"{self.folder} is in the way and no unfinished run: give another --out"
                )
            write_json(self.folder / RUN, identity)
        for leftover in self.folder.glob("*.part"):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()

    @property
    def complete(self) -> list[Path]:
        """Folders of the parts that are whole, in order."""
        return sorted(self.folder.glob("part-*[0-9]"))

    def resume(self, device: Any) -> tuple[RunProgress, Any]:
        """How far the complete parts go, and the tracker's state there.

        If the last part is damaged, it is removed and the run goes on from the one before.

        Returns:
            The state is None where nothing was asked for yet.

        Raises:
            PartsError: neither can be read.
        """
        complete = self.complete
        if not complete:
            return RunProgress(), None
        *before, last = complete
        try:
            return _read_part(last, device)
        except _DamageError as error:
            damage = error
        try:
            found = _read_part(before[-1], device) if before else (RunProgress(), None)
        except _DamageError as error:
            raise PartsError(f"{damage}, and {error}: {self._way_out()}") from error
        shutil.rmtree(last)
        return found

    def begin(self) -> Path:
        """A new folder to write the next part into."""
        folder = self.folder / f"part-{len(self.complete):06d}.part"
        folder.mkdir()
        return folder

    def end(self, folder: Path, progress: RunProgress, state: Any) -> None:
        """The part is written: keep it, and with it how far the run has come."""
        write_json(folder / _PROGRESS, asdict(progress))
        save_state(folder / _STATE, state)
        sync_folder(folder)
        folder.rename(folder.with_suffix(""))
        for part in self.complete[-3:-2]:  # states are large, and only the newest two are needed
            (part / _STATE).unlink(missing_ok=True)

    def remove(self) -> None:
        """The run is finished."""
        shutil.rmtree(self.folder)

    def _compare(self, out: Path) -> None:
        file = self.folder / RUN
        try:
            found = read_json(file)
        except (OSError, ValueError) as error:
            raise PartsError(f"{file} can't be read ({error}): {self._way_out()}") from error
        differ = [key for key in self._identity if found.get(key) != self._identity[key]]
        if differ:
            raise PartsError(
                f"{out} holds an unfinished run with another {' and '.join(differ)}: "
                f"{self._way_out()}"
            )

    def _way_out(self) -> str:
        return f"remove {self.folder} to begin anew, or give another --out"


def _read_part(folder: Path, device: Any) -> tuple[RunProgress, Any]:
    """How far a part goes, and the tracker's state there.

    Raises:
        _DamageError: it can't be read.
    """
    path = folder / _PROGRESS
    try:
        progress = RunProgress.of(read_json(path))
        path = folder / _STATE
        return progress, load_state(path, device) if progress.prompt else None
    except (AttributeError, LookupError, OSError, StateError, TypeError, ValueError) as error:
        raise _DamageError(f"{path} can't be read ({error})") from error
