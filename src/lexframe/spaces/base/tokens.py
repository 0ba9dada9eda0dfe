"""Spaces with a state for every token and layer."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lexframe.exceptions import InputError
from lexframe.spaces.base.space import Progress, Space


@dataclass(frozen=True, slots=True)
class TokenStates:
    """States of one text, per layer and token.

    Attributes
    ----------
    tokens : tuple of str
        The tokens, special ones included.
    ids : tuple of int
        Their vocabulary ids.
    layers : tuple of int
        Which layers `states` holds.
    states : ndarray of shape (n_layers, n_tokens, n_dims), float32
    """

    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    layers: tuple[int, ...]
    states: Float[np.ndarray, "n_layers n_tokens n_dims"]


@dataclass(frozen=True, slots=True, order=True)
class Representation:
    """Which states of a text become its point.

    Attributes
    ----------
    layer : int
        0 is the embedding output, k the output of block k, -1 the last state, after the final norm.
    pooling : {"last", "mean", "first", "span", "typical"}
        How the states of the tokens become one point; ``typical`` is the mean without massive states.
    """

    layer: int = -1
    pooling: str = "last"

    def __str__(self) -> str:
        return f"{self.layer}:{self.pooling}"

    @classmethod
    def parse(cls, text: str) -> "Representation":
        """Back from ``LAYER:POOLING``, such as ``-1:last``.

        Raises
        ------
        InputError
            If it is written otherwise.
        """
        layer, colon, pooling = text.partition(":")
        try:
            return cls(int(layer), pooling.strip() if colon else "last")
        except ValueError as error:
            raise InputError(f"{text!r} is no representation; write LAYER:POOLING, such as -1:last or 4:mean.") from error


class TokenSpace(Space):
    """A space that has a state for every token and every layer."""

    @property
    @abstractmethod
    def n_layers(self) -> int:
        """Blocks of the model; states exist for the layers 0 … n_layers."""

    @abstractmethod
    def token_states(self, text: str, *, layers: Sequence[int] | None = None) -> TokenStates:
        """States of every token of `text` at `layers` (default: all, 0 … n_layers).

        Layer 0 is the embedding output, k the output of block k, and n_layers (or -1) the last state, after the
        final norm.
        """

    def token_states_of(self, texts: Sequence[str], *, layers: Sequence[int] | None = None) -> list[TokenStates]:
        """States of every token of some texts, read together where the space can; equal to those read alone."""
        return [self.token_states(text, layers=layers) for text in texts]

    @abstractmethod
    def encode_representations(
        self, texts: Sequence[str], representations: Sequence[Representation], *, batch_size: int | None = None, progress: Progress = iter
    ) -> Float[np.ndarray, "n_texts n_representations n_dims"]:
        """Points of several layers and poolings in one pass, float32; see :meth:`Space.encode` for the rest."""


def resolve_layer(layer: int, n_layers: int) -> int:
    """Layer counted from the front: -1 is `n_layers`, the last state.

    Raises
    ------
    InputError
        If there is no such layer.
    """
    resolved = layer + n_layers + 1 if layer < 0 else layer
    if not 0 <= resolved <= n_layers:
        raise InputError(
            f"layer {layer} does not exist: the model has {n_layers} blocks, so layers are 0 (embedding output) to "
            f"{n_layers} (last state, after the final norm), or -1 to {-n_layers - 1} counted from the end."
        )
    return resolved
