"""Spaces over a causal language model that is read at every position, with the token that follows."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from lexframe.spaces.base.space import Space

Ids = Int[np.ndarray, " _"]


@dataclass(frozen=True, slots=True, eq=False)
class HeadArrays:
    """The output head of a causal model as arrays: logits are ``soft_cap(states @ unembedding.T + bias)``.

    Attributes
    ----------
    unembedding : ndarray of shape (n_rows, n_dims), float32
        A row a token, padded rows included. A scale on the logits is taken into it and into the bias.
    bias : ndarray of shape (n_rows,) or None
    soft_cap : float or None
        c in ``c tanh(logit / c)``.
    """

    unembedding: Float[np.ndarray, "n_rows n_dims"]
    bias: Float[np.ndarray, " n_rows"] | None
    soft_cap: float | None


class NextTokens(ABC):
    """A causal language model, read at every position of a document. Template, layer and pooling of a space play no part."""

    @property
    @abstractmethod
    def max_length(self) -> int:
        """Tokens that the model takes at once."""

    @abstractmethod
    def documents(self, texts: Sequence[str]) -> tuple[list[Ids], list[Ids]]:
        """Ids of each document, and the bytes that each of its predicted tokens stands for.

        Parameters
        ----------
        texts : sequence of str
            Each is read after the separator of documents, such as the tokenizer's beginning-of-text token.

        Returns
        -------
        ids : list of ndarray of int
            With the separator, where there is one.
        n_bytes : list of ndarray of int
            Of every id but the first, which is only read; in UTF-8.

        Raises
        ------
        ModelError
            If the tokenizer gives no character offsets, or ids that are not of this model's vocabulary.
        """

    @abstractmethod
    def states(self, sequences: Sequence[Ids]) -> Float[np.ndarray, "n_sequences n_tokens n_dims"]:
        """The last state at every position of some sequences that go through the model together, float32.

        Parameters
        ----------
        sequences : sequence of ndarray of int
            Ids. Rows of shorter ones mean nothing past their end.
        """

    @abstractmethod
    def head(self) -> HeadArrays:
        """What reads the next token from the last state.

        Raises
        ------
        ModelError
            If the head of the model is not understood.
        InputError
            If the model does not predict the next token.
        """

    @abstractmethod
    def trained(self, train: Callable[[Any], Any]) -> "NextTokens":
        """The same reading of another model.

        Parameters
        ----------
        train : callable
            From the model, a transformers module that must stay as it is, to a trained copy of it.
        """


class NextTokenSpace(Space):
    """A space over a language model that is asked for the next token at every position."""

    @property
    @abstractmethod
    def next_tokens(self) -> NextTokens:
        """The model, read at every position."""
