"""Moves of points that change one attribute of the texts written from them: by difference of means, or by classifier."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from lexframe.artifacts import Artifact, Persistent
from lexframe.checks import checked_points, class_number, class_numbers
from lexframe.exceptions import InputError
from lexframe.instruments.classifiers.linear_probe import LogisticProbe
from lexframe.instruments.directions.concept_direction import direction_between, typical_length
from lexframe.instruments.directions.direction import Direction
from lexframe.instruments.edits.class_projection import nearest_in_class
from lexframe.instruments.edits.late_probe import LateProbe
from lexframe.instruments.edits.point_edit import PointEdit, checked_strength, kept_label
from lexframe.linalg import shrunken_whitening
from lexframe.provenance import Provenance, SpaceFingerprint
from lexframe.typing import Points, Vectors

Labels = Sequence[Hashable] | np.ndarray

METRICS = ("whitened", "euclidean")


class MeanDifferenceEdit(PointEdit, Persistent):
    """Adds the difference of two class means: strength 1 moves one mean onto the other.

    It finds a :class:`~lexframe.instruments.directions.direction.Direction` and moves by it; beside that it knows which point is of
    which class.

    Parameters
    ----------
    target : hashable, optional
        The class to move towards. Default: the second of both, sorted.

    Attributes
    ----------
    classes_ : tuple of two labels
    target_ : hashable
    direction_ : Direction
        From the other class to the target, as long as the difference of their means; its origin lies midway between them.
    probe_ : LogisticProbe
        Fitted on the same points when it is first asked for; tells the classes apart, and plays no part in the move.

    References
    ----------
    Larsen et al. (2016), Autoencoding beyond pixels using a learned similarity metric, section 4.2.1: visual attribute vectors.
    """

    artifact_kind = "mean-difference-edit"

    def __init__(self, *, target: Hashable = None):
        self.target = target

    def fit(self, points: Vectors, labels: Labels, *, space: SpaceFingerprint | None = None) -> "MeanDifferenceEdit":
        """Learn the difference.

        Parameters
        ----------
        points : ndarray of shape (n_points, n_dims)
        labels : sequence of hashable, length n_points
        space : SpaceFingerprint, optional
            Of the space that the points are of; the direction then refuses points of others.

        Returns
        -------
        self

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
        self.target_, other = self.classes_[self._target], self.classes_[1 - self._target]
        difference, origin = direction_between(table[numbers == self._target], table[numbers != self._target])
        self.direction_ = Direction.of_points(
            difference,
            space,
            positive=str(self.target_),
            negative=str(other),
            method="mean_difference",
            origin=origin,
            scale=typical_length(table),
        )
        self._probe = LateProbe(table, numbers)
        return self

    @property
    def probe_(self) -> LogisticProbe:
        """Classifier of the points that the edit was fitted on."""
        return self._probe.fitted

    @property
    def goal(self) -> str:
        """Name of the target class."""
        return str(self.target_)

    def require(self, space: SpaceFingerprint) -> None:
        """See :meth:`~lexframe.instruments.directions.direction.Direction.require`."""
        self.direction_.require(space)

    def move(self, points: Vectors, strength: float = 1.0) -> Points:
        """Points plus `strength` times the difference; see :meth:`PointEdit.move`."""
        return self.direction_.move(points, strength)

    def target_probability(self, points: Vectors) -> Float[np.ndarray, " n_points"]:
        """Of the target class, by the probe."""
        table = checked_points(points, len(self.direction_.vector()))
        return np.asarray(self.probe_.predict_proba(table)[:, self._target])

    def to_dict(self) -> dict[str, Any]:
        """What the edit is, as plain types."""
        length = float(np.linalg.norm(self.direction_.vector()))
        return {"edit": "MeanDifferenceEdit", "target": str(self.target_), "length": length}

    def to_artifact(self) -> Artifact:
        """The direction, the probe, and the classes that they are of."""
        known = {"target": self.target, "classes": list(self.classes_)}
        artifact = Artifact(self.artifact_kind, known, {}, self.direction_.provenance, self.artifact_version)
        return artifact.with_part("direction", self.direction_.to_artifact()).with_part("probe", self.probe_.to_artifact())

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "MeanDifferenceEdit":
        """Back from :meth:`to_artifact`."""
        edit = cls(target=kept_label(artifact.parameters["target"]))
        edit.classes_ = tuple(map(kept_label, artifact.parameters["classes"]))
        edit._target = target_number(edit.target, edit.classes_)
        edit.target_ = edit.classes_[edit._target]
        edit.direction_ = Direction.from_artifact(artifact.part("direction"))
        edit._probe = LateProbe.of(LogisticProbe.from_artifact(artifact.part("probe")))
        return edit


