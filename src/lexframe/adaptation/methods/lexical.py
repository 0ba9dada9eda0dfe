"""What anybody would try first: n-grams with a linear classifier. The model is not asked, and others are held against it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lexframe.adaptation.fitted import Fitted
from lexframe.adaptation.problem import TEXTS, Classifier, Method, Probabilities, Problem, Rows
from lexframe.instruments.classifiers.ngram_classifiers import LexicalNB, NGramClassifier, TfidfClassifier


class NGramMethod(Method):
    """A classifier of n-grams; points of a model that do no better are not worth their model."""

    family = TEXTS
    control = True
    savable = True
    classifier: Callable[..., NGramClassifier]

    def fit(self, problem: Problem) -> Classifier:
        """One fit on the labeled texts, after the penalty is chosen among them."""
        found = problem.encoded.ngrams
        columns = found.found_in(problem.rows)
        estimator = self.classifier(random_state=problem.seed)
        estimator.fit_counts(found.vocabulary.only(columns), found.counts[problem.rows][:, columns], problem.names())
        return TextsClassifier(problem, estimator, columns, estimator.n_parameters, {"strength": estimator.strength_})


class Tfidf(NGramMethod):
    """Logistic regression on the TF-IDF of words, pairs of words, and two to five characters."""

    name = "tfidf"
    description = "n-grams and logistic regression: TF-IDF of words and characters, without the model"
    classifier = TfidfClassifier


class LexicalNBMethod(NGramMethod):
    """Logistic regression on n-grams weighted by naive Bayes (Wang and Manning, 2012)."""

    name = "lexical-nb"
    description = "n-grams weighted by naive Bayes and logistic regression: words and characters, without the model"
    classifier = LexicalNB


@dataclass
class TextsClassifier:
    """A classifier of n-grams with its columns among those of the problem."""

    problem: Problem
    estimator: NGramClassifier
    columns: np.ndarray
    n_parameters: int
    choices: dict[str, Any] = field(default_factory=dict)

    def predict_proba(self, rows: Rows) -> Probabilities:
        """Probabilities of all labels; a label that training lacked has none."""
        problem = self.problem
        probabilities = np.zeros((len(rows), problem.n_labels))
        known = np.searchsorted(problem.labels, self.estimator.classes_)
        probabilities[:, known] = self.estimator.counts_proba(problem.encoded.ngrams.counts[rows][:, self.columns])
        return probabilities

    def fitted(self) -> Fitted:
        """The estimator, which reads texts and no points."""
        return Fitted(self.estimator)
