"""Words, pairs of words, and two to five characters within words, counted: what can be known of texts without any model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

WORDS_AND_MARKS = r"(?u)\w+|[^\w\s]"
"""Texts of punctuation alone, such as emoji, have words of their own."""
WORD_LENGTHS, CHARACTER_LENGTHS = (1, 2), (2, 5)
_BETWEEN = "\n"  # no n-gram holds one: both kinds are cut at white space, and pairs are joined by a blank

Sparse = Any
"""A SciPy matrix in rows (CSR) of float32, a row a text and a column an n-gram; loaded with the first text that is counted."""


@dataclass(frozen=True, slots=True)
class NGramVocabulary:
    """The n-grams that have a column.

    Attributes
    ----------
    words : tuple of str
        Words and pairs of neighbors, in lower case; theirs are the first columns.
    characters : tuple of str
        Two to five characters of a word with a blank before and after it.
    """

    words: tuple[str, ...]
    characters: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.words) + len(self.characters)

    def counts(self, texts: Sequence[str]) -> Sparse:
        """How often each n-gram stands in each text, shape (n_texts, n_ngrams); others are passed over.

        Parameters
        ----------
        texts : sequence of str
        """
        import scipy.sparse

        parts = [
            counter(kind, vocabulary={ngram: column for column, ngram in enumerate(listed)}).transform(texts)
            if listed and len(texts)
            else scipy.sparse.csr_array((len(texts), len(listed)), dtype=np.float32)
            for kind, listed in (("words", self.words), ("characters", self.characters))
        ]
        return scipy.sparse.csr_array(scipy.sparse.hstack(parts, format="csr", dtype=np.float32))

    def only(self, columns: Int[np.ndarray, " n_kept"]) -> "NGramVocabulary":
        """With some of its columns, which rise."""
        listed = (*self.words, *self.characters)
        n_words = int(np.searchsorted(columns, len(self.words)))
        kept = [listed[column] for column in columns]
        return NGramVocabulary(tuple(kept[:n_words]), tuple(kept[n_words:]))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """As arrays of bytes, for safetensors."""
        return {"words": _bytes(self.words), "characters": _bytes(self.characters)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "NGramVocabulary":
        """Back from :meth:`to_arrays`."""
        return cls(_texts(arrays["words"]), _texts(arrays["characters"]))


@dataclass(frozen=True, slots=True, eq=False)
class NGramCounts:
    """Texts counted, with the vocabulary found in them.

    Attributes
    ----------
    vocabulary : NGramVocabulary
        Sorted within each kind.
    counts : sparse of shape (n_texts, n_ngrams), float32
    """

    vocabulary: NGramVocabulary
    counts: Sparse

    @classmethod
    def of(cls, texts: Sequence[str]) -> "NGramCounts":
        """All n-grams of some texts; of texts without a letter, none.

        Parameters
        ----------
        texts : sequence of str
        """
        import scipy.sparse

        if not any(text.strip() for text in texts):
            return cls(NGramVocabulary((), ()), scipy.sparse.csr_array((len(texts), 0), dtype=np.float32))
        words, characters = counter("words"), counter("characters")
        parts = [words.fit_transform(texts), characters.fit_transform(texts)]
        vocabulary = NGramVocabulary(tuple(words.get_feature_names_out()), tuple(characters.get_feature_names_out()))
        return cls(vocabulary, scipy.sparse.csr_array(scipy.sparse.hstack(parts, format="csr", dtype=np.float32)))

    def found_in(self, rows: Int[np.ndarray, " n_rows"]) -> Int[np.ndarray, " n_columns"]:
        """Columns of the n-grams that stand in some of the texts, rising: the vocabulary that those texts alone would give."""
        return np.unique(self.counts[rows].indices).astype(np.int64)


def counter(kind: str, **options: Any) -> Any:
    """scikit-learn's counter of one kind of n-gram.

    Parameters
    ----------
    kind : {"words", "characters"}
    **options
        Of ``CountVectorizer``.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    if kind == "words":
        return CountVectorizer(ngram_range=WORD_LENGTHS, token_pattern=WORDS_AND_MARKS, dtype=np.float32, **options)
    return CountVectorizer(analyzer="char_wb", ngram_range=CHARACTER_LENGTHS, dtype=np.float32, **options)


def inverse_document_frequencies(counts: Sparse) -> Float[np.ndarray, " n_ngrams"]:
    r"""How rare each n-gram is: :math:`1 + \ln \frac{1 + n}{1 + n_j}` with n texts, of which :math:`n_j` hold it; float32.

    Parameters
    ----------
    counts : sparse of shape (n_texts, n_ngrams)
    """
    holding = np.bincount(counts.indices, minlength=counts.shape[1])
    return (1 + np.log((1 + counts.shape[0]) / (1 + holding))).astype(np.float32)


def tfidf(counts: Sparse, rarity: Float[np.ndarray, " n_ngrams"], n_words: int) -> Sparse:
    """One plus the logarithm of each count, times how rare the n-gram is; words and characters are each brought to length 1.

    Parameters
    ----------
    counts : sparse of shape (n_texts, n_ngrams)
    rarity : ndarray of shape (n_ngrams,)
        From :func:`inverse_document_frequencies`, of the texts that are learnt from.
    n_words : int
        Columns of words, which come first.

    Returns
    -------
    sparse of shape (n_texts, n_ngrams), float32
    """
    import scipy.sparse

    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    values = (1 + np.log(counts.data.astype(np.float64))) * rarity[counts.indices]
    part = 2 * rows + (counts.indices >= n_words)  # a text has two lengths
    lengths = np.sqrt(np.bincount(part, weights=values**2, minlength=2 * counts.shape[0]))
    return scipy.sparse.csr_array(((values / lengths[part]).astype(np.float32), counts.indices, counts.indptr), shape=counts.shape)


def _bytes(listed: Sequence[str]) -> UInt8[np.ndarray, " n_bytes"]:
    return np.frombuffer(_BETWEEN.join(listed).encode("utf-8", "surrogatepass"), dtype=np.uint8)


def _texts(kept: UInt8[np.ndarray, " n_bytes"]) -> tuple[str, ...]:
    return tuple(kept.tobytes().decode("utf-8", "surrogatepass").split(_BETWEEN)) if len(kept) else ()
