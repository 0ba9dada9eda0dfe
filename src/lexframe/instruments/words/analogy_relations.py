"""Analogy methods that learn a relation from all its pairs but the one that is asked: 3CosAvg and LRCos.

They answer "which word is to b what the targets of this relation are to its sources?" and never see a single a and a'. Every pair
that shares a word with the pair asked is left out of what is learned, so a right answer is never among the examples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from jaxtyping import Bool, Float, Int
from scipy.special import expit

INVERSE_PENALTY = 1.0
"""scikit-learn's C, with vectors of unit length, as the authors of LRCos have it."""
_TOLERANCE = 1e-6
_MAX_STEPS = 2000


@dataclass(frozen=True, slots=True)
class RelationPairs:
    """The pairs of one relation, as rows of the vocabulary.

    Attributes
    ----------
    sources, targets : ndarray of int, shape (n_pairs,)
        b and its answer; the first known one where there are several.
    kept : ndarray of bool, shape (n_pairs, n_pairs)
        ``kept[i, j]``: pair j may be learned from when pair i is asked.
    """

    sources: Int[np.ndarray, " n_pairs"]
    targets: Int[np.ndarray, " n_pairs"]
    kept: Bool[np.ndarray, "n_pairs n_pairs"]


RelationScorer = Callable[[Float[np.ndarray, "n_block n_dims"]], Float[np.ndarray, "n_pairs n_block"]]
"""Scores of a block of unit vectors for every pair asked."""


def cos_avg(units: Float[np.ndarray, "n_words n_dims"], pairs: RelationPairs, rng: np.random.Generator) -> RelationScorer:
    r"""3CosAvg: :math:`\cos(x, b + \overline{a'} - \overline{a})`, with means over the pairs kept [1]_.

    Parameters
    ----------
    units : ndarray of shape (n_words, n_dims)
        The vocabulary, at unit length.
    pairs : RelationPairs
        What is asked, and what may be learned from.
    rng : Generator
        Not used: nothing is drawn.

    Returns
    -------
    callable
        Of a block of unit vectors. The constant length of the sum is left in, except where no pair is kept: all scores are -inf then.

    References
    ----------
    .. [1] Drozd, Gladkova and Matsuoka (2016), Word Embeddings, Analogies, and Machine Learning: Beyond king − man + woman = queen.
    """
    counts = pairs.kept.sum(axis=1, keepdims=True)
    offsets = pairs.kept.astype(np.float32) @ (units[pairs.targets] - units[pairs.sources]) / np.maximum(counts, 1)
    queries = (units[pairs.sources] + offsets).astype(np.float32)
    unknown = np.where(counts > 0, 0.0, -np.inf).astype(np.float32)
    return lambda block: queries @ block.T + unknown


def lr_cos(units: Float[np.ndarray, "n_words n_dims"], pairs: RelationPairs, rng: np.random.Generator) -> RelationScorer:
    r"""LRCos: :math:`P(x \in \text{targets}) \cos(x, b)`, with P a logistic regression (Drozd et al., 2016).

    Targets are its positives; sources and as many random words as there are pairs its negatives; both classes weigh the same.

    Parameters
    ----------
    units, pairs
        See :func:`cos_avg`.
    rng : Generator
        Draws the random words.

    Returns
    -------
    callable
        Of a block of unit vectors; -inf throughout where no pair is kept.
    """
    words, is_target, weights = _examples(pairs, len(units), rng)
    coef, intercept = leave_out_logistic(units[words].astype(np.float64), is_target, weights)
    coef, intercept, b = coef.astype(np.float32), intercept.astype(np.float32), units[pairs.sources].astype(np.float32)
    unknown = np.where(pairs.kept.any(axis=1), 0.0, -np.inf).astype(np.float32)[:, np.newaxis]
    return lambda block: expit(coef @ block.T + intercept[:, np.newaxis]) * (b @ block.T) + unknown


RELATION_METHODS: dict[str, Callable[[np.ndarray, RelationPairs, np.random.Generator], RelationScorer]] = {
    "3cosavg": cos_avg,
    "lrcos": lr_cos,
}
"""Methods that answer a question by the other pairs of its relation."""


def _examples(
    pairs: RelationPairs, n_words: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, " n"], Float[np.ndarray, "n_pairs n"]]:
    """Words to learn from, which of them are targets, and the weight of each when each pair is asked.

    A word that is a source of one pair and a target of another counts as a target.
    """
    targets = np.unique(pairs.targets)
    sources = np.setdiff1d(pairs.sources, targets)
    others = np.setdiff1d(np.arange(n_words), np.concatenate([targets, sources]))
    drawn = rng.permutation(others)[: len(pairs.sources)]
    words = np.concatenate([targets, sources, drawn])
    is_target = np.arange(len(words)) < len(targets)
    kept = pairs.kept.astype(np.float64)
    member = [kept @ (column[:, np.newaxis] == part) > 0 for column, part in ((pairs.targets, targets), (pairs.sources, sources))]
    present = np.hstack([*member, np.ones((len(kept), len(drawn)), dtype=bool)])
    sizes = [np.maximum((present & side).sum(axis=1, keepdims=True), 1) for side in (is_target, ~is_target)]
    n = present.sum(axis=1, keepdims=True)
    return words, is_target, np.where(present, np.where(is_target, n / (2 * sizes[0]), n / (2 * sizes[1])), 0.0)


def leave_out_logistic(
    X: Float[np.ndarray, "n n_dims"],
    y: Bool[np.ndarray, " n"],
    weights: Float[np.ndarray, "n_fits n"],
    *,
    inverse_penalty: float = INVERSE_PENALTY,
) -> tuple[Float[np.ndarray, "n_fits n_dims"], Float[np.ndarray, " n_fits"]]:
    r"""Many logistic regressions over the same examples with other weights, all at once.

    Every fit descends on :math:`\sum_i w_i \log(1 + e^{-\tilde y_i f(x_i)}) + \|\beta\|^2 / 2C`, the intercept free. The Hessian is at
    most :math:`\tilde X^T \mathrm{diag}(\max w / 4) \tilde X + I/C`, so steps by the inverse of that one matrix go down in every fit
    (Böhning and Lindsay, 1988): one factor, and two matrix products a step for all fits together.

    Parameters
    ----------
    X : ndarray of shape (n, n_dims)
        Examples.
    y : ndarray of bool, shape (n,)
        Their class.
    weights : ndarray of shape (n_fits, n)
        Weight of every example in every fit; 0 leaves it out.
    inverse_penalty : float
        C.

    Returns
    -------
    coef : ndarray of shape (n_fits, n_dims)
    intercept : ndarray of shape (n_fits,)
    """
    design = np.hstack([X, np.ones((len(X), 1))])
    penalty = np.append(np.full(X.shape[1], 1 / inverse_penalty), 0.0)
    bound = (design.T * (weights.max(axis=0) / 4)) @ design + np.diag(penalty + 1e-9)
    factor = scipy.linalg.cho_factor(bound)
    beta = np.zeros((design.shape[1], len(weights)))
    for _ in range(_MAX_STEPS):
        residuals = weights.T * (expit(design @ beta) - y[:, np.newaxis])
        gradient = design.T @ residuals + penalty[:, np.newaxis] * beta
        beta -= scipy.linalg.cho_solve(factor, gradient)
        if np.abs(gradient).max(initial=0.0) < _TOLERANCE:
            break
    return np.ascontiguousarray(beta[:-1].T), beta[-1].copy()
