"""How good predictions are, with intervals: every number that is shown has one."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from lexframe.intervals import Estimate, mean_over_items


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


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {"accuracy": accuracy, "macro_f1": macro_f1}


def bootstrap(
    truth: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], metric: str, *, n_resamples: int = 1000, seed: int = 0
) -> Estimate:
    """A metric with its percentile bootstrap interval over test items.

    Parameters
    ----------
    truth, predicted : ndarray of int, shape (n,)
        Class numbers.
    metric : {"accuracy", "macro_f1"}
        What to estimate.
    n_resamples, seed : int
        Of the bootstrap. Equal seeds draw equal items, so methods compared on one test set are paired.
    """
    function = METRICS[metric]
    draws = np.random.default_rng(seed).integers(0, len(truth), size=(n_resamples, len(truth)))
    values = [function(truth[rows], predicted[rows]) for rows in draws]
    low, high = np.percentile(values, [2.5, 97.5])
    return Estimate(function(truth, predicted), float(low), float(high))


def paired_difference(
    right: Bool[np.ndarray, " n"], other_right: Bool[np.ndarray, " n"], *, n_resamples: int = 1000, seed: int = 0
) -> Estimate:
    """Difference in accuracy of two methods on the same items, with its paired bootstrap interval."""
    return mean_over_items(right.astype(float) - other_right.astype(float), n_resamples=n_resamples, seed=seed)


def confusion(truth: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], n_classes: int) -> Int[np.ndarray, "k k"]:
    """Counts with true classes as rows and predicted ones as columns."""
    return np.bincount(truth * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)
