"""What a linear reader finds in a latent about known factors of the texts, beside what it would find in no latent at all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from lexframe.exceptions import DataError, InputError
from lexframe.generative.score.factors import Factor, checked_factors
from lexframe.intervals import Estimate, estimates, mean_estimate
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import Progress

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True)
class FactorScore:
    """How well one factor can be read off points.

    Attributes
    ----------
    name : str
    metric : str
        ``accuracy`` for categories, ``r2`` for amounts (share of the variance that is told; below 0 is worse than their mean).
    score : Estimate
        On texts that the probe was not fitted on.
    baseline : float
        Share of the most frequent category; 0 for amounts.
    shuffled : float
        The same probe's score where the values have been dealt out anew to the texts.
    n_texts : int
        That have the factor.
    n_categories : int
        0 for amounts.
    """

    name: str
    metric: str
    score: Estimate
    baseline: float
    shuffled: float
    n_texts: int
    n_categories: int

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON."""
        return {
            "name": self.name,
            "metric": self.metric,
            "score": self.score.to_dict(),
            "baseline": self.baseline,
            "shuffled": self.shuffled,
            "n_texts": self.n_texts,
            "n_categories": self.n_categories,
        }


@dataclass(frozen=True, slots=True)
class FactorProbes(Result):
    """Probes of several factors on the same points.

    Attributes
    ----------
    scores : tuple of FactorScore
        In the order of the factors.
    n_texts, n_dims, n_folds : int
    provenance : Provenance
    """

    scores: tuple[FactorScore, ...]
    n_texts: int
    n_dims: int
    n_folds: int
    provenance: Provenance = field(default_factory=Provenance)

    def summary(self) -> str:
        """How many factors a linear reader finds, and the one that it reads best."""
        read = [score for score in self.scores if score.score.low > max(score.baseline, score.shuffled)]
        text = f"{len(read)} of {len(self.scores)} factors are read off the points better than without them"
        if not read:
            return f"{text}: a linear reader finds none of them here."
        best = max(read, key=lambda score: score.score.value - score.baseline)
        return f"{text}; best is {best.name} ({best.metric} {best.score}, {best.baseline:.3f} without the points)."

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON."""
        return {
            "scores": [score.to_dict() for score in self.scores],
            "n_texts": self.n_texts,
            "n_dims": self.n_dims,
            "n_folds": self.n_folds,
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a factor."""
        import pandas as pd

        rows = []
        for score in self.scores:
            found = score.to_dict()
            rows.append(found | {"score": score.score.value, "low": score.score.low, "high": score.score.high})
        return pd.DataFrame(rows)


def probe_factors(
    points: Float[np.ndarray, "n_texts n_dims"],
    factors: Mapping[str, Iterable[Any]],
    *,
    n_folds: int = 5,
    seed: int = 0,
    progress: Progress = iter,
) -> FactorProbes:
    """Cross-validated linear probes: logistic regression for categories, ridge regression for amounts.

    Dimensions are scaled to unit variance on the fitting texts; both regressions have a penalty of 1. Where the same text stands in
    several folds, a probe may have met it: drop repeated texts first.

    Parameters
    ----------
    points : ndarray of shape (n_texts, n_dims)
        Such as posterior means.
    factors : mapping of str to iterable
        The value of each factor for each text: floats are amounts, anything else categories, None where a text has none.
    n_folds : int
        Folds, stratified by category.
    seed : int
        Of folds, shuffled values and intervals.
    progress : callable
        Wraps the iteration over factors.

    Returns
    -------
    FactorProbes

    Raises
    ------
    InputError
        If there is no factor, one has not as many values as there are points, or `n_folds` is below 2.
    DataError
        If points are not finite, a factor has fewer than two values, or a category fewer texts than there are folds.

    References
    ----------
    Alain and Bengio (2017), Understanding intermediate layers using linear classifier probes, arXiv:1610.01644.
    """
    if n_folds < 2:
        raise InputError(f"n_folds is {n_folds}; expected 2 or more.")
    checked = checked_factors(points, factors)
    for factor in checked:
        _check_counts(factor, n_folds)
    table = points.astype(np.float64)
    scores = tuple(_score(table[factor.present], factor, n_folds, seed) for factor in progress(checked))
    provenance = Provenance(seed=seed, parameters={"n_folds": n_folds})
    return FactorProbes(scores=scores, n_texts=len(points), n_dims=points.shape[1], n_folds=n_folds, provenance=provenance)


def _check_counts(factor: Factor, n_folds: int) -> None:
    values = factor.values[factor.present]
    if factor.is_numeric:
        if len(values) < 2 * n_folds:
            raise DataError(f"{len(values)} texts have factor {factor.name!r}; expected {2 * n_folds} or more for {n_folds} folds.")
        return
    counts = np.bincount(values.astype(np.int64))
    if counts.min() < n_folds:
        raise DataError(
            f"Category {factor.categories[int(counts.argmin())]!r} of factor {factor.name!r} has {counts.min()} texts; expected {n_folds} "
            "or more, one a fold. Leave the category out (None), or ask for fewer folds."
        )


def _score(points: Float[np.ndarray, "n_texts n_dims"], factor: Factor, n_folds: int, seed: int) -> FactorScore:
    values = factor.values[factor.present]
    shuffled = np.random.default_rng(seed).permutation(values)
    if factor.is_numeric:
        score, baseline = _variance_told(points, values, n_folds, seed), 0.0
        control = _variance_told(points, shuffled, n_folds, seed)
    else:
        classes = values.astype(np.int64)
        score, baseline = _accuracy(points, classes, n_folds, seed), float(np.bincount(classes).max() / len(classes))
        control = _accuracy(points, shuffled.astype(np.int64), n_folds, seed)
    return FactorScore(
        name=factor.name,
        metric="r2" if factor.is_numeric else "accuracy",
        score=score,
        baseline=baseline,
        shuffled=control.value,
        n_texts=len(values),
        n_categories=len(factor.categories),
    )


def _accuracy(points: Float[np.ndarray, "n_texts n_dims"], classes: Int[np.ndarray, " n_texts"], n_folds: int, seed: int) -> Estimate:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    predicted = cross_val_predict(probe, points, classes, cv=folds)
    return mean_estimate((predicted == classes).astype(np.float64), seed=seed)


def _variance_told(points: Float[np.ndarray, "n_texts n_dims"], values: Float[np.ndarray, " n_texts"], n_folds: int, seed: int) -> Estimate:
    """1 - squared error over squared deviation, each summed over the held-out texts of all folds."""
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = KFold(n_folds, shuffle=True, random_state=seed)
    predicted = cross_val_predict(make_pipeline(StandardScaler(), Ridge(alpha=1.0)), points, values, cv=folds)
    table = np.stack([np.square(values - predicted), np.square(values - values.mean())], axis=1)
    return estimates(table, lambda sums: 1 - sums[:, :1] / sums[:, 1:], seed=seed)[0]
