r"""Posterior calibration: the vocabulary says what each text might mean, the labels say where that is wrong.

A logistic regression whose prior is the zero-shot classifier, smoothed over the texts at hand. With no text at all it is
that classifier exactly; as labels come, they first say whether it knows anything and how far to trust it, and then bend it, direction by
direction.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from lexframe.instruments.classifiers.posterior_mode import PosteriorMode, mode_of_many, posterior_mode
from lexframe.instruments.classifiers.prior_trust import prior_trust
from lexframe.instruments.classifiers.threads import one_thread
from lexframe.instruments.classifiers.zero_shot_prior import propagation, shrunken_mean
from lexframe.instruments.persistent_estimator import PersistentEstimator
from lexframe.linalg import folds_by_class, rows_by_class, softmax

# Constants of the prior, chosen on texts of the training files of seven sets, never on a test set.
PRECISIONS = (3.0, 10.0, 30.0, 100.0, 300.0)
LOG_PRECISION, LOG_PRECISION_SPREAD = float(np.log(20.0)), 1.2
VARIANCE_PRIOR = 10
MOST_ROWS_TO_CHOOSE = 500
LEAST_ROWS_OF_A_CLASS = 3
MOST_ROWS_TO_SMOOTH = 4000
ROWS_OF_HALF_SMOOTHING = 50
_ARRAYS = ("prior_mean", "prior_offset", "smoothing", "mean", "spread", "center", "coef", "intercept")
_NUMBERS = ("trust", "prior_probability", "precision", "smoothing_share")


class PosteriorCalibration(PersistentEstimator, ClassifierMixin, BaseEstimator):
    r"""Logistic regression with the zero-shot classifier as its prior, over points of one or several layers.

    Parameters
    ----------
    prior_labels : sequence, optional
        Labels that have a zero-shot score. With them the first ``len(prior_labels)`` columns of X are these scores,
        in nats and in this order (see :func:`lexframe.adaptation.problem.label_scores`), and the model can be fitted on
        no rows at all. Without, X holds points alone and the prior is flat.
    blocks : sequence of int, optional
        Widths of the blocks of points in the other columns, one a layer and pooling. Default: one block.
    center_prior : bool
        Take from every class's zero-shot scores their mean over the rows at hand, labeled or not, as batch calibration
        does. Scores of label words need it, because frequent words score high for every text; cosines do not.
    precisions : sequence of float
        Values of λ, the precision of the prior of W, among which the labels choose.
    n_folds : int
        Folds of that choice.
    random_state : int
        Of the folds.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted; all of `prior_labels`, seen in training or not.
    prior_mean_ : ndarray of shape (n_classes,)
        What was taken from the zero-shot scores; zero without any row.
    prior_offset_ : ndarray of shape (n_classes,)
        What smoothing would take from the mean of scores that are not to be centered, and gives back.
    smoothing_ : ndarray of shape (n_classes, n_point_columns)
        What the neighbourhood of a point says, as a linear map: the prior's scores are ``(1 - smoothing_share_)`` times
        the text's own plus this map of its features. See :func:`propagation`.
    smoothing_share_ : float
        n / (n + 50) of n rows, labeled or not: 0 without any.
    trust_ : float
        α, the weight that the labels leave to the zero-shot scores; 1 without labels, 0 without scores. See
        :func:`~lexframe.instruments.classifiers.prior_trust.prior_trust`.
    prior_probability_ : float
        That the zero-shot scores say anything of the labels; 1 without labels, 0 without scores.
    precision_ : float
        λ, a geometric mean of `precisions` weighted by how well each predicts held-out labels.
    coef_ : ndarray of shape (n_classes, n_point_columns)
    intercept_ : ndarray of shape (n_classes,)
    n_parameters_ : int

    Notes
    -----
    Each block is standardised by coordinate, with variances shrunken towards their mean as if ten more points had it,
    and each row of a block is scaled to one length, so that no layer and no long text drowns the others.
    """

    artifact_kind = "posterior-calibration"

    def __init__(
        self,
        prior_labels: Sequence[Any] | None = None,
        *,
        blocks: Sequence[int] | None = None,
        center_prior: bool = True,
        precisions: Sequence[float] = PRECISIONS,
        n_folds: int = 4,
        random_state: int = 0,
    ):
        self.prior_labels = prior_labels
        self.blocks = blocks
        self.center_prior = center_prior
        self.precisions = precisions
        self.n_folds = n_folds
        self.random_state = random_state

    def fit(self, X: Any, y: Any, unlabeled: Any = None) -> "PosteriorCalibration":
        """Find λ, then the posterior mode.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns)
            Zero-shot scores, if any, then points.
        y : array-like of shape (n_samples,)
            Labels.
        unlabeled : array-like of shape (n_unlabeled, n_columns), optional
            Columns of texts without a label. With those of X they centre and smooth the zero-shot scores; 4,000 of them
            are enough, and no more are looked at.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=1 if self.prior_labels is None else 0)
        self._set_classes(y)
        # On tables of this size a second thread costs more than it does: two took two to three times as long as one.
        with one_thread():
            self._fit(X, y, unlabeled)
        self.n_parameters_ = self.coef_.size + self.intercept_.size + (self.prior_labels is not None)
        return self

    def _fit(self, X: np.ndarray, y: np.ndarray, unlabeled: Any) -> None:
        own_scores, all_points = self._columns(self._with_unlabeled(X, unlabeled))
        self._set_scaling(all_points)
        features = self._features(all_points)
        self.center_ = features.mean(axis=0) if len(features) else np.zeros(features.shape[1])
        self._set_prior(features - self.center_, own_scores)
        features = features[: len(X)] - self.center_
        prior_scores = self._prior(features, own_scores[: len(X)])
        numbers = np.searchsorted(self.classes_, y)
        features, rotation = _row_space(features)
        self.trust_, self.prior_probability_ = 0.0, 0.0
        if self.prior_labels is not None:
            trust = prior_trust(prior_scores, numbers)
            self.trust_, self.prior_probability_ = trust.weight, trust.probability
        offset = self.trust_ * prior_scores
        self.precision_ = self._choose_precision(features, offset, numbers)
        mode = mode_of_many(features, offset, numbers, self.precision_)
        coef = mode.coef if rotation is None else rotation @ mode.coef
        self.coef_, self.intercept_ = coef.T, mode.intercept

    def decision_function(self, X: Any) -> np.ndarray:
        """Log-odds, shape (n_samples, n_classes); for two classes their difference, shape (n_samples,)."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """Posterior probabilities of the classes, shape (n_samples, n_classes)."""
        return softmax(self._scores(X))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class."""
        scores = self._scores(X)
        return self.classes_[scores.argmax(axis=1)]

    def fitted_arrays(self) -> dict[str, np.ndarray]:
        """Prior, scaling and posterior mode."""
        return {name: np.atleast_1d(getattr(self, f"{name}_")) for name in (*_ARRAYS, *_NUMBERS)}

    def set_fitted_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take prior, scaling and posterior mode back."""
        for name in _ARRAYS:
            setattr(self, f"{name}_", arrays[name])
        for name in _NUMBERS:
            setattr(self, f"{name}_", float(arrays[name][0]))

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        prior_scores, points = self._columns(X)
        features = self._features(points) - self.center_
        return features @ self.coef_.T + self.intercept_ + self.trust_ * self._prior(features, prior_scores)

    def _set_classes(self, y: np.ndarray) -> None:
        if len(y):
            check_classification_targets(y)
        seen = unique_labels(y) if len(y) else np.array([])
        if self.prior_labels is None:
            self.classes_ = seen
        else:
            self.classes_ = np.array(sorted(self.prior_labels))
            missing = sorted(set(seen.tolist()) - set(self.classes_.tolist()))
            if missing:
                raise ValueError(f"No zero-shot score for the labels {missing[:5]}; prior_labels holds {self.classes_.tolist()[:8]}.")
        if len(self.classes_) < 2:
            raise ValueError(f"PosteriorCalibration needs two classes or more, but y has 1 class: {self.classes_.tolist()}.")

    def _columns(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Zero-shot scores in the order of `classes_`, centered by row, and the points."""
        if self.prior_labels is None:
            return np.zeros((len(X), len(self.classes_))), X
        n_scores = len(self.prior_labels)
        if X.shape[1] <= n_scores:
            raise ValueError(f"X has {X.shape[1]} columns; expected {n_scores} zero-shot scores and the points after them.")
        prior_scores = X[:, :n_scores][:, np.argsort(np.array(list(self.prior_labels)))]
        return prior_scores - prior_scores.mean(axis=1, keepdims=True), X[:, n_scores:]

    def _with_unlabeled(self, X: np.ndarray, unlabeled: Any) -> np.ndarray:
        """Columns of the labeled rows, then of the others; too many are thinned out at random."""
        if unlabeled is None:
            return X
        more = check_array(unlabeled, dtype=np.float64, ensure_min_samples=0)
        if more.shape[1] != X.shape[1]:
            raise ValueError(f"unlabeled has {more.shape[1]} columns, X has {X.shape[1]}; expected the same columns.")
        room = max(MOST_ROWS_TO_SMOOTH - len(X), 0)
        if len(more) > room:
            more = more[np.random.default_rng(self.random_state).permutation(len(more))[:room]]
        return np.concatenate([X, more])

    def _set_prior(self, features: np.ndarray, prior_scores: np.ndarray) -> None:
        """Centre the zero-shot scores, if asked, and smooth them, over all rows, labeled or not."""
        n_rows, n_classes = prior_scores.shape
        known = self.prior_labels is not None and n_rows > 0
        mean = shrunken_mean(prior_scores) if known else np.zeros(n_classes)
        self.prior_mean_ = mean if self.center_prior else np.zeros(n_classes)
        self.smoothing_share_ = n_rows / (n_rows + ROWS_OF_HALF_SMOOTHING) if known else 0.0
        self.smoothing_ = self.smoothing_share_ * propagation(features, prior_scores - self.prior_mean_).T
        self.prior_offset_ = self.smoothing_share_ * (mean - self.prior_mean_)

    def _prior(self, features: np.ndarray, prior_scores: np.ndarray) -> np.ndarray:
        """Scores of the prior: a text's own and those of its neighbourhood."""
        own = prior_scores - self.prior_mean_
        return (1 - self.smoothing_share_) * own + features @ self.smoothing_.T + self.prior_offset_

    def _edges(self, n_columns: int) -> np.ndarray:
        blocks = [n_columns] if self.blocks is None else list(self.blocks)
        if sum(blocks) != n_columns:
            raise ValueError(f"blocks {blocks} add up to {sum(blocks)} columns, but there are {n_columns} of points.")
        return np.cumsum([0, *blocks])

    def _set_scaling(self, points: np.ndarray) -> None:
        """Mean and spread of every coordinate; few points say little of a spread, so it is drawn to that of its block."""
        n_rows, n_columns = points.shape
        self.mean_ = points.mean(axis=0) if n_rows else np.zeros(n_columns)
        self.spread_ = np.ones(n_columns)
        edges = self._edges(n_columns)
        for start, stop in pairwise(edges):
            variance = points[:, start:stop].var(axis=0) if n_rows else np.ones(stop - start)
            shrunken = (n_rows * variance + VARIANCE_PRIOR * variance.mean()) / (n_rows + VARIANCE_PRIOR)
            self.spread_[start:stop] = np.sqrt(shrunken) if variance.mean() > 0 else 1.0

    def _features(self, points: np.ndarray) -> np.ndarray:
        """φ: standardised coordinates, every block of a row scaled so that all blocks together have mean square 1."""
        standardized = (points - self.mean_) / self.spread_
        edges = self._edges(points.shape[1])
        for start, stop in pairwise(edges):
            block = standardized[:, start:stop]
            lengths = np.linalg.norm(block, axis=1, keepdims=True)
            block *= np.sqrt((stop - start) / (len(edges) - 1)) / np.where(lengths > 1e-12, lengths, 1.0)
        return standardized

    def _choose_precision(self, features: np.ndarray, offset: np.ndarray, y: np.ndarray) -> float:
        r"""λ, averaged over its values with weights :math:`p(\lambda) \prod_i p(y_i \mid \text{other folds}, \lambda)`.

        A class with one label stays in training; where all are such, the prior decides alone.
        """
        values = np.array(sorted(self.precisions, reverse=True))
        log_weights = -0.5 * ((np.log(values) - LOG_PRECISION) / LOG_PRECISION_SPREAD) ** 2
        # λ belongs to the directions, not to the number of rows: a part of them is enough, if it has some of every class.
        most = max(MOST_ROWS_TO_CHOOSE, LEAST_ROWS_OF_A_CLASS * len(self.classes_))
        rows = rows_by_class(y, most, seed=self.random_state, least=LEAST_ROWS_OF_A_CLASS)
        folds = folds_by_class(y[rows], self.n_folds, seed=self.random_state) if len(values) > 1 else []
        if folds:
            features, offset, y = _row_space(features[rows])[0], offset[rows], y[rows]
        for train, held_out in folds:
            log_weights += _held_out(features, offset, y, train, held_out, values)
        weights = np.exp(log_weights - log_weights.max())
        return float(np.exp((weights * np.log(values)).sum() / weights.sum()))


