"""Going back: what is learnt of a frame late is worked in as if it had been known in time.

A detector that works beside the stream answers a frame when others have come; people point at what
a screen showed them a moment ago. The frame is looked at again, with the tracks as they were then,
and after it all frames since, out of kept image features: no image is encoded twice, and no
memory is asked twice for the same (`known_masks`). The tracks are then where they would have been.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gsam_ros.instances import Detections, which
from gsam_ros.prompts import PromptError
from gsam_ros.tracking.camera_tracks import CameraTracks, View
from gsam_ros.tracking.kept_frames import KeptFrame, KeptFrames
from gsam_ros.tracking.known_masks import KnownMasks
from gsam_ros.tracking.pointing import lies_on
from gsam_ros.tracking.segmenters.interface import ImageFeatures
from gsam_ros.tracking.track import Track, outlines_of
from gsam_ros.tracking.tracker import InstanceTracker
from gsam_ros.visual_prompts import VisualPrompt


class History:
    """The last frames of every camera, and the way back to them.

    Args:
        tracker: whose tracks are brought up to date.
    """

    def __init__(self, tracker: InstanceTracker) -> None:
        self._tracker = tracker
        self._of: dict[str, KeptFrames] = {}

    def keep(
        self,
        features: ImageFeatures,
        views: Sequence[View],
        needed: dict[str, int],
    ) -> list[View]:
        """Keep the frames of a step that is about to be made.

        Args:
            features: of B images.
            views: the B images.
            needed: stamp, by camera, of the frame of which detections are still to come.

        Returns:
            The views to make the step with.
        """
        settings = self._tracker.settings
        views = [self._prepared(view) for view in views]
        # Before one is kept: a device may have no memory for the copies.
        alone = [_alone(features, i) for i in range(len(views))] if settings.kept_frames else []
        for view in views:
            state = self._tracker.cameras.get(view.camera, CameraTracks())
            if not settings.kept_frames or state.starts_over(view.stamp, view.size):
                self._of.pop(view.camera, None)
        for view, own in zip(views, alone, strict=bool(alone)):
            state = self._tracker.cameras.get(view.camera, CameraTracks())
            plain = replace(view, detections=None, weak=Detections.none())
            if not settings.closeup_below:
                plain = replace(plain, image=None)
            kept = self._of.setdefault(view.camera, KeptFrames())
            kept.add(KeptFrame(plain, own, state.copy()), settings, needed.get(view.camera))
        return views

    def features(self, camera: str, stamp: int) -> ImageFeatures | None:
        """Of a camera's newest frame, if that is the one of this stamp."""
        kept = self._of.get(camera)
        newest = kept.newest if kept else None
        return newest.features if newest and newest.view.stamp == stamp else None

    def view(self, camera: str) -> View | None:
        """Of a camera's newest frame, if its image is kept."""
        kept = self._of.get(camera)
        newest = kept.newest if kept else None
        return newest.view if newest and newest.view.image is not None else None

    def clear(self, camera: str | None = None) -> None:
        """Forget the frames of one camera or of all."""
        for name in list(self._of) if camera is None else [camera]:
            self._of.pop(name, None)

    def forget_tracks(self, camera: str) -> None:
        """What a camera tracked is not asked for any more; the images stay."""
        if camera in self._of:
            self._of[camera].forget_tracks()

    def edit(self, camera: str, track_id: int, change: Callable[[CameraTracks], object]) -> None:
        """Keep a change of a track, to repeat it when frames are replayed from before it."""
        kept = self._of.get(camera)
        if kept and kept.newest:
            kept.newest.edit(track_id, change)

    def detected(self, camera: str, stamp: int, found: Detections, weak: Detections) -> bool:
        """Bring a camera to where it would be, had the detector answered a frame at once.

        Args:
            camera: name.
            stamp: of the frame that the detector looked at.
            found: what starts tracks.
            weak: what only keeps them.

        Returns:
            False where that frame is not kept, and nothing is done.
        """
        kept = self._of.get(camera)
        frames = kept.since(stamp) if kept else []
        if not frames:
            return False
        state = frames[0].before.copy()
        state.next_id = self._tracker.cameras[camera].next_id
        again = self._tracker.fork(camera, state)
        for place, frame in enumerate(frames):
            if place:
                frames[place - 1].after = frame.before = state.copy()
            view = self._prepared(frame.view)
            if not place:
                view = replace(view, detections=found, weak=weak)
            again.step(frame.features, [view])
            for change in frame.edits.values():
                change(state)
            again.name_all(camera)  # somebody may have pointed at something that is gone by now
        self._tracker.put_back(camera, state)
        return True

    def point_back(self, prompt: VisualPrompt, stamp: int) -> Track:
        """Follow what somebody points at on an earlier frame.

        Args:
            prompt: what.
            stamp: of the frame (ns); the nearest one that is kept counts.

        Raises:
            PromptError: the frame is too old, and as of `InstanceTracker.point_out`.
        """
        camera = prompt.camera
        [frame, *later] = self._nearest(camera, stamp)
        present = self._tracker.cameras[camera]
        past = (frame.after or present).copy()
        past.next_id = present.next_id
        known = {track.track_id for track in present.tracks}
        scratch = self._tracker.fork(camera, past)
        track = scratch.point_out(frame.features, frame.view, prompt.fit(*frame.view.size))
        follower = self._tracker.fork(camera, replace(past, tracks=[track]))
        for frame in later:
            follower.step(frame.features, [replace(frame.view, known=None)])
        # One that has ended since, or was removed, comes back as another.
        return self._settle(camera, track, new=track.track_id not in known)

    def _nearest(self, camera: str, stamp: int) -> list[KeptFrame]:
        """The frame of that time, and all since.

        Raises:
            PromptError: there is none.
        """
        kept = self._of.get(camera)
        if not kept:
            raise PromptError(
                f"no image of {which(camera)} is kept (they are from the first prompt on, where "
                "tracker.kept_frames is not 0): leave the stamp 0, which means the newest image"
            )
        oldest, newest = kept.span
        if stamp < oldest:
            raise PromptError(
                f"its stamp is {(newest - stamp) / 1e9:.2f} s older than the newest image of "
                f"{which(camera)}, and the images kept reach back {(newest - oldest) / 1e9:.2f} s: "
                "point sooner, raise tracker.kept_seconds or tracker.kept_megabytes, or leave the "
                "stamp 0, which means the newest image"
            )
        return kept.nearest(stamp)

    def _settle(self, camera: str, track: Track, new: bool) -> Track:
        """Give what was pointed at in the past its place among the tracks of the present."""
        present, most = self._tracker.cameras[camera], self._tracker.most(camera)
        if new:
            there = lies_on(outlines_of([track]), present.tracks) if track.visible else None
            if there is not None:  # somebody found it meanwhile
                track.track_id, track.evidence = there.track_id, there.evidence
            else:
                present.admit_pointed(track, most)
        present.put(track, most)
        return track

    def _prepared(self, view: View) -> View:
        """The view for a step, with room for what memories give on it, where tracks ask theirs."""
        if self._tracker.settings.memory != "exact" or not self._tracker.settings.kept_frames:
            return replace(view, known=None)
        known = view.known or KnownMasks()
        known.begin()
        return replace(view, known=known)


def _alone(features: ImageFeatures, index: int) -> ImageFeatures:
    """Of one image; of several, a copy: a view would keep all of them alive."""
    images = features.images
    if len(images.image_top) == 1:
        return images
    rows = [each[index : index + 1].clone() for each in (images.image_top, *images.image_high)]
    return ImageFeatures(rows[0], tuple(rows[1:]))
