"""The nearest labeled points vote."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from lexframe.adaptation.methods.on_points import MOST_ROWS_TO_CHOOSE, fit_on_points
from lexframe.adaptation.problem import Classifier, Method, Problem
from lexframe.linalg import rows_by_class, unit_rows

NEIGHBORS = (1, 3, 5, 9, 17, 33)


class NearestPoints(Method):
    """Votes of the k nearest labeled points, by cosine of centered points; k by leave-one-out."""

    name = "knn"
    description = "votes of the nearest labeled points"
    family = "points"

    def fit(self, problem: Problem) -> Classifier:
        """Keep the labeled points and choose k and the representation."""
        classifier = fit_on_points(problem, {"knn": CosineNeighbors}, lambda estimator: 0)
        classifier.choices["k"] = classifier.estimator.k_
        return classifier


class CosineNeighbors(ClassifierMixin, BaseEstimator):
    """k nearest neighbors whose votes are smoothed by one vote shared among all classes, so that none is impossible.

    Parameters
    ----------
    ks : tuple of int
        Tried by leave-one-out log-loss.
    """

    def __init__(self, ks: tuple[int, ...] = NEIGHBORS):
        self.ks = ks

    def fit(self, X: Any, y: Any) -> "CosineNeighbors":
        """Centre the points and choose k."""
        self.classes_, numbers = np.unique(y, return_inverse=True)
        self.mean_ = X.mean(0)
        self.points_, self.votes_ = unit_rows(X - self.mean_), np.eye(len(self.classes_))[numbers]
        asked = rows_by_class(numbers, MOST_ROWS_TO_CHOOSE, seed=0)
        candidates = [k for k in self.ks if k < len(y)] or [1]
        order = self._nearest(self.points_[asked], min(max(candidates), len(y) - 1), own=asked)
        losses = [-np.log(self._shares(order, k)[np.arange(len(asked)), numbers[asked]]).mean() for k in candidates]
        self.k_ = candidates[int(np.argmin(losses))]
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Shares of the votes."""
        return self._shares(self._nearest(unit_rows(X - self.mean_), self.k_), self.k_)

    def predict(self, X: Any) -> np.ndarray:
        """The class with the most votes."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _nearest(self, queries: np.ndarray, most: int, own: np.ndarray | None = None) -> np.ndarray:
        """Positions of the `most` nearest points, the nearest first, without a query's own."""
        order = np.empty((len(queries), most), dtype=np.int64)
        for start in range(0, len(queries), 512):  # never all similarities at once
            similarity = queries[start : start + 512] @ self.points_.T
            if own is not None:
                similarity[np.arange(len(similarity)), own[start : start + 512]] = -np.inf
            order[start : start + 512] = np.argsort(-similarity, axis=1, kind="stable")[:, :most]
        return order

    def _shares(self, order: np.ndarray, k: int) -> np.ndarray:
        votes = self.votes_[order[:, :k]].sum(axis=1)
        return (votes + 1 / votes.shape[1]) / (k + 1)
