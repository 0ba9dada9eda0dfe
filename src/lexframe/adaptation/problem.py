"""What a method is given, and what it gives back: the contract of every way to adapt a frozen model.

A :class:`Problem` holds the labeled rows and nothing of the test but its texts, so a method cannot look at a test
label even by mistake. Points come from :class:`~lexframe.adaptation.encoded_texts.EncodedTexts`, which encodes every text once
for all methods.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from lexframe.adaptation.encoded_texts import EncodedTexts
from lexframe.exceptions import InputError
from lexframe.instruments.frame.vocabulary_frame import LabelBases, VocabularyFrame
from lexframe.spaces.base import Space, VocabularySpace

Rows = Int[np.ndarray, " n_rows"]
Probabilities = Float[np.ndarray, "n_rows n_labels"]

VOCABULARY = "vocabulary"
"""The family of methods that learn nothing from labels."""
TEXTS = "texts"
"""The family of methods that never ask the model: others are held against them, and none is chosen where the model can be."""
QUICK_FAMILIES = (VOCABULARY, TEXTS, "points")


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The texts of a task as one model sees them.

    Attributes
    ----------
    name : str
        What people call the model.
    encoded : EncodedTexts
    label_words : mapping of str to sequence of str
        Words that stand for each label in this model.
    """

    name: str
    encoded: EncodedTexts
    label_words: Mapping[str, Sequence[str]]

    def label_scores(self) -> Float[np.ndarray, "n_texts n_labels"]:
        """Zero-shot log-probabilities of the labels, in the order of `label_words`; see :meth:`EncodedTexts.label_scores`."""
        return self.encoded.label_scores(list(self.label_words.values()))


@dataclass(frozen=True)
class Problem:
    """Labeled texts, unlabeled texts, and the frozen model, or several.

    Attributes
    ----------
    encoded : EncodedTexts
        All texts, addressed by row; as the first model sees them.
    labels : tuple of str
        Sorted; class numbers index it.
    label_words : mapping of str to sequence of str
        Words that stand for each label.
    rows : ndarray of int, shape (n_labeled,)
        The labeled texts; none at all in a problem of zero shots.
    y : ndarray of int, shape (n_labeled,)
        Their class numbers.
    unlabeled : ndarray of int, shape (n_unlabeled,)
        Training texts whose label is not given. A method that looks at them says so (`Method.uses_unlabeled`).
    seed : int
        Of everything random inside a method.
    readout : {"invariant", "cosine"}
        Of the vocabulary frame.
    name : str
        What people call the first model.
    others : tuple of View
        The same texts as further models see them; only methods with `Method.reads_views` look at these.
    """

    encoded: EncodedTexts
    labels: tuple[str, ...]
    label_words: Mapping[str, Sequence[str]]
    rows: Rows
    y: Rows
    unlabeled: Int[np.ndarray, " n_unlabeled"] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    seed: int = 0
    readout: str = "invariant"
    name: str = ""
    others: tuple[View, ...] = ()

    @property
    def views(self) -> tuple[View, ...]:
        """The texts as each model sees them, the first one first; label words in the order of `labels`."""
        words = {label: self.label_words[label] for label in self.labels}
        return (View(self.name, self.encoded, words), *self.others)

    def of_view(self, number: int) -> "Problem":
        """The same labels, seen by one of the models alone."""
        if not self.others:
            return self
        view = self.views[number]
        return replace(self, encoded=view.encoded, label_words=view.label_words, name=view.name, others=())

    @property
    def space(self) -> Space:
        """The frozen model."""
        return self.encoded.space

    @property
    def n_labels(self) -> int:
        """Number of classes."""
        return len(self.labels)

    @property
    def shots(self) -> int:
        """Labeled texts of the rarest class; 0 if one has none."""
        return int(np.bincount(self.y, minlength=self.n_labels).min())

    def texts(self, rows: Rows) -> list[str]:
        """The texts of `rows`."""
        return [self.encoded.texts[row] for row in rows]

    def names(self) -> np.ndarray:
        """Labels of the labeled rows, by name."""
        return np.array(self.labels)[self.y]

    def words(self) -> list[list[str]]:
        """Label words in the order of `labels`."""
        return [list(self.label_words[label]) for label in self.labels]

    def label_scores(self, rows: Rows) -> Float[np.ndarray, "n_rows n_labels"]:
        """Zero-shot log-probabilities of the labels; see :meth:`EncodedTexts.label_scores`."""
        return self.encoded.label_scores(self.words())[rows]

    def label_bases(self, readout: str | None = None) -> LabelBases:
        """Where the vocabulary says that each label lies, by default in the readout of the problem; needs a space with a vocabulary."""
        return VocabularyFrame(require_vocabulary(self.space)).label_bases(dict(self.label_words), readout=readout or self.readout)


