"""Spaces whose attention heads can be read and replaced one by one."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lexframe.exceptions import InputError
from lexframe.spaces.base.space import Progress
from lexframe.spaces.base.steering import PatchableSpace


@dataclass(frozen=True, slots=True, eq=False)
class HeadIntervention:
    """An output put in place of what one attention head hands on at the last token of each text.

    Attributes
    ----------
    layer : int
        Block of the head, 1 … n_layers: its attention writes into the state of that layer.
    head : int
        0 … n_heads - 1.
    output : ndarray of shape (n_head_dims,)
        In front of the output projection.

    Raises
    ------
    InputError
        If the output holds no finite numbers.
    """

    layer: int
    head: int
    output: Float[np.ndarray, " n_head_dims"]

    def __post_init__(self) -> None:
        if not np.isfinite(self.output).all():
            raise InputError(f"The output for head {self.head} of layer {self.layer} is not finite. Take the mean over other prompts.")


class AttentionHeads(ABC):
    """The attention heads of a model, to be read and replaced one by one, at the last token of each text."""

    @property
    @abstractmethod
    def n_heads(self) -> int:
        """Attention heads of a block."""

    @abstractmethod
    def outputs(
        self, texts: Sequence[str], *, batch_size: int | None = None, progress: Progress = iter
    ) -> Float[np.ndarray, "n_texts n_layers n_heads n_head_dims"]:
        """What every head hands to the output projection at the last token, float32; row i of the second axis is block i + 1.

        Parameters
        ----------
        texts : sequence of str
            Any number, none included.
        batch_size : int, optional
            Texts in one pass.
        progress : callable
            Wraps the iteration over batches.
        """

    @abstractmethod
    def project(self, outputs: Float[np.ndarray, "n_layers n_heads n_head_dims"]) -> Float[np.ndarray, "n_layers n_heads n_dims"]:
        """What head outputs become in the output projection, without its bias: they sum to the output of the attention."""

    @abstractmethod
    def replaced(self, interventions: Sequence[HeadIntervention]) -> AbstractContextManager[None]:
        """Within this context heads hand on what the interventions say, at the last token of each text, and nothing stays afterwards.

        Parameters
        ----------
        interventions : sequence of HeadIntervention
            Any number, none included.

        Raises
        ------
        InputError
            If there is no such layer or head, or an output has another width.
        """


class HeadSpace(PatchableSpace):
    """A space whose attention heads can be read and replaced one by one, at the last token of each text."""

    @property
    @abstractmethod
    def heads(self) -> AttentionHeads:
        """The attention heads of the model.

        Raises
        ------
        ModelError
            If the attention of the model is not understood.
        """
