"""How far two texts are apart, counted in words: edit distance and shared words.

Words are compared in lower case and without the marks around them, so a final full stop neither separates nor joins two texts.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Int64

from lexframe.text_forms import normalized

# Chinese and Japanese put no spaces between words: each character counts as one. Other scripts without spaces make one long word.
_CHARACTERS = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CHARACTERS}]|[^\s{_CHARACTERS}]+")
_MARKS = ".,;:!?\"'`()[]{}<>*_-–—“”‘’«»¿¡。、「」『』।،؛؟۔|/\\~^"


def words_of(text: str) -> tuple[str, ...]:
    """Words of a :func:`~lexframe.text_forms.normalized` text without the punctuation marks around them; what is only marks is no word."""
    return tuple(word for word in (found.strip(_MARKS) for found in _WORD.findall(normalized(text))) if word)


def edit_distances(
    words: Int[np.ndarray, " n_words"], others: Int[np.ndarray, "n_others longest"], lengths: Int[np.ndarray, " n_others"]
) -> Int64[np.ndarray, " n_others"]:
    """Levenshtein distance of one sequence to each of some others: insertions, deletions and substitutions, each for 1.

    Parameters
    ----------
    words : ndarray of int, shape (n_words,)
        Numbers that stand for words.
    others : ndarray of int, shape (n_others, longest)
        Sequences, filled up at the end with anything.
    lengths : ndarray of int, shape (n_others,)
        How much of each row counts.

    Returns
    -------
    ndarray of int64, shape (n_others,)

    References
    ----------
    Wagner and Fischer (1974), The string-to-string correction problem. A row of their table is found at once for all others:
    insertions are a running minimum after the column number has been taken off.
    """
    columns = np.arange(others.shape[1] + 1, dtype=np.int32)
    row = np.repeat(columns[np.newaxis], len(others), axis=0)
    for number, word in enumerate(words, start=1):
        following = np.empty_like(row)
        following[:, 0] = number
        np.minimum(row[:, 1:] + 1, row[:, :-1] + (others != word), out=following[:, 1:])
        row = np.minimum.accumulate(following - columns, axis=1) + columns
    return row[np.arange(len(others)), lengths].astype(np.int64)


def edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Levenshtein distance of two sequences of words; see :func:`edit_distances`."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys([*first, *second]))}
    left, right = (np.array([numbers[word] for word in words], dtype=np.int64) for words in (first, second))
    return int(edit_distances(left, right[np.newaxis], np.array([len(right)]))[0])


def word_distance(first: str, second: str) -> float:
    """Word edit distance of two texts over the length of the longer one, in [0, 1]; 0 for two texts without words.

    Parameters
    ----------
    first, second : str
        Case and punctuation do not count; see :func:`words_of`.
    """
    left, right = words_of(first), words_of(second)
    return edit_distance(left, right) / max(len(left), len(right), 1)


def word_overlap(first: str, second: str) -> float:
    r"""Share of words that two texts have in common, whatever their order: :math:`2|A \cap B| / (|A| + |B|)` over multisets.

    1 for two texts without words.

    Parameters
    ----------
    first, second : str
        See :func:`word_distance`.

    References
    ----------
    Dice (1945), Measures of the amount of ecologic association between species.
    """
    left, right = Counter(words_of(first)), Counter(words_of(second))
    total = left.total() + right.total()
    return 2 * (left & right).total() / total if total else 1.0
