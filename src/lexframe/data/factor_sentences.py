"""Sentences of the factor grammar: samples, a split that leaves whole combinations out, minimal pairs, and their factors as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from jaxtyping import Int

from lexframe.data.factor_grammar import FACTORS, NONE, FactorSentence, check_value, edited
from lexframe.exceptions import InputError

CONTENT = ("subject", "verb", "object")
SLOTS = ("adjective", "place")
_N_WORDS = len(FACTORS["subject"])


@dataclass(frozen=True, slots=True)
class FactorSplit:
    """Sentences to learn from, and sentences whose subject, verb and object never stand together there.

    Attributes
    ----------
    train, test : tuple of FactorSentence
    """

    train: tuple[FactorSentence, ...]
    test: tuple[FactorSentence, ...]


def n_sentences(*, slots: bool = True) -> int:
    """How many sentences the grammar has: 987,840, or 32,928 without adjective and place."""
    return prod(_sizes(slots))


def sample_sentences(n: int, seed: int = 0, distinct: bool = True, *, slots: bool = True) -> tuple[FactorSentence, ...]:
    """Sentences drawn uniformly from the grammar.

    Parameters
    ----------
    n : int
        How many.
    seed : int
        Of the draws.
    distinct : bool
        No sentence twice.
    slots : bool
        With adjective and place, of which one in five and one in six sentences then have none; otherwise no sentence has any.

    Returns
    -------
    tuple of FactorSentence

    Raises
    ------
    InputError
        If `n` is negative, or more distinct sentences are asked for than there are.
    """
    values = _drawn(n, np.random.default_rng(seed), _sizes(slots), distinct=distinct, what="sentences")
    return _sentences(values, slots=slots)


def split_sentences(n_train: int, n_test: int, seed: int = 0, *, n_held_out: int = 2, slots: bool = True) -> FactorSplit:
    """Distinct sentences in two parts that share no combination of subject, verb and object.

    Subjects, verbs and objects are numbered in a random order, and a combination is held out where its numbers add up, modulo 14,
    to less than `n_held_out`: a Latin square. So within the combinations of a part all words of a kind are equally frequent, and so
    are all twos of subject, verb and object; only the three together are new in the test.

    Parameters
    ----------
    n_train, n_test : int
        Sentences of each part, drawn uniformly from its combinations and all of the other factors.
    seed : int
        Of the order and of the draws.
    n_held_out : int
        Out of 14, the share of combinations that are kept for the test: 1 to 13.
    slots : bool
        See :func:`sample_sentences`.

    Returns
    -------
    FactorSplit

    Raises
    ------
    InputError
        If `n_held_out` is out of range, or a part has fewer sentences than are asked for.
    """
    if not 1 <= n_held_out < _N_WORDS:
        raise InputError(f"n_held_out is {n_held_out}; expected 1 to {_N_WORDS - 1}, so that both parts have combinations.")
    rng = np.random.default_rng(seed)
    order = np.array([rng.permutation(_N_WORDS) for _ in CONTENT])
    triples = np.indices((_N_WORDS,) * len(CONTENT)).reshape(len(CONTENT), -1).T
    held_out = sum(order[axis, triples[:, axis]] for axis in range(len(CONTENT))) % _N_WORDS < n_held_out
    parts = []
    for n, name, rows in ((n_train, "train", np.flatnonzero(~held_out)), (n_test, "test", np.flatnonzero(held_out))):
        drawn = _drawn(n, rng, (len(rows), *_sizes(slots)[len(CONTENT) :]), distinct=True, what=f"{name} sentences")
        parts.append(_sentences(np.column_stack([triples[rows[drawn[:, 0]]], drawn[:, 1:]]), slots=slots))
    return FactorSplit(*parts)


def pairs(
    factor: str, from_value: str, to_value: str, n: int, seed: int = 0, *, slots: bool = True
) -> tuple[tuple[FactorSentence, FactorSentence], ...]:
    """Minimal pairs: distinct sentences with one value of a factor, each with its copy that has another value.

    Parameters
    ----------
    factor : str
        One of ``FACTORS``.
    from_value, to_value : str
        Of the first and of the second sentence of each pair.
    n : int
        How many pairs.
    seed : int
        Of the draws, which do not depend on `to_value`.
    slots : bool
        See :func:`sample_sentences`. A value of a slot can be asked for either way.

    Returns
    -------
    tuple of (FactorSentence, FactorSentence)

    Raises
    ------
    InputError
        If there is no such factor or value, both values are the same, or there are fewer such sentences than are asked for.
    """
    for value in (from_value, to_value):
        check_value(factor, value)
    if from_value == to_value:
        raise InputError(f"Both values of {factor} are {from_value!r}; give two, so that the sentences of a pair differ.")
    axis = list(FACTORS).index(factor)
    sizes = list(_sizes(slots))
    sizes[axis] = 1
    drawn = _drawn(n, np.random.default_rng(seed), tuple(sizes), distinct=True, what=f"sentences with {factor} {from_value}")
    first = [edited(sentence, **{factor: from_value}) for sentence in _sentences(drawn, slots=slots)]
    return tuple((sentence, edited(sentence, **{factor: to_value})) for sentence in first)


def factor_table(sentences: Sequence[FactorSentence]) -> dict[str, np.ndarray]:
    """Values of every factor over some sentences, to color a map with or to fit a probe to.

    Parameters
    ----------
    sentences : sequence of FactorSentence

    Returns
    -------
    dict of str to ndarray of str, shape (n_sentences,)
        In the order of ``FACTORS``.
    """
    return {factor: np.array([getattr(sentence, factor) for sentence in sentences], dtype=np.str_) for factor in FACTORS}


def _sizes(slots: bool) -> tuple[int, ...]:
    """Values of each factor."""
    return tuple(1 if factor in SLOTS and not slots else len(values) for factor, values in FACTORS.items())


def _drawn(n: int, rng: np.random.Generator, sizes: tuple[int, ...], *, distinct: bool, what: str) -> Int[np.ndarray, "n n_axes"]:
    """Rows of numbers below `sizes`, uniformly."""
    n_there = prod(sizes)
    if n < 0 or (distinct and n > n_there):
        raise InputError(f"{n:,} {what} are asked for; there are {n_there:,} different ones. Ask for 0 to {n_there:,}.")
    numbers = rng.choice(n_there, n, replace=False) if distinct else rng.integers(0, n_there, n)
    return np.column_stack(np.unravel_index(numbers, sizes)).astype(np.int64)


def _sentences(values: Int[np.ndarray, "n n_factors"], *, slots: bool) -> tuple[FactorSentence, ...]:
    names = [(NONE,) if factor in SLOTS and not slots else known for factor, known in FACTORS.items()]
    return tuple(FactorSentence(*(known[number] for known, number in zip(names, row, strict=True))) for row in values.tolist())
