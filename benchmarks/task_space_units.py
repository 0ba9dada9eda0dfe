"""Overlap of units, the rival of gradients: the units of every layer that differ most between the sides of a task's pairs.

Written anew from the description of syntax-units (arXiv:2512.03676): the top 1% of all units by the size of the mean difference of their
activations, in standard errors, and the share of them that two tasks have in common.
"""

from collections.abc import Sequence

import numpy as np

from lexframe.spaces import LanguageModelSpace
from lexframe.spaces.base import Representation
from lexframe.task_space import Task

SHARE = 0.01


def unit_scores(space: LanguageModelSpace, task: Task, *, pooling: str = "mean") -> np.ndarray:
    """Mean difference of every unit between better and worse sides, in standard errors: shape (n_halves, n_layers * n_dims)."""
    layers = [Representation(layer, pooling) for layer in range(1, space.n_layers + 1)]
    sides = [[getattr(pair, side) for pair in task.pairs] for side in ("good", "bad")]
    good, bad = (space.encode_representations(texts, layers).astype(np.float64) for texts in sides)
    difference = (good - bad).reshape(len(task.pairs), -1)
    order = np.random.default_rng(0).permutation(len(difference))
    return np.stack([scored(difference[rows]) for rows in np.array_split(order, 2)])


def scored(difference: np.ndarray) -> np.ndarray:
    error = difference.std(axis=0, ddof=1) / np.sqrt(len(difference))
    return np.abs(difference.mean(axis=0)) / np.where(error > 0, error, np.inf)


def unit_overlaps(scores: Sequence[np.ndarray], share: float = SHARE) -> np.ndarray:
    """Share of the selected units in common, a half of one task with a half of another; on the diagonal two halves of one task."""
    n = round(share * scores[0].shape[1])
    chosen = np.zeros((2, len(scores), scores[0].shape[1]), dtype=np.float32)
    for task, halves in enumerate(scores):
        for half in range(2):
            chosen[half, task, np.argpartition(-halves[half], n - 1)[:n]] = 1
    shared = chosen[0] @ chosen[1].T / n
    return np.asarray((shared + shared.T) / 2, dtype=np.float64)
