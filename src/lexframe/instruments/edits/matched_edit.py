"""Moves of points that change one attribute as it changes where other attributes are as they are."""

import copy
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from lexframe.artifacts import Artifact, Persistent
from lexframe.checks import checked_points, class_numbers
from lexframe.exceptions import InputError
from lexframe.instruments.classifiers.linear_probe import LogisticProbe
from lexframe.instruments.edits.attribute_edit import Labels, target_number
from lexframe.instruments.edits.late_probe import LateProbe
from lexframe.instruments.edits.point_edit import PointEdit, checked_strength, kept_label
from lexframe.provenance import Provenance, SpaceFingerprint
from lexframe.typing import Points, Vectors

SMALLEST_GROUP = 10


class MatchedDifferenceEdit(PointEdit, Persistent):
    r"""Adds the difference of two class means among the points that agree in other attributes.

    Attributes interplay: from "he walks" to "he walked" is another way than from "he does not walk" to "he did not walk", and the mean
    of both leads to neither. Here points stand in groups, one for each combination of the attributes to keep, and a point moves by
    what separates its own class from the target within its own group. Class and group of a point are told by logistic regressions of
    points, so texts to be edited need no labels; a point of the target class stays. For n points a side (harmonic mean) the difference
    of a group g leans on that of all points by :math:`w\,d_g + (1-w)\,d`, :math:`w = n/(n + s)`.

    Parameters
    ----------
    target : hashable, optional
        The class to move towards. Default: the last, sorted.
    smoothing : float
        s, in points.

    Attributes
    ----------
    classes_ : tuple of labels
    target_ : hashable
    groups_ : tuple of labels
        Those of 10 points or more; what is rarer counts in the difference over all alone.
    differences_ : ndarray of shape (n_groups, n_classes, n_dims), float64
        What is added to a point of a group and a class.
    probe_ : LogisticProbe
        Of the classes.
    space_ : SpaceFingerprint or None
    """

    artifact_kind = "matched-difference-edit"

    def __init__(self, *, target: Hashable = None, smoothing: float = 4.0):
        if not smoothing >= 0:
            raise InputError(f"smoothing is {smoothing}; expected a number of points, 0 or more.")
        self.target, self.smoothing = target, smoothing

    def fit(self, points: Vectors, labels: Labels, keep: Labels, *, space: SpaceFingerprint | None = None) -> "MatchedDifferenceEdit":
        """Learn the differences.

        Parameters
        ----------
        points : ndarray of shape (n_points, n_dims)
        labels : sequence of hashable, length n_points
            Of the attribute to change.
        keep : sequence of hashable, length n_points
            Of what is to stay: one label, or a tuple of several attributes.
        space : SpaceFingerprint, optional
            Of the space that the points are of; the edit then refuses points of others.

        Raises
        ------
        InputError
            If points are not finite, labels are not one each, there is one class only, a class has one text, the target is none of the
            classes, a label to keep is missing, none of them stands at 10 points, or each goes with one class alone.
        """
        table = checked_points(points)
        self.classes_, numbers = class_numbers(labels, len(table))
        if len(self.classes_) < 2:
            raise InputError(f"All labels are {self.classes_[0]!r}; an edit needs two classes or more.")
        self.groups_, group_of = matched_groups(keep, len(table))
        if not any(len(set(numbers[group_of == group].tolist())) > 1 for group in range(len(self.groups_))):
            raise InputError("In every group to keep all points are of one class, so there is no difference to learn. Keep something else.")
        parts = [np.ones(len(table), dtype=bool), *(group_of == group for group in range(len(self.groups_)))]
        known = [_class_means(table[rows], numbers[rows], len(self.classes_)) for rows in parts]
        self._means, self._counts = (np.stack(values) for values in zip(*known, strict=True))
        grouped = group_of >= 0
        self._probe, self._group_probe = LateProbe(table, numbers), LateProbe(table[grouped], group_of[grouped])
        self.space_ = space
        self._aim()
        return self

    @property
    def goal(self) -> str:
        """Name of the target class."""
        return str(self.target_)

    def require(self, space: SpaceFingerprint) -> None:
        """Raise FingerprintMismatch unless it was fitted on points of that space, or of none that is known."""
        if self.space_ is not None:
            self.space_.require(space, what=f"The edit towards {self.goal!r}")

    def towards(self, target: Hashable) -> "MatchedDifferenceEdit":
        """The same edit towards another class, with the same classifiers.

        Raises
        ------
        InputError
            If it is none of the classes.
        """
        other = copy.copy(self)
        other.target = target
        other._aim()
        return other

    def _aim(self) -> None:
        self._target = target_number(self.target, self.classes_)
        self.target_ = self.classes_[self._target]
        overall, *own = (_differences(means, counts, self._target) for means, counts in zip(self._means, self._counts, strict=True))
        self.differences_ = np.stack(
            [self._leaning(difference, counts, overall) for difference, counts in zip(own, self._counts[1:], strict=True)]
        )

    def _leaning(
        self,
        own: Float[np.ndarray, "n_classes n_dims"],
        counts: Float[np.ndarray, " n_classes"],
        overall: Float[np.ndarray, "n_classes n_dims"],
    ) -> Float[np.ndarray, "n_classes n_dims"]:
        n = 2 * counts * counts[self._target] / np.maximum(counts + counts[self._target], 1)
        weights = np.where(n > 0, n / np.maximum(n + self.smoothing, 1e-12), 0.0)[:, np.newaxis]
        return np.asarray(weights * own + (1 - weights) * overall)

    @property
    def probe_(self) -> LogisticProbe:
        """Classifier of the classes, fitted when it is first asked for."""
        return self._probe.fitted

    def move(self, points: Vectors, strength: float = 1.0) -> Points:
        """Points plus `strength` times the difference of their group and class; see :meth:`PointEdit.move`."""
        table = checked_points(points, self.differences_.shape[2])
        if not len(table):
            return table.astype(np.float32)
        groups = self._group_probe.fitted.predict(table) if len(self.groups_) > 1 else np.zeros(len(table), dtype=np.int64)
        return (table + checked_strength(strength) * self.differences_[groups, self.probe_.predict(table)]).astype(np.float32)

    def target_probability(self, points: Vectors) -> Float[np.ndarray, " n_points"]:
        """Of the target class, by the probe."""
        return np.asarray(self.probe_.predict_proba(checked_points(points, self.differences_.shape[2]))[:, self._target])

    def to_dict(self) -> dict[str, Any]:
        """What the edit is, as plain types."""
        return {
            "edit": "MatchedDifferenceEdit",
            "target": str(self.target_),
            "n_groups": len(self.groups_),
            "smoothing": self.smoothing,
        }

    def to_artifact(self) -> Artifact:
        """Means and counts of every group and class, from which it can aim at any of them, and both classifiers."""
        known = {
            "target": self.target,
            "smoothing": self.smoothing,
            "classes": list(self.classes_),
            "groups": list(self.groups_),
        }
        artifact = Artifact(
            self.artifact_kind, known, {"means": self._means, "counts": self._counts}, Provenance(space=self.space_), self.artifact_version
        ).with_part("probe", self.probe_.to_artifact())
        return artifact if len(self.groups_) == 1 else artifact.with_part("group_probe", self._group_probe.fitted.to_artifact())

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "MatchedDifferenceEdit":
        """Back from :meth:`to_artifact`."""
        known = artifact.parameters
        edit = cls(target=kept_label(known["target"]), smoothing=known["smoothing"])
        edit.classes_, edit.groups_ = (tuple(map(kept_label, known[name])) for name in ("classes", "groups"))
        edit.space_ = artifact.provenance.space
        edit._means, edit._counts = artifact.arrays["means"], artifact.arrays["counts"]
        edit._probe = edit._group_probe = LateProbe.of(LogisticProbe.from_artifact(artifact.part("probe")))
        if len(edit.groups_) > 1:  # one group needs no classifier that tells groups apart
            edit._group_probe = LateProbe.of(LogisticProbe.from_artifact(artifact.part("group_probe")))
        edit._aim()
        return edit


