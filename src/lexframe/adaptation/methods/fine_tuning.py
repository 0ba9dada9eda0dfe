"""Full fine-tuning: every weight of the model is trained. The ceiling that adapting a frozen model is held against."""

from collections.abc import Sequence
from typing import ClassVar

from lexframe.adaptation.methods.label_readouts import LabelReadout
from lexframe.adaptation.methods.weights import WeightMethod


class FineTuning(WeightMethod):
    """All weights, embeddings and norms included, trained on the scores of the label words.

    Parameters
    ----------
    learning_rates : sequence of float
        Full rates of AdamW to try.
    max_steps : int
        Most steps of one run; see :class:`~lexframe.adaptation.methods.weights.WeightMethod`.
    batch_size : int
        Texts in one step.
    """

    name = "fine-tuning"
    description = "all weights trained on the label words"
    weight_decay: ClassVar[float] = 0.01

    def __init__(self, *, learning_rates: Sequence[float] = (3e-5, 1e-4, 3e-4), max_steps: int = 200, batch_size: int = 16):
        super().__init__(learning_rates=learning_rates, max_steps=max_steps, batch_size=batch_size)

    def open_weights(self, readout: LabelReadout) -> None:
        """Everything."""
        readout.requires_grad_(True)
