"""What a practitioner would type in five lines, on the same rows: a model of sentences has to be worth more than these."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lexframe.intervals import Estimate, mean_over_items, share_over_items
from lexframe.verbal.losses import Predicted
from lexframe.verbal.task import Sample, Task, stand_in_for

_REGRESSION = ("mean", "ridge", "polynomial", "kNN", "tree")
_CLASSES = ("most frequent", "logistic", "quadratic logistic", "kNN", "tree")
MOST_COLUMNS = 50
"""Of which powers and products are tried."""
_SQUARED = "neg_mean_squared_error"
_TEXTS = ("most frequent", "n-grams, logistic", "n-grams, naive Bayes")


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """How well rows are predicted.

    Attributes
    ----------
    name : str
    value : Estimate
        Mean squared error of a regression, accuracy of a classification, over the rows.
    by_row : ndarray of shape (n_rows,)
        What it is the mean of.
    """

    name: str
    value: Estimate
    by_row: np.ndarray


def score(name: str, task: Task, values: np.ndarray, targets: np.ndarray) -> Score:
    """Squared errors of numbers, 1 for every right label.

    Parameters
    ----------
    name : str
    task : Task
    values, targets : ndarray of shape (n_rows,)
    """
    if task.is_regression:
        with np.errstate(over="ignore"):
            by_row = np.square(values.astype(np.float64) - targets.astype(np.float64))
    else:
        by_row = (values == targets).astype(np.float64)
    return Score(name, (mean_over_items if task.is_regression else share_over_items)(by_row), by_row)


def score_predicted(name: str, task: Task, predicted: Predicted, targets: np.ndarray) -> Score:
    """The score of what a model of sentences predicts; where it has no answer, its stand-in counts."""
    return score(name, task, predicted.values, targets)


def baselines(task: Task, train: Sample, test: Sample, *, seed: int = 0) -> list[Score]:
    """Scores of plain methods, fitted on all training rows.

    Parameters
    ----------
    task : Task
    train, test : Sample
    seed : int
        Of folds.

    Returns
    -------
    list of Score
        Of the methods that these rows allow; always answering the mean or the most frequent label is the first.
    """
    found = []
    for name in _names(task, train):
        values = _predicted(name, task, train, test, seed)
        if values is not None:
            found.append(score(name, task, values, test.targets))
    return found


def cross_validated(task: Task, sample: Sample, *, seed: int = 0) -> list[Score]:
    """Scores of plain methods on rows that each was fitted without, in five folds.

    Parameters
    ----------
    task : Task
    sample : Sample
        Two rows or more.
    seed : int
        Of the folds.
    """
    from sklearn.model_selection import KFold

    folds = list(KFold(min(5, len(sample)), shuffle=True, random_state=seed).split(sample.targets))
    found = []
    for name in _names(task, sample):
        values = np.empty(len(sample), dtype=np.float64 if task.is_regression else object)
        for learned, held in folds:
            told = _predicted(name, task, sample.take(learned), sample.take(held), seed)
            if told is None:
                break
            values[held] = told
        else:
            found.append(score(name, task, values, sample.targets))
    return found


def _names(task: Task, train: Sample) -> tuple[str, ...]:
    """Methods for these rows; powers of n-grams, or of very many columns, fit into no memory."""
    if task.reads_text:
        return _TEXTS
    names = _REGRESSION if task.is_regression else _CLASSES
    few = train.rows.numbers is not None and len(train.rows.names) <= MOST_COLUMNS
    return tuple(name for name in names if few or name not in ("polynomial", "quadratic logistic"))


def _predicted(name: str, task: Task, train: Sample, test: Sample, seed: int) -> np.ndarray | None:
    """Predictions of a method fitted on some rows, for others; None where it cannot be fitted on these."""
    try:
        model = _model(name, task, train, seed)
        return None if model is None else model(test)
    except (ValueError, MemoryError):  # such as texts without a word: a run that was paid for is not lost over a yardstick
        return None


def _model(name: str, task: Task, train: Sample, seed: int) -> Callable[[Sample], np.ndarray] | None:
    """A fitted method as a function of rows; None where there are too few rows for it."""
    if name in ("mean", "most frequent"):
        constant = stand_in_for(task, train.targets)
        return lambda sample: np.array([constant] * len(sample), dtype=np.float64 if task.is_regression else object)
    estimator = _regressor(name, train, seed) if task.is_regression else _classifier(name, train, seed)
    if estimator is None:
        return None
    given = _given(train, task)
    estimator.fit(given, train.targets.astype(np.float64) if task.is_regression else train.targets.astype(str))

    def predict(sample: Sample) -> np.ndarray:
        values = estimator.predict(_given(sample, task))
        return values.astype(np.float64) if task.is_regression else values.astype(object)

    return predict


def _given(sample: Sample, task: Task) -> Any:
    if task.reads_text:
        return sample.rows.texts
    numbers = sample.rows.numbers
    if numbers is not None:
        return numbers
    import pandas as pd

    return pd.DataFrame(sample.rows.columns)


def _prepared(train: Sample, *steps: Any) -> Any:
    """Columns made comparable, texts among them as n-grams, before the steps."""
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if train.rows.numbers is not None:
        return make_pipeline(StandardScaler(), *steps)
    numbers = [name for name, column in train.rows.columns.items() if column.dtype != object]
    texts = [
        (name, TfidfVectorizer(sublinear_tf=True, tokenizer=str.split, token_pattern=None), name)
        for name, column in train.rows.columns.items()
        if column.dtype == object
    ]
    return make_pipeline(ColumnTransformer([("numbers", StandardScaler(), numbers), *texts], sparse_threshold=0), *steps)


def _regressor(name: str, train: Sample, seed: int) -> Any:
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import GridSearchCV, KFold
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures
    from sklearn.tree import DecisionTreeRegressor

    folds = min(5, len(train))
    if folds < 2:
        return None
    split = KFold(folds, shuffle=True, random_state=seed)
    if name == "ridge":
        return _prepared(train, RidgeCV(np.logspace(-4, 3, 15)))
    if name == "polynomial":
        degrees = {"polynomialfeatures__degree": [1, 2, 3, 4, 5] if len(train.rows.names) <= 3 else [1, 2]}
        model = make_pipeline(PolynomialFeatures(include_bias=False), RidgeCV(np.logspace(-4, 3, 15)))
        return _prepared(train, GridSearchCV(model, degrees, cv=split, scoring=_SQUARED))
    if name == "kNN":
        sizes = [k for k in (1, 3, 5, 9) if k <= len(train) - -(-len(train) // folds)]
        return _prepared(train, GridSearchCV(KNeighborsRegressor(), {"n_neighbors": sizes}, cv=split, scoring=_SQUARED)) if sizes else None
    grid = {"max_depth": [2, 3, 4, 6, None], "min_samples_leaf": [1, 3]}
    return _prepared(train, GridSearchCV(DecisionTreeRegressor(random_state=seed), grid, cv=split, scoring=_SQUARED))


def _classifier(name: str, train: Sample, seed: int) -> Any:
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.naive_bayes import ComplementNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures
    from sklearn.tree import DecisionTreeClassifier

    counts = np.unique(train.targets.astype(str), return_counts=True)[1]
    if len(counts) < 2:
        return None
    if name == "n-grams, logistic":
        vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), tokenizer=str.split, token_pattern=None)
        return make_pipeline(vectorizer, LogisticRegression(C=10, max_iter=2000))
    if name == "n-grams, naive Bayes":
        return make_pipeline(CountVectorizer(binary=True, ngram_range=(1, 2), tokenizer=str.split, token_pattern=None), ComplementNB())
    if name == "logistic":
        return _prepared(train, LogisticRegression(max_iter=2000))
    if name == "quadratic logistic":
        return _prepared(train, PolynomialFeatures(2, include_bias=False), LogisticRegression(C=10, max_iter=5000))
    folds = min(5, int(counts.min()))
    if folds < 2:
        return None
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    if name == "kNN":
        sizes = [k for k in (1, 3, 5, 9) if k <= len(train) - -(-len(train) // folds)]
        return _prepared(train, GridSearchCV(KNeighborsClassifier(), {"n_neighbors": sizes}, cv=split)) if sizes else None
    grid = {"max_depth": [2, 3, 4, 6, None], "min_samples_leaf": [1, 3]}
    return _prepared(train, GridSearchCV(DecisionTreeClassifier(random_state=seed), grid, cv=split))


def posterior_score(space: Any, task: Task, train: Sample, test: Sample, *, seed: int = 0) -> Score:
    """Posterior calibration on the points of a model, fitted on the same labels: see :func:`lexframe.adaptation.adapt`.

    Parameters
    ----------
    space : Space
    task : Task
        That reads texts.
    train, test : Sample
    seed : int
    """
    from lexframe.adaptation import adapt

    tables = [(sample.rows.texts, sample.targets.astype(str).tolist()) for sample in (train, test)]
    result, _ = adapt(space, *tables, methods="posterior", seed=seed)
    places = result.methods["posterior"].probabilities.argmax(axis=1)
    values = np.array([result.labels[place] for place in places], dtype=object)
    return score("posterior calibration", task, values, test.targets)
