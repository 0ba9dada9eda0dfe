"""Paths between two points of a latent: straight, or along a great circle."""

import numpy as np
from jaxtyping import Float, Float32

from lexframe.checks import checked_vector
from lexframe.exceptions import InputError

PATHS = ("linear", "spherical")
_LEAST_SINE = 1e-6


def linear_path(
    start: Float[np.ndarray, " n_dims"], end: Float[np.ndarray, " n_dims"], n_steps: int = 9
) -> Float32[np.ndarray, "n_steps n_dims"]:
    """Evenly spaced points of the straight line from `start` to `end`.

    Parameters
    ----------
    start, end : ndarray of shape (n_dims,)
    n_steps : int
        Points, both ends included.

    Returns
    -------
    ndarray of shape (n_steps, n_dims), float32

    Raises
    ------
    InputError
        If `n_steps` is below 2, or the ends differ in width or are not finite.
    """
    first, last, fractions = _ends(start, end, n_steps)
    return _exact_ends((1 - fractions) * first + fractions * last, first, last)


def spherical_path(
    start: Float[np.ndarray, " n_dims"], end: Float[np.ndarray, " n_dims"], n_steps: int = 9
) -> Float32[np.ndarray, "n_steps n_dims"]:
    r"""Points whose direction turns evenly from that of `start` to that of `end`, and whose length changes linearly.

    :math:`\hat z(t) = \frac{\sin((1-t)\omega)}{\sin\omega}\hat a + \frac{\sin(t\omega)}{\sin\omega}\hat b` [1]_, times
    :math:`(1-t)\|a\| + t\|b\|`. The points of a Gaussian lie near a sphere, which this path does not leave and the straight line does.

    Parameters
    ----------
    start, end : ndarray of shape (n_dims,)
    n_steps : int
        Points, both ends included.

    Returns
    -------
    ndarray of shape (n_steps, n_dims), float32
        The straight line where :func:`has_great_circle` is false. For opposite ends that line passes through the origin:
        all half circles between them are equally short, and none is chosen by chance.

    Raises
    ------
    InputError
        As for :func:`linear_path`.

    References
    ----------
    .. [1] Shoemake (1985), Animating rotation with quaternion curves, section 3.3.
    """
    first, last, fractions = _ends(start, end, n_steps)
    if not has_great_circle(first, last):
        return linear_path(start, end, n_steps)
    lengths = np.linalg.norm(first), np.linalg.norm(last)
    directions = first / lengths[0], last / lengths[1]
    angle = _angle(*directions)
    turned = (np.sin((1 - fractions) * angle) * directions[0] + np.sin(fractions * angle) * directions[1]) / np.sin(angle)
    return _exact_ends(((1 - fractions) * lengths[0] + fractions * lengths[1]) * turned, first, last)


def has_great_circle(start: Float[np.ndarray, " n_dims"], end: Float[np.ndarray, " n_dims"]) -> bool:
    """Whether one shortest arc joins two directions: not so where an end is zero, or both are parallel or opposite within 1e-6 rad."""
    lengths = np.linalg.norm(start.astype(np.float64)), np.linalg.norm(end.astype(np.float64))
    if min(lengths) == 0:
        return False
    return bool(np.sin(_angle(start.astype(np.float64) / lengths[0], end.astype(np.float64) / lengths[1])) > _LEAST_SINE)


def _ends(start: np.ndarray, end: np.ndarray, n_steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    require_steps(n_steps)
    first = checked_vector(start, what="start")
    return first, checked_vector(end, len(first), what="end"), np.linspace(0.0, 1.0, n_steps)[:, np.newaxis]


def _exact_ends(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    points[0], points[-1] = start, end  # rounding moves no end
    return points.astype(np.float32)


def _angle(first: np.ndarray, second: np.ndarray) -> float:
    """Between unit vectors; this form is exact for small angles and large, where the arc cosine is not (Kahan)."""
    return float(2 * np.arctan2(np.linalg.norm(first - second), np.linalg.norm(first + second)))


def require_steps(n_steps: int) -> None:
    """Raise InputError unless a path of so many points has two ends."""
    if n_steps < 2:
        raise InputError(f"n_steps is {n_steps}; a path has two ends, so ask for 2 points or more.")
