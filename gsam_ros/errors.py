"""What to tell people of an error, in one line."""

from __future__ import annotations

import traceback


def first_line(error: BaseException) -> str:
    """What it says, or what it is where it says nothing: libraries add pages of advice."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def first_sentence(error: BaseException) -> str:
    """Less still: torch adds figures and advice on the same line."""
    return first_line(error).split(". ")[0]


def with_place(error: BaseException) -> str:
    """What it is and says, with the place where it arose."""
    told = f"{type(error).__name__}: {error}"
    for place in traceback.extract_tb(error.__traceback__)[-1:]:  # none of one never raised
        told += f" ({place.filename}:{place.lineno} in {place.name})"
    return told
