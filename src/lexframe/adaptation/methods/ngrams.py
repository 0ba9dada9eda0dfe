"""What anybody would try first: TF-IDF of words and characters, and logistic regression. The model is not asked."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline, make_union

from lexframe.adaptation.problem import TEXTS, Classifier, Method, Probabilities, Problem, Rows

WORDS_AND_MARKS = r"(?u)\w+|[^\w\s]"
"""Texts of punctuation alone, such as emoji, have words of their own."""


class NGrams(Method):
    """Logistic regression on the TF-IDF of words, pairs of words, and two to five characters; nothing is chosen.

    Others are held against it: points of a model that do no better are not worth their model.
    """

    name = "n-grams"
    description = "n-grams and logistic regression: TF-IDF of words and characters, without the model"
    family = TEXTS
    control = True

    def fit(self, problem: Problem) -> Classifier:
        """One convex fit on the labeled texts."""
        texts, names = problem.texts(problem.rows), problem.names()
        if not any(text.strip() for text in texts):
            return TextsClassifier(problem, None, 0)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The number of unique classes")  # classes of one text are no regression
            pipeline = ngram_pipeline().fit(texts, names)
        return TextsClassifier(problem, pipeline, int(pipeline[-1].coef_.size + pipeline[-1].intercept_.size))


def ngram_pipeline() -> Pipeline:
    """The classifier itself, for texts as scikit-learn takes them."""
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=WORDS_AND_MARKS, sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    return make_pipeline(make_union(words, characters), LogisticRegression(C=10, max_iter=1000))


@dataclass
class TextsClassifier:
    """A pipeline that reads texts; without one, because no labeled text has a letter, the shares of the labels."""

    problem: Problem
    pipeline: Pipeline | None
    n_parameters: int
    choices: dict[str, Any] = field(default_factory=dict)

    def predict_proba(self, rows: Rows) -> Probabilities:
        """Probabilities of all labels; a label that training lacked has none."""
        problem = self.problem
        probabilities = np.zeros((len(rows), problem.n_labels))
        if self.pipeline is None:
            probabilities[:] = np.bincount(problem.y, minlength=problem.n_labels) / len(problem.y)
        elif len(rows):
            columns = np.searchsorted(problem.labels, self.pipeline.classes_)
            probabilities[:, columns] = self.pipeline.predict_proba(problem.texts(rows))
        return probabilities
