"""What moves points, whatever it learned that from."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from jaxtyping import Float

from lexframe.exceptions import InputError
from lexframe.provenance import SpaceFingerprint
from lexframe.typing import Points, Vectors


class PointEdit(ABC):
    """A move of points, such as one towards a value of an attribute."""

    __slots__ = ()

    @abstractmethod
    def move(self, points: Vectors, strength: float = 1.0) -> Points:
        """The points moved.

        Parameters
        ----------
        points : ndarray of shape (n_points, n_dims)
        strength : float
            0 moves nothing; what 1 does is for each edit to say.

        Returns
        -------
        ndarray of shape (n_points, n_dims), float32
        """

    @property
    @abstractmethod
    def goal(self) -> str:
        """Name of what it moves towards."""

    @abstractmethod
    def require(self, space: SpaceFingerprint) -> None:
        """Raise FingerprintMismatch unless the edit was learned on points of that space; one of bare points knows no space."""

    def target_probability(self, points: Vectors) -> Float[np.ndarray, " n_points"] | None:
        """Probability of the value edited towards at each point; None where the edit knows no classifier."""
        return None

    def to_dict(self) -> dict[str, Any]:
        """What the edit is, as plain types."""
        return {"edit": type(self).__name__}


def checked_strength(strength: float) -> float:
    """The strength, if it is finite."""
    if not np.isfinite(strength):
        raise InputError(f"strength is {strength}; expected a finite number.")
    return float(strength)


def kept_label(label: Any) -> Any:
    """A label as it was before JSON made a list of a tuple."""
    return tuple(map(kept_label, label)) if isinstance(label, list) else label
