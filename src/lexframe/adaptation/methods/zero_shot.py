"""Zero-shot answers: what the names of the labels say of a text without any label, raw and with their bias taken out.

The first three methods read the model's own probabilities of the label words and differ in one vector, which is
subtracted from the log-probabilities: nothing, what the model says of inputs without content, or what it says on
average over texts without labels. The fourth asks for the nearest semantic basis. In a space without a vocabulary, such
as a sentence encoder, the first and the third read the cosine of the text with the label words instead.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from lexframe.adaptation.encoded_texts import label_scores
from lexframe.adaptation.methods.on_points import PointsClassifier
from lexframe.adaptation.problem import Classifier, Method, Probabilities, Problem, Rows, require_vocabulary
from lexframe.instruments.frame.nearest_basis import NearestBasis
from lexframe.linalg import softmax
from lexframe.spaces.base import Space, VocabularySpace

CONTENT_FREE = ("N/A", "[MASK]", "")
"""Inputs that say nothing, as Zhao et al. chose them."""


def vocabulary_obstacle(space: Space) -> str | None:
    """Why label words cannot be read in `space`; None if they can."""
    if isinstance(space, VocabularySpace):
        return None
    return f"{type(space).__name__} has no output vocabulary to read label words in; use a language model."


def content_free_prior(problem: Problem) -> Float[np.ndarray, " n_labels"]:
    """Probability of each label where there is nothing to label: the mean over :data:`CONTENT_FREE`.

    Each input counts the same: its probabilities are scaled to sum to one over the labels before the mean is taken.
    """
    space = require_vocabulary(problem.space)
    return softmax(label_scores(space, space.encode(CONTENT_FREE), problem.words())).mean(axis=0)


@dataclass
class ShiftedScores:
    """Softmax over labels of the label words' scores, less a shift a label.

    Attributes
    ----------
    problem : Problem
    shift : ndarray of shape (n_labels,)
        In nats; zero for the model's own answer.
    choices : dict
    n_parameters : int
        0: no label is looked at.
    """

    problem: Problem
    shift: Float[np.ndarray, " n_labels"]
    choices: dict[str, Any] = field(default_factory=dict)
    n_parameters: int = 0

    def predict_proba(self, rows: Rows) -> Probabilities:
        """Probability of each label for rows of the problem's encoded texts."""
        return softmax(self.problem.label_scores(rows) - self.shift)


class ZeroShot(Method):
    """The model's own answer: which label's words it finds most likely as the next token.

    Without a vocabulary: which label's words lie nearest to the text, by cosine.
    """

    name = "zero-shot"
    description = "the model's own scores of the label words: logits, or cosines where there is no vocabulary"
    family = "vocabulary"
    least_shots = 0

    def fit(self, problem: Problem) -> Classifier:
        """Nothing is learnt."""
        return ShiftedScores(problem, np.zeros(problem.n_labels))


class ContextualCalibration(Method):
    """Zero-shot probabilities divided by what the model says of inputs without content.

    Notes
    -----
    The quotient is scaled to sum to one. Zhao et al. pass it through another softmax, which gives the same answer and
    makes all probabilities nearly equal.

    References
    ----------
    Zhao et al. (2021), Calibrate Before Use: Improving Few-Shot Performance of Language Models, arXiv:2102.09690.
    """

    name = "contextual-calibration"
    description = "zero-shot, divided by the answer to inputs without content"
    family = "vocabulary"
    least_shots = 0

    def obstacle(self, space: Space) -> str | None:
        """Needs a vocabulary."""
        return vocabulary_obstacle(space)

    def fit(self, problem: Problem) -> Classifier:
        """Ask the model about inputs without content; no label is looked at."""
        prior = content_free_prior(problem)
        shift = np.log(np.maximum(prior, np.finfo(np.float64).tiny))
        return ShiftedScores(problem, shift, {"prior": dict(zip(problem.labels, prior.tolist(), strict=True))})


class BatchCalibration(Method):
    """Zero-shot scores less their mean over texts whose labels are not looked at.

    Notes
    -----
    Zhou et al. take the mean over the test batch. Here it is taken over the training texts, labeled or not, so that the
    answer to one test text does not depend on the others. Without training texts this is zero-shot, and `choices` says so.

    References
    ----------
    Zhou et al. (2024), Batch Calibration: Rethinking Calibration for In-Context Learning and Prompt Engineering,
    arXiv:2309.17249.
    """

    name = "batch-calibration"
    description = "zero-shot, less the mean answer over training texts"
    family = "vocabulary"
    least_shots = 0
    uses_unlabeled = True

    def fit(self, problem: Problem) -> Classifier:
        """The mean answer over the training texts; no label is looked at."""
        rows = np.union1d(problem.unlabeled, problem.rows).astype(np.int64)
        if not len(rows):
            return ShiftedScores(problem, np.zeros(problem.n_labels), {"texts": 0, "fallback": ZeroShot.name})
        return ShiftedScores(problem, problem.label_scores(rows).mean(axis=0), {"texts": len(rows)})


class NearestBasisZeroShot(Method):
    """The label whose semantic basis is nearest to the text's point, without any label."""

    name = "nearest-basis"
    description = "the label whose semantic basis is nearest"
    family = "vocabulary"
    least_shots = 0
    savable = True

    def obstacle(self, space: Space) -> str | None:
        """Needs a vocabulary."""
        return vocabulary_obstacle(space)

    def fit(self, problem: Problem) -> Classifier:
        """Nothing is learnt: the bases are the points of their own labels, which is all that the instrument checks."""
        require_vocabulary(problem.space)
        bases = problem.label_bases()
        instrument = NearestBasis(bases).fit(bases.vectors, np.array(bases.labels))
        return PointsClassifier(problem, instrument, 0, {"readout": problem.readout, "temperature": instrument.temperature})
