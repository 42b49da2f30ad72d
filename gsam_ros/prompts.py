"""What is looked for: phrases as people type them, under a version that every output carries."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

MAX_PHRASES = 255
"""`semantic_mask` is mono8 and 0 means nothing, so one prompt can name this many classes."""

MAX_CHARACTERS = 20_000
"""Far above what 255 phrases need; a longer text is a mistake (a file, a log) and not a prompt."""

_HALF_WIDTH = str.maketrans("\uff1a\uff01\uff1d\uff5c\uff0e", ":!=|.")

# A dot between digits belongs to a number ("3.5 mm jack"); every other dot ends a phrase, and so
# do commas, semicolons, new lines and the full-width marks of Chinese and Japanese.
_SEPARATOR = re.compile(r"(?<!\d)\.|\.(?!\d)|[,;\n\r\u3001\u3002\uff0c\uff1b]")

_SCORE = re.compile(r"0(\.\d+)?|1(\.0+)?")

_DECIMAL_COMMA = re.compile(r":\s*[01],\d+(?!\w)")

# As which Python takes in the bytes of a command line that are no UTF-8.
_STRAY_BYTE = re.compile(r"[\ud800-\udfff]")

_ARTICLE = re.compile(r"(?:an?|the)\s+(?=\w)", re.IGNORECASE)


class PromptError(ValueError):
    """A prompt that can't be used; the message says why and what to type instead."""


@dataclass(frozen=True)
class Prompt:
    """What is looked for from one moment on.

    Attributes:
        version: 1 for the first prompt of a run, one more at every change.
        phrases: object names of the text, as they were typed.
        names: of objects that were pointed at, where no phrase names them already.
        unknown: words of phrases of which the detector knows none.

    Raises:
        PromptError: phrases and names are more than `MAX_PHRASES` together.
    """

    version: int
    phrases: tuple[str, ...]
    names: tuple[str, ...] = ()
    unknown: tuple[str, ...] = field(default=(), compare=False)

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
    def summary(self) -> str:
        """Both parts in one line, for people."""
        pointed = f"pointed at: {', '.join(self.names)}" if self.names else ""
        return " ".join(part for part in (self.text, pointed) if part)

    @property
    def warning(self) -> str:
        """What people should know of it, in one line; empty where all is well."""
        unknown = ", ".join(self.unknown)
        return f"the detector knows no word of: {unknown}" if unknown else ""

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
    return _once((name for name in names if name.casefold() not in taken), str.casefold)


@dataclass(frozen=True)
class Phrase:
    """One entry of a text prompt.

    Attributes:
        name: the label, as it was typed.
        words: what is looked for under that name; empty: the name itself.
        threshold: least score of its detections; None: that of the settings.
        negative: whether it is only there to win boxes from the others.
    """

    name: str
    words: tuple[str, ...] = ()
    threshold: float | None = None
    negative: bool = False

    @property
    def wanted(self) -> tuple[str, ...]:
        """What the detector is asked for."""
        return self.words or (self.name,)


def looked_for(words: str) -> str:
    """What the detector is asked for: no capitals, and no article, whose own score says nothing.

    Two phrases that ask for the same are one.

    >>> looked_for("The red Mug"), looked_for("a")
    ('red mug', 'a')
    """
    return _ARTICLE.sub("", words.lower(), count=1) if _ARTICLE.match(words) else words.lower()


def parse_phrases(text: str) -> tuple[str, ...]:
    """The names in a text prompt, which are the labels of its results.

    >>> parse_phrases("Red mug. person:0.5, tool=pliers|hammer. !toy car. red  mug.")
    ('Red mug', 'person', 'tool')

    Raises:
        PromptError: as of `parse_prompt`.
    """
    return tuple(phrase.name for phrase in parse_prompt(text) if not phrase.negative)


