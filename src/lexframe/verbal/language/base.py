"""The contract of a program: a small text that turns columns into predictions, and what is said of a text that is none."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar

import numpy as np

from lexframe.exceptions import InputError
from lexframe.verbal.language.limits import MAX_SHOWN

_MAX_LISTED = 8
"""Names that a message lists: the line stays one that is read."""


class ProgramError(InputError):
    """A text is no program of this language, or computes with what the columns do not hold. One line, without the whole text."""


class Program(ABC):
    """A model that a language model wrote and that is computed without it.

    Programs are values: equal texts give equal programs. Each kind has its own ``parse``, which takes the text and the names it may use.
    """

    __slots__ = ()

    kind: ClassVar[str]
    """``"formula"``, ``"rules"`` or ``"lookup"``."""

    @property
    @abstractmethod
    def source(self) -> str:
        """The program in its canonical spelling, of which ``parse`` makes an equal program."""

    @abstractmethod
    def predict(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """One prediction a row.

        Parameters
        ----------
        columns : mapping of str to ndarray of shape (n,)
            Numbers as float64, texts as objects.

        Returns
        -------
        ndarray of shape (n,)
            Numbers as float64, or labels as objects.

        Raises
        ------
        ProgramError
            If the program computes with a column of texts, or asks for words where there is not exactly one such column.
        InputError
            If a column that it uses is absent, or the columns are no columns of one table.
        """


def shown(piece: str) -> str:
    """A piece of untrusted text as a message shows it: on one line, in quotes, cut."""
    return repr(piece if len(piece) <= MAX_SHOWN else piece[: MAX_SHOWN - 1] + "…")


def listed(names: Iterable[str]) -> str:
    """Names as a message lists them; the first few of many."""
    names = list(names)
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return (", ".join(shown(name) for name in names[:_MAX_LISTED]) or "none") + more


def require_length(text: str, limit: int, what: str) -> None:
    """Refuse a text that is too long to be looked at.

    Raises
    ------
    ProgramError
        If it has more characters than `limit`.
    """
    if len(text) > limit:
        raise ProgramError(f"{what} has {len(text):,} characters, and {limit:,} are allowed; it begins {shown(text)}. Write a shorter one.")
