"""The texts of a task as one model sees them: points, blocks, n-grams and zero-shot scores of labels, each worked out once."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lexframe.exceptions import InputError
from lexframe.latents.text_reader import Reading, States, TextReader
from lexframe.linalg import cosine
from lexframe.ngrams import NGramCounts
from lexframe.spaces.base import Progress, Space, VocabularySpace
from lexframe.typing import Points


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
