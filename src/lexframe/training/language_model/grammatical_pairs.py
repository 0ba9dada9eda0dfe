"""Pairs of a grammatical and an ungrammatical sentence: which of them the model finds more probable."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import nn

from lexframe.exceptions import DataError, InputError
from lexframe.intervals import ratio_over_items
from lexframe.provenance import Provenance
from lexframe.spaces.language_model.sequence_scores import separated_ids, sequence_log_probabilities
from lexframe.training.language_model.corpus import read_json_lines
from lexframe.training.language_model.evaluation_result import MinimalPairs

Progress = Callable[[Iterable[Any]], Iterable[Any]]

PAIR_FIELDS = {"good": "sentence_good", "bad": "sentence_bad", "uid": "UID", "term": "linguistics_term"}
"""Fields of a pair, and what BLiMP's own files call them."""


def pair_accuracy(good_scores: Float[np.ndarray, " n_pairs"], bad_scores: Float[np.ndarray, " n_pairs"]) -> float:
    """Share of pairs in which the good score is higher; equal scores count half, so a constant model has exactly 0.5."""
    return float(np.mean((good_scores > bad_scores) + 0.5 * (good_scores == bad_scores)))


def minimal_pairs(
    model: nn.Module,
    tokenizer: Any,
    pairs: Sequence[Mapping[str, Any]],
    *,
    batch_size: int = 64,
    seed: int = 0,
    progress: Progress = iter,
) -> MinimalPairs:
    """Accuracy on pairs of a grammatical and an ungrammatical sentence, as in BLiMP [1]_.

    The score of a sentence is the sum of its tokens' log-probabilities after the document separator, not divided
    by its length, as in the paper. Ties count half: to count them as correct would give a constant model 100%.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model, in the precision it should be judged in; half precision makes ties.
    tokenizer : PreTrainedTokenizerFast
        Its tokenizer; read only.
    pairs : sequence of mapping
        With ``good`` and ``bad`` (sentences), ``uid`` (the paradigm) and ``term`` (the phenomenon), such as
        :func:`read_minimal_pairs` gives.
    batch_size : int
        Sentences of 16 tokens per pass; longer ones are fewer to a pass.
    seed : int
        Of the bootstrap.
    progress : callable
        Wraps the iteration over batches.

    Returns
    -------
    MinimalPairs

    Raises
    ------
    DataError
        If there are no pairs.
    InputError, ModelError
        See :func:`~lexframe.spaces.language_model.sequence_scores.sequence_log_probabilities`.

    References
    ----------
    .. [1] Warstadt et al. (2020), BLiMP: The Benchmark of Linguistic Minimal Pairs for English, TACL 8.
    """
    if not pairs:
        raise DataError("There are no minimal pairs to score. Give rows with good, bad, uid and term.")
    sentences = sorted({pair[side] for pair in pairs for side in ("good", "bad")})
    sequences = separated_ids(tokenizer, sentences)
    longest = max(2, *(len(ids) for ids in sequences)) - 1
    scores = dict(
        zip(
            sentences,
            sequence_log_probabilities(model, sequences, context=longest, stride=longest, batch_tokens=16 * batch_size, progress=progress),
            strict=True,
        )
    )
    good = np.array([scores[pair["good"]] for pair in pairs])
    bad = np.array([scores[pair["bad"]] for pair in pairs])
    return _pair_result(pairs, good, bad, seed)


def _pair_result(
    pairs: Sequence[Mapping[str, Any]], good: Float[np.ndarray, " n_pairs"], bad: Float[np.ndarray, " n_pairs"], seed: int
) -> MinimalPairs:
    rows: dict[str, list[int]] = defaultdict(list)
    paradigms: dict[str, set[str]] = defaultdict(set)
    for number, pair in enumerate(pairs):
        rows[pair["uid"]].append(number)
        paradigms[pair["term"]].add(pair["uid"])
    by_paradigm = {uid: pair_accuracy(good[rows[uid]], bad[rows[uid]]) for uid in sorted(rows)}
    accuracies = np.array(list(by_paradigm.values()))
    return MinimalPairs(
        accuracy=ratio_over_items(accuracies, np.ones(len(accuracies)), seed=seed),
        by_phenomenon={term: float(np.mean([by_paradigm[uid] for uid in sorted(paradigms[term])])) for term in sorted(paradigms)},
        by_paradigm=by_paradigm,
        n_pairs=len(pairs),
        n_ties=int((good == bad).sum()),
        provenance=Provenance(seed=seed),
    )


def spread_pairs(pairs: Sequence[Mapping[str, str]], most: int | None) -> list[Mapping[str, str]]:
    """At most so many pairs, evenly spread over all, so that every paradigm keeps its share; None keeps all.

    Raises
    ------
    InputError
        If `most` is below 1.
    """
    if most is None:
        return list(pairs)
    if most < 1:
        raise InputError(f"max_pairs is {most}; expected 1 or more, or None for all of them.", parameter="max_pairs")
    kept = np.unique(np.linspace(0, len(pairs), min(most, len(pairs)), endpoint=False).astype(np.int64))
    return [pairs[row] for row in kept]


def read_minimal_pairs(path: str | Path) -> list[dict[str, str]]:
    """Minimal pairs of a ``.jsonl`` file, also ``.gz`` or ``.xz``.

    Parameters
    ----------
    path : str or Path
        One JSON object a line with ``good``, ``bad``, ``uid`` (the paradigm) and ``term`` (the phenomenon), or with BLiMP's own names
        ``sentence_good``, ``sentence_bad``, ``UID`` and ``linguistics_term``; other fields are left aside.

    Returns
    -------
    list of dict

    Raises
    ------
    DataError
        If the file cannot be read, holds no pair, or a pair lacks a field.
    """
    pairs: list[dict[str, str]] = []
    for number, row in read_json_lines(path):
        pair: dict[str, Any] = {name: row[name] if name in row else row.get(theirs) for name, theirs in PAIR_FIELDS.items()}
        for name, value in pair.items():
            if not isinstance(value, str):
                found = "is missing" if value is None else f"holds {type(value).__name__}, not text"
                raise DataError(
                    f"{path}, line {number}: the field {name!r} (in BLiMP's files {PAIR_FIELDS[name]!r}) {found}. A minimal pair has the "
                    f"texts {', '.join(PAIR_FIELDS)}."
                )
        pairs.append(pair)
    if not pairs:
        raise DataError(f"{path} holds no minimal pair. Expected one JSON object a line with {', '.join(PAIR_FIELDS)}.")
    return pairs
