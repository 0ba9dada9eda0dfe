"""What can be kept of a classifier: an instrument, and what it reads of each view."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from lexframe.adaptation.problem import Classifier
from lexframe.instruments.classifiers.ngram_classifiers import NGramClassifier
from lexframe.latents.text_reader import Reading


@dataclass(frozen=True, slots=True)
class ReadView:
    """What is read of one view.

    Attributes
    ----------
    view : int
        Its number among the views of the problem.
    reading : Reading
        The points that are read.
    label_words : mapping of str to sequence of str
        Words whose zero-shot scores are read in front of all points; none where points alone are read.
    opinion : NGramClassifier or None
        A classifier of the texts' n-grams whose scores are read after those of words.
    """

    view: int
    reading: Reading
    label_words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    opinion: NGramClassifier | None = None


@dataclass(frozen=True, slots=True)
class Fitted:
    """What can be kept of a classifier.

    Attributes
    ----------
    instrument
        Fitted on the names of the labels. Its columns are the zero-shot scores of all views, their opinions, and their points.
    views : tuple of ReadView
        In the order of the columns; none for an instrument that reads texts.
    """

    instrument: Any
    views: tuple[ReadView, ...] = ()

    @classmethod
    def of_one(cls, instrument: Any, reading: Reading, label_words: Mapping[str, Sequence[str]] | None = None) -> "Fitted":
        """What reads a single view."""
        return cls(instrument, (ReadView(0, reading, label_words or {}),))


@runtime_checkable
class SavableClassifier(Classifier, Protocol):
    """A classifier that can be kept and used on texts outside the problem."""

    def fitted(self) -> Fitted:
        """Its instrument, with what it reads."""
