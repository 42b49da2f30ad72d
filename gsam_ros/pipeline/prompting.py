"""Prompts on their way to the machine, where they are applied between two frames."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from gsam_ros.pipeline.runner import Runner
from gsam_ros.prompts import Phrase, Prompt, PromptError, parse_prompt
from gsam_ros.visual_prompts import VisualPrompt


class PromptKeeper:
    """Takes prompts from any thread and sees that the newest good one is in force.

    A text says what to look for from now on, and is kept while there is no machine. What is pointed
    at lies in an image, and without a machine there is none.

    Args:
        changed: told in the runner's thread of every prompt that came into force, with those of
            its phrases that hold no word the detector knows.
        rejected: told of every prompt that can't be used: its text or where it came from, and why.

    Attributes:
        current: the prompt in force; None before the first one.
        unknown: phrases of it that the detector doesn't know.
        rejection: why the newest text was rejected; empty where it was not.
    """

    def __init__(
        self,
        changed: Callable[[Prompt, tuple[str, ...]], None],
        rejected: Callable[[str, str], None],
    ) -> None:
        self._changed = changed
        self._rejected = rejected
        self._lock = threading.Lock()
        self._wanted = ""
        self._asked_since_start = False
        self._runner: Runner | None = None
        self._asked: tuple[Phrase, ...] = ()
        self.current: Prompt | None = None
        self.unknown: tuple[str, ...] = ()
        self.rejection = ""

    def request(self, text: str, *, from_before: bool = False) -> Future[Prompt] | None:
        """Look for something else from now on.

        Args:
            text: what to look for.
            from_before: it was said before the start, though it may be learnt late. What was asked
                since then counts for more.

        Returns:
            The prompt when it is in force, or None where it is kept until a machine is there or,
            said before the start, comes too late.

        Raises:
            PromptError: the text can't be used; the prompt before stays in force.
        """
        try:
            parse_prompt(text)
        except PromptError as error:
            self._reject(text, str(error))
            raise
        with self._lock:
            if from_before and self._asked_since_start:
                return None
            self._asked_since_start |= not from_before
            self._wanted = text
            self.rejection = ""
            runner = self._runner
        return self._apply_by(runner, text) if runner else None

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
            prompt = make()
        except PromptError as error:
            self._reject(source, f"{source}: {error}")
            return
        outcome = runner.call(lambda tracker: self._point_out(tracker, prompt))
        outcome.add_done_callback(lambda done: self._report(source, done, f"{source}: "))

    def attach(self, runner: Runner) -> Future[Prompt] | None:
        """A machine is there: have it look for what was asked last, if anything was."""
        with self._lock:
            self._runner, wanted = runner, self._wanted
        return self._apply_by(runner, wanted) if wanted else None

    def detach(self) -> None:
        """The machine goes; the prompt is kept for the next one."""
        with self._lock:
            self._runner = None
        self.current, self.unknown = None, ()

    def _apply_by(self, runner: Runner, text: str) -> Future[Prompt]:
        outcome = runner.call(lambda tracker: self._apply(tracker, text))
        outcome.add_done_callback(lambda done: self._report(text, done))
        return outcome

    def _apply(self, tracker: Any, text: str) -> Prompt:
        """In the runner's thread. The prompt that is in force already is no change."""
        asked = parse_prompt(text)
        if self.current is None or self._asked != asked:
            prompt, self._asked = tracker.set_prompt(text), asked
            self._announce(prompt, tracker)
            return prompt
        return self.current

    def _point_out(self, tracker: Any, prompt: VisualPrompt) -> None:
        """In the runner's thread."""
        tracker.point_out(prompt)
        self.rejection = ""
        self._announce(tracker.prompt, tracker)

    def _announce(self, prompt: Prompt, tracker: Any) -> None:
        self.current, self.unknown = prompt, tracker.vocabulary_warnings
        self._changed(prompt, self.unknown)

    def _report(self, source: str, done: Future[Any], where: str = "") -> None:
        if not done.cancelled() and (error := done.exception()):
            self._reject(source, f"{where}{error}")

    def _reject(self, source: str, reason: str) -> None:
        self.rejection = reason
        self._rejected(source, reason)
