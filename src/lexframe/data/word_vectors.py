"""Words with a vector each, wherever they come from: what analogies and retrofitting work on.

Words stand in the order of their frequency, so that a row number is a rank, ties fall to the more frequent word, and "the
first 20,000" means what people mean by it.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import scipy.linalg
from jaxtyping import Float32, Int

from lexframe.exceptions import InputError, VocabularyError
from lexframe.linalg import shrunken_whitening, unit_rows
from lexframe.provenance import Provenance
from lexframe.text_forms import counted

MOST_SPELLINGS = 50_000
"""Words, the most frequent ones, among which a misspelt one is looked for."""


@dataclass(frozen=True, eq=False)
class WordVectors:
    """A vector for every word.

    Attributes
    ----------
    words : tuple of str
        The most frequent first, each once.
    vectors : ndarray of shape (n_words, n_dims), float32
        In the order of `words`; finite.
    source : str
        For people: a file, or a model and what was taken from it.
    provenance : Provenance
        What made the vectors.
    pieces : mapping of str to tuple of str
        Of words that are no item of a model's vocabulary, the items whose mean stands for them.

    Raises
    ------
    InputError
        If a word stands twice, the numbers of words and rows differ, or a vector holds NaN or infinity.
    """

    words: tuple[str, ...]
    vectors: Float32[np.ndarray, "n_words n_dims"]
    source: str = ""
    provenance: Provenance = field(default_factory=Provenance)
    pieces: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.words) != len(self.vectors):
            raise InputError(f"{len(self.words)} words, but {len(self.vectors)} vectors. Give one vector a word.")
        if len(self.index) != len(self.words):
            twice = next(word for row, word in enumerate(self.words) if self.index[word] != row)
            raise InputError(f"The word {twice!r} stands twice. Give every word once.")
        broken = np.flatnonzero(~np.isfinite(self.vectors).all(axis=1))
        if len(broken):
            raise InputError(
                f"The vector of {self.words[broken[0]]!r} holds NaN or infinity ({len(broken)} words in all). Remove those words."
            )

    @cached_property
    def index(self) -> dict[str, int]:
        """Row of every word."""
        return {word: row for row, word in enumerate(self.words)}

    @property
    def n_dims(self) -> int:
        """Dimensions of a vector."""
        return self.vectors.shape[1]

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    def rows(self, words: Sequence[str]) -> Int[np.ndarray, " n"]:
        """Row numbers of `words`, in their order.

        Raises
        ------
        VocabularyError
            If a word has no vector.
        """
        missing = [word for word in words if word not in self.index]
        if missing:
            raise VocabularyError(
                f"No vector for {', '.join(map(repr, missing[:5]))} among {counted(len(self), 'word')} of "
                f"{self.source or 'these vectors'}. {self.similar_spellings(missing[0])}"
                "Check the spelling and the case, or choose other words."
            )
        return np.array([self.index[word] for word in words], dtype=np.int64)

    def similar_spellings(self, word: str) -> str:
        """The sentence "Did you mean …? " with known words that are spelt alike; empty where there is none."""
        near = difflib.get_close_matches(word.casefold(), self._by_spelling, n=3, cutoff=0.75)
        return f"Did you mean {' or '.join(self._by_spelling[one] for one in near)}? " if near else ""

    @cached_property
    def _by_spelling(self) -> dict[str, str]:
        """Whole words by their folded spelling, of those that misspellings are looked for among."""
        whole = (word for word in self.words[:MOST_SPELLINGS] if word not in self.pieces)
        return {word.casefold(): word for word in reversed(list(whole))}

    def of(self, words: Sequence[str]) -> Float32[np.ndarray, "n n_dims"]:
        """Vectors of `words`, in their order; see :meth:`rows` for words without one."""
        return self.vectors[self.rows(words)]

    def restricted(self, words: Iterable[str]) -> "WordVectors":
        """Those of `words` that have a vector, still in the order of frequency."""
        return self._kept(sorted({self.index[word] for word in words if word in self.index}))

    def head(self, n_words: int) -> "WordVectors":
        """The `n_words` most frequent words."""
        return self._kept(range(min(n_words, len(self))))

    def transformed(self, *, center: bool = False, n_components_removed: int = 0, whiten: bool = False) -> "WordVectors":
        """Vectors without what all words share.

        Parameters
        ----------
        center : bool
            Take the mean vector off.
        n_components_removed : int
            Centre, then project out that many principal components: the largest ones mostly follow frequency [1]_.
        whiten : bool
            Centre, and make all directions equally strong, with a shrunken covariance. It comes last.

        Returns
        -------
        WordVectors

        Raises
        ------
        InputError
            If there are not that many components.

        References
        ----------
        .. [1] Mu and Viswanath (2018), All-but-the-Top, arXiv:1702.01417; they remove about n_dims / 100.
        """
        if not 0 <= n_components_removed < self.n_dims:
            raise InputError(
                f"n_components_removed is {n_components_removed}; expected 0 to {self.n_dims - 1}, as there are {self.n_dims}."
            )
        vectors = self.vectors.astype(np.float64)
        if center or n_components_removed:
            vectors = vectors - vectors.mean(axis=0)
        if n_components_removed:
            _, axes = scipy.linalg.eigh(vectors.T @ vectors, subset_by_index=(self.n_dims - n_components_removed, self.n_dims - 1))
            vectors = vectors - vectors @ axes @ axes.T
        if whiten:
            mean, root = shrunken_whitening(vectors)
            vectors = (vectors - mean) @ root
        options = {"center": center, "n_components_removed": n_components_removed, "whiten": whiten}
        return self.with_vectors(vectors, made_by={name: value for name, value in options.items() if value})

    def unit(self) -> "WordVectors":
        """Every vector at length 1; a zero vector stays zero."""
        return self.with_vectors(unit_rows(self.vectors), made_by={"unit": True})

    def with_vectors(self, vectors: np.ndarray, *, made_by: dict[str, object]) -> "WordVectors":
        """The same words with other vectors.

        Parameters
        ----------
        vectors : ndarray of shape (n_words, n_dims)
            Any precision and width.
        made_by : dict
            Parameters of what made them, added to the provenance.
        """
        provenance = replace(self.provenance, parameters={**self.provenance.parameters, **made_by})
        return replace(self, vectors=np.ascontiguousarray(vectors, dtype=np.float32), provenance=provenance)

    def _kept(self, rows: Sequence[int]) -> "WordVectors":
        return replace(self, words=tuple(self.words[row] for row in rows), vectors=self.vectors[list(rows)])
