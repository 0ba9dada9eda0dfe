"""Spaces over a network whose weights can be trained. They hand out copies; the space itself stays frozen.

Apart from the other contracts because it needs torch.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lexframe.spaces.base.space import Space
from lexframe.spaces.base.vocabulary import VocabularySpace
from lexframe.spaces.templates import Template
from lexframe.spaces.tokenization import Batch, TokenizedText


class TrainableNetwork(nn.Module, ABC):
    """A copy of a space's network, with the way from texts to points that gradients flow through.

    Attributes
    ----------
    body : nn.Module
        What is trained, in float32: a model of transformers.
    space : Space
        Reads points with `body` as it is at that moment.
    """

    space: Space

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body: Any = body

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return next(self.body.parameters()).device

    @property
    @abstractmethod
    def blocks(self) -> nn.ModuleList:
        """The transformer blocks that a text passes through on its way to its point."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Of the states between the blocks."""

    @abstractmethod
    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Texts as the space reads them, within its template and length."""

    @abstractmethod
    def batch(self, texts: Sequence[TokenizedText]) -> Batch:
        """Ids padded on the right, with the mask that keeps padding out of every state."""

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Points of shape (n_texts, n_dims), float32: those of the space, before anything is trained."""


class VocabularyNetwork(TrainableNetwork):
    """A copy with an output head, which is trained with it."""

    space: VocabularySpace

    @abstractmethod
    def logits(self, points: Tensor, ids: Tensor) -> Tensor:
        """Logits of some vocabulary items at points.

        Parameters
        ----------
        points : Tensor of shape (n_texts, n_dims)
            As :meth:`forward` gives them.
        ids : Tensor of shape (n_items,)
            Vocabulary ids. Only their rows of the head are multiplied.
        """


class EncoderNetwork(TrainableNetwork):
    """A copy of a sentence encoder: a transformer, a pooling of its last states, and perhaps a scaling to unit length.

    Attributes
    ----------
    template : Template
        Around each text.
    pooling : {"mean", "first", "last"}
    normalize : bool
        Whether points are scaled to unit length.
    max_length : int
        Tokens after which a text is cut.
    """

    template: Template
    pooling: str
    normalize: bool
    max_length: int

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the transformer and its tokenizer in the format of transformers, without the pooling."""


class TrainableSpace(Space):
    """A space over a network whose weights can be trained."""

    @abstractmethod
    def trainable_copy(self) -> TrainableNetwork:
        """A copy of the network in float32, with gradients; the space stays as it is."""


class TrainableEncoderSpace(TrainableSpace):
    """A sentence encoder whose weights can be trained."""

    @property
    def training_obstacle(self) -> str | None:
        """Why this one cannot be trained; None where it can."""
        return None

    @abstractmethod
    def trainable_copy(self) -> EncoderNetwork:
        """See :meth:`TrainableSpace.trainable_copy`."""


@dataclass(frozen=True, slots=True)
class ScoredTokens:
    """Tokens of a text, and which of them are scored.

    Attributes
    ----------
    ids : tuple of int
        With what the model wants in front of a text.
    scored : tuple of int
        Places among `ids` whose tokens count, in order.
    """

    ids: tuple[int, ...]
    scored: tuple[int, ...]


class SequenceNetwork(nn.Module, ABC):
    """A copy of a language model in float32 whose log-probabilities of texts have gradients by its weights.

    Attributes
    ----------
    body : nn.Module
        A model of transformers. Tied weights are one parameter.
    max_length : int
        Most tokens of a text.
    """

    max_length: int

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body: Any = body

    @abstractmethod
    def tokens(self, prompts: Sequence[str], texts: Sequence[str]) -> list[ScoredTokens]:
        """Tokens of prompts with the texts that follow them, of which those of the texts are scored.

        A token that begins in the prompt and ends in the text is scored. Nothing is cut.

        Parameters
        ----------
        prompts, texts : sequence of str
            As many of each.
        """

    @abstractmethod
    def log_probabilities(self, sequences: Sequence[ScoredTokens]) -> Tensor:
        """Summed log-probability of the scored tokens of each sequence, in nats, of shape (n_sequences,).

        Of a causal model each token is given those before it, of a masked one all others: the pseudo-log-likelihood [1]_.

        Parameters
        ----------
        sequences : sequence of ScoredTokens
            That go through the model together.

        References
        ----------
        .. [1] Salazar et al. (2020), Masked Language Model Scoring, ACL.
        """

    @abstractmethod
    @contextmanager
    def watched(self) -> Iterator[list[Tensor]]:
        """Within this context, what the output head reads is added to the list, a tensor of shape (…, n_dims) each time."""
        yield []


class GradientSpace(Space):
    """A language model whose log-probabilities have gradients by its weights."""

    @abstractmethod
    def sequence_network(self, *, precision: str = "float32", shared: bool = False) -> SequenceNetwork:
        """A copy of the model in float32, with gradients; the space stays as it is.

        Parameters
        ----------
        precision : {"float32", "bfloat16"}
            Of matrix products. Weights, sums and gradients are float32.
        shared : bool
            Where the model is float32, the numbers of the copy are those of the model: for who never changes them.
        """