def matched_groups(keep: Labels, n_points: int) -> tuple[tuple[Any, ...], Int64[np.ndarray, " n_points"]]:
    """Groups that are large enough, and the number of each point's, -1 for the others."""
    given: Sequence[Any] = keep.tolist() if isinstance(keep, np.ndarray) else list(keep)
    if len(given) != n_points:
        raise InputError(f"There are {n_points} points, but {len(given)} labels to keep. Give one for each point.")
    members: dict[Any, list[int]] = {}
    for row, label in enumerate(tuple(label) if isinstance(label, list) else label for label in given):
        if any(part is None or part != part for part in (label if isinstance(label, tuple) else (label,))):
            raise InputError(f"A label to keep is missing in row {row}. Leave the row out.")
        members.setdefault(label, []).append(row)
    large = {label: rows for label, rows in members.items() if len(rows) >= SMALLEST_GROUP}
    if not large:
        raise InputError(f"No label to keep stands at {SMALLEST_GROUP} points or more. Keep fewer attributes, or give more texts.")
    group_of = np.full(n_points, -1, dtype=np.int64)
    labels = sorted(large, key=lambda label: (type(label).__name__, str(label)))
    for number, label in enumerate(labels):
        group_of[large[label]] = number
    return tuple(labels), group_of


def _class_means(
    table: Float[np.ndarray, "n_points n_dims"], numbers: Int64[np.ndarray, " n_points"], n_classes: int
) -> tuple[Float[np.ndarray, "n_classes n_dims"], Float[np.ndarray, " n_classes"]]:
    """Mean and number of the points of each class; 0 where there is none."""
    counts = np.bincount(numbers, minlength=n_classes).astype(np.float64)
    sums = np.zeros((n_classes, table.shape[1]))
    np.add.at(sums, numbers, table)
    return sums / np.maximum(counts, 1)[:, np.newaxis], counts


def _differences(
    means: Float[np.ndarray, "n_classes n_dims"], counts: Float[np.ndarray, " n_classes"], target: int
) -> Float[np.ndarray, "n_classes n_dims"]:
    """Mean of the target less that of each class, 0 where one of both is absent."""
    present = (counts > 0) & (counts[target] > 0)
    return np.where(present[:, np.newaxis], means[target] - means, 0.0)
