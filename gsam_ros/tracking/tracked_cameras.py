"""The tracks of all cameras, and what they may be called; no vision."""

from __future__ import annotations

from gsam_ros.instances import Instances
from gsam_ros.tracking.camera_tracks import CameraTracks
from gsam_ros.tracking.pointing import names_of


class TrackedCameras:
    """Some cameras may look for phrases of their own, all others look for the same.

    Attributes:
        cameras: tracks by name of camera.
    """

    def __init__(self) -> None:
        self.cameras: dict[str, CameraTracks] = {}
        # Under None: of all cameras that have none of their own.
        self._classes: dict[str | None, tuple[str, ...]] = {None: ()}

    def names(self, camera: str | None = None) -> tuple[str, ...]:
        """What people called the objects that they pointed at and that are still tracked.

        Args:
            camera: where they are; None: in all cameras without phrases of their own.
        """
        return names_of([track for state in self._states(camera) for track in state.tracks])

    def set_phrases(
        self, phrases: tuple[str, ...], names: tuple[str, ...] = (), camera: str | None = None
    ) -> None:
        """Look for other phrases.

        Tracks whose phrase stays live on, as do those that were pointed at; the others end.

        Args:
            phrases: that detections refer to.
            names: of objects that were pointed at, where no phrase is the same.
            camera: whose own they are; None: of all cameras without phrases of their own.
        """
        self._classes[camera] = phrases + names
        kept = {phrase.casefold(): phrase for phrase in phrases + names}
        for state in self._states(camera):
            state.rename(kept)

    def put_back(self, camera: str, state: CameraTracks) -> None:
        """Take tracks that went their own way for those of a camera, as they are called by now.

        Who was pointed at under a name that is not used any more ends.
        """
        kept = {phrase.casefold(): phrase for phrase in self._classes_of(camera)}
        state.tracks = [t for t in state.tracks if not t.name or t.name.casefold() in kept]
        state.rename(kept)
        self.cameras[camera] = state

    def share_phrases(self, camera: str) -> None:
        """A camera has no phrases of its own any more; `set_phrases` for all has to follow."""
        self._classes.pop(camera, None)

    def reset(self, camera: str | None = None) -> None:
        """Forget the tracks of one camera or of all; ids go on where they were."""
        for name, tracks in self.cameras.items():
            if camera is None or name == camera:
                tracks.tracks.clear()
                tracks.stamp = None

    def remove(self, camera: str, track_id: int) -> bool:
        """End a track; False where there is none of that id."""
        return camera in self.cameras and self.cameras[camera].remove(track_id)

    def instances(self, camera: str) -> Instances:
        """What a camera's newest frame shows."""
        return self.cameras[camera].instances(self._classes_of(camera))

    def _classes_of(self, camera: str) -> tuple[str, ...]:
        """What phrase indices count in."""
        return self._classes.get(camera, self._classes[None])

    def _states(self, camera: str | None) -> list[CameraTracks]:
        """Of one camera, or of all without phrases of their own."""
        if camera is not None:
            return [self.cameras[camera]] if camera in self.cameras else []
        return [state for name, state in self.cameras.items() if name not in self._classes]
