"""Moves of points that change one attribute of the texts written from them: by difference of means, by classifier, by direction."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from lexframe.checks import checked_points, checked_vector, class_number, class_numbers
from lexframe.exceptions import InputError
from lexframe.instruments.classifiers.linear_probe import LogisticProbe
from lexframe.instruments.directions.concept_direction import mean_difference
from lexframe.instruments.directions.direction import Direction
from lexframe.instruments.edits.class_projection import nearest_in_class
from lexframe.linalg import shrunken_whitening
from lexframe.provenance import SpaceFingerprint
from lexframe.typing import Points, Vectors

Labels = Sequence[Hashable] | np.ndarray

METRICS = ("whitened", "euclidean")


class PointEdit(ABC):
    """A move of points towards one value of an attribute."""

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

    def target_probability(self, points: Vectors) -> Float[np.ndarray, " n_points"] | None:
        """Probability of the value edited towards at each point; None where the edit knows no classifier."""
        return None

    def to_dict(self) -> dict[str, Any]:
        """What the edit is, as plain types."""
        return {"edit": type(self).__name__}


class MeanDifferenceEdit(PointEdit):
    """Adds the difference of two class means: strength 1 moves one mean onto the other.

    Parameters
    ----------
    target : hashable, optional
        The class to move towards. Default: the second of both, sorted.

    Attributes
    ----------
    classes_ : tuple of two labels
    target_ : hashable
    difference_ : ndarray of shape (n_dims,), float64
        Mean of the target class minus that of the other.
    probe_ : LogisticProbe
        Fitted on the same points when it is first asked for; tells the classes apart, and plays no part in the move.

    References
    ----------
    Larsen et al. (2016), Autoencoding beyond pixels using a learned similarity metric, section 4.2.1: visual attribute vectors.
    """

    def __init__(self, *, target: Hashable = None):
        self.target = target

    def fit(self, points: Vectors, labels: Labels) -> "MeanDifferenceEdit":
        """Learn the difference from points, shape (n_points, n_dims), and their labels.

        Raises
        ------
        InputError
            If points are not finite, labels are not one each, there are not two classes, a class has one text, the target is none of
            the classes, or both have one mean.
        """
        table = checked_points(points)
        self.classes_, numbers = class_numbers(labels, len(table))
        if len(self.classes_) != 2:
            raise InputError(
                f"A difference of means needs two classes, but there are {len(self.classes_)}: {', '.join(map(repr, self.classes_[:6]))}. "
                "Keep two of them, or use ClassifierGradientEdit for several."
            )
        self._target = target_number(self.target, self.classes_)
        self.target_ = self.classes_[self._target]
        self.difference_ = mean_difference(table[numbers == self._target], table[numbers != self._target])
        if np.abs(self.difference_).max() <= 1e-10 * np.abs(table).max():
            raise InputError("Both classes have the same mean point, so there is nothing to add. Check that the texts of both differ.")
        self._fitted_on = table, numbers
        self.__dict__.pop("probe_", None)
        return self

    @cached_property
    def probe_(self) -> LogisticProbe:
        """Classifier of the points that the edit was fitted on."""
        return LogisticProbe().fit(*self._fitted_on)

    def move(self, points: Vectors, strength: float = 1.0) -> Points:
        """Points plus `strength` times the difference; see :meth:`PointEdit.move`."""
        table = checked_points(points, len(self.difference_))
        return (table + checked_strength(strength) * self.difference_).astype(np.float32)

    def target_probability(self, points: Vectors) -> Float[np.ndarray, " n_points"]:
        """Of the target class, by the probe."""
        return np.asarray(self.probe_.predict_proba(checked_points(points, len(self.difference_)))[:, self._target])

    def to_dict(self) -> dict[str, Any]:
        """What the edit is, as plain types."""
        return {"edit": "MeanDifferenceEdit", "target": str(self.target_), "length": float(np.linalg.norm(self.difference_))}


class ClassifierGradientEdit(PointEdit):
    r"""Moves each point as little as possible until a classifier gives the target class at a stated probability.

    The classifier is L2 logistic regression, its penalty chosen by cross-validation. The move is the shortest δ with
    :math:`\log\frac{p_t(z+\delta)}{1-p_t(z+\delta)} \ge \log\frac{p}{1-p}`, by the length :math:`\sqrt{\delta^T\Sigma^{-1}\delta}` with
    Σ the covariance of the points fitted on, shrunken in units of each dimension's spread: along the gradient of log p(target | z) as
    that metric sees it, so that directions in which texts hardly differ are hardly used. For two classes the log-odds are
    :math:`w\cdot z + b` and :math:`\delta = \Sigma w\,(\operatorname{logit} p - w\cdot z - b)/(w^T\Sigma w)`; for several, gradient
    steps lead to the nearest point, see :func:`~lexframe.instruments.edits.class_projection.nearest_in_class`. Points
    that are there already
    stay.

    Parameters
    ----------
    target : hashable, optional
        The class to move towards. Default: the last, sorted.
    probability : float
        To reach, in (0, 1).
    radius : float
        No point moves further, in standard deviations of the points (in the units of the points where the metric is ``euclidean``).
        Where the radius ends a move the probability is not reached.
    metric : {"whitened", "euclidean"}
        How moves are measured.

    Attributes
    ----------
    classes_ : tuple of labels
    target_ : hashable
    probe_ : LogisticProbe
    """

    def __init__(self, *, target: Hashable = None, probability: float = 0.9, radius: float = 4.0, metric: str = "whitened"):
        if not 0 < probability < 1:
            raise InputError(f"probability is {probability}; expected more than 0 and less than 1, such as 0.9.")
        if not radius > 0:
            raise InputError(f"radius is {radius}; expected a length above 0, in standard deviations.")
        if metric not in METRICS:
            raise InputError(f"metric is {metric!r}; expected one of {', '.join(METRICS)}.")
        self.target, self.probability, self.radius, self.metric = target, probability, radius, metric

    def fit(self, points: Vectors, labels: Labels) -> "ClassifierGradientEdit":
        """Learn classifier and metric from points, shape (n_points, n_dims), and their labels.

        Raises
        ------
        InputError
            If points are not finite, labels are not one each, there is one class only, a class has one text, or the target is none of
            the classes.
        """
        table = checked_points(points)
        self.classes_, numbers = class_numbers(labels, len(table))
        if len(self.classes_) < 2:
            raise InputError(f"All labels are {self.classes_[0]!r}; a classifier needs two classes or more.")
        self._target = target_number(self.target, self.classes_)
        self.target_ = self.classes_[self._target]
        self.probe_ = LogisticProbe().fit(table, numbers)
        self._whitening = _standard_whitening(table) if self.metric == "whitened" else np.eye(table.shape[1])
        self._unwhitening = np.linalg.inv(self._whitening)
        return self

    def move(self, points: Vectors, strength: float = 1.0) -> Points:
        """Points moved towards the target class.

        Parameters
        ----------
        points : ndarray of shape (n_points, n_dims)
        strength : float
            Factor on every move: 1 reaches the probability, below 1 stops short, above 1 goes on. The radius holds for the product.

        Returns
        -------
        ndarray of shape (n_points, n_dims), float32
        """
        table = checked_points(points, len(self._whitening))
        coefficients = self.probe_.coef_ @ self._unwhitening.T  # logits of whitened points are the same logits
        start = table @ self._whitening
        nearest = nearest_in_class(start, coefficients, self.probe_.intercept_, self._target, self.probability)
        shift = checked_strength(strength) * (nearest - start)
        lengths = np.linalg.norm(shift, axis=1, keepdims=True)
        shift *= np.minimum(lengths, self.radius) / np.where(lengths > 0, lengths, 1.0)
        return (table + shift @ self._unwhitening).astype(np.float32)

    def target_probability(self, points: Vectors) -> Float[np.ndarray, " n_points"]:
        """Of the target class, by the classifier."""
        return np.asarray(self.probe_.predict_proba(checked_points(points, len(self._whitening)))[:, self._target])

    def to_dict(self) -> dict[str, Any]:
        """What the edit is, as plain types."""
        settings = {name: getattr(self, name) for name in ("probability", "radius", "metric")}
        return {"edit": "ClassifierGradientEdit", "target": str(self.target_), **settings}


class DirectionEdit(PointEdit):
    """Adds a vector, such as one of a :class:`~lexframe.instruments.directions.direction.Direction`; strength 1 adds it as it is.

    Parameters
    ----------
    direction : Direction or ndarray of shape (n_dims,)
    layer : int, optional
        Which vector of a Direction. Not needed where it has only one.

    Attributes
    ----------
    vector : ndarray of shape (n_dims,), float64

    Raises
    ------
    InputError
        If the vector is zero or not finite, or the Direction has several and none is named.
    """

    def __init__(self, direction: Direction | Float[np.ndarray, " n_dims"], *, layer: int | None = None):
        self.direction = direction if isinstance(direction, Direction) else None
        if isinstance(direction, Direction):
            if layer is None and len(direction.layers) > 1:
                raise InputError(f"The direction {direction} has vectors for the layers {list(direction.layers)}; name one as layer.")
            vector: Any = direction.vector(direction.layers[0] if layer is None else layer)
        else:
            vector = direction
        self.vector = checked_vector(vector, what="direction")
        if not self.vector.any():
            raise InputError("The direction is zero, so it moves nothing. Find it again, from other examples.")

    def move(self, points: Vectors, strength: float = 1.0) -> Points:
        """Points plus `strength` times the vector; see :meth:`PointEdit.move`."""
        return (checked_points(points, len(self.vector)) + checked_strength(strength) * self.vector).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """What the edit is, as plain types."""
        name = str(self.direction) if self.direction is not None else None
        return {"edit": "DirectionEdit", "direction": name, "length": float(np.linalg.norm(self.vector))}


def edit_on(fingerprint: SpaceFingerprint, edit: PointEdit | Direction) -> PointEdit:
    """The edit of a Direction, or the edit itself; a direction of another model is refused.

    Raises
    ------
    FingerprintMismatch
        If a Direction was found on another model.
    InputError
        If a Direction has vectors of several layers.
    """
    used = DirectionEdit(edit) if isinstance(edit, Direction) else edit
    if isinstance(used, DirectionEdit) and used.direction is not None:
        used.direction.require(fingerprint)
    return used


def _standard_whitening(points: Float[np.ndarray, "n_points n_dims"]) -> Float[np.ndarray, "n_dims n_dims"]:
    """Whitening of points in units of their own spread: few points draw the covariance to a sphere, which would make it free to move
    along dimensions that hardly vary.
    """
    spread = points.std(axis=0)
    scale = np.where(spread > 1e-12 * max(1.0, float(np.abs(points).max())), spread, 1.0)
    return shrunken_whitening(points / scale)[1].astype(np.float64) / scale[:, np.newaxis]


def target_number(target: Hashable, classes: Sequence[Any]) -> int:
    """Where the target stands among classes; None is the last."""
    return len(classes) - 1 if target is None else class_number(target, classes)


def checked_strength(strength: float) -> float:
    """The strength, if it is finite."""
    if not np.isfinite(strength):
        raise InputError(f"strength is {strength}; expected a finite number.")
    return float(strength)
