"""The longest run of words that a text shares with any of many others."""

from collections.abc import Sequence

import numpy as np

from lexframe.generative.texts.word_edits import words_of


def longest_shared_runs(texts: Sequence[str], others: Sequence[str]) -> list[tuple[str, ...]]:
    """For each text its longest run of neighbouring words that also stands in one of the others, the first of equals.

    Runs grow a word at a time, in all texts at once: a run of n words can be shared only where its first n - 1 are. What is no longer
    shared is dropped, so the work falls with each round. Runs are told apart by exact numbers, not by hashes.

    Parameters
    ----------
    texts, others : sequence of str
        Compared by :func:`~lexframe.generative.texts.word_edits.words_of`.

    Returns
    -------
    list of tuple of str
        An empty tuple where no word is shared.
    """
    split = [words_of(text) for text in texts]
    numbers: dict[str, int] = {}
    left = _joined(split, numbers)
    right = _joined([words_of(text) for text in others], numbers)
    owners = np.repeat(np.arange(len(split)), [len(words) + 1 for words in split])
    starts = np.cumsum([0, *(len(words) + 1 for words in split)])
    best_length, best_start = np.zeros(len(split), dtype=np.int64), starts[:-1].copy()

    # A key stands for a run that begins at a place: the number of the run without its last word, and that word.
    left_at, right_at = np.flatnonzero(left >= 0), np.flatnonzero(right >= 0)
    left_keys, right_keys = left[left_at], right[right_at]
    length = 0
    while len(left_at) and len(right_at):
        length += 1
        known, run = np.unique(left_keys, return_inverse=True)
        right_run = np.minimum(np.searchsorted(known, right_keys), len(known) - 1)
        kept = known[right_run] == right_keys
        right_at, right_run = right_at[kept], right_run[kept]
        is_shared = np.zeros(len(known), dtype=bool)
        is_shared[right_run] = True
        kept = is_shared[run]
        left_at, run = left_at[kept], run[kept]
        longest, first = np.unique(owners[left_at], return_index=True)  # places ascend, so the first of each text comes first
        best_length[longest], best_start[longest] = length, left_at[first]
        left_at, left_keys = _extended(left, left_at, run, length, len(numbers))
        right_at, right_keys = _extended(right, right_at, right_run, length, len(numbers))
    begins = best_start - starts[:-1]
    return [words[start : start + n] for words, start, n in zip(split, begins.tolist(), best_length.tolist(), strict=True)]


def _joined(texts: Sequence[Sequence[str]], numbers: dict[str, int]) -> np.ndarray:
    """All words as numbers, with -1 after each text, which no run crosses."""
    flat: list[int] = []
    for words in texts:
        flat += [numbers.setdefault(word, len(numbers)) for word in words]
        flat.append(-1)
    return np.array(flat, dtype=np.int64)


def _extended(words: np.ndarray, at: np.ndarray, run: np.ndarray, length: int, n_words: int) -> tuple[np.ndarray, np.ndarray]:
    """Places whose run goes on by a word, and the keys of the longer runs."""
    following = words[at + length]  # in range: a run that is shared ends before the -1 of its text
    goes_on = following >= 0
    return at[goes_on], run[goes_on] * n_words + following[goes_on]
