"""How good predictions are, with intervals: every number that is shown has one."""

import numpy as np
from jaxtyping import Float, Int

from lexframe.intervals import Estimate, estimates


def accuracy(truth: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"]) -> float:
    """Share of equal entries."""
    return float(np.mean(truth == predicted))


def macro_f1(truth: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"]) -> float:
    """Mean over the classes in `truth` or `predicted` of the harmonic mean of precision and recall."""
    n_classes = int(max(truth.max(), predicted.max())) + 1
    hits = np.bincount(truth[truth == predicted], minlength=n_classes)
    sizes = np.bincount(truth, minlength=n_classes) + np.bincount(predicted, minlength=n_classes)
    present = sizes > 0
    return float(np.mean(2 * hits[present] / sizes[present]))


def log_loss(truth: Int[np.ndarray, " n"], probabilities: Float[np.ndarray, "n k"]) -> float:
    """Mean of minus the log-probability of the true class, in nats; a probability counts as 1e-12 at least."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)).mean())


def calibration_error(truth: Int[np.ndarray, " n"], probabilities: Float[np.ndarray, "n k"], *, n_bins: int = 15) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over bins of equal width [1]_.

    Parameters
    ----------
    truth : ndarray of int, shape (n,)
        Class numbers.
    probabilities : ndarray of shape (n, k)
        Confidence is the largest of a row.
    n_bins : int
        Bins of the confidence in [0, 1].

    References
    ----------
    .. [1] Guo et al. (2017), On Calibration of Modern Neural Networks, eq. (3).
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(truth))


def macro_f1_estimate(
    truth: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], *, n_resamples: int = 1000, seed: int = 0
) -> Estimate:
    """:func:`macro_f1` with its percentile bootstrap interval over test items; of one item alone it has no width.

    Parameters
    ----------
    truth, predicted : ndarray of int, shape (n,)
        Class numbers.
    n_resamples, seed : int
        Of the bootstrap. Equal seeds draw equal items, so methods compared on one test set are paired.
    """
    if len(truth) == 1:
        value = macro_f1(truth, predicted)
        return Estimate(value, value, value)
    n_classes = int(max(truth.max(), predicted.max())) + 1
    true, guessed = np.eye(n_classes)[truth], np.eye(n_classes)[predicted]
    return estimates(np.concatenate([true * guessed, true + guessed], axis=1), _macro_f1_of_sums, n_resamples=n_resamples, seed=seed)[0]


def _macro_f1_of_sums(sums: Float[np.ndarray, "n_rows n_columns"]) -> Float[np.ndarray, "n_rows 1"]:
    """From the hits of every class, then its entries in truth and prediction together; a class without any does not count."""
    hits, sizes = np.split(sums, 2, axis=1)
    present = sizes > 0
    scores = np.divide(2 * hits, sizes, out=np.zeros_like(hits), where=present)
    return scores.sum(axis=1, keepdims=True) / present.sum(axis=1, keepdims=True)


def confusion(truth: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], n_classes: int) -> Int[np.ndarray, "k k"]:
    """Counts with true classes as rows and predicted ones as columns."""
    return np.bincount(truth * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)
