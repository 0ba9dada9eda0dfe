"""BLEU over words: how much of a text's n-grams stand in its references, of a corpus or of each text alone."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real

from lexframe.exceptions import DataError, InputError
from lexframe.intervals import Estimate, estimates

SMOOTHINGS = ("add-one", "epsilon", "none")
EPSILON = 0.1
"""What stands in for no match, with the smoothing of that name."""

NGrams = Counter[tuple[str, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class BleuCounts:
    """What BLEU is made of, a row a text.

    Attributes
    ----------
    matches : ndarray of int, shape (n_texts, max_n)
        n-grams of the text that stand in a reference, each as often as in the reference that holds most of it, at most.
    totals : ndarray of int, shape (n_texts, max_n)
        n-grams of the text.
    lengths : ndarray of int, shape (n_texts,)
        Words of the text.
    reference_lengths : ndarray of int, shape (n_texts,)
        Words of the reference that is nearest in length; of two equally near ones the shorter.
    """

    matches: Int[np.ndarray, "n_texts max_n"]
    totals: Int[np.ndarray, "n_texts max_n"]
    lengths: Int[np.ndarray, " n_texts"]
    reference_lengths: Int[np.ndarray, " n_texts"]

    def corpus(self) -> float:
        """BLEU of all texts together; see :func:`bleu`."""
        scores = _scores(*(counts.sum(axis=0, keepdims=True) for counts in self._parts()), smoothing="none")
        return float(scores[0])

    def corpus_estimate(self, *, n_resamples: int = 1000, seed: int = 0) -> Estimate:
        """:meth:`corpus` with its 95% interval over texts; a single text has none."""
        if len(self.lengths) < 2:
            return Estimate(self.corpus(), float("nan"), float("nan"))
        max_n = self.matches.shape[1]
        table = np.column_stack(self._parts()).astype(np.float64)

        def statistics(sums: Float[np.ndarray, "n_rows n_columns"]) -> Float[np.ndarray, "n_rows 1"]:
            parts = sums[:, :max_n], sums[:, max_n : 2 * max_n], sums[:, -2], sums[:, -1]
            return _scores(*parts, smoothing="none")[:, np.newaxis]

        return estimates(table, statistics, n_resamples=n_resamples, seed=seed)[0]

    def sentences(self, *, smoothing: str = "add-one") -> Float[np.ndarray, " n_texts"]:
        """BLEU of each text; see :func:`sentence_bleu`."""
        return _scores(*self._parts(), smoothing=smoothing)

    def _parts(self) -> tuple[np.ndarray, ...]:
        return self.matches, self.totals, self.lengths, self.reference_lengths


def bleu(references: Sequence[str | Sequence[str]], candidates: Sequence[str], *, max_n: int = 4) -> float:
    r"""BLEU of a corpus [1]_: geometric mean of the n-gram precisions, less for a corpus that is too short.

    .. math:: \min(1, e^{1 - r/c}) \prod_{n=1}^{N} p_n^{1/N}

    with :math:`p_n` the matches over the n-grams of all candidates, c their words, and r those of the references nearest in
    length. There is no smoothing: without a match of some n it is 0.

    Parameters
    ----------
    references : sequence of str or of sequences of str
        For each candidate what it should be, or several ways to say it.
    candidates : sequence of str
        Words are what stands between blanks; nothing is put in lower case.
    max_n : int
        N, words of the longest n-grams.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    DataError
        If there is no candidate.
    InputError
        If there are not as many references, one is missing, or `max_n` is below 1.

    References
    ----------
    .. [1] Papineni et al. (2002), BLEU: a Method for Automatic Evaluation of Machine Translation, ACL, section 2.3.
    """
    return bleu_counts(references, candidates, max_n=max_n).corpus()


def sentence_bleu(
    references: Sequence[str | Sequence[str]], candidates: Sequence[str], *, max_n: int = 4, smoothing: str = "add-one"
) -> Float[np.ndarray, " n_texts"]:
    """BLEU of each text alone, where a missing 4-gram should not make the score 0.

    Parameters
    ----------
    references, candidates, max_n
        See :func:`bleu`.
    smoothing : {"add-one", "epsilon", "none"}
        ``add-one`` adds one to matches and totals of n > 1 [1]_. ``epsilon`` counts 0.1 where there is no match, as
        Texygen does (method 1 of [2]_); of an n that the text is too short for, 0.1 of 1. With either, a text without
        any word of its references scores 0.

    Returns
    -------
    ndarray of shape (n_texts,)
        In [0, 1]. A text without words scores 0. Against itself a text scores 1, but for texts of fewer than `max_n` words, which
        score less with ``epsilon`` and 0 with ``none``.

    Raises
    ------
    DataError, InputError
        See :func:`bleu`; also if there is no such smoothing.

    References
    ----------
    .. [1] Lin and Och (2004), ORANGE: a Method for Evaluating Automatic Evaluation Metrics for Machine Translation, COLING.
    .. [2] Chen and Cherry (2014), A Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU, WMT.
    """
    return bleu_counts(references, candidates, max_n=max_n).sentences(smoothing=smoothing)


def bleu_counts(references: Sequence[str | Sequence[str]], candidates: Sequence[str], *, max_n: int = 4) -> BleuCounts:
    """Matches and lengths of every text, from which :func:`bleu` and its interval follow.

    Parameters
    ----------
    references, candidates, max_n
        See :func:`bleu`.

    Returns
    -------
    BleuCounts

    Raises
    ------
    DataError, InputError
        See :func:`bleu`.
    """
    if not candidates:
        raise DataError("There is no text to score. Give one candidate or more.")
    if len(references) != len(candidates):
        raise InputError(f"There are {len(references)} references for {len(candidates)} candidates; give an entry for each.")
    matches, totals, reference_lengths = [], [], []
    for number, (given, candidate) in enumerate(zip(references, candidates, strict=True)):
        texts = [given] if isinstance(given, str) else list(given)
        if not texts:
            raise InputError(f"Candidate number {number} has no reference. Give one or more for each.")
        found, most = n_grams(candidate, max_n), NGrams()
        for text in texts:
            most |= n_grams(text, max_n)
        matches.append(numbers_by_length(found & most, max_n))
        totals.append(numbers_by_length(found, max_n))
        reference_lengths.append(nearest_length(len(candidate.split()), {len(text.split()) for text in texts}))
    lengths = [len(candidate.split()) for candidate in candidates]
    return BleuCounts(*(np.array(part, dtype=np.int64) for part in (matches, totals, lengths, reference_lengths)))


def n_grams(text: str, max_n: int) -> NGrams:
    """How often each run of 1 to `max_n` words stands in a text.

    Raises
    ------
    InputError
        If `max_n` is below 1.
    """
    if max_n < 1:
        raise InputError(f"n-grams of {max_n} words are asked for; expected 1 or more.")
    words = text.split()
    return Counter(tuple(words[start : start + n]) for n in range(1, max_n + 1) for start in range(len(words) - n + 1))


def numbers_by_length(grams: NGrams, max_n: int) -> list[int]:
    """How many n-grams there are of 1, 2, … `max_n` words."""
    numbers = [0] * max_n
    for gram, times in grams.items():
        numbers[len(gram) - 1] += times
    return numbers


def nearest_length(length: int, others: Collection[int]) -> int:
    """The one of some lengths that is nearest; of two equally near ones the shorter."""
    return min(others, key=lambda other: (abs(other - length), other))


def _scores(
    matches: Real[np.ndarray, "n_texts max_n"],
    totals: Real[np.ndarray, "n_texts max_n"],
    lengths: Real[np.ndarray, " n_texts"],
    reference_lengths: Real[np.ndarray, " n_texts"],
    *,
    smoothing: str,
) -> Float[np.ndarray, " n_texts"]:
    if smoothing not in SMOOTHINGS:
        raise InputError(f"smoothing is {smoothing!r}; expected one of {', '.join(SMOOTHINGS)}.")
    added = np.zeros(matches.shape[1])
    if smoothing == "add-one":
        added[1:] = 1
    precisions = (matches + added) / np.maximum(totals + added, 1)
    if smoothing == "epsilon":
        precisions = np.where(matches > 0, precisions, EPSILON / np.maximum(totals, 1))
    there = (matches[:, 0] > 0) & (precisions > 0).all(axis=1)
    means = np.exp(np.log(np.where(there[:, np.newaxis], precisions, 1.0)).mean(axis=1))
    brevity = np.exp(np.minimum(0.0, 1 - reference_lengths / np.maximum(lengths, 1)))
    return np.where(there, means * brevity, 0.0)
