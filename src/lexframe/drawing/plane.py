"""The plane of a map: points before and after they move, in one scale, with the bases of labels drawn in."""

import numpy as np
from jaxtyping import Float

from lexframe.linalg import unit_rows


def map_coordinates(
    points: Float[np.ndarray, "n d"], moved: Float[np.ndarray, "n d"], bases: Float[np.ndarray, "k d"] | None
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"], Float[np.ndarray, "k 2"] | None]:
    """Plane coordinates of test points before and after calibration, and of the label bases.

    Which basis is nearest to a point depends on the differences of the bases alone, so the plane lies within the span of
    those differences, along the two main axes of the moved points there. Points and bases have unit length first and
    are centered on their own mean, since they share a large common part; the bases are then scaled to the points.

    Returns
    -------
    before, after : ndarray of shape (n, 2)
        In the same plane and scale.
    bases : ndarray of shape (k, 2) or None
    """
    before, after = (part - part.mean(0) for part in (unit_rows(points), unit_rows(moved)))
    if bases is None:
        axes = _main_axes(after, 2)
        return before @ axes.T, after @ axes.T, None
    frame = unit_rows(bases)
    frame = frame - frame.mean(0)
    span = _main_axes(frame, len(frame) - 1)
    axes = _main_axes(after @ span.T, 2) @ span
    if len(axes) < 2:  # two labels differ in one direction; the other axis shows the points
        axes = np.vstack([axes, _main_axes(after - after @ axes.T @ axes, 2 - len(axes))])
    drawn, reach = frame @ axes.T, np.percentile(np.linalg.norm(after @ axes.T, axis=1), 95)
    return before @ axes.T, after @ axes.T, drawn * reach / max(float(np.linalg.norm(drawn, axis=1).max()), 1e-12)


def _main_axes(rows: np.ndarray, n_axes: int) -> np.ndarray:
    """Principal axes of centered rows, each signed so that its largest entry is positive."""
    axes = np.linalg.svd(rows, full_matrices=False)[2][:n_axes]
    return axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, np.newaxis]
