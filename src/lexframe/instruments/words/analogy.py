r"""Analogies by vector arithmetic: the word that is to b what a' is to a.

A method scores every word x. With vectors of unit length and :math:`\cos` the cosine:

=============  ===================================================================  =====================================
3cosadd        cos(x, a') − cos(x, a) + cos(x, b)                                   Mikolov et al. (2013)
3cosmul        s(x, a') s(x, b) / (s(x, a) + 0.001), s = (cos + 1) / 2              Levy and Goldberg (2014), CoNLL
pairdirection  cos(x − b, a' − a)                                                   Levy and Goldberg (2014), CoNLL
b-only         cos(x, b): a baseline that never looks at a and a'
a'-only        cos(x, a'): a baseline that never looks at b
=============  ===================================================================  =====================================

All of them need nothing but cosines, so those of the words of the questions with all words are computed once, and a question
costs the sum of three rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Int

from lexframe.data.analogy_questions import AnalogyQuestion
from lexframe.data.word_vectors import WordVectors
from lexframe.exceptions import InputError, VocabularyError
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.text_forms import counted

if TYPE_CHECKING:
    import pandas

EPSILON = 0.001
"""Keeps the denominator of 3CosMul from zero; the paper's value."""
_SAME_PLACE = 1e-6
"""Squared distance below which a word lies at b, for PairDirection: single precision tells no direction there."""

Rows = Int[np.ndarray, " n_questions"]
Scores = Float32[np.ndarray, "n_questions n_block"]


@dataclass(frozen=True)
class CosineBlock:
    """Cosines of the words of the questions with a block of the vocabulary, and what methods derive from them once a block.

    Attributes
    ----------
    cosines : ndarray of shape (n_asked, n_block), float32
        A row a word that stands in a question.
    among : ndarray of shape (n_asked, n_asked), float32
        Cosines of those words with each other.
    """

    cosines: Float32[np.ndarray, "n_asked n_block"]
    among: Float32[np.ndarray, "n_asked n_asked"]

    @cached_property
    def shifted(self) -> Float32[np.ndarray, "n_asked n_block"]:
        """Cosines moved to [0, 1], so that products of them mean something."""
        return np.clip((self.cosines + 1) / 2, 0, 1)

    @cached_property
    def inverse(self) -> Float32[np.ndarray, "n_asked n_block"]:
        """What 3CosMul multiplies by for the word it divides by."""
        return np.reciprocal(self.shifted + np.float32(EPSILON))

    @cached_property
    def inverse_distance(self) -> Float32[np.ndarray, "n_asked n_block"]:
        """One over the Euclidean distance of unit vectors; 0 where two of them coincide."""
        squares = 2 - 2 * self.cosines
        return np.where(squares > _SAME_PLACE, 1 / np.sqrt(np.maximum(squares, np.float32(_SAME_PLACE))), np.float32(0))


def cos_add(block: CosineBlock, a: Rows, a_: Rows, b: Rows) -> Scores:
    """3CosAdd: the word nearest to a' − a + b, up to the length of that sum, which is the same for all words."""
    scores = block.cosines[a_]
    scores -= block.cosines[a]
    scores += block.cosines[b]
    return scores


def cos_mul(block: CosineBlock, a: Rows, a_: Rows, b: Rows) -> Scores:
    """3CosMul: like the sum of logarithms, so that no single large term decides."""
    scores = block.shifted[a_]
    scores *= block.shifted[b]
    scores *= block.inverse[a]
    return scores


def pair_direction(block: CosineBlock, a: Rows, a_: Rows, b: Rows) -> Scores:
    """PairDirection: x lies from b in the direction in which a' lies from a; a word at b itself scores 0.

    The constant length of a' − a is left in: it does not change the order.
    """
    scores = block.cosines[a_]
    scores -= block.cosines[a]
    scores -= (block.among[b, a_] - block.among[b, a])[:, np.newaxis]
    scores *= block.inverse_distance[b]
    return scores


def nearest_to_b(block: CosineBlock, a: Rows, a_: Rows, b: Rows) -> Scores:
    """The words nearest to b, whatever a and a' are: what a method must beat to have used the analogy at all."""
    return block.cosines[b]


def nearest_to_target(block: CosineBlock, a: Rows, a_: Rows, b: Rows) -> Scores:
    """The words nearest to a', whatever b is."""
    return block.cosines[a_]


BASELINES = ("b-only", "a'-only")
"""Answers that need no arithmetic: the nearest to b alone, and to a' alone."""
ANALOGY_METHODS: dict[str, Callable[[CosineBlock, Rows, Rows, Rows], Scores]] = {
    "3cosadd": cos_add,
    "3cosmul": cos_mul,
    "pairdirection": pair_direction,
    "b-only": nearest_to_b,
    "a'-only": nearest_to_target,
}
"""Methods that answer a question by its three words alone."""


def folded(word: str, *, lower: bool) -> str:
    """What words are compared by: the word itself, or without case."""
    return word.casefold() if lower else word