def require_vocabulary(space: Space) -> VocabularySpace:
    """The space as one with a vocabulary.

    Raises
    ------
    InputError
        If it has none.
    """
    if not isinstance(space, VocabularySpace):
        raise InputError(f"{type(space).__name__} has no output vocabulary. Use a language model, or methods that need points alone.")
    return space


@runtime_checkable
class Classifier(Protocol):
    """A method after `fit`.

    Attributes
    ----------
    n_parameters : int
        Numbers that were learnt from labels.
    choices : dict
        What was chosen inside the training labels, and how, as plain types.
    """

    n_parameters: int
    choices: dict[str, Any]

    def predict_proba(self, rows: Rows) -> Probabilities:
        """Probability of each label for rows of the problem's encoded texts."""


class Method(ABC):
    """One way to adapt a frozen model to labeled texts.

    Packages add methods through the entry point group ``lexframe.methods``: a name, and a subclass with that name which can be
    called without arguments.

    Attributes
    ----------
    name : str
        As on the command line.
    description : str
        In half a sentence, for tables and reports.
    family : {"vocabulary", "texts", "points", "prompts", "weights"}
        What it works on: the frame alone, the texts without the model, encoded points, prompts to the model, or the model's weights.
    least_shots : int
        Labels a class below which it cannot be fitted.
    uses_unlabeled : bool
        Whether it looks at texts without labels.
    variant : bool
        Whether it is there to show what a part of another method adds; it is measured, never advised.
    control : bool
        Whether it is a plain control, which others are held against.
    savable : bool
        Whether its classifiers are :class:`~lexframe.adaptation.fitted.SavableClassifier`.
    reads_views : bool
        Whether it reads all views of a problem at once; of several models others see one each.
    revision : int
        Raised when the same method gives other answers than before, so that cells that were kept are not taken for its own.
    """

    name: str
    description: str
    family: str
    least_shots: int = 1
    uses_unlabeled: bool = False
    variant: bool = False
    control: bool = False
    savable: bool = False
    reads_views: bool = False
    revision: int = 1

    @property
    def learns(self) -> bool:
        """Whether labels make a difference."""
        return self.family != VOCABULARY

    @property
    def is_quick(self) -> bool:
        """Whether the model reads a text once, whatever the labels are."""
        return self.family in QUICK_FAMILIES

    def key(self) -> dict[str, Any]:
        """Name, revision and parameters: what tells its cells from those of any other method."""
        later = {"revision": self.revision} if self.revision > 1 else {}
        return {"name": self.name, **later, **{name: value for name, value in sorted(vars(self).items()) if not name.startswith("_")}}

    def seen(self, problem: Problem) -> Problem:
        """What it is given of a problem: of several models the first, unless it reads all of them."""
        return problem if self.reads_views else problem.of_view(0)

    def obstacle(self, space: Space) -> str | None:
        """Why this method cannot work in `space`, in a sentence that says what to do; None if it can."""
        return None

    @abstractmethod
    def fit(self, problem: Problem) -> Classifier:
        """Learn from the labeled rows; every choice is made inside them."""
