"""Posterior calibration, on the points of several layers and poolings at once."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lexframe.adaptation.fitted import Fitted, ReadView
from lexframe.adaptation.ngram_opinion import NGramOpinion, ngram_opinion
from lexframe.adaptation.problem import Classifier, Method, Probabilities, Problem, Rows, View
from lexframe.instruments.classifiers.column_layout import PHRASES, WORDS
from lexframe.instruments.classifiers.posterior_calibration import MOST_ROWS_TO_SMOOTH, PosteriorCalibration, rows_left_out
from lexframe.latents.text_reader import Reading
from lexframe.spaces.base import FittedSpace, VocabularySpace
from lexframe.spaces.lexical import LexicalSpace


class PosteriorMethod(Method):
    """The zero-shot classifier and a discriminant on every block of points, pooled; see :class:`PosteriorCalibration`.

    Parameters
    ----------
    prior : bool
        False leaves the zero-shot scores out, to see what they add.
    unlabeled : bool
        Whether the zero-shot scores are centered and smoothed over all training texts, labeled or not, or over the
        labeled ones alone. Those of phrases are smoothed but not centered.
    representations : {"all", "own"}
        All blocks of the encoded texts, or the space's own points alone.
    """

    name = "posterior"
    description = (
        "posterior calibration: the zero-shot classifier, smoothed over unlabeled texts, pooled with a discriminant on every layer"
    )
    family = "points"
    least_shots = 0
    uses_unlabeled = True
    savable = True
    reads_views = True
    revision = 3

    def __init__(self, *, prior: bool = True, unlabeled: bool = True, representations: str = "all"):
        self.prior, self.unlabeled, self.representations = prior, unlabeled, representations
        self.uses_unlabeled = prior and unlabeled
        if not unlabeled:
            self.name = "posterior-labels-only"
            self.description = "posterior calibration that sees no unlabeled text"
        elif not prior:
            self.name = "posterior-without-prior"
            self.description = "posterior calibration without its prior: a pool of discriminants on all layers and poolings"
            self.least_shots = 1
        elif representations == "own":
            self.name = "posterior-own-points"
            self.description = "posterior calibration on the last state alone"

    @property
    def variant(self) -> bool:  # type: ignore[override]
        """All but the whole of it."""
        return self.name != "posterior"

    def fit(self, problem: Problem) -> Classifier:
        """Weigh the zero-shot scores, fit every block of every view, and pool them."""
        views = problem.views
        whole = self.representations == "all"
        blocks = [view.encoded.blocks() if whole else [view.encoded.points] for view in views]
        priors = [prior_kind(view, beside=len(views) > 1) if self.prior else None for view in views]
        opinions = self._opinions(problem)
        estimator = PosteriorCalibration(
            prior_labels=list(problem.labels) if any(priors) or opinions else None,
            views=[[block.shape[1] for block in listed] for listed in blocks],
            priors=priors,
            opinions=list(opinions),
            random_state=problem.seed,
        )
        read = tuple(
            ReadView(
                number,
                view.encoded.reading if whole else Reading.own(),
                {label: list(words) for label, words in view.label_words.items()} if priors[number] is not None else {},
                opinions[number].classifier if number in opinions else None,
            )
            for number, view in enumerate(views)
        )
        scores = [view.label_scores() for view, kind in zip(views, priors, strict=True) if kind is not None]
        scores += [opinion.scores for opinion in opinions.values()]
        classifier = ColumnsClassifier(
            problem.labels, [*scores, *(block for listed in blocks for block in listed)], Fitted(estimator, read)
        )
        unlabeled = classifier.columns(self._unlabeled(problem)) if self.uses_unlabeled else None
        estimator.fit(classifier.columns(problem.rows), problem.names(), unlabeled)
        classifier.n_parameters = estimator.n_parameters_
        classifier.choices = {
            "trust": [round(float(trust), 4) for trust in estimator.trust_],
            "prior_probability": [round(float(probability), 4) for probability in estimator.prior_probability_],
            "weights": [round(float(weight), 4) for weight in estimator.weights_],
        }
        if opinions:
            classifier.choices["opinion_weights"] = [round(float(weight), 4) for weight in estimator.opinion_weights_]
        if len(views) > 1:
            shares = zip(views, estimator.view_shares_, strict=True)
            classifier.choices["views"] = {view.name: round(float(share), 3) for view, share in shares}
        return classifier

    def _opinions(self, problem: Problem) -> dict[int, NGramOpinion]:
        """By view: a space of n-grams has more of them than dimensions, so a regression on all of them is heard beside its points."""
        lexical = [number for number, view in enumerate(problem.views) if isinstance(view.encoded.space, LexicalSpace)]
        opinion = ngram_opinion(problem, rows_left_out(problem.y, problem.n_labels, seed=problem.seed)) if lexical else None
        return {} if opinion is None else dict.fromkeys(lexical, opinion)

    def _unlabeled(self, problem: Problem) -> Rows:
        """As many as are looked at, so that no larger table is put together."""
        return np.random.default_rng(problem.seed).permutation(problem.unlabeled)[:MOST_ROWS_TO_SMOOTH]


def prior_kind(view: View, *, beside: bool) -> str | None:
    """What the zero-shot scores of a view are: of words of a vocabulary, of phrases, or none.

    Parameters
    ----------
    view : View
    beside : bool
        Whether there are further views: a space fitted on the texts, such as n-grams, knows a label's name only where it stands in a
        text, and then gives none.
    """
    space = view.encoded.space
    if isinstance(space, VocabularySpace):
        return WORDS
    return None if beside and isinstance(space, FittedSpace) else PHRASES


@dataclass
class ColumnsClassifier:
    """A fitted estimator whose columns are put together for the rows that are asked for, never for all texts at once."""

    labels: tuple[str, ...]
    parts: list[np.ndarray]
    kept: Fitted
    n_parameters: int = 0
    choices: dict[str, Any] = field(default_factory=dict)

    def columns(self, rows: Rows) -> np.ndarray:
        """Scores of labels and points of `rows`."""
        return np.concatenate([part[rows] for part in self.parts], axis=1)

    def predict_proba(self, rows: Rows) -> Probabilities:
        """Probabilities of all labels; a label that training lacked and no prior knows has none."""
        estimator = self.kept.instrument
        probabilities = np.zeros((len(rows), len(self.labels)))
        probabilities[:, np.searchsorted(self.labels, estimator.classes_)] = estimator.predict_proba(self.columns(rows))
        return probabilities

    def fitted(self) -> Fitted:
        """The estimator, with everything that it reads."""
        return self.kept