def _row_space(features: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Coordinates in the space that the rows span: W has no part outside it, so fewer numbers are to be found.

    Returns
    -------
    reduced : ndarray of shape (n, r)
    rotation : ndarray of shape (d, r) or None
        ``reduced == features @ rotation``; None where there are more rows than columns and nothing is gained.
    """
    if len(features) >= features.shape[1]:
        return features, None
    values, directions = np.linalg.eigh(features @ features.T)  # of the small side: much less work than a decomposition of the rows
    kept = values > 1e-12 * max(float(values.max(initial=0.0)), 1e-300)
    rotation = features.T @ (directions[:, kept] / np.sqrt(values[kept]))
    return features @ rotation, rotation


def _held_out(
    features: np.ndarray, offset: np.ndarray, y: np.ndarray, train: np.ndarray, held_out: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Log-probability of the held-out labels for every λ, the largest first, each begun where the last one ended."""
    mode: PosteriorMode | None = None
    found = np.empty(len(values))
    for number, precision in enumerate(values):
        mode = posterior_mode(
            features[train],
            offset[train],
            y[train],
            float(precision),
            start=mode,
            max_iterations=50,
            tolerance=1e-5,
            near=mode is not None,
        )
        probabilities = softmax(mode.scores(features[held_out], offset[held_out]))[np.arange(len(held_out)), y[held_out]]
        found[number] = np.log(np.maximum(probabilities, 1e-12)).sum()
    return found
