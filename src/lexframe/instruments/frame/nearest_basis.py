"""The nearest semantic basis as a classifier: what the vocabulary alone says of a point."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from lexframe.instruments.frame.vocabulary_frame import LabelBases
from lexframe.instruments.persistent_estimator import PersistentEstimator
from lexframe.linalg import cosine, softmax


class NearestBasis(PersistentEstimator, ClassifierMixin, BaseEstimator):
    """Label whose basis is most similar to the point.

    With `bases` nothing is learnt from the points: this is a zero-shot classifier, and `fit` only checks its input.
    Without, the class means of the training points serve as bases (nearest class mean by cosine).

    Parameters
    ----------
    bases : LabelBases, optional
        Made by :meth:`VocabularyFrame.label_bases`.
    temperature : float
        Similarities are divided by it before the softmax. Cosines lie in [-1, 1], so 1 would make all
        probabilities nearly equal.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted. With `bases` all of its labels, seen in training or not.
    vectors_ : ndarray of shape (n_classes, n_features)
        The bases, in the order of `classes_`.
    """

    artifact_kind = "nearest-basis"
    unkept_parameters = frozenset({"bases"})

    def __init__(self, bases: LabelBases | None = None, *, temperature: float = 0.1):
        self.bases = bases
        self.temperature = temperature

    def fit(self, X: Any, y: Any) -> "NearestBasis":
        """Check the input; without `bases`, take the class means."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        if self.bases is None:
            self.classes_ = unique_labels(y)
            self.vectors_ = np.stack([X[y == label].mean(0) for label in self.classes_])
            self.metric_ = None
        else:
            self.classes_, self.vectors_ = sorted_bases(self.bases, y, X.shape[1])
            self.metric_ = self.bases.metric
        return self

    def similarity(self, X: Any) -> np.ndarray:
        """Similarities with the bases, shape (n_samples, n_classes), in [-1, 1]."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return cosine(X, self.vectors_, self.metric_)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Softmax of similarity over temperature."""
        return softmax(self.similarity(X) / self.temperature)

    def predict(self, X: Any) -> np.ndarray:
        """The most similar label."""
        similarity = self.similarity(X)
        return self.classes_[similarity.argmax(axis=1)]

    def fitted_arrays(self) -> dict[str, np.ndarray]:
        """The bases, and the inner product that they are compared in where it is not the plain one."""
        return {"vectors": self.vectors_} | ({} if self.metric_ is None else {"metric": self.metric_})

    def set_fitted_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take the bases back."""
        self.vectors_, self.metric_ = arrays["vectors"], arrays.get("metric")


def sorted_bases(bases: LabelBases, y: np.ndarray, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels in sorted order with their vectors, after checking that they cover `y` and fit the points.

    Raises
    ------
    ValueError
        If a label of `y` has no basis, or the points have another number of dimensions.
    """
    labels = np.array(bases.labels)
    missing = sorted(set(np.unique(y).tolist()) - set(labels.tolist()))
    if missing:
        raise ValueError(f"No basis for the labels {missing[:5]}; there are bases for {labels.tolist()[:8]}. Give words for all labels.")
    if bases.vectors.shape[1] != n_features:
        raise ValueError(f"The bases have {bases.vectors.shape[1]} dimensions, but the points have {n_features}. Take both from one space.")
    order = np.argsort(labels)
    return labels[order], bases.vectors[order]
