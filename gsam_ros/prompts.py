"""What is looked for: phrases as people type them, under a version that every output carries."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

MAX_PHRASES = 255
"""`semantic_mask` is mono8 and 0 means nothing, so one prompt can name this many classes."""

MAX_CHARACTERS = 20_000
"""Far above what 255 phrases need; a longer text is a mistake (a file, a log) and not a prompt."""

# A dot between digits belongs to a number ("3.5 mm jack"); every other dot ends a phrase, and so
# do commas, semicolons, new lines and the full-width marks of Chinese and Japanese.
_SEPARATOR = re.compile(r"(?<!\d)\.|\.(?!\d)|[,;\n\r\u3001\u3002\uff0c\uff1b]")


class PromptError(ValueError):
    """A prompt that can't be used; the message says why and what to type instead."""


@dataclass(frozen=True)
class Prompt:
    """What is looked for from one moment on.

    Attributes:
        version: 1 for the first prompt of a run, one more at every change.
        phrases: object names of the text, as they were typed.
        names: of objects that were pointed at, where no phrase names them already.

    Raises:
        PromptError: phrases and names are more than `MAX_PHRASES` together.
    """

    version: int
    phrases: tuple[str, ...]
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.classes) > MAX_PHRASES:
            raise PromptError(
                f"{len(self.phrases)} phrases and {len(self.names)} names of objects that were "
                f"pointed at are more than {MAX_PHRASES} (semantic_mask has 8 bits): leave some "
                "out, or remove objects"
            )

    @property
    def text(self) -> str:
        return " ".join(f"{phrase}." for phrase in self.phrases)

    @property
    def classes(self) -> tuple[str, ...]:
        """Every label that results may bear; the class id of `classes[i]` is `i + 1`."""
        return self.phrases + self.names


def without_phrases(names: Iterable[str], phrases: Iterable[str]) -> tuple[str, ...]:
    """Those of the names that no phrase is, capitals aside, each once.

    >>> without_phrases(["Tool", "Red mug", "tool"], ["red mug"])
    ('Tool',)
    """
    taken = {phrase.casefold() for phrase in phrases}
    unique: dict[str, str] = {}
    for name in names:
        if name.casefold() not in taken:
            unique.setdefault(name.casefold(), name)
    return tuple(unique.values())


def parse_phrases(text: str) -> tuple[str, ...]:
    """Split a text prompt into its phrases.

    Phrases end with a dot, a comma, a semicolon or a new line. White space is folded, and a phrase
    that stands twice (capitals aside) counts once, where it first stood.

    >>> parse_phrases("Red mug. person, red  mug.")
    ('Red mug', 'person')

    Raises:
        PromptError: no phrase at all, more than `MAX_PHRASES`, or more than `MAX_CHARACTERS`.
    """
    if len(text) > MAX_CHARACTERS:
        raise PromptError(
            f"the prompt has {len(text)} characters, the most is {MAX_CHARACTERS}: "
            "name each object in a few words"
        )
    unique: dict[str, str] = {}
    for part in _SEPARATOR.split(unicodedata.normalize("NFC", text)):
        phrase = " ".join(part.split())
        if any(character.isalnum() for character in phrase):
            unique.setdefault(phrase.casefold(), phrase)
    if not unique:
        raise PromptError(
            f"the prompt {text[:40]!r} names no object: write phrases that end with a dot, "
            'for example "red mug. person."'
        )
    if len(unique) > MAX_PHRASES:
        raise PromptError(
            f"the prompt has {len(unique)} phrases, the most is {MAX_PHRASES} "
            "(semantic_mask has 8 bits): leave some out"
        )
    return tuple(unique.values())
