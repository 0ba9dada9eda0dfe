"""The paper's module, with its ablations."""

from dataclasses import dataclass

from lexframe.adaptation.methods.on_points import PointsClassifier
from lexframe.adaptation.problem import Classifier, Method, Problem
from lexframe.instruments.classifiers.semantic_calibration import SemanticCalibration
from lexframe.instruments.frame.vocabulary_frame import VocabularyFrame
from lexframe.latents.text_reader import OWN
from lexframe.spaces.base import Space, VocabularySpace


@dataclass(frozen=True, slots=True)
class Variant:
    """What a variant changes, and how to say it."""

    description: str
    readout: str | None = None  # that of the problem
    objective: str = "labels"
    training_logits: str = "similarity"
    inference_logits: str = "similarity"


VARIANTS = {
    "": Variant("semantic calibration: points moved towards the label bases"),
    "cosine": Variant("semantic calibration with the paper's cosine instead of the invariant readout", readout="cosine"),
    "vocabulary": Variant("semantic calibration, trained against the whole vocabulary", objective="vocabulary"),
    "gold": Variant("semantic calibration, trained towards the gold basis alone", objective="gold"),
    "similarity-matrix": Variant("semantic calibration, trained on similarities, read by the head's logits", inference_logits="matrix"),
    "matrix-similarity": Variant("semantic calibration, trained on the head's logits, read by similarities", training_logits="matrix"),
    "matrix": Variant("semantic calibration on the head's logits throughout", training_logits="matrix", inference_logits="matrix"),
}


class SemanticCalibrationMethod(Method):
    """Semantic calibration of the space's own points.

    Parameters
    ----------
    variant : str
        Among :data:`VARIANTS`: readout, training objective, and the logits of training and of inference.
    """

    name = "semantic-calibration"
    family = "points"
    savable = True

    def __init__(self, variant: str = ""):
        self._variant = VARIANTS[variant]
        self.name = f"{type(self).name}-{variant}" if variant else type(self).name
        self.description = self._variant.description

    @property
    def variant(self) -> bool:  # type: ignore[override]
        """All but the module as it is fitted elsewhere."""
        return self.name != type(self).name

    def obstacle(self, space: Space) -> str | None:
        """The whole vocabulary must be there for the objective that needs it."""
        if self.variant and not isinstance(space, VocabularySpace):
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
        estimator.fit(problem.encoded.points[problem.rows], problem.names())
        choices = {"epochs": estimator.n_epochs_, "representation": OWN}
        return PointsClassifier(problem, estimator, estimator.n_parameters_, choices)
