"""Finds the nearest of many texts by word edit distance, exactly, without comparing with most of them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from lexframe.generative.texts.word_edits import edit_distances, words_of

_FIRST_LOOK, _BLOCK = 32, 2048
_FREQUENT = 1 / 32  # of the texts: for a word of more of them a row of ones and zeros is added faster than a list of places


class WordIndex:
    r"""Texts by their words, for the nearest one of any text.

    Nearness is the similarity :math:`1 - d/\max(m, n)` with d the word edit distance of texts of m and n words. Each of the longer
    text's words that has no partner costs at least 1, so :math:`d \ge \max(m, n) - s` with s the size of the multiset intersection of
    their words, and no similarity exceeds :math:`s/\max(m, n)`. That bound is found for all texts at once from an inverted index; the
    distance only for those whose bound is not below the best found so far. So the nearest is always found.

    Parameters
    ----------
    texts : sequence of str
        One or more.

    Attributes
    ----------
    n_texts_ : int
    n_distinct_ : int
        Different sequences of words among them.
    """

    def __init__(self, texts: Sequence[str]):
        rows: dict[tuple[str, ...], int] = {}
        for row, text in enumerate(texts):
            rows.setdefault(words_of(text), row)
        self.n_texts_, self.n_distinct_ = len(texts), len(rows)
        self._rows = np.fromiter(rows.values(), np.int64, len(rows))
        self._lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._numbers: dict[str, int] = {}
        every = (self._numbers.setdefault(word, len(self._numbers)) for words in rows for word in words)
        self._words = np.fromiter(every, np.int64, int(self._lengths.sum()))
        self._build_postings()

    def nearest(self, text: str) -> tuple[int, float]:
        """Row of the nearest text, the first of equals, and its similarity in [0, 1]."""
        words = self._encoded(words_of(text))
        longer = np.maximum(self._lengths, len(words))
        bounds = np.where(longer > 0, self._shared(words) / np.maximum(longer, 1), 1.0)  # two texts without words are equal
        look = np.argpartition(-bounds, _FIRST_LOOK)[:_FIRST_LOOK] if len(bounds) > _FIRST_LOOK else np.arange(len(bounds))
        best = float(self._similarities(words, look).max())
        # Only bounds above 0 count from here: the others have a similarity of 0, and of those the first row is known.
        candidates = np.flatnonzero(bounds >= max(best, np.finfo(np.float64).tiny))
        candidates = candidates[np.argsort(-bounds[candidates], kind="stable")]
        found, place = 0.0, 0
        for start in range(0, len(candidates), _BLOCK):
            block = candidates[start : start + _BLOCK]
            if bounds[block[0]] < found:
                break
            similarities = self._similarities(words, block)
            highest = float(similarities.max())
            first = int(block[similarities == highest].min())
            if highest > found or (highest == found > 0 and first < place):
                found, place = highest, first
        return int(self._rows[place]), found

    def _encoded(self, words: Sequence[str]) -> Int64[np.ndarray, " n_words"]:
        return np.array([self._numbers.get(word, -1) for word in words], dtype=np.int64)

    def _build_postings(self) -> None:
        """Texts that hold a word at least once, twice, …: sums of these are sizes of multiset intersections."""
        owners = np.repeat(np.arange(len(self._lengths)), self._lengths)
        order = np.lexsort((self._words, owners))
        words, owners = self._words[order], owners[order]
        is_first = np.ones(len(words), dtype=bool)
        is_first[1:] = (words[1:] != words[:-1]) | (owners[1:] != owners[:-1])
        places = np.arange(len(words))
        occurrence = places - np.maximum.accumulate(np.where(is_first, places, 0))
        by_feature = np.lexsort((owners, occurrence, words))
        words, occurrence, owners = words[by_feature], occurrence[by_feature], owners[by_feature]
        starts = np.flatnonzero(np.concatenate([[True], (words[1:] != words[:-1]) | (occurrence[1:] != occurrence[:-1])])[: len(words)])
        postings = np.split(owners, starts[1:]) if len(starts) else []
        self._postings: dict[tuple[int, int], np.ndarray] = {}
        for key, rows in zip(zip(words[starts].tolist(), occurrence[starts].tolist(), strict=True), postings, strict=True):
            held = np.zeros(len(self._lengths) if len(rows) > _FREQUENT * len(self._lengths) else 0, dtype=np.int8)
            if len(held):
                held[rows] = 1
            self._postings[key] = held if len(held) else rows

    def _shared(self, words: np.ndarray) -> Int64[np.ndarray, " n_distinct"]:
        """Size of the multiset intersection with every text."""
        shared = np.zeros(len(self._lengths), dtype=np.int64)
        seen: dict[int, int] = {}
        for word in words.tolist():
            occurrence = seen.get(word, 0)
            seen[word] = occurrence + 1
            rows = self._postings.get((word, occurrence))
            if rows is None:
                continue
            if rows.dtype == np.int8:
                shared += rows
            else:
                shared[rows] += 1
        return shared

    def _similarities(self, words: np.ndarray, rows: np.ndarray) -> np.ndarray:
        lengths = self._lengths[rows]
        columns = np.arange(int(lengths.max(initial=0)))
        places = np.minimum(self._starts[rows][:, np.newaxis] + columns, len(self._words) - 1)
        others = self._words[places] if len(self._words) else np.zeros((len(rows), 0), dtype=np.int64)
        longer = np.maximum(lengths, len(words))
        return np.where(longer > 0, (longer - edit_distances(words, others, lengths)) / np.maximum(longer, 1), 1.0)
