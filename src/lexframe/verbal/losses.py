"""What a prediction costs: one number a row, lower is better."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lexframe.verbal.task import Task

_LEAST = 1e-6
"""A probability below which a label is taken to have this one: one row must not decide alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """What a model predicts for some rows.

    Attributes
    ----------
    values : ndarray of shape (n_rows,)
        Numbers as float64, labels as objects.
    probabilities : ndarray of shape (n_rows, n_labels) or None
        In the order of the labels of the task, where they are known.
    answered : ndarray of bool of shape (n_rows,)
        False where no answer could be used and a stand-in was: the mean of the targets, or the label that is most frequent.
    """

    values: np.ndarray
    probabilities: Float[np.ndarray, "n k"] | None
    answered: np.ndarray


def loss_name(task: Task, *, has_probabilities: bool) -> str:
    """What the loss of a task is called."""
    return "mean squared error" if task.is_regression else "log loss" if has_probabilities else "error rate"


def row_losses(task: Task, predicted: Predicted, targets: np.ndarray) -> Float[np.ndarray, " n"]:
    """Squared error of numbers; of labels the log loss where there are probabilities, else 1 for every wrong one.

    Parameters
    ----------
    task : Task
    predicted : Predicted
    targets : ndarray of shape (n_rows,)
    """
    if task.is_regression:
        with np.errstate(over="ignore"):
            return np.square(predicted.values.astype(np.float64) - targets.astype(np.float64))
    if predicted.probabilities is None:
        return (predicted.values != targets).astype(np.float64)
    places = [task.labels.index(target) for target in targets]
    return -np.log(np.maximum(predicted.probabilities[np.arange(len(places)), places], _LEAST))


def residuals(task: Task, predicted: Predicted, targets: np.ndarray) -> Float[np.ndarray, " n"]:
    """Target minus output of numbers; of labels 1 where they differ."""
    if task.is_regression:
        return targets.astype(np.float64) - predicted.values.astype(np.float64)
    return (predicted.values != targets).astype(np.float64)
