"""Matrices of tasks by tasks, checked before anything is read from them."""

import re
from typing import Any

import numpy as np
from jaxtyping import Float

from lexframe.exceptions import InputError
from lexframe.intervals import Estimate

_SYMMETRIC_TO = 1e-5
"""Resamples are kept in float32, and what is computed in either order differs by its rounding."""


def checked_matrix(
    matrix: Any, *, n_tasks: int | None = None, least: int = 2, what: str = "similarity"
) -> Float[np.ndarray, "n_tasks n_tasks"]:
    """A matrix of tasks by tasks in float64.

    Parameters
    ----------
    matrix : array-like of shape (n_tasks, n_tasks)
    n_tasks : int, optional
        How many there have to be.
    least : int
        The fewest tasks that will do.
    what : str
        Its name in messages.

    Raises
    ------
    InputError
        If it is not square, not of that size, not finite or not symmetric.
    """
    found = np.asarray(matrix, dtype=np.float64)
    parameter = re.split(r"\W", what)[0]
    if found.ndim != 2 or found.shape[0] != found.shape[1]:
        raise InputError(f"{what} has shape {found.shape}; expected a square matrix, a row and a column a task.", parameter=parameter)
    if n_tasks is not None and len(found) != n_tasks:
        raise InputError(f"{what} is of {len(found)} tasks; expected {n_tasks}. Give matrices of the same tasks.", parameter=parameter)
    if len(found) < least:
        raise InputError(f"{what} is of {len(found)} tasks; expected {least} or more. Add tasks.", parameter=parameter)
    if not np.isfinite(found).all():
        n_bad = int((~np.isfinite(found)).sum())
        raise InputError(f"{what} has {n_bad} cells that are not finite. Leave these tasks out.", parameter=parameter)
    if not np.allclose(found, found.T, rtol=0, atol=_SYMMETRIC_TO * max(1.0, float(np.abs(found).max()))):
        raise InputError(f"{what} is not symmetric; expected one number for each pair of tasks. Give (M + M.T) / 2.", parameter=parameter)
    return found


def off_diagonal(matrix: Float[np.ndarray, "*rest n_tasks n_tasks"]) -> Float[np.ndarray, "*rest n_pairs"]:
    """A number for each pair of tasks, the upper triangle row by row; the last two axes become one."""
    rows, columns = np.triu_indices(matrix.shape[-1], 1)
    return matrix[..., rows, columns]


def usable_resamples(
    resampled: Float[np.ndarray, "n_resamples rows columns"], n_tasks: int, *, least: int = 2
) -> Float[np.ndarray, "n_kept n_tasks n_tasks"]:
    """The resamples that are finite, in float64: a resample in which a task had no reliability leaves its similarities undefined.

    Parameters
    ----------
    resampled : ndarray of shape (n_resamples, n_tasks, n_tasks)
    n_tasks : int
        How many there have to be.
    least : int
        The fewest resamples that will do.

    Raises
    ------
    InputError
        If they are of other tasks, or fewer than that are finite.
    """
    if resampled.shape[1:] != (n_tasks, n_tasks):
        raise InputError(
            f"resampled has shape {resampled.shape}; expected matrices of {n_tasks} tasks. Give resamples of the same matrix.",
            parameter="resampled",
        )
    kept = resampled[np.isfinite(resampled).all(axis=(1, 2))].astype(np.float64)
    if len(kept) < least:
        raise InputError(
            f"{len(kept)} of {len(resampled)} resamples are finite; expected {least} or more. Leave tasks of low reliability out.",
            parameter="resampled",
        )
    return kept


def drawn_pairs(n_tasks: int, n_draws: int, seed: int) -> Float[np.ndarray, "n_draws n_pairs"]:
    """How often each pair of tasks comes when tasks are drawn with replacement; pairs of a task with its own copy are left out.

    Parameters
    ----------
    n_tasks, n_draws, seed : int
        Equal seeds draw equal tasks, so that what is read from several matrices is paired.
    """
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n_tasks, np.full(n_tasks, 1 / n_tasks), size=n_draws).astype(np.float64)
    rows, columns = np.triu_indices(n_tasks, 1)
    return counts[:, rows] * counts[:, columns]


def drawn_estimate(value: float, drawn: Float[np.ndarray, " n_draws"], unit: str, n_units: int | None = None) -> Estimate:
    """A number with the middle 95% of what draws gave, those that left it undefined passed over; without ends where all did."""
    defined = drawn[np.isfinite(drawn)]
    low, high = np.percentile(defined, [2.5, 97.5]) if len(defined) else (np.nan, np.nan)
    return Estimate(float(value), float(low), float(high), unit, n_units)
