"""Classifiers of the points that an edit was learned on: most edits are never asked for theirs."""

import numpy as np
from jaxtyping import Float, Int64

from lexframe.instruments.classifiers.linear_probe import LogisticProbe


class LateProbe:
    """A logistic probe that is fitted when somebody asks for it.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_dims)
    numbers : ndarray of int, shape (n_points,)
        Of the classes.
    """

    def __init__(self, points: Float[np.ndarray, "n_points n_dims"], numbers: Int64[np.ndarray, " n_points"]):
        self._known = points, numbers
        self._fitted: LogisticProbe | None = None

    @classmethod
    def of(cls, probe: LogisticProbe) -> "LateProbe":
        """One that is fitted already."""
        late = cls(np.zeros((0, 0)), np.zeros(0, dtype=np.int64))
        late._fitted = probe
        return late

    @property
    def fitted(self) -> LogisticProbe:
        """The probe."""
        if self._fitted is None:
            self._fitted = LogisticProbe().fit(*self._known)
        return self._fitted
