"""The paper's module, with its ablations."""

from dataclasses import dataclass

import numpy as np

from lexframe.adaptation.methods.on_points import PointsClassifier
from lexframe.adaptation.problem import Classifier, Method, Problem
from lexframe.instruments.classifiers.semantic_calibration import SemanticCalibration
from lexframe.instruments.frame.vocabulary_frame import VocabularyFrame
from lexframe.spaces.base import Space, VocabularySpace


@dataclass(frozen=True, slots=True)
class Variant:
    """What a variant changes, and how to say it."""

    description: str
    readout: str = "invariant"
    objective: str = "labels"
    training_logits: str = "similarity"
    inference_logits: str = "similarity"


VARIANTS = {
    "vds": Variant("semantic calibration: points moved towards the label bases"),
    "vds-cosine": Variant("semantic calibration with the paper's cosine instead of the invariant readout", readout="cosine"),
    "vds-vocabulary": Variant("semantic calibration, trained against the whole vocabulary", objective="vocabulary"),
    "vds-gold": Variant("semantic calibration, trained towards the gold basis alone", objective="gold"),
    "vds-similarity-matrix": Variant("semantic calibration, trained on similarities, read by the head's logits", inference_logits="matrix"),
    "vds-matrix-similarity": Variant("semantic calibration, trained on the head's logits, read by similarities", training_logits="matrix"),
    "vds-matrix": Variant("semantic calibration on the head's logits throughout", training_logits="matrix", inference_logits="matrix"),
}


class Calibration(Method):
    """Semantic calibration of the space's own points.

    Parameters
    ----------
    variant : str
        Among :data:`VARIANTS`: readout, training objective, and the logits of training and of inference.
    """

    family = "points"

    def __init__(self, variant: str = "vds"):
        self._variant = VARIANTS[variant]
        self.name, self.description = variant, self._variant.description

    @property
    def variant(self) -> bool:  # type: ignore[override]
        """All but the module as it is fitted elsewhere."""
        return self.name != "vds"

    def obstacle(self, space: Space) -> str | None:
        """The whole vocabulary must be there for the objective that needs it."""
        if self.name != "vds" and not isinstance(space, VocabularySpace):
            return "it needs an output vocabulary; use a language model"
        return None

    def fit(self, problem: Problem) -> Classifier:
        """Train the module; towards class means in a space without a vocabulary."""
        space = problem.space
        variant = self._variant
        bases = problem.label_bases(variant.readout) if isinstance(space, VocabularySpace) else None
        vocabulary = VocabularyFrame(space).bases() if variant.objective == "vocabulary" and isinstance(space, VocabularySpace) else None
        estimator = SemanticCalibration(
            bases,
            objective=variant.objective,
            vocabulary=vocabulary,
            training_logits=variant.training_logits,
            inference_logits=variant.inference_logits,
            random_state=problem.seed,
        )
        estimator.fit(problem.encoded.points[problem.rows], np.array(problem.labels)[problem.y])
        columns = np.searchsorted(problem.labels, estimator.classes_)
        choices = {"epochs": estimator.n_epochs_, "representation": "own points"}
        return PointsClassifier(estimator, problem.encoded.points, problem.n_labels, estimator.n_parameters_, choices, columns)
