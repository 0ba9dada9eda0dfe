"""What a method is given, and what it gives back: the contract of every way to adapt a frozen model.

A :class:`Problem` holds the labeled rows and nothing of the test but its texts, so a method cannot look at a test
label even by mistake. Points come from :class:`EncodedTexts`, which encodes every text once for all methods.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from lexframe.exceptions import InputError
from lexframe.instruments.frame.vocabulary_frame import LabelBases, VocabularyFrame
from lexframe.latents.text_reader import Reading, States, TextReader
from lexframe.linalg import cosine
from lexframe.ngrams import NGramCounts
from lexframe.spaces.base import Progress, Space, VocabularySpace
from lexframe.typing import Points

Rows = Int[np.ndarray, " n_rows"]
Probabilities = Float[np.ndarray, "n_rows n_labels"]

VOCABULARY = "vocabulary"
"""The family of methods that learn nothing from labels."""
TEXTS = "texts"
"""The family of methods that never ask the model: others are held against them, and none is chosen where the model can be."""
QUICK_FAMILIES = (VOCABULARY, TEXTS, "points")


class EncodedTexts:
    """Texts of a task with their points, addressed by row: each text goes through the model once, however many methods ask.

    Parameters
    ----------
    reader : TextReader or Space
        How texts are read; a space alone gives its own points.
    texts : sequence of str
        All texts, of training and of test.
    progress : callable
        Wraps the iteration over batches.

    Raises
    ------
    InputError
        If the reading is scaled: methods scale what they read by their labeled rows.
    """

    def __init__(self, reader: TextReader | Space, texts: Sequence[str], *, progress: Progress = iter):
        self.reader = TextReader(reader) if isinstance(reader, Space) else reader
        if self.reader.reading.scaled:
            raise InputError("A scaled reading was given; methods scale points by their labeled texts alone. Give one that is not scaled.")
        self.space, self.texts = self.reader.space, tuple(texts)
        self._progress = progress
        self._states: States | None = None
        self._own: Points | None = None
        self._ngrams: NGramCounts | None = None
        self._label_scores: dict[tuple[tuple[str, ...], ...], np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def reading(self) -> Reading:
        """Which points each text has."""
        return self.reader.reading

    @property
    def batch_size(self) -> int | None:
        """Texts in one forward pass."""
        return self.reader.batch_size

    @property
    def encode_seconds(self) -> float:
        """What reading the texts took."""
        return self.reader.encode_seconds

    @property
    def points(self) -> Points:
        """Points of the space itself: in a space with a vocabulary, what the output head reads."""
        if self._own is None:
            raw = self.raw_points
            self._own = self.space.head_input(raw) if isinstance(self.space, VocabularySpace) else raw
        return self._own

    @property
    def raw_points(self) -> Points:
        """Points as the space gives them, before whatever stands in front of the unembedding."""
        if not self.reading.own_points:
            raise InputError("The reading leaves the space's own points out, which are asked for. Read them too.")
        return self._read()[:, 0]

    @property
    def ngrams(self) -> NGramCounts:
        """Words and characters of the texts, counted once for all methods that ask no model."""
        if self._ngrams is None:
            self._ngrams = NGramCounts.of(self.texts)
        return self._ngrams

    @property
    def block_names(self) -> tuple[str, ...]:
        """What people call the blocks."""
        return self.reading.names(self.space)

    def blocks(self) -> list[Points]:
        """All that is known of the texts: the space's own points, then one array for every other representation."""
        states = self._read()
        others = [states[:, number] for number in range(int(self.reading.own_points), states.shape[1])]
        return [self.points, *others] if self.reading.own_points else others

    def label_scores(self, words: Sequence[Sequence[str]]) -> Float[np.ndarray, "n_texts n_labels"]:
        """Zero-shot log-probabilities of labels for all texts, in nats; worked out once for the same words.

        In a space with a vocabulary they are those of :func:`label_scores`, elsewhere of :func:`phrase_scores`.
        """
        key = tuple(tuple(listed) for listed in words)
        if key not in self._label_scores:
            if isinstance(self.space, VocabularySpace):
                self._label_scores[key] = label_scores(self.space, self.raw_points, words)
            else:
                self._label_scores[key] = phrase_scores(self.space, self.points, words)
        return self._label_scores[key]

    def _read(self) -> States:
        if self._states is None:
            states = self.reader.states(self.texts, progress=self._progress)
            wrong = np.flatnonzero(~np.isfinite(states).all(axis=(1, 2)))
            if len(wrong):
                raise InputError(
                    f"{len(wrong)} of {len(states)} texts have points that are not finite, the first is {self.texts[wrong[0]]!r:.60}. "
                    "Leave these texts out, or open the model in float32 or with another layer."
                )
            self._states = states
        return self._states


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


def label_scores(space: VocabularySpace, points: Points, words: Sequence[Sequence[str]]) -> Float[np.ndarray, "n_rows n_labels"]:
    """Log-probability of each label's words as the next token, averaged over their tokens.

    Parameters
    ----------
    space : VocabularySpace
        Its head turns points into logits, bias and soft cap included.
    points : ndarray of shape (n_rows, n_dims)
        Points as the space gives them.
    words : sequence of sequence of str
        One or more words a label.

    Returns
    -------
    ndarray of shape (n_rows, n_labels), float64
        In nats. Their softmax over labels is the zero-shot posterior.
    """
    ids = [[i for word in listed for i in space.word_ids(word)] for listed in words]
    scores = np.empty((len(points), len(ids)))
    for start in range(0, len(points), 256):  # a large vocabulary is never held for all texts at once
        logits = space.logits(points[start : start + 256]).astype(np.float64)
        top = logits.max(axis=1, keepdims=True)
        normalizer = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
        scores[start : start + 256] = np.stack([logits[:, columns].mean(axis=1) for columns in ids], axis=1) - normalizer[:, np.newaxis]
    return scores


PHRASE_TEMPERATURE = 0.08


def phrase_scores(space: Space, points: Points, words: Sequence[Sequence[str]]) -> Float[np.ndarray, "n_rows n_labels"]:
    """Cosine of each point with the points of a label's words, averaged over them, over a temperature of 0.08.

    What stands for zero-shot scores in a space without a vocabulary, such as a sentence encoder.

    Parameters
    ----------
    space : Space
        Encodes the words, with its template.
    points : ndarray of shape (n_rows, n_dims)
        Points of the same space.
    words : sequence of sequence of str
        One or more words or phrases a label.

    Returns
    -------
    ndarray of shape (n_rows, n_labels), float64
        In nats up to a constant a row.
    """
    phrases = space.encode([word for listed in words for word in listed]).astype(np.float64)
    similarity = cosine(points.astype(np.float64), phrases)
    ends = np.cumsum([len(listed) for listed in words])
    return np.stack([part.mean(axis=1) for part in np.split(similarity, ends[:-1], axis=1)], axis=1) / PHRASE_TEMPERATURE


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
