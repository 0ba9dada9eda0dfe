"""What a method is given, and what it gives back: the contract of every way to adapt a frozen model.

A :class:`Problem` holds the labeled rows and nothing of the test but its texts, so a method cannot look at a test
label even by mistake. Points come from :class:`EncodedTexts`, which encodes every text once for all methods.
"""

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lexframe.exceptions import InputError
from lexframe.files import replacing
from lexframe.instruments.frame.vocabulary_frame import LabelBases, VocabularyFrame
from lexframe.linalg import cosine
from lexframe.spaces.base import Progress, Representation, Space, TokenSpace, VocabularySpace, resolve_layer
from lexframe.typing import Points

Rows = Int[np.ndarray, " n_rows"]
Probabilities = Float[np.ndarray, "n_rows n_labels"]


class EncodedTexts:
    """Texts with their points: each text goes through the model once, however many methods ask.

    Parameters
    ----------
    space : Space
        Frozen.
    texts : sequence of str
        All texts of a comparison, of training and of test.
    representations : sequence of Representation
        What to keep of each text beside the point of the space itself; used where the space has layers and poolings.
    batch_size : int, optional
        Texts in one forward pass.
    progress : callable
        Wraps the iteration over batches.
    folder : str or Path, optional
        Where points are kept, a file for every space, list of texts and representations, so that they are not made twice.

    Attributes
    ----------
    encode_seconds : float
        What all of it took; 0 until points are asked for.
    """

    def __init__(
        self,
        space: Space,
        texts: Sequence[str],
        *,
        representations: Sequence[Representation] = (),
        batch_size: int | None = None,
        progress: Progress = iter,
        folder: str | Path | None = None,
    ):
        self.space, self.texts = space, tuple(texts)
        self._folder = None if folder is None else Path(folder)
        self.representations = tuple(representations) if isinstance(space, TokenSpace) else ()
        self.batch_size, self.progress = batch_size, progress
        self.encode_seconds = 0.0
        self._raw = self._own = np.zeros((0, 0), dtype=np.float32)
        self._encoded = False
        self._others: dict[Representation, np.ndarray] = {}
        self._label_scores: dict[tuple[tuple[str, ...], ...], np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def points(self) -> Points:
        """Points of the space itself: in a space with a vocabulary, what the output head reads."""
        self._encode()
        return self._own

    @property
    def raw_points(self) -> Points:
        """Points as the space gives them, before whatever stands in front of the unembedding."""
        self._encode()
        return self._raw

    @property
    def others(self) -> dict[Representation, Points]:
        """Points of the other representations."""
        self._encode()
        return self._others

    def blocks(self) -> list[Points]:
        """All that is known of the texts: the space's own points, then one array for every other representation."""
        return [self.points, *self.others.values()]

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

    def _encode(self) -> None:
        if self._encoded:
            return
        layered = self.space if self.representations and isinstance(self.space, TokenSpace) else None
        own = self._own_representation()
        others = [asked for asked in self.representations if layered and self._resolved(asked) != self._resolved(own)]
        states, self.encode_seconds = self._kept_states([own, *others]) or self._made_states([own, *others])
        self._raw = states[:, 0]
        self._others = {asked: states[:, column] for column, asked in enumerate(others, start=1)}
        self._own = self.space.head_input(self._raw) if isinstance(self.space, VocabularySpace) else self._raw
        self._encoded = True

    def _made_states(self, wanted: list[Representation]) -> tuple[np.ndarray, float]:
        """Points of shape (n_texts, n_representations, n_dims), and the seconds that they took."""
        started = time.perf_counter()
        options: dict[str, Any] = {"batch_size": self.batch_size, "progress": self.progress}
        if len(wanted) > 1:
            assert isinstance(self.space, TokenSpace)
            states = self.space.encode_representations(self.texts, wanted, **options)
        else:
            states = self.space.encode(self.texts, **options)[:, np.newaxis]
        seconds = time.perf_counter() - started
        path = self._path(wanted)
        if path is not None:
            with replacing(path) as temporary:
                save_file({"states": np.ascontiguousarray(states)}, temporary, metadata={"encode_seconds": repr(seconds)})
        return states, seconds

    def _kept_states(self, wanted: list[Representation]) -> tuple[np.ndarray, float] | None:
        """What an earlier run has kept; None if there is nothing, or it cannot be read."""
        path = self._path(wanted)
        if path is None or not path.is_file():
            return None
        try:
            with safe_open(path, framework="np") as file:
                return file.get_tensor("states"), float(file.metadata()["encode_seconds"])
        except (SafetensorError, TypeError, KeyError, ValueError):
            return None  # damaged: the points are made again, and the file with them

    def _path(self, wanted: list[Representation]) -> Path | None:
        if self._folder is None:
            return None
        digest = hashlib.sha256(f"{self.space.fingerprint.digest} {' '.join(map(str, wanted))}".encode())
        for text in self.texts:
            digest.update(f"|{len(text)} {text}".encode())
        return self._folder / f"points-{digest.hexdigest()[:20]}.safetensors"

    def _own_representation(self) -> Representation:
        return Representation(getattr(self.space, "layer", -1), getattr(self.space, "pooling", "last"))

    def _resolved(self, asked: Representation) -> Representation:
        assert isinstance(self.space, TokenSpace)
        return Representation(resolve_layer(asked.layer, self.space.n_layers), asked.pooling)


def default_representations(space: Space) -> tuple[Representation, ...]:
    """Three layers, a third, two thirds and all the way up, each at its last token and as a mean."""
    if not isinstance(space, TokenSpace):
        return ()
    layers = sorted({max(1, round(space.n_layers * share)) for share in (1 / 3, 2 / 3, 1)})
    return tuple(Representation(-1 if layer == space.n_layers else layer, pooling) for layer in layers for pooling in ("last", "mean"))


@dataclass(frozen=True)
class Problem:
    """Labeled texts, unlabeled texts, and the frozen model.

    Attributes
    ----------
    encoded : EncodedTexts
        All texts, addressed by row.
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
    """

    encoded: EncodedTexts
    labels: tuple[str, ...]
    label_words: Mapping[str, Sequence[str]]
    rows: Rows
    y: Rows
    unlabeled: Int[np.ndarray, " n_unlabeled"] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    seed: int = 0

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

    def words(self) -> list[list[str]]:
        """Label words in the order of `labels`."""
        return [list(self.label_words[label]) for label in self.labels]

    def label_scores(self, rows: Rows) -> Float[np.ndarray, "n_rows n_labels"]:
        """Zero-shot log-probabilities of the labels; see :meth:`EncodedTexts.label_scores`."""
        return self.encoded.label_scores(self.words())[rows]

    def label_bases(self, readout: str = "invariant") -> LabelBases:
        """Where the vocabulary says that each label lies; needs a space with a vocabulary."""
        return VocabularyFrame(require_vocabulary(self.space)).label_bases(dict(self.label_words), readout=readout)


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

    Attributes
    ----------
    name : str
        As on the command line.
    description : str
        In half a sentence, for tables and reports.
    family : {"vocabulary", "points", "prompts", "weights"}
        What it works on: the frame alone, encoded points, prompts to the model, or the model's weights.
    least_shots : int
        Labels a class below which it cannot be fitted.
    uses_unlabeled : bool
        Whether it looks at texts without labels.
    variant : bool
        Whether it is there to show what a part of another method adds; it is measured, never advised.
    """

    name: str
    description: str
    family: str
    least_shots: int = 1
    uses_unlabeled: bool = False
    variant: bool = False

    def key(self) -> dict[str, Any]:
        """Name and parameters: what tells its cells from those of any other method."""
        return {"name": self.name, **{name: value for name, value in sorted(vars(self).items()) if not name.startswith("_")}}

    def obstacle(self, space: Space) -> str | None:
        """Why this method cannot work in `space`, in a sentence that says what to do; None if it can."""
        return None

    @abstractmethod
    def fit(self, problem: Problem) -> Classifier:
        """Learn from the labeled rows; every choice is made inside them."""
