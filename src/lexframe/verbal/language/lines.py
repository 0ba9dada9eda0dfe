"""Programs of several lines, and labels in them: what language models put around both."""

import re
from collections.abc import Sequence

from lexframe.exceptions import InputError
from lexframe.verbal.language.base import ProgramError, listed, shown

ARROW = r"(?:->|→|=>)"
_FENCE = "```"
_BULLET = re.compile(r"(?:[-*•]|[0-9]+[.)])\s+")
_QUOTES = {'"': '"', "'": "'", "“": "”", "`": "`"}


def without_fence(text: str) -> str:
    """The text within a fence of three backticks, if one is around it."""
    bare = text.strip()
    first, _, rest = bare.partition("\n")
    return rest.removesuffix(_FENCE) if first.startswith(_FENCE) and rest.endswith(_FENCE) else text


def lines_of(text: str) -> list[str]:
    """Lines that hold something, without bullets and blanks around them."""
    lines = re.split(r"\r\n|\r|\n", without_fence(text))
    return [_without_bullet(line.strip()) for line in lines if line.strip()]


def _without_bullet(line: str) -> str:
    bullet = _BULLET.match(line)
    return line[bullet.end() :] if bullet else line


def unquoted(text: str) -> str:
    """The text within one pair of quotes, if one is around it."""
    return text[1:-1] if len(text) >= 2 and _QUOTES.get(text[0]) == text[-1] else text


def checked_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels that lines can name.

    Raises
    ------
    InputError
        If one is empty, which stands for rows without a prediction, occurs twice, or has a line break.
    """
    labels = tuple(labels)
    wrong = [label for number, label in enumerate(labels) if not label or label in labels[:number] or re.search(r"[\r\n]", label)]
    if wrong or not labels:
        what = f"the label {shown(wrong[0])}, which is empty, twice there or has a line break" if wrong else "no label"
        raise InputError(f"labels has {what}; expected different texts of one line each. Rename them.")
    return labels


def label_in(text: str, labels: Sequence[str]) -> str:
    """The label that a piece of text names: exactly, without a full stop, or in another case.

    Parameters
    ----------
    text : str
    labels : sequence of str

    Returns
    -------
    str
        One of `labels`.

    Raises
    ------
    ProgramError
        If it names none of them, or several that differ in case alone.
    """
    text = text.strip()
    # Quotes are taken off first: programs are printed with them, also around a label that has its own.
    candidates = [unquoted(text), text, text.rstrip(".,;"), unquoted(text.rstrip(".,;")), unquoted(text).rstrip(".,;")]
    for candidate in candidates:
        if candidate in labels:
            return candidate
    folded = {candidate.strip().casefold() for candidate in candidates}
    meant = [label for label in labels if label.strip().casefold() in folded]
    if len(meant) != 1:
        what = "could be several labels" if meant else "is not a label"
        raise ProgramError(f"{shown(text)} {what}. Labels are {listed(meant or labels)}; write one of these exactly.")
    return meant[0]
