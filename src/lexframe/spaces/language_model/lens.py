"""The output head of a language model, put on the states of any layer."""

from functools import cached_property

import numpy as np
from jaxtyping import Float

from lexframe.exceptions import InputError
from lexframe.spaces.base import LensHead, resolve_layer
from lexframe.spaces.language_model.layers import evaluation_mode
from lexframe.spaces.language_model.output_head import CoarseHead, OutputHead
from lexframe.spaces.language_model.reading import ModelReader


class LanguageModelLens(LensHead):
    """Final norm (for inner layers), transform (for masked LMs) and head of a model.

    Parameters
    ----------
    reader : ModelReader
    """

    def __init__(self, reader: ModelReader):
        self._reader = reader

    def input(self, states: Float[np.ndarray, "n n_dims"], *, layer: int) -> Float[np.ndarray, "n n_inputs"]:
        """Final norm (for inner layers) and transform (for masked LMs), applied to states of `layer`."""
        reader = self._reader
        inner = resolve_layer(layer, reader.n_layers) < reader.n_layers
        with evaluation_mode(reader.model):
            return reader.head.head_input(reader.as_tensor(states), inner=inner).float().cpu().numpy()

    def logits(self, inputs: Float[np.ndarray, "n n_inputs"], *, precision: str = "float32") -> Float[np.ndarray, "n n_vocab"]:
        """Logits of what :meth:`input` gives; rows that only pad the head are left out."""
        with evaluation_mode(self._reader.model):
            logits = self._head_in(precision).logits(self._reader.as_tensor(inputs))
        return logits[:, : self._reader.n_vocab].float().cpu().numpy()

    def pullback(
        self, inputs: Float[np.ndarray, "n n_inputs"], gradient: Float[np.ndarray, "n n_vocab"], *, precision: str = "float32"
    ) -> Float[np.ndarray, "n n_inputs"]:
        """Gradient by `inputs` of whatever has `gradient` by their logits."""
        reader = self._reader
        with evaluation_mode(reader.model):
            return self._head_in(precision).pullback(reader.as_tensor(inputs), reader.as_tensor(gradient)).float().cpu().numpy()

    def _head_in(self, precision: str) -> OutputHead | CoarseHead:
        if precision not in ("float32", "bfloat16"):
            raise InputError(f"precision is {precision!r}; expected float32 or bfloat16.")
        return self._coarse_head if precision == "bfloat16" else self._reader.head

    @cached_property
    def _coarse_head(self) -> CoarseHead:
        return CoarseHead.of(self._reader.head)
