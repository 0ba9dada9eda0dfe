"""Estimators over points as methods: the choice of representation, inside the training labels, is the same for all."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold

from lexframe.evidence.problem import Probabilities, Problem, Rows

EstimatorFactory = Callable[[], Any]


@dataclass
class PointsClassifier:
    """A fitted estimator with the points that it reads; see :class:`~lexframe.evidence.problem.Classifier`.

    `columns` are the class numbers of the estimator's classes, where it was fitted on names.
    """

    estimator: Any
    points: np.ndarray
    n_labels: int
    n_parameters: int
    choices: dict[str, Any] = field(default_factory=dict)
    columns: np.ndarray | None = None

    def predict_proba(self, rows: Rows) -> Probabilities:
        """Probabilities of all labels; a label that training lacked has none."""
        found = self.estimator.predict_proba(self.points[rows])
        probabilities = np.zeros((len(rows), self.n_labels))
        probabilities[:, self.estimator.classes_ if self.columns is None else self.columns] = found
        return probabilities


def fit_on_points(
    problem: Problem, factory: EstimatorFactory, n_parameters: Callable[[Any], int], *, n_folds: int = 4, least_to_choose: int = 2
) -> PointsClassifier:
    """Fit an estimator on the representation that does best in cross-validation inside the labelled rows.

    With fewer than two labels in some class nothing can be held out, and the space's own points are taken.

    Parameters
    ----------
    problem : Problem
        Its encoded texts offer the representations.
    factory : callable
        Makes an unfitted estimator with `predict_proba`.
    n_parameters : callable
        Number of learnt numbers of a fitted estimator.
    n_folds : int
        Most folds.
    least_to_choose : int
        Labels of the rarest class below which nothing is chosen, for estimators that need several in every fold.
    """
    blocks = problem.encoded.blocks()
    best = 0
    if problem.shots >= least_to_choose:
        losses = [cross_validated_log_loss(factory, points[problem.rows], problem.y, problem.seed, n_folds) for points in blocks]
        best = int(np.argmin(losses))
    estimator = factory().fit(blocks[best][problem.rows], problem.y)
    names = ["own points", *(str(wanted) for wanted in problem.encoded.others)]
    choices: dict[str, Any] = {"representation": names[best]}
    return PointsClassifier(estimator, blocks[best], problem.n_labels, n_parameters(estimator), choices)


def cross_validated_log_loss(factory: EstimatorFactory, X: np.ndarray, y: Rows, seed: int, n_folds: int) -> float:
    """Mean log-loss over stratified folds, in nats; infinite where nothing can be held out."""
    smallest = int(np.unique(y, return_counts=True)[1].min())
    if min(n_folds, smallest) < 2:
        return np.inf
    total = 0.0
    for train, held_out in StratifiedKFold(min(n_folds, smallest), shuffle=True, random_state=seed).split(X, y):
        estimator = factory().fit(X[train], y[train])
        column = np.searchsorted(estimator.classes_, y[held_out])
        probabilities = estimator.predict_proba(X[held_out])[np.arange(len(held_out)), column]
        total -= float(np.log(np.maximum(probabilities, 1e-12)).sum())
    return total / len(y)
