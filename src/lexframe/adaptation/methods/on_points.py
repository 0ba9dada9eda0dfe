"""Estimators over points as methods: the choice of representation, inside the training labels, is the same for all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold

from lexframe.adaptation.problem import Fitted, Probabilities, Problem, Rows
from lexframe.linalg import rows_by_class

EstimatorFactory = Callable[[], Any]

MOST_ROWS_TO_CHOOSE = 1000
"""Labeled rows that a choice looks at."""


@dataclass
class PointsClassifier:
    """An estimator, fitted on label names, with the block of points that it reads; see :class:`~lexframe.adaptation.problem.Classifier`.

    Attributes
    ----------
    problem : Problem
    estimator
        With ``predict_proba`` and ``classes_``.
    n_parameters : int
    choices : dict
    block : int
        Number of the block among those of the encoded texts.
    """

    problem: Problem
    estimator: Any
    n_parameters: int
    choices: dict[str, Any] = field(default_factory=dict)
    block: int = 0

    def predict_proba(self, rows: Rows) -> Probabilities:
        """Probabilities of all labels; a label that training lacked has none."""
        probabilities = np.zeros((len(rows), self.problem.n_labels))
        if len(rows):  # scikit-learn refuses an empty table
            columns = np.searchsorted(self.problem.labels, self.estimator.classes_)
            probabilities[:, columns] = self.estimator.predict_proba(self.problem.encoded.blocks()[self.block][rows])
        return probabilities

    def fitted(self) -> Fitted:
        """The estimator, and the one block that it reads."""
        return Fitted(self.estimator, self.problem.encoded.reading.only(self.block, self.problem.space))


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
    estimator = factories[best[1]]().fit(blocks[best[0]][problem.rows], problem.names())
    choices: dict[str, Any] = {"representation": problem.encoded.block_names[best[0]]}
    choices |= {"estimator": best[1]} if len(factories) > 1 else {}
    return PointsClassifier(problem, estimator, n_parameters(estimator), choices, best[0])


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