def parse_prompt(text: str) -> tuple[Phrase, ...]:
    """Split a text prompt into its phrases.

    Phrases end with a dot, a comma, a semicolon or a new line. White space is folded, and a phrase
    that stands twice (capitals and articles aside) counts once, as and where it first stood.
    `name:0.5` has a threshold of its own, `name=words|words` is found by any of these words, and
    `!name` only competes.

    Raises:
        PromptError: no name at all, more than `MAX_PHRASES`, more than `MAX_CHARACTERS`, a phrase
            that is none, words that stand for two things, or bytes that are no text.
    """
    unique: dict[str, Phrase] = {}
    for part in _SEPARATOR.split(_cleaned(text)):
        typed = " ".join(part.split())
        if not _names_something(typed):
            if any(unicodedata.category(character).startswith("S") for character in typed):
                # Punctuation is only another way to separate phrases, a symbol was meant.
                raise PromptError(
                    f"{typed[:40]!r} has no letter and no digit, which is all that the detector "
                    'reads: name the object in words, like "red mug."'
                )
            continue
        phrase = _parse_phrase(typed)
        known = unique.setdefault(_meant(phrase.name), phrase)
        if _meaning(known) != _meaning(phrase):
            raise PromptError(
                f"{phrase.name!r} stands in the prompt twice and means two things: write it once"
            )
    phrases = tuple(unique.values())
    if all(phrase.negative for phrase in phrases):
        raise PromptError(
            f"the prompt {text[:40]!r} names no object: write phrases that end with a dot, "
            'for example "red mug. person."'
        )
    _check_amount(phrases)
    _check_words(phrases)
    return phrases


def _cleaned(text: str) -> str:
    """A prompt with one way to write each character; raises PromptError where it is no text."""
    if len(text) > MAX_CHARACTERS:
        raise PromptError(
            f"the prompt has {len(text)} characters, the most is {MAX_CHARACTERS}: "
            "name each object in a few words"
        )
    if stray := _STRAY_BYTE.search(text):
        before = text[: stray.start()][-40:]
        raise PromptError(
            f"the prompt has bytes that are no UTF-8 behind {before!r}: type it in a terminal "
            "whose character encoding is UTF-8"
        )
    text = unicodedata.normalize("NFC", text).translate(_HALF_WIDTH)
    if comma := _DECIMAL_COMMA.search(text):  # it would be a threshold of 0, and a phrase "5"
        written = comma.group().lstrip(": ")
        raise PromptError(
            f"{written!r} is no score, as a comma ends a phrase: write {written.replace(',', '.')}"
        )
    return text


def _check_amount(phrases: Sequence[Phrase]) -> None:
    """Refuse more than results can tell apart, or more than a detector should look for."""
    names = [phrase.name for phrase in phrases if not phrase.negative]
    if len(names) > MAX_PHRASES:
        raise PromptError(
            f"the prompt has {len(names)} phrases, the most is {MAX_PHRASES} "
            "(semantic_mask has 8 bits): leave some out"
        )
    wanted = sum(len(phrase.wanted) for phrase in phrases)
    if wanted > MAX_PHRASES:
        raise PromptError(
            f"the prompt has {wanted} phrases with synonyms and negative ones, the most is "
            f"{MAX_PHRASES} (each costs time on every image): leave some out"
        )


def _parse_phrase(typed: str) -> Phrase:
    """One phrase of a prompt, white space folded."""
    negative = typed.startswith("!")
    name, colon, score = typed.lstrip("! ").partition(":")
    threshold = None
    if colon:
        if negative:
            raise PromptError(f"{typed[:40]!r} has a score: one that only competes has none")
        if not _SCORE.fullmatch(score.strip()):
            raise PromptError(
                f"{typed[:40]!r} has no score from 0 to 1 behind its colon: write it like "
                '"person:0.5."'
            )
        threshold = float(score)
    name, equals, alternatives = name.partition("=")
    words = [word.strip() for word in alternatives.split("|")] if equals else []
    if "|" in name or "=" in alternatives or not all(map(_names_something, [name, *words])):
        raise PromptError(
            f"{typed[:40]!r} is no phrase: write one name, and after = the words for it with | "
            'between them, like "mug=cup|coffee mug."'
        )
    return Phrase(name.strip(), _once(words, _meant), threshold, negative)


def _names_something(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _meant(words: str) -> str:
    """The same for words that mean the same."""
    return looked_for(words).casefold()


def _once(words: Iterable[str], key: Callable[[str], str]) -> tuple[str, ...]:
    """The words without those that stand twice by `key`; the first spelling stays."""
    unique: dict[str, str] = {}
    for word in words:
        unique.setdefault(key(word), word)
    return tuple(unique.values())


def _meaning(phrase: Phrase) -> tuple[object, ...]:
    words = frozenset(_meant(word) for word in phrase.wanted)
    return words, phrase.threshold, phrase.negative


def _check_words(phrases: Iterable[Phrase]) -> None:
    """Refuse words by which a box would not know what it is."""
    owner: dict[str, str] = {}
    for phrase in phrases:
        for word in phrase.wanted:
            other = owner.setdefault(_meant(word), phrase.name)
            if other != phrase.name:
                raise PromptError(
                    f"{word!r} stands for {other!r} and for {phrase.name!r}: leave it out of one"
                )
