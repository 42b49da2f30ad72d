"""A long run in parts, each of them whole, so that an interrupted run can go on.

A run writes into `OUT/unfinished/`. Results of some minutes lie in a folder of their own, which
gets its name once every file in it is complete and the state of the tracker after its last frame
lies beside them. Unfinished parts are deleted when an interrupted run is taken up; it resumes after
the last complete one, from the state that it had there. At the end the parts are joined, still in
`unfinished/`, and moved to where they belong; `run.json`, the last, says that the run is whole.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gsam_ros.evaluation.run_folder import RUN, write_json
from gsam_ros.evaluation.run_state import StateError, load_state, save_state

_STATE = "state.pt"
_PROGRESS = "progress.json"


class PartsError(RuntimeError):
    """An unfinished run that can't go on; the message says why and what to do."""


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
class Progress:
    """How far a run has come; everything that goes on counting from part to part.

    Attributes:
        items: of the source, prompts among them.
        annotations: written so far.
        seconds: that the machine worked.
        prompt: what is asked for.
        categories: phrases that were asked for so far.
        cameras: by name.
        unreadable: the first frames that could not be read, in words.
    """

    items: int = 0
    annotations: int = 0
    seconds: float = 0.0
    prompt: str = ""
    categories: list[str] = field(default_factory=list)
    cameras: dict[str, CameraProgress] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    @property
    def processed(self) -> int:
        """Frames that were answered."""
        return sum(camera.processed for camera in self.cameras.values())

    @property
    def frames(self) -> int:
        """Frames that were there."""
        return sum(camera.frames for camera in self.cameras.values())

    @staticmethod
    def of(values: Mapping[str, Any]) -> Progress:
        """From what `asdict` made of it."""
        cameras = {name: CameraProgress(**camera) for name, camera in values["cameras"].items()}
        for camera in cameras.values():
            if camera.video_size is not None:
                camera.video_size = (camera.video_size[0], camera.video_size[1])
        return Progress(**{**values, "cameras": cameras})


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
        if (self.folder / RUN).is_file():
            self._compare(out)
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(path.suffix != ".part" for path in self.folder.iterdir()):
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

    def progress(self) -> Progress:
        """How far the complete parts go."""
        complete = self.complete
        if not complete:
            return Progress()
        return Progress.of(json.loads((complete[-1] / _PROGRESS).read_text()))

    def state(self, device: Any) -> Any:
        """The tracker's state after the last part.

        Raises:
            PartsError: it can't be read.
        """
        path = self.complete[-1] / _STATE
        try:
            return load_state(path, device)
        except StateError as error:
            raise PartsError(f"{path} can't be read ({error}): {self._way_out()}") from error

    def begin(self) -> Path:
        """A new folder to write the next part into."""
        folder = self.folder / f"part-{len(self.complete):06d}.part"
        folder.mkdir()
        return folder

    def end(self, folder: Path, progress: Progress, state: Any) -> None:
        """The part is written: keep it, and with it how far the run has come."""
        before = self.complete[-1:]
        write_json(folder / _PROGRESS, asdict(progress))
        save_state(folder / _STATE, state)
        folder.rename(folder.with_suffix(""))
        for part in before:  # states are large, and only the newest is needed
            (part / _STATE).unlink(missing_ok=True)

    def remove(self) -> None:
        """The run is finished."""
        shutil.rmtree(self.folder)

    def _compare(self, out: Path) -> None:
        found = json.loads((self.folder / RUN).read_text())
        differ = [key for key in self._identity if found.get(key) != self._identity[key]]
        if differ:
            raise PartsError(
                f"{out} holds an unfinished run with another {' and '.join(differ)}: "
                f"{self._way_out()}"
            )

    def _way_out(self) -> str:
        return f"remove {self.folder} to begin anew, or give another --out"