@dataclass(frozen=True)
class Vocabulary:
    """Which rows are the same word.

    Attributes
    ----------
    vectors : WordVectors
        The most frequent words first.
    lower : bool
        Words that differ in case alone are one word, and its most frequent spelling gives the vector in a question. All spellings can
        be answers, and all are left out together.
    """

    vectors: WordVectors
    lower: bool

    @cached_property
    def spellings(self) -> dict[str, list[int]]:
        """Rows of every word, the most frequent first."""
        found: dict[str, list[int]] = {}
        for row, word in enumerate(self.vectors.words):
            found.setdefault(folded(word, lower=self.lower), []).append(row)
        return found

    def row(self, word: str) -> int:
        """Row of the most frequent spelling; -1 where there is none."""
        return self.rows(word)[0]

    def rows(self, word: str) -> list[int]:
        """Rows of all spellings; ``[-1]`` where there is none."""
        return self.spellings.get(folded(word, lower=self.lower), [-1])

    @cached_property
    def units(self) -> Float32[np.ndarray, "n_words n_dims"]:
        """Vectors of length 1, without a double-precision copy of all of them; a zero vector stays zero."""
        vectors = self.vectors.vectors
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
        return vectors / np.where(lengths > 0, lengths, 1.0).astype(np.float32)[:, np.newaxis]


@dataclass(frozen=True, slots=True)
class Analogy(Result):
    """What a method answers to one question.

    Attributes
    ----------
    question : AnalogyQuestion
        What was asked.
    method : str
        See :data:`ANALOGY_METHODS`.
    ranked : tuple of (str, float)
        Words by falling score. For PairDirection the score is the cosine times the length of a' − a.
    exclude : bool
        Whether a, a' and b were left out.
    provenance : Provenance
    notes : tuple of str
        What a reader should know, such as words that the model does not have.
    """

    question: AnalogyQuestion
    method: str
    ranked: tuple[tuple[str, float], ...]
    exclude: bool
    provenance: Provenance = field(default_factory=Provenance)
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """The question and its answer."""
        asked = f"{self.question.a} is to {self.question.a_} as {self.question.b} is to"
        if not self.ranked:
            return f"{asked} … no word is left to answer."
        word, score = self.ranked[0]
        found = f"{asked} {word} ({self.method}, {score:.3f}){'' if self.exclude else '; every word was allowed'}."
        return " ".join([found, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        asked = {"a": self.question.a, "a_": self.question.a_, "b": self.question.b}
        ranked = [{"word": word, "score": score} for word, score in self.ranked]
        found = {**asked, "method": self.method, "exclude": self.exclude, "ranked": ranked, "notes": list(self.notes)}
        return found | {"provenance": self.provenance.to_dict()}

    def to_frame(self) -> "pandas.DataFrame":
        """A row a word, the best first."""
        import pandas as pd

        return pd.DataFrame(list(self.ranked), columns=["word", "score"])


def solve_analogy(
    vectors: WordVectors, a: str, a_: str, b: str, *, method: str = "3cosadd", n: int = 10, exclude: bool = True, lower: bool = True
) -> Analogy:
    """Words x such that a is to a' as b is to x, the best first.

    Parameters
    ----------
    vectors : WordVectors
        The candidates, the most frequent first: among equal scores the more frequent word comes first.
    a, a_, b : str
        The words of the question; `a_` is a'.
    method : str
        One of :data:`ANALOGY_METHODS`.
    n : int
        Words to list.
    exclude : bool
        Leave a, a' and b out, as is usual: without that the answer is often b itself.
    lower : bool
        Words that differ in case alone are one word, as in :func:`evaluate_analogies`.

    Returns
    -------
    Analogy

    Raises
    ------
    InputError
        If there is no such method, or it needs more than one pair.
    VocabularyError
        If a word has no vector.
    """
    if method not in ANALOGY_METHODS:
        raise InputError(
            f"method is {method!r}; expected one of {', '.join(ANALOGY_METHODS)}. "
            "3cosavg and lrcos learn from many pairs: evaluate_analogies."
        )
    vocabulary = Vocabulary(vectors, lower)
    missing = [word for word in (a, a_, b) if vocabulary.row(word) < 0]
    if missing:
        raise VocabularyError(
            f"No vector for {', '.join(map(repr, missing))} among {counted(len(vectors), 'word')} of {vectors.source or 'these vectors'}. "
            f"{vectors.similar_spellings(missing[0])}Check the spelling and the case, or choose other words."
        )
    asked = np.array([vocabulary.row(word) for word in (a, a_, b)])
    units = vocabulary.units
    block = CosineBlock(cosines(units, asked, units), cosines(units, asked, units[asked]))
    scores = ANALOGY_METHODS[method](block, *np.arange(3)[:, np.newaxis])[0]
    order = np.argsort(-scores, kind="stable")
    if exclude:
        order = order[~np.isin(order, [row for word in (a, a_, b) for row in vocabulary.rows(word)])]
    ranked = tuple((vectors.words[row], float(scores[row])) for row in order[:n].tolist())
    parameters = {**vectors.provenance.parameters, "source": vectors.source, "lower": lower}
    provenance = Provenance(space=vectors.provenance.space, parameters=parameters)
    notes = tuple(_piece_note(vectors, vectors.words[row]) for row in dict.fromkeys(asked.tolist()) if vectors.words[row] in vectors.pieces)
    return Analogy(AnalogyQuestion(a, a_, b), method, ranked, exclude, provenance, notes)


def _piece_note(vectors: WordVectors, word: str) -> str:
    """What stands for a word that is no item of the vocabulary, and which known word may have been meant."""
    pieces = vectors.pieces[word]
    return (
        f"{word!r} is no word of the vocabulary: the mean of its pieces {', '.join(map(repr, pieces))} stands for it, and the answer is "
        f"about these. {vectors.similar_spellings(word)}"
    ).rstrip()


def cosines(
    units: Float32[np.ndarray, "n_words n_dims"], rows: Sequence[int] | np.ndarray, others: Float32[np.ndarray, "n_others n_dims"]
) -> Float32[np.ndarray, "n_rows n_others"]:
    """Cosines of some words with others, all of unit length."""
    return units[np.asarray(rows, dtype=np.int64)] @ others.T
