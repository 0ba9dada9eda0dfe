"""The estimators: ``fit`` trains parameters that are text, ``predict`` asks the model or executes them."""

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from lexframe.checks import column_names
from lexframe.exceptions import InputError
from lexframe.verbal.fitting import Checks, classification_sample, fit, regression_sample, task_of
from lexframe.verbal.losses import Predicted
from lexframe.verbal.rows import Rows
from lexframe.verbal.settings import Settings
from lexframe.verbal.task import label_targets


class _VerbalEstimator(BaseEstimator):
    """What both share: how rows come in, and how a run is made."""

    _is_regression: bool

    def __init__(
        self,
        client: Any = None,
        *,
        kind: str = "program",
        prior: str = "",
        settings: Settings | None = None,
        checks: Checks | None = None,
        digits: int | None = 4,
        folder: str | None = None,
    ):
        self.client = client
        self.kind = kind
        self.prior = prior
        self.settings = settings
        self.checks = checks
        self.digits = digits
        self.folder = folder

    def fit(self, X: Any, y: Any) -> Any:
        """Train.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns), DataFrame, or sequence of str
            Numbers, a table of numbers and texts, or texts alone.
        y : array-like of shape (n_rows,)
            Numbers, or labels.

        Returns
        -------
        self

        Raises
        ------
        InputError
            If a value is missing or not finite, there is one row, one label or one target value, or no client was given.
        """
        if self.client is None:
            raise InputError(f"{type(self).__name__} has no client. Give one, such as LocalClient('smollm2').")
        rows, targets = self._given(X, y)
        sample = (regression_sample if self._is_regression else classification_sample)(rows, self._targets(targets))
        task = task_of(sample, is_regression=self._is_regression, prior=self.prior, kind=self.kind, digits=self.digits)
        self.run_ = fit(self.client, task, sample, self.settings, folder=self.folder, checks=self.checks or Checks())
        self.parameters_ = self.run_.parameters
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predictions.

        Parameters
        ----------
        X : as for ``fit``

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        return self._predicted(X).values

    def _predicted(self, X: Any) -> Predicted:
        check_is_fitted(self, "run_")
        if self.run_.task.text_columns:
            return self.run_.predict(X, self.client)
        table = validate_data(self, X, reset=False, dtype=np.float64)
        return self.run_.predict(np.asarray(table), self.client)

    def _targets(self, y: Any) -> Any:
        return y

    def _given(self, X: Any, y: Any) -> tuple[Rows, Any]:
        """Rows and targets; tables of numbers are checked as scikit-learn checks them."""
        known = None if issparse(X) else column_names(X)
        first = None if known is not None or issparse(X) or getattr(X, "ndim", 1) != 1 else next(iter(X), None) if _can_iterate(X) else None
        if isinstance(first, str) or (known is not None and _holds_texts(X, known)):
            rows = Rows.of(X)
            self.n_features_in_ = len(rows.names)
            return rows, y
        table, targets = validate_data(self, X, y, dtype=np.float64, y_numeric=self._is_regression)
        names = getattr(self, "feature_names_in_", None)
        return Rows.of(np.asarray(table), None if names is None else [str(name) for name in names]), targets

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.string = True
        tags.non_deterministic = False
        return tags


def _can_iterate(given: Any) -> bool:
    return hasattr(given, "__iter__")


def _holds_texts(table: Any, names: list[Any]) -> bool:
    return any(isinstance(value, str) for name in names for value in list(table[name])[:1])


class VerbalRegressor(RegressorMixin, _VerbalEstimator, BaseEstimator):
    """A regression whose parameters are text, trained by a language model [1]_.

    Parameters
    ----------
    client : Client
        Who predicts and proposes.
    kind : {"program", "sentences", "examples"}
        Of the parameters: sentences with a formula that is executed, so that predictions are exact and cost no call; sentences that the
        model follows, as published; sentences with examples.
    prior : str
        What is known beforehand, such as "The output is periodic in x."
    settings : Settings, optional
        Steps, optimizer, selection, budget.
    checks : Checks, optional
        What is measured beside training. Default: obedience on 24 rows.
    digits : int or None
        Significant digits of numbers in prompts.
    folder : str, optional
        Where calls and the run are kept.

    Attributes
    ----------
    parameters_ : Parameters
    run_ : VerbalRun
        How it came to them, with scores of plain methods on the same rows.
    n_features_in_ : int

    References
    ----------
    .. [1] Xiao, Bamler, Schölkopf, Liu (2024), Verbalized Machine Learning: Revisiting Machine Learning with Language Models,
       arXiv:2406.04344.
    """

    _is_regression = True


class VerbalClassifier(ClassifierMixin, _VerbalEstimator, BaseEstimator):
    """A classification whose parameters are text, trained by a language model [1]_.

    Parameters
    ----------
    client : Client
        Who predicts and proposes.
    kind : {"program", "sentences", "examples"}
        Of the parameters: sentences with rules or a lookup that are executed; sentences that the model follows, as published, by the
        probability of each label where the client gives it; sentences with examples.
    prior, settings, checks, digits, folder
        See :class:`VerbalRegressor`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    parameters_ : Parameters
    run_ : VerbalRun
    n_features_in_ : int

    References
    ----------
    .. [1] Xiao, Bamler, Schölkopf, Liu (2024), Verbalized Machine Learning: Revisiting Machine Learning with Language Models,
       arXiv:2406.04344.
    """

    _is_regression = False

    def _targets(self, y: Any) -> Any:
        values = column_or_1d(y, warn=True)
        label_targets(values, len(values))  # refuses missing ones by their row
        check_classification_targets(values)
        self.classes_ = np.unique(values)
        self._by_text = {str(value): value for value in self.classes_.tolist()}
        return values

    def predict(self, X: Any) -> np.ndarray:
        """Labels.

        Parameters
        ----------
        X : as for ``fit``

        Returns
        -------
        ndarray of shape (n_rows,)
            Of the kind that ``fit`` was given.
        """
        found = super().predict(X)
        return np.array([self._by_text[label] for label in found], dtype=self.classes_.dtype)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the labels; 1 for the label that is predicted where the client gives none.

        Parameters
        ----------
        X : as for ``fit``

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            In the order of ``classes_``.
        """
        predicted = self._predicted(X)
        labels = list(self.run_.task.labels)
        if predicted.probabilities is None:
            table = np.array([[float(value == label) for label in labels] for value in predicted.values])
        else:
            table = predicted.probabilities
        return table[:, [labels.index(str(value)) for value in self.classes_.tolist()]]
