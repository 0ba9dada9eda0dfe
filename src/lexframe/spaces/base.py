"""The contracts of spaces. A space turns texts into points; its optional powers are contracts of their own.

An instrument names one of these contracts in its signature and never a concrete space.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from lexframe.exceptions import InputError
from lexframe.provenance import SpaceFingerprint
from lexframe.typing import Points

Progress = Callable[[Iterable[Any]], Iterable[Any]]
"""Wraps an iteration, to show how far it is; ``iter`` shows nothing."""


class Space(ABC):
    """Turns texts into points of one fixed vector space."""

    @property
    @abstractmethod
    def n_dims(self) -> int:
        """Dimensions of a point."""

    @property
    @abstractmethod
    def fingerprint(self) -> SpaceFingerprint:
        """What decides which point a text becomes."""

    @abstractmethod
    def encode(self, texts: Sequence[str], *, batch_size: int | None = None, progress: Progress = iter) -> Points:
        """Points of `texts`.

        Parameters
        ----------
        texts : sequence of str
            Any number, none included.
        batch_size : int, optional
            Texts in one forward pass. Never changes a row beyond the stated tolerance. Default: what suits the device.
        progress : callable
            Wraps the iteration over batches.

        Returns
        -------
        ndarray of shape (n_texts, n_dims), float32
            In the order of `texts`.
        """

    def __sklearn_clone__(self) -> "Space":
        """A space is frozen: clones of an estimator share it."""
        return self

    def truncated(self, texts: Sequence[str]) -> np.ndarray:
        """Which texts are longer than the space can take and are cut: bool, shape (n_texts,)."""
        return np.zeros(len(texts), dtype=bool)

    def token_counts(self, texts: Sequence[str]) -> Int[np.ndarray, " n_texts"]:
        """Tokens of each text as the space reads it; words, where the space has no tokens."""
        return np.array([len(text.split()) for text in texts], dtype=np.int64)


class VocabularySpace(Space):
    """A space with an output vocabulary, such as a layer of a language model.

    The output head turns a point into logits in three steps: `head_input` (whatever stands between the point and
    the unembedding: a final norm for inner layers, the transform of a masked LM), the product with `unembedding`,
    and the bias, scale and soft cap that `logits` adds.
    """

    @property
    @abstractmethod
    def n_vocab(self) -> int:
        """Items of the vocabulary that the tokenizer knows; padded rows of the head are left out."""

    @abstractmethod
    def unembedding(self) -> Float[np.ndarray, "n_vocab n_dims"]:
        """Rows of the output head, one a vocabulary item."""

    @abstractmethod
    def embedding(self) -> Float[np.ndarray, "n_vocab n_dims"]:
        """Rows of the input embedding, one a vocabulary item."""

    @abstractmethod
    def head_input(self, points: Points) -> Points:
        """What the unembedding is multiplied with, for points of this space."""

    @abstractmethod
    def logits(self, points: Points) -> Float[np.ndarray, "n_texts n_vocab"]:
        """The model's own logits at these points, with bias, scale and soft cap."""

    @abstractmethod
    def word_ids(self, word: str) -> tuple[int, ...]:
        """Vocabulary ids of a word as it continues a text.

        Raises
        ------
        VocabularyError
            If the vocabulary has no way to write the word.
        """

    @abstractmethod
    def token_texts(self, ids: Iterable[int]) -> list[str]:
        """What vocabulary items look like in a text, such as ``" cat"``."""


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
    pooling : {"last", "mean", "first", "span"}
        How the states of the tokens become one point.
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
