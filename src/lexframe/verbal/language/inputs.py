"""The columns that a program is computed on: numbers by name, and the words of the only column of texts."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from lexframe.exceptions import InputError
from lexframe.verbal.language.base import ProgramError, listed, shown


@dataclass(frozen=True, slots=True)
class Inputs:
    """Columns, looked at once.

    Attributes
    ----------
    numbers : mapping of str to ndarray of shape (n,)
        Columns of numbers, as float64.
    texts : mapping of str to list of str
        Columns of texts, casefolded.
    n_rows : int
    """

    numbers: Mapping[str, np.ndarray]
    texts: Mapping[str, list[str]]
    n_rows: int

    @classmethod
    def of(cls, columns: Mapping[str, np.ndarray]) -> "Inputs":
        """Columns as callers hold them.

        Raises
        ------
        InputError
            If there is none, their lengths differ, or one holds neither numbers nor texts.
        """
        arrays = {name: np.asarray(values) for name, values in columns.items()}
        shapes = {array.shape for array in arrays.values()}
        if len(shapes) != 1 or any(len(shape) != 1 for shape in shapes):
            found = ", ".join(map(str, sorted(shapes))) or "no column at all"
            raise InputError(f"columns has {found}; expected columns of one length n, shape (n,). Give those of one table.")
        numbers, texts = {}, {}
        for name, array in arrays.items():
            if array.dtype.kind in "fiub":
                numbers[name] = array.astype(np.float64)
            elif array.dtype.kind in "OUT" and all(isinstance(value, str) for value in array):
                texts[name] = [str(value).casefold() for value in array]
            else:
                raise InputError(f"The column {shown(name)} is neither numbers nor texts ({array.dtype}). Turn it into one of these.")
        return cls(numbers, texts, shapes.pop()[0])

    def numbers_of(self, name: str) -> Float64[np.ndarray, " n"]:
        """A column of numbers.

        Raises
        ------
        ProgramError
            If it is a column of texts.
        InputError
            If there is none of this name.
        """
        if name in self.numbers:
            return self.numbers[name]
        if name in self.texts:
            raise ProgramError(
                f'The column {shown(name)} holds texts and is computed with as a number. Use has("…"), count("…") or length().'
            )
        raise InputError(f"columns has no {shown(name)}, which the program uses; it has {listed((*self.numbers, *self.texts))}.")

    def only_text(self) -> list[str]:
        """The column of texts, casefolded.

        Raises
        ------
        ProgramError
            If there is none, or there are several.
        """
        if len(self.texts) != 1:
            raise ProgramError(
                f"The program asks for words, which needs exactly one column of texts; there are {len(self.texts)}. Use numbers."
            )
        return next(iter(self.texts.values()))

    def measured(self, measure: str, phrase: str) -> Float64[np.ndarray, " n"]:
        """A number a text: how often a phrase stands in it, whether it does, or how many words the text has."""
        texts = self.only_text()
        if measure == "length":
            return np.array([len(text.split()) for text in texts], dtype=np.float64)
        counts = occurrences(texts, phrase)
        return counts if measure == "count" else np.minimum(counts, 1.0)


def occurrences(texts: Sequence[str], phrase: str) -> Float64[np.ndarray, " n"]:
    """How often a phrase stands in each text as whole words.

    In scripts without blanks between words, a word within others is none of its own and is not found.

    Parameters
    ----------
    texts : sequence of str
        Casefolded.
    phrase : str
        In any case; blanks in it match any white space.

    Returns
    -------
    ndarray of shape (n,)
    """
    folded = phrase.casefold()
    rarest = max(folded.split(), key=len, default="")  # most texts lack it, which a plain search sees far sooner than an expression does
    before, after = (r"(?<!\w)" if re.match(r"\w", folded) else ""), (r"(?!\w)" if re.search(r"\w\Z", folded) else "")
    pattern = re.compile(before + r"\s+".join(map(re.escape, folded.split())) + after)
    return np.array([len(pattern.findall(text)) if rarest in text else 0 for text in texts], dtype=np.float64)
