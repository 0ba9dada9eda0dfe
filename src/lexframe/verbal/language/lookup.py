"""Words that speak for labels, each with a weight."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float64, Shaped

from lexframe.verbal.language.base import Program, ProgramError, require_length, shown
from lexframe.verbal.language.inputs import Inputs, occurrences
from lexframe.verbal.language.limits import MAX_ENTRIES, MAX_LOOKUP_SOURCE, MAX_WEIGHT
from lexframe.verbal.language.lines import ARROW, checked_labels, label_in, lines_of, unquoted
from lexframe.verbal.language.printing import number_text

_LINES = tuple(re.compile(rf'(?P<word>"[^"]*"\s*|[^"]*?){middle}(?P<rest>.*)') for middle in (ARROW, ":"))
"""A word, what stands after it, and the label; an arrow is surer than a colon."""
_NUMBER = r"[-+−]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_WEIGHTED = re.compile(rf"(?P<label>.*\S)\s+(?P<weight>{_NUMBER})")
_DEFAULTS = ("default", "else", "otherwise")


@dataclass(frozen=True, slots=True)
class Entry:
    """One word or phrase.

    Attributes
    ----------
    phrase : str
        As written; it is sought in any case, as whole words.
    label : str
        What it speaks for.
    weight : float
        How much; less than 0 speaks against.
    """

    phrase: str
    label: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Lookup(Program):
    """A prediction by the words of a text.

    Attributes
    ----------
    entries : tuple of Entry
    labels : tuple of str
        What may be predicted; of labels with equal sums the first here wins.
    otherwise : str
        The label of texts in which nothing is found; empty if nothing is said of them.
    """

    kind: ClassVar[str] = "lookup"

    entries: tuple[Entry, ...]
    labels: tuple[str, ...]
    otherwise: str = ""

    @classmethod
    def parse(cls, text: str, labels: Sequence[str]) -> "Lookup":
        """The table that a text is.

        Parameters
        ----------
        text : str
            Lines ``word -> label`` or ``word: label``, with a weight after it if one likes, and ``default -> label`` for the rest.
        labels : sequence of str
            What may be predicted.

        Returns
        -------
        Lookup

        Raises
        ------
        ProgramError
            If the text is no such table, too large, or names another label.
        InputError
            If the labels are none.
        """
        require_length(text, MAX_LOOKUP_SOURCE, "The table")
        labels = checked_labels(labels)
        entries: list[Entry] = []
        otherwise = ""
        for line in lines_of(text):
            found = next((match for pattern in _LINES if (match := pattern.fullmatch(line))), None)
            if found is None:
                raise ProgramError(f"{shown(line)} is no entry. Write lines 'word -> label', with no double quote within the word.")
            if found["word"].strip().casefold() not in _DEFAULTS:
                entries.append(_entry(found["word"], found["rest"].strip(), labels))
            elif otherwise:
                raise ProgramError(f"{shown(line)} is a second default. Keep one.")
            else:
                otherwise = label_in(found["rest"], labels)
        if len(entries) > MAX_ENTRIES:
            raise ProgramError(f"The table has {len(entries)} entries, and {MAX_ENTRIES} are allowed. Keep those that matter most.")
        if not entries and not otherwise:
            raise ProgramError("The table has no entry. Write lines 'word -> label'.")
        table = cls(tuple(entries), labels, otherwise)
        require_length(table.source, MAX_LOOKUP_SOURCE, "The table in its full spelling")
        return table

    @property
    def source(self) -> str:
        """The table in its canonical spelling, an entry a line."""
        lines = [
            f'"{entry.phrase}" -> "{entry.label}"' + (f" {number_text(entry.weight)}" if entry.weight != 1 else "")
            for entry in self.entries
        ]
        return "\n".join([*lines, *([f'default -> "{self.otherwise}"'] if self.otherwise else [])])

    def predict(self, columns: Mapping[str, np.ndarray]) -> Shaped[np.ndarray, " n"]:
        """One label a row, as objects; empty where nothing is found and there is no default. See :meth:`Program.predict`."""
        found = self._found(columns)
        best = np.array(self.labels, dtype=object)[self._sums(found).argmax(axis=1)]  # the first of several that are largest
        return np.where(found.any(axis=1), best, np.array(self.otherwise, dtype=object))

    def scores(self, columns: Mapping[str, np.ndarray]) -> Float64[np.ndarray, "n n_labels"]:
        """Sum of the weights of what is found in each text, by label.

        Parameters
        ----------
        columns : mapping of str to ndarray of shape (n,)
            With one column of texts.

        Returns
        -------
        ndarray of shape (n, n_labels)
            In the order of `labels`.

        Raises
        ------
        ProgramError
            If there is not exactly one column of texts.
        """
        return self._sums(self._found(columns))

    def _found(self, columns: Mapping[str, np.ndarray]) -> Bool[np.ndarray, "n n_entries"]:
        """Which entries stand in which text, at least once."""
        texts = Inputs.of(columns).only_text()
        found = np.zeros((len(texts), len(self.entries)), dtype=bool)
        for number, entry in enumerate(self.entries):
            found[:, number] = occurrences(texts, entry.phrase) > 0
        return found

    def _sums(self, found: Bool[np.ndarray, "n n_entries"]) -> Float64[np.ndarray, "n n_labels"]:
        sums = np.zeros((len(found), len(self.labels)))
        for number, entry in enumerate(self.entries):  # in the order of the table, so that a sum is the same on every machine
            sums[:, self.labels.index(entry.label)] += entry.weight * found[:, number]
        return sums


def _entry(word: str, rest: str, labels: Sequence[str]) -> Entry:
    """The entry of a word and what stands after the arrow: a label, or a label and a weight."""
    phrase = " ".join(unquoted(word.strip()).split())
    if not phrase:
        raise ProgramError(f"An entry for {shown(rest)} has no word. Write it as 'word -> label'.")
    weighted = _WEIGHTED.fullmatch(rest)
    is_quoted = weighted is not None and unquoted(weighted["label"]) != weighted["label"]
    # A label may end in a number itself, so that all of it is tried first, unless quotes end before the number.
    if weighted is None or (not is_quoted and _is_label(rest, labels)):
        return Entry(phrase, label_in(rest, labels))
    weight = float(weighted["weight"].replace("−", "-"))
    if not abs(weight) <= MAX_WEIGHT:
        raise ProgramError(
            f"The weight {shown(weighted['weight'])} of {shown(phrase)} is too large; sizes up to {MAX_WEIGHT:g} are allowed."
        )
    return Entry(phrase, label_in(weighted["label"], labels), weight)


def _is_label(text: str, labels: Sequence[str]) -> bool:
    try:
        label_in(text, labels)
    except ProgramError:
        return False
    return True
