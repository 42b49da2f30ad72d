"""Prompts on their way to the pipeline, where they are applied between two frames."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Any

from gsam_ros.instances import which
from gsam_ros.pipeline.runner import Runner
from gsam_ros.prompts import Prompt, PromptError, parse_prompt
from gsam_ros.visual_prompts import VisualPrompt

MOST_WAITING = 16
"""Objects pointed at that may wait for the pipeline: each takes it from the images for a while."""


class PromptKeeper:
    """Takes prompts from any thread and sees that the newest good ones are in force.

    A text says what to look for from now on, all cameras or one of them, and is kept while there is
    no pipeline. What is pointed at lies in an image, and without a pipeline there is none.

    Args:
        changed: told in the runner's thread of every prompt that came into force, and of the camera
            whose own it is; None: of all cameras without one.
        rejected: told of every prompt that can't be used: where it came from, in words (empty for
            texts of all cameras), and why.

    Attributes:
        rejection: why the newest text was rejected; empty where it was not.
    """

    def __init__(
        self,
        changed: Callable[[Prompt, str | None], None],
        rejected: Callable[[str, str], None],
    ) -> None:
        self._changed = changed
        self._rejected = rejected
        self._lock = threading.Lock()
        self._runner: Runner | None = None
        # By camera; under None what holds for all that are not there themselves.
        self._wanted: dict[str | None, str] = {}
        self._asked_since_start: set[str | None] = set()
        self._asked: dict[str | None, int] = {}  # how many texts were asked for
        self._newest_only = False
        self._texts: dict[str | None, str] = {}  # that came into force last
        self._in_force: dict[str | None, Prompt] = {}
        self._pointing = 0
        self.rejection = ""

    def current(self, camera: str | None = None) -> Prompt | None:
        """What a camera looks for, or those without a prompt of their own; None: nothing yet."""
        return self._in_force.get(self.holder(camera))

    def holder(self, camera: str | None) -> str | None:
        """A camera that has a prompt of its own in force, else None."""
        return camera if camera in self._in_force else None

    def request(
        self,
        text: str,
        camera: str | None = None,
        *,
        from_before: bool = False,
        awaited: bool = True,
    ) -> Future[Prompt | None] | None:
        """Look for something else from now on.

        Args:
            text: what to look for.
            camera: that looks for it, whatever the others do; an empty text lets it look for what
                they do. None: all cameras that have no prompt of their own.
            from_before: it was said before the start, though it may be learnt late. What was asked
                since then counts for more.
            awaited: whether somebody waits for the outcome. What nobody waits for does not come
                into force if more is asked for before its turn, where frames are passed over, too:
                a flood of prompts costs no more than the newest of them.

        Returns:
            What the camera looks for when the prompt is in force, or None where it is kept until a
            pipeline is there or, said before the start, comes too late.

        Raises:
            PromptError: the text can't be used; the prompt before stays in force.
        """
        is_given_up = camera is not None and not text.strip()
        try:
            if not is_given_up:
                parse_prompt(text)
        except PromptError as error:
            self._reject(_where(camera), str(error))
            raise
        with self._lock:
            if from_before and camera in self._asked_since_start:
                return None
            if not from_before:
                self._asked_since_start.add(camera)
            if is_given_up:
                self._wanted.pop(camera, None)
            else:
                self._wanted[camera] = text
            self.rejection = ""
            self._asked[camera] = number = self._asked.get(camera, 0) + 1
            if not self._runner:
                return None
            passes = self._newest_only and not awaited
            # Within the lock: what is wanted last is applied last.
            return self._apply_by(self._runner, text, camera, number if passes else None)

    def point_out(self, source: str, make: Callable[[], VisualPrompt]) -> None:
        """Follow one object more. What can't be used is told to `rejected`.

        Args:
            source: where it came from, for people (a topic).
            make: gives the prompt, or raises PromptError.
        """
        with self._lock:
            runner = self._runner
        try:
            if not runner:
                raise PromptError("the models are not loaded yet: wait until images are processed")
            if self._pointing >= MOST_WAITING:
                raise PromptError(
                    f"{MOST_WAITING} objects that were pointed at wait to be followed already: "
                    "point more slowly, each object needs it once"
                )
            prompt = make()
        except PromptError as error:
            self._reject(f"{source}: ", str(error))
            return
        with self._lock:
            self._pointing += 1
        outcome = runner.call(lambda tracker: self._point_out(runner, tracker, prompt))
        outcome.add_done_callback(lambda done: self._pointed(source, done))

    def attach(
        self,
        runner: Runner,
        cameras: Collection[str] | None = None,
        *,
        newest_only: bool = False,
    ) -> Future[Prompt | None] | None:
        """A pipeline is there: have it look for what was asked last.

        Args:
            runner: has the pipeline.
            cameras: that there are; prompts of others are kept. None: all.
            newest_only: prompts may be passed over for newer ones, as frames are (live).

        Returns:
            The prompt for all when it is in force; None where there is none.
        """
        with self._lock:
            self._runner, wanted = runner, dict(self._wanted)
            self._newest_only = newest_only
            common = wanted.pop(None, "")
            # Before that for all, which is announced to cameras without their own.
            for camera, text in wanted.items():
                if cameras is None or camera in cameras:
                    self._apply_by(runner, text, camera)
            return self._apply_by(runner, common, None) if common else None

    def detach(self) -> None:
        """The pipeline goes; the prompts are kept for the next one."""
        with self._lock:
            self._runner = None
            self._in_force = {}
            self._texts = {}

    def _apply_by(
        self, runner: Runner, text: str, camera: str | None, number: int | None = None
    ) -> Future[Prompt | None]:
        """Have a text applied; with its `number` only if it is the newest then."""

        def apply(tracker: Any) -> Prompt | None:
            if number is not None and number != self._asked.get(camera):
                return self.current(camera)
            return self._apply(runner, tracker, text, camera)

        outcome = runner.call(apply)
        outcome.add_done_callback(lambda done: self._report(_where(camera), done))
        return outcome

    def _apply(self, runner: Runner, tracker: Any, text: str, camera: str | None) -> Prompt | None:
        """In the runner's thread. The prompt that is in force already is no change."""
        if camera is not None and not text.strip():
            return self._give_up(runner, tracker, camera)
        present = self._in_force.get(camera)
        before = self._texts.get(camera, "") if present else ""
        if not before or parse_prompt(before) != parse_prompt(text):
            try:
                prompt = tracker.set_prompt(text, camera)
            except PromptError:
                self._want_again(before, text, camera)
                raise
            self._texts[camera] = text
            self._announce(runner, prompt, camera)
            return prompt
        return present

    def _want_again(self, before: str, refused: str, camera: str | None) -> None:
        """The next pipeline is not asked for what this one refused, but for what is in force."""
        with self._lock:
            if self._wanted.get(camera) == refused:
                self._wanted.pop(camera)
                if before:
                    self._wanted[camera] = before

    def _give_up(self, runner: Runner, tracker: Any, camera: str) -> Prompt | None:
        if camera in self._in_force:
            prompt = tracker.set_prompt("", camera)
            self._announce(runner, prompt, None, without=camera)
        return self._in_force.get(None)

    def _point_out(self, runner: Runner, tracker: Any, pointed: VisualPrompt) -> None:
        """In the runner's thread."""
        tracker.point_out(pointed)
        self.rejection = ""
        self._announce(runner, tracker.prompt_of(pointed.camera), self.holder(pointed.camera))

    def _announce(
        self, runner: Runner, prompt: Prompt, holder: str | None, without: str | None = None
    ) -> None:
        with self._lock:
            if self._runner is not runner:
                return  # that pipeline was given back meanwhile, and the next one knows nothing
            # Another dictionary: other threads read the one before.
            self._in_force = {c: p for c, p in self._in_force.items() if c != without or c is None}
            self._in_force[holder] = prompt
        self._changed(prompt, holder)

    def _pointed(self, source: str, done: Future[Any]) -> None:
        with self._lock:
            self._pointing -= 1
        self._report(f"{source}: ", done)

    def _report(self, where: str, done: Future[Any]) -> None:
        if not done.cancelled() and (error := done.exception()):
            self._reject(where, str(error))

    def _reject(self, where: str, reason: str) -> None:
        self.rejection = where + reason
        self._rejected(where, where + reason)


def _where(camera: str | None) -> str:
    """The beginning of a sentence about a camera's own prompt."""
    return f"{which(camera)}: " if camera is not None else ""