class ClassifierGradientEdit(PointEdit, Persistent):
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
    space_ : SpaceFingerprint or None
    """

    artifact_kind = "classifier-gradient-edit"

    def __init__(self, *, target: Hashable = None, probability: float = 0.9, radius: float = 4.0, metric: str = "whitened"):
        if not 0 < probability < 1:
            raise InputError(f"probability is {probability}; expected more than 0 and less than 1, such as 0.9.")
        if not radius > 0:
            raise InputError(f"radius is {radius}; expected a length above 0, in standard deviations.")
        if metric not in METRICS:
            raise InputError(f"metric is {metric!r}; expected one of {', '.join(METRICS)}.")
        self.target, self.probability, self.radius, self.metric = target, probability, radius, metric

    def fit(self, points: Vectors, labels: Labels, *, space: SpaceFingerprint | None = None) -> "ClassifierGradientEdit":
        """Learn classifier and metric.

        Parameters
        ----------
        points : ndarray of shape (n_points, n_dims)
        labels : sequence of hashable, length n_points
        space : SpaceFingerprint, optional
            Of the space that the points are of; the edit then refuses points of others.

        Returns
        -------
        self

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
        self.space_ = space
        return self

    @property
    def goal(self) -> str:
        """Name of the target class."""
        return str(self.target_)

    def require(self, space: SpaceFingerprint) -> None:
        """Raise FingerprintMismatch unless it was fitted on points of that space, or of none that is known."""
        if self.space_ is not None:
            self.space_.require(space, what=f"The edit towards {self.goal!r}")

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

    def to_artifact(self) -> Artifact:
        """The classifier, the metric, and the settings."""
        known = {
            "target": self.target,
            "probability": self.probability,
            "radius": self.radius,  # None where it has no end, which JSON cannot write
            "metric": self.metric,
            "classes": list(self.classes_),
        }
        artifact = Artifact(self.artifact_kind, known, {"whitening": self._whitening}, Provenance(space=self.space_), self.artifact_version)
        return artifact.with_part("probe", self.probe_.to_artifact())

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "ClassifierGradientEdit":
        """Back from :meth:`to_artifact`."""
        known = artifact.parameters
        radius = np.inf if known["radius"] is None else known["radius"]
        edit = cls(target=kept_label(known["target"]), probability=known["probability"], radius=radius, metric=known["metric"])
        edit.classes_ = tuple(map(kept_label, known["classes"]))
        edit._target = target_number(edit.target, edit.classes_)
        edit.target_ = edit.classes_[edit._target]
        edit.probe_ = LogisticProbe.from_artifact(artifact.part("probe"))
        edit.space_ = artifact.provenance.space
        edit._whitening = artifact.arrays["whitening"]
        edit._unwhitening = np.linalg.inv(edit._whitening)
        return edit


def edit_on(fingerprint: SpaceFingerprint, edit: PointEdit) -> PointEdit:
    """The edit, if it can move points of the space.

    Raises
    ------
    FingerprintMismatch
        If it was learned on another space.
    InputError
        If it is a Direction with vectors of several layers, or zero.
    """
    edit.require(fingerprint)
    if isinstance(edit, Direction) and not edit.vector().any():
        raise InputError(f"The direction {edit} is zero, so it moves nothing. Find it again, from other examples.")
    return edit


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
