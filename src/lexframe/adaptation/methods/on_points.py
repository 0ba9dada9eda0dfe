"""Estimators over points as methods: the choice of representation, inside the training labels, is the same for all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lexframe.adaptation.fitted import Fitted
from lexframe.adaptation.problem import Probabilities, Problem, Rows
from lexframe.exceptions import DataError
from lexframe.linalg import folds_by_class, rows_by_class
from lexframe.typing import Points

EstimatorFactory = Callable[[], Any]
Folds = Sequence[tuple[np.ndarray, np.ndarray]]

MOST_ROWS_TO_CHOOSE = 1000
"""Labeled rows that a choice looks at."""
LEAST_ROWS_OF_A_CLASS = 3
"""However many classes there are, so that each can be held out."""


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
    block : int or None
        Number of the block among those of the encoded texts; None for all of them side by side.
    """

    problem: Problem
    estimator: Any
    n_parameters: int
    choices: dict[str, Any] = field(default_factory=dict)
    block: int | None = 0

    def predict_proba(self, rows: Rows) -> Probabilities:
        """Probabilities of all labels; a label that training lacked has none."""
        probabilities = np.zeros((len(rows), self.problem.n_labels))
        if len(rows):  # scikit-learn refuses an empty table
            columns = np.searchsorted(self.problem.labels, self.estimator.classes_)
            probabilities[:, columns] = self.estimator.predict_proba(_points(self.problem, self.block, rows))
        return probabilities

    def fitted(self) -> Fitted:
        """The estimator, and what it reads."""
        reading = self.problem.encoded.reading
        return Fitted.of_one(self.estimator, reading if self.block is None else reading.only(self.block, self.problem.space))


def _points(problem: Problem, block: int | None, rows: Rows) -> Points:
    blocks = problem.encoded.blocks()
    return np.concatenate([part[rows] for part in blocks], axis=1) if block is None else blocks[block][rows]


def fit_on_points(
    problem: Problem,
    factories: Mapping[str, EstimatorFactory],
    n_parameters: Callable[[Any], int],
    *,
    n_folds: int = 4,
    least_to_choose: int = 2,
    together: bool = False,
) -> PointsClassifier:
    """Fit the estimator and the representation that do best together in cross-validation inside the labeled rows.

    Classes with a single label stay in training; where all are such, nothing can be held out, and the space's own points and the first
    estimator are taken. Some 1,000 labeled rows, drawn by class, are looked at to choose: more only where three of every class are more.

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
        Labels of a class below which it is held out in no fold, for estimators that need several in every fold.
    together : bool
        Whether all representations are read side by side, so that the estimator alone is chosen.

    Raises
    ------
    DataError
        If no candidate gives finite probabilities to held-out texts.
    """
    choose_among: Sequence[int | None] = [None] if together else range(len(problem.encoded.blocks()))
    candidates = [(block, name) for block in choose_among for name in factories]
    best = candidates[0]
    most = max(MOST_ROWS_TO_CHOOSE, LEAST_ROWS_OF_A_CLASS * problem.n_labels)
    part = rows_by_class(problem.y, most, seed=problem.seed, least=LEAST_ROWS_OF_A_CLASS)
    y = problem.y[part]
    folds = folds_by_class(y, n_folds, seed=problem.seed, least=least_to_choose)
    if folds and len(candidates) > 1:
        points = {block: _points(problem, block, problem.rows[part]) for block in choose_among}
        losses = [cross_validated_log_loss(factories[name], points[block], y, folds) for block, name in candidates]
        best = candidates[_position_of_least(losses)]
    block, name = best
    estimator = factories[name]().fit(_points(problem, block, problem.rows), problem.names())
    choices: dict[str, Any] = {"representation": "all" if block is None else problem.encoded.block_names[block]}
    choices |= {"estimator": name} if len(factories) > 1 else {}
    return PointsClassifier(problem, estimator, n_parameters(estimator), choices, block)


def cross_validated_log_loss(factory: EstimatorFactory, X: np.ndarray, y: Rows, folds: Folds) -> float:
    """Mean log-loss of the held-out rows, in nats.

    Parameters
    ----------
    factory : callable
        Makes an unfitted estimator.
    X : ndarray of shape (n, n_dims)
    y : ndarray of int, shape (n,)
    folds : sequence of (train, held_out)
        From :func:`~lexframe.linalg.folds_by_class`: every held-out class stands in training.
    """
    losses = []
    for train, held_out in folds:
        estimator = factory().fit(X[train], y[train])
        column = np.searchsorted(estimator.classes_, y[held_out])
        probabilities = estimator.predict_proba(X[held_out])[np.arange(len(held_out)), column]
        losses.append(-np.log(np.maximum(probabilities, 1e-12)))
    return float(np.concatenate(losses).mean())


def _position_of_least(losses: Sequence[float]) -> int:
    """Where the smallest loss stands; one that is not finite never wins."""
    finite = np.where(np.isfinite(losses), losses, np.inf)
    if not np.isfinite(finite).any():
        raise DataError(
            "No representation gave finite probabilities for texts that were held out. Look for NaN or huge values among the points; "
            "encoding in float32 often helps."
        )
    return int(finite.argmin())
