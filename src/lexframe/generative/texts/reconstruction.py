"""Whether texts that come back are what went in: all words, or the share of words in their place."""

import numpy as np
from jaxtyping import Bool, Float

from lexframe.checks import texts_in
from lexframe.exceptions import InputError
from lexframe.typing import Texts


def exact_match(references: Texts, texts: Texts) -> Bool[np.ndarray, " n_texts"]:
    """Whether each text has the words of its reference, all of them and in order.

    Parameters
    ----------
    references, texts : sequence of str
        As many of both. Words are what stands between blanks; how many blanks does not count.

    Returns
    -------
    ndarray of bool, shape (n_texts,)

    Raises
    ------
    InputError
        If there are not as many of both.
    """
    references, texts = _pairs(references, texts)
    return np.array([one.split() == other.split() for one, other in zip(references, texts, strict=True)], dtype=bool)


def word_accuracy(references: Texts, texts: Texts) -> Float[np.ndarray, " n_texts"]:
    """Share of places that hold the same word in a text and in its reference, of the places of the longer of the two.

    A word left out moves all that follow it: :func:`~lexframe.generative.texts.word_edits.word_distance` forgives that, and this does not.

    Parameters
    ----------
    references, texts
        See :func:`exact_match`.

    Returns
    -------
    ndarray of shape (n_texts,)
        In [0, 1]; 1 exactly where all words match, which two texts without words do.

    Raises
    ------
    InputError
        If there are not as many of both.
    """
    references, texts = _pairs(references, texts)
    shares = []
    for one, other in zip(references, texts, strict=True):
        wanted, found = one.split(), other.split()
        longer = max(len(wanted), len(found))
        equal = sum(a == b for a, b in zip(wanted, found, strict=False))
        shares.append(equal / longer if longer else 1.0)
    return np.array(shares, dtype=np.float64)


def _pairs(references: Texts, texts: Texts) -> tuple[list[str], list[str]]:
    one, other = texts_in(references, what="references"), texts_in(texts)
    if len(one) != len(other):
        raise InputError(f"There are {len(one)} texts on one side and {len(other)} on the other; give as many of both.")
    return one, other
