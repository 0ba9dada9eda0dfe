"""The plain controls: shrinkage LDA and L2 logistic regression on the same points.

Any method that moves points has to beat these. Both end up as one matrix and one offset, which is what is saved.
"""

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from lexframe.instruments.classifiers.threads import one_thread
from lexframe.instruments.persistent_estimator import PersistentEstimator
from lexframe.linalg import folds_by_class, softmax


class LinearReadout(PersistentEstimator, ClassifierMixin, BaseEstimator):
    """Softmax of a linear map of the points: the fitted form that the linear instruments share.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (n_classes, n_features)
    intercept_ : ndarray of shape (n_classes,)
        Logits are ``X @ coef_.T + intercept_``.
    """

    def decision_function(self, X: Any) -> np.ndarray:
        """Logits, shape (n_samples, n_classes); for two classes the difference, shape (n_samples,)."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: Any) -> np.ndarray:
        """Softmax of the logits."""
        return softmax(self._logits(X))

    def predict(self, X: Any) -> np.ndarray:
        """The class with the largest logit."""
        logits = self._logits(X)
        return self.classes_[logits.argmax(axis=1)]

    def fitted_arrays(self) -> dict[str, np.ndarray]:
        """The map, which standardisation is part of."""
        return {"coef": self.coef_, "intercept": self.intercept_}

    def set_fitted_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take the map back."""
        self.coef_, self.intercept_ = arrays["coef"], arrays["intercept"]

    def _logits(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return X @ self.coef_.T + self.intercept_

    def _validated(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_ = unique_labels(y)
        if len(self.classes_) < 2:
            raise ValueError(f"{type(self).__name__} needs two classes or more, but y has 1 class: {self.classes_.tolist()}.")
        return X, y

    def _set_linear(self, coef: np.ndarray, intercept: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> None:
        """Take the standardisation into the map, and write two classes as two rows."""
        if len(coef) == 1:
            coef, intercept = np.vstack([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
        self.coef_ = coef / scale
        self.intercept_ = intercept - self.coef_ @ mean


class ShrinkageLDA(LinearReadout):
    """Linear discriminant analysis with a shrunken covariance (Ledoit and Wolf's estimate).

    Parameters
    ----------
    shrinkage : "auto" or float in [0, 1]
        Weight of the scaled identity in the covariance; ``auto`` estimates it.

    Notes
    -----
    A closed form: no epochs and nothing to tune. Points are standardised first, so that the identity is a fair target.
    """

    artifact_kind = "shrinkage-lda"

    def __init__(self, shrinkage: str | float = "auto"):
        self.shrinkage = shrinkage

    def fit(self, X: Any, y: Any) -> "ShrinkageLDA":
        """Class means and a pooled, shrunken covariance."""
        X, y = self._validated(X, y)
        mean, scale = _mean_and_scale(X)
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=self.shrinkage)
        with one_thread(X.size), warnings.catch_warnings():
            # A class of one text has no scatter of its own, which is right: that of the others is used.
            warnings.filterwarnings("ignore", "Only one sample available", UserWarning)
            model.fit((X - mean) / scale, y)
        self._set_linear(model.coef_, model.intercept_, mean, scale)
        return self


class LogisticProbe(LinearReadout):
    """Multinomial logistic regression with an L2 penalty chosen by cross-validation inside the training labels.

    Parameters
    ----------
    strengths : sequence of float
        Inverse penalties to try (scikit-learn's C).
    n_folds : int
        Folds of the choice. A class with one member is held out in none; with no other class the middle of `strengths` is taken.
    random_state : int
        Of the folds.

    Attributes
    ----------
    strength_ : float
        The inverse penalty chosen, by log-loss.
    """

    artifact_kind = "logistic-probe"

    def __init__(self, *, strengths: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0), n_folds: int = 3, random_state: int = 0):
        self.strengths = strengths
        self.n_folds = n_folds
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> "LogisticProbe":
        """Choose the penalty, then fit on all points."""
        X, y = self._validated(X, y)
        mean, scale = _mean_and_scale(X)
        X = (X - mean) / scale
        with one_thread(X.size):
            self.strength_ = self._choose(X, y)
            model = self._model(self.strength_).fit(X, y)
        self._set_linear(model.coef_, model.intercept_, mean, scale)
        return self

    def _choose(self, X: np.ndarray, y: np.ndarray) -> float:
        numbers = np.searchsorted(self.classes_, y)
        folds = folds_by_class(numbers, self.n_folds, seed=self.random_state) if len(self.strengths) > 1 else []
        if not folds:
            return self.strengths[len(self.strengths) // 2]
        losses = np.zeros(len(self.strengths))
        for train, held_out in folds:
            truth = numbers[held_out]
            for number, strength in enumerate(self.strengths):
                probabilities = self._model(strength).fit(X[train], y[train]).predict_proba(X[held_out])
                losses[number] -= np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)).sum()
        return self.strengths[int(losses.argmin())]

    def _model(self, strength: float) -> LogisticRegression:
        # The tolerance stops where accuracy and log-loss no longer move; tighter ones cost several times as much.
        return LogisticRegression(C=strength, max_iter=2000, tol=1e-3)


def _mean_and_scale(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = X.std(0)
    return X.mean(0), np.where(scale > 1e-12 * max(1.0, float(np.abs(X).max())), scale, 1.0)
