"""The newest prompt: kept while there is no machine, applied between two frames when there is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from gsam_ros.pipeline.runner import Runner
from gsam_ros.prompts import Phrase, Prompt, PromptError, parse_prompt


class PromptKeeper:
    """Takes prompts from any thread and sees that the newest good one is in force.

    Args:
        changed: told in the runner's thread of every prompt that came into force, with those of
            its phrases that hold no word the detector knows.
        rejected: told of every text that can't be used, and why.

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
        self._runner: Runner | None = None
        self._asked: tuple[Phrase, ...] = ()
        self.current: Prompt | None = None
        self.unknown: tuple[str, ...] = ()
        self.rejection = ""

    def request(self, text: str) -> Future[Prompt] | None:
        """Look for something else from now on.

        Returns:
            The prompt when it is in force, or None where it is kept until a machine is there.

        Raises:
            PromptError: the text can't be used; the prompt before stays in force.
        """
        try:
            parse_prompt(text)
        except PromptError as error:
            self._reject(text, str(error))
            raise
        with self._lock:
            self._wanted = text
            self.rejection = ""
            runner = self._runner
        return self._apply_by(runner, text) if runner else None

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
            self.current, self._asked = tracker.set_prompt(text), asked
            self.unknown = tracker.vocabulary_warnings
            self._changed(self.current, self.unknown)
        return self.current

    def _report(self, text: str, done: Future[Prompt]) -> None:
        if not done.cancelled() and (error := done.exception()):
            self._reject(text, str(error))

    def _reject(self, text: str, reason: str) -> None:
        self.rejection = reason
        self._rejected(text, reason)
