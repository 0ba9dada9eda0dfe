"""What n-grams alone say of the labels, as one opinion among those of models: some labels hang on single words."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from jaxtyping import Float, Int

from lexframe.adaptation.problem import Problem
from lexframe.instruments.classifiers.ngram_classifiers import LexicalNB, NGramClassifier
from lexframe.linalg import folds_by_class

N_FOLDS = 5
LEAST_PROBABILITY = 1e-6
"""Of a label, so that no single word decides alone; also that of a label which training lacked."""


@dataclass(frozen=True, slots=True, eq=False)
class NGramOpinion:
    """A classifier of n-grams, and what it says of the texts of a problem.

    Attributes
    ----------
    classifier : NGramClassifier
        Fitted on all labeled texts.
    scores : ndarray of shape (n_texts, n_labels)
        Log-probabilities of the labels for all texts; those of the labeled rows that were asked for are of classifiers that have not
        seen the row's label.
    """

    classifier: NGramClassifier
    scores: Float[np.ndarray, "n_texts n_labels"]


def ngram_opinion(problem: Problem, asked: Int[np.ndarray, " m"]) -> NGramOpinion | None:
    """Naive Bayes weights and logistic regression (:class:`~lexframe.instruments.classifiers.ngram_classifiers.LexicalNB`).

    Parameters
    ----------
    problem : Problem
    asked : ndarray of int, shape (m,)
        Places among the labeled rows whose left-out scores are wanted. They are left out by fifths, or by halves where they are few
        among the labeled rows; the penalty is that of all.

    Returns
    -------
    NGramOpinion or None
        None where no label has two texts, since then none can be left out.
    """
    n = len(problem.rows)
    folds = folds_by_class(problem.y[asked], max(2, ceil(N_FOLDS * len(asked) / max(n, 1))), seed=problem.seed) if n else []
    if not folds:
        return None
    whole, scores = _learn_and_say(problem, np.arange(n), np.arange(len(problem.encoded)), LexicalNB(random_state=problem.seed))
    for _, held_out in folds:
        left = asked[held_out]
        without = LexicalNB(strengths=(whole.strength_,), random_state=problem.seed)
        rows = problem.rows[left]
        scores[rows] = _learn_and_say(problem, np.setdiff1d(np.arange(n), left), rows, without)[1]
    return NGramOpinion(whole, scores)


def _learn_and_say(problem: Problem, places: np.ndarray, rows: np.ndarray, classifier: LexicalNB) -> tuple[LexicalNB, np.ndarray]:
    """Fitted on some of the labeled rows and on the n-grams that stand in them, and its scores of `rows`."""
    found, learnt = problem.encoded.ngrams, problem.rows[places]
    columns = found.found_in(learnt)
    classifier.fit_counts(found.vocabulary.only(columns), found.counts[learnt][:, columns], problem.names()[places])
    return classifier, opinion_scores(classifier, classifier.counts_proba(found.counts[rows][:, columns]), problem.labels)


def opinion_scores(classifier: NGramClassifier, probabilities: np.ndarray, labels: Sequence[str]) -> Float[np.ndarray, "n n_labels"]:
    """Log-probabilities in the order of `labels`, none below one in a million.

    Parameters
    ----------
    classifier : NGramClassifier
    probabilities : ndarray of shape (n, n_classes)
        That it gave.
    labels : sequence of str
        Its classes are among them.
    """
    known = np.full((len(probabilities), len(labels)), LEAST_PROBABILITY)
    columns = {str(label): column for column, label in enumerate(labels)}
    known[:, [columns[str(label)] for label in classifier.classes_]] = np.maximum(probabilities, LEAST_PROBABILITY)
    return np.asarray(np.log(known))
