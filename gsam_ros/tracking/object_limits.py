"""Fewer objects, where a device's memory does not hold even one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from gsam_ros.batches import Limit, give_back, is_out_of_memory
from gsam_ros.errors import first_sentence
from gsam_ros.instances import which
from gsam_ros.prompts import PromptError
from gsam_ros.tracking.camera_tracks import CameraTracks

R = TypeVar("R")


class ObjectLimits:
    """How many objects each camera may have; `tracker.max_objects` while memory is enough."""

    def __init__(self) -> None:
        self._limits: dict[str, Limit] = {}

    @property
    def shortages(self) -> list[str]:
        """What does not fit at the moment, for people; any thread may ask."""
        limits = list(self._limits.values())
        return [told for each in limits if (told := each.shortage)]

    def of(self, camera: str, most: int) -> int:
        """How many objects a camera may have, `most` at most."""
        limit = self._limits.get(camera)
        return limit.of(most) if limit else most

    def go(self, states: Mapping[str, CameraTracks], step: Callable[[], R]) -> R:
        """Make a step with as many tracks as go through it.

        Where memory runs out all the same, the tracks are put back to where they were, one ends,
        and the step is made anew: the camera with most tracks gives `least_needed`. For a while
        its camera gets no more than are left then.

        Args:
            states: by camera, the tracks that the step changes.
            step: may be made again.

        Raises:
            Exception: what the step raises, also where memory runs out and no track is left.
        """
        counts = {camera: len(state.tracks) for camera, state in states.items()}
        why = ""
        while True:
            before = {camera: state.copy() for camera, state in states.items()}
            try:
                done = step()
                break
            except Exception as error:
                if not is_out_of_memory(error) or not any(s.tracks for s in before.values()):
                    raise
                why = why or first_sentence(error)
            give_back()
            for camera, state in states.items():
                state.become(before[camera])
            most = max(states.values(), key=lambda state: len(state.tracks))
            most.remove(most.least_needed().track_id)
        for camera, state in before.items():
            left = len(state.tracks)
            if left < counts[camera]:
                self._limit(camera).lower(counts[camera], max(1, left), why)
            elif limit := self._limits.get(camera):
                limit.of(left)  # it may be time to try more, though nobody new asks for it
                limit.passed(left)
        return done

    @staticmethod
    def one_more(state: CameraTracks, work: Callable[[], R]) -> R:
        """Take in an object that somebody asks for, with what `work` does for it.

        Raises:
            PromptError: there is no memory for it; the tracks are as they were.
            Exception: what `work` raises.
        """
        before = state.copy()
        try:
            return work()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            why = first_sentence(error)
        state.become(before)
        give_back()
        raise PromptError(f"the device has no memory for one object more ({why}): remove one")

    def _limit(self, camera: str) -> Limit:
        if camera not in self._limits:
            what = f"objects of {which(camera)}"
            self._limits[camera] = Limit(what, "lower tracker.max_objects")
        return self._limits[camera]
