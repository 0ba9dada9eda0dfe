"""Estimators over points as methods: the choice of representation, inside the training labels, is the same for all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold

from lexframe.adaptation.problem import Probabilities, Problem, Rows
from lexframe.linalg import rows_by_class

EstimatorFactory = Callable[[], Any]

MOST_ROWS_TO_CHOOSE = 1000
"""Labeled rows that a choice looks at."""


@dataclass
class PointsClassifier:
    """A fitted estimator with the points that it reads; see :class:`~lexframe.adaptation.problem.Classifier`.

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
    problem: Problem,
    factories: Mapping[str, EstimatorFactory],
    n_parameters: Callable[[Any], int],
    *,
    n_folds: int = 4,
    least_to_choose: int = 2,
) -> PointsClassifier:
    """Fit the estimator and the representation that do best together in cross-validation inside the labeled rows.

    With fewer than two labels in some class nothing can be held out: the space's own points and the first estimator are
    taken. No more than 1,000 labeled rows, drawn by class, are looked at to choose.

    Parameters
    ----------
    problem : Problem
        Its encoded texts offer the representations.
    factories : mapping of str to callable
        Each makes an unfitted estimator with `predict_proba`; the names are kept among the choices.
    n_parameters : callable
        Number of learnt numbers of a fitted estimator.
    n_folds : int
        Most folds.
    least_to_choose : int
        Labels of the rarest class below which nothing is chosen, for estimators that need several in every fold.
    """
    blocks = problem.encoded.blocks()
    candidates = [(number, name) for number in range(len(blocks)) for name in factories]
    best = candidates[0]
    if problem.shots >= least_to_choose and len(candidates) > 1:
        part = rows_by_class(problem.y, MOST_ROWS_TO_CHOOSE, seed=problem.seed)
        y = problem.y[part]
        points = [block[problem.rows[part]] for block in blocks]
        losses = [cross_validated_log_loss(factories[name], points[number], y, problem.seed, n_folds) for number, name in candidates]
        best = candidates[int(np.argmin(losses))]
    estimator = factories[best[1]]().fit(blocks[best[0]][problem.rows], problem.y)
    names = ["own points", *(str(wanted) for wanted in problem.encoded.others)]
    choices: dict[str, Any] = {"representation": names[best[0]]} | ({"estimator": best[1]} if len(factories) > 1 else {})
    return PointsClassifier(estimator, blocks[best[0]], problem.n_labels, n_parameters(estimator), choices)


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
