"""How different generated texts are from each other: distinct n-grams, and BLEU of each text against the rest."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lexframe.checks import texts_in
from lexframe.exceptions import DataError, InputError
from lexframe.generative.texts.bleu import BleuCounts, NGrams, n_grams, nearest_length, numbers_by_length
from lexframe.typing import Texts


def distinct_n(texts: Texts, n: int = 2) -> float:
    """Share of different n-grams of words among all n-grams of some texts together [1]_.

    It falls as the texts become more, so compare sets of equal size.

    Parameters
    ----------
    texts : sequence of str
        Words are what stands between blanks; no n-gram reaches from one text into the next.
    n : int
        Words in a row.

    Returns
    -------
    float
        In [0, 1]; 1 where nothing is repeated. The paper divides by words rather than by n-grams, which is the same for n = 1 and
        otherwise a little less, by how much depending on the lengths of the texts.

    Raises
    ------
    DataError
        If no text has `n` words.
    InputError
        If `n` is below 1.

    References
    ----------
    .. [1] Li et al. (2016), A Diversity-Promoting Objective Function for Neural Conversation Models, NAACL, arXiv:1510.03055.
    """
    texts = texts_in(texts)
    if n < 1:
        raise InputError(f"n-grams of {n} words are asked for; expected 1 or more.")
    all_words = [text.split() for text in texts]
    grams = [tuple(words[start : start + n]) for words in all_words for start in range(len(words) - n + 1)]
    if not grams:
        raise DataError(
            f"None of the {len(all_words)} texts has {n} words, so there is no n-gram to count. Give longer texts or a smaller n."
        )
    return len(set(grams)) / len(grams)


def self_bleu(texts: Texts, n: int = 4, *, sample: int | None = None, seed: int = 0, smoothing: str = "epsilon") -> float:
    """Mean BLEU of each text with all others as its references [1]_: higher is less diverse.

    It rises as the texts become more, so compare sets of equal size, and with that of as many real texts.

    Parameters
    ----------
    texts : sequence of str
        A text that stands there twice scores 1.
    n : int
        Words of the longest n-grams.
    sample : int, optional
        Take so many of the texts, as candidates and as references. Default: all.
    seed : int
        Of the sample.
    smoothing : {"add-one", "epsilon", "none"}
        See :func:`~lexframe.generative.texts.bleu.sentence_bleu`; ``epsilon`` is that of the paper's code.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    DataError, InputError
        See :func:`self_bleu_scores`; also if `sample` is below 2 or more than there are texts.

    References
    ----------
    .. [1] Zhu et al. (2018), Texygen: A Benchmarking Platform for Text Generation Models, SIGIR, arXiv:1802.01886.
    """
    texts = texts_in(texts)
    chosen = list(texts)
    if sample is not None:
        if not 2 <= sample <= len(chosen):
            raise InputError(f"A sample of {sample} texts is asked for; expected 2 to {len(chosen)}, as many as there are.")
        chosen = [chosen[row] for row in np.random.default_rng(seed).permutation(len(chosen))[:sample]]
    return float(self_bleu_scores(chosen, n, smoothing=smoothing).mean())


def self_bleu_scores(texts: Sequence[str], n: int = 4, *, smoothing: str = "epsilon") -> Float[np.ndarray, " n_texts"]:
    """BLEU of each text with all others as its references.

    Time grows with the number of words, not with its square: of every n-gram the two texts that hold most of it are kept, which
    tells how much of it any text finds in the rest.

    Parameters
    ----------
    texts, n, smoothing
        See :func:`self_bleu`.

    Returns
    -------
    ndarray of shape (n_texts,)

    Raises
    ------
    DataError
        If there are fewer than two texts.
    InputError
        If `n` is below 1, or there is no such smoothing.
    """
    if len(texts) < 2:
        raise DataError(f"Self-BLEU compares texts with each other, and there are {len(texts)}. Give two or more.")
    grams = [n_grams(text, n) for text in texts]
    most, second, holder = NGrams(), NGrams(), dict[tuple[str, ...], int]()
    for number, found in enumerate(grams):
        for gram, times in found.items():
            if times > most[gram]:
                most[gram], second[gram], holder[gram] = times, most[gram], number
            elif times > second[gram]:
                second[gram] = times
    matches = []
    for number, found in enumerate(grams):
        elsewhere = NGrams({gram: second[gram] if holder[gram] == number else most[gram] for gram in found})
        matches.append(numbers_by_length(found & elsewhere, n))
    lengths = [len(text.split()) for text in texts]
    totals = [numbers_by_length(found, n) for found in grams]
    parts = (matches, totals, lengths, _nearest_other_lengths(lengths))
    return BleuCounts(*(np.array(part, dtype=np.int64) for part in parts)).sentences(smoothing=smoothing)


def _nearest_other_lengths(lengths: Sequence[int]) -> list[int]:
    """For each text the length, among those of the other texts, that is nearest to its own."""
    different, times = np.unique(np.array(lengths), return_counts=True)
    nearest = {
        length: length if count > 1 else nearest_length(length, [other for other in different.tolist() if other != length])
        for length, count in zip(different.tolist(), times.tolist(), strict=True)
    }
    return [nearest[length] for length in lengths]
