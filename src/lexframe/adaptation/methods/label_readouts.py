"""Labels as scores that can be trained, on a copy of a space's network.

A language model is read out as in zero-shot: its own logits for the label words, so that a method that takes no step is
zero-shot exactly. A sentence encoder has no words to read; it gets a linear classifier that starts at zero.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lexframe.adaptation.problem import Problem
from lexframe.exceptions import InputError
from lexframe.spaces.base import Space
from lexframe.spaces.base.training import TrainableNetwork, TrainableSpace, VocabularyNetwork
from lexframe.spaces.batching import encode_batches
from lexframe.spaces.language_model.layers import evaluation_mode
from lexframe.spaces.tokenization import Batch, TokenizedText


def weights_obstacle(space: Space) -> str | None:
    """Why the weights behind `space` cannot be trained; None if they can."""
    if isinstance(space, TrainableSpace):
        return None
    return f"{type(space).__name__} has no weights that can be trained. Use a language model or a sentence encoder."


class LabelReadout(nn.Module, ABC):
    """Scores of labels that gradients flow through, from a network to which every text is shown anew.

    Parameters
    ----------
    network : TrainableNetwork
        Made for this readout: it is trained.
    """

    def __init__(self, network: TrainableNetwork):
        super().__init__()
        self.network = network

    @property
    def model(self) -> Any:
        """The model that is trained."""
        return self.network.body

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.network.device

    def own_parameters(self) -> list[nn.Parameter]:
        """Those that the readout adds to the model."""
        return []

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Scores of shape (n_texts, n_labels); their softmax is the answer."""


class WordReadout(LabelReadout):
    """The zero-shot readout: a label's score is the mean logit of the tokens of its words.

    Layer and pooling are those of the space: the last token's last state unless it says otherwise.

    Parameters
    ----------
    network : VocabularyNetwork
    words : sequence of sequence of str
        One or more words a label.
    """

    network: VocabularyNetwork

    def __init__(self, network: VocabularyNetwork, words: Sequence[Sequence[str]]):
        super().__init__(network)
        ids = [[i for word in listed for i in network.space.word_ids(word)] for listed in words]
        self._ids = torch.tensor([i for listed in ids for i in listed], device=self.device)
        share = np.zeros((len(self._ids), len(ids)), dtype=np.float32)
        start = 0
        for label, listed in enumerate(ids):
            share[start : start + len(listed), label] = 1 / len(listed)
            start += len(listed)
        self._share = torch.from_numpy(share).to(self.device)

    def forward(self, batch: Batch) -> Tensor:
        """Mean logits; what the whole vocabulary has in common drops out of a softmax over labels and is left out."""
        return self.network.logits(self.network(batch), self._ids) @ self._share


class ClassifierReadout(LabelReadout):
    """A linear classifier on the point, zero before training: every label is equally likely.

    Parameters
    ----------
    network : TrainableNetwork
    n_labels : int
    """

    def __init__(self, network: TrainableNetwork, n_labels: int):
        super().__init__(network)
        self.classifier = nn.utils.skip_init(nn.Linear, network.space.n_dims, n_labels, device=self.device)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def own_parameters(self) -> list[nn.Parameter]:
        """Those of the classifier."""
        return list(self.classifier.parameters())

    def forward(self, batch: Batch) -> Tensor:
        """Products with the classifier's rows."""
        return self.classifier(self.network(batch))


def label_readout(problem: Problem) -> LabelReadout:
    """Scores of the problem's labels from a copy of its model.

    Raises
    ------
    InputError
        If the space has no weights that can be trained.
    """
    space = problem.space
    if not isinstance(space, TrainableSpace):
        raise InputError(weights_obstacle(space))
    network = space.trainable_copy()
    if isinstance(network, VocabularyNetwork):
        return WordReadout(network, problem.words())
    return ClassifierReadout(network, problem.n_labels)


def scores_of(readout: LabelReadout, texts: Sequence[TokenizedText], batch_size: int | None) -> np.ndarray:
    """Scores of texts without gradients, in their order: shape (n_texts, n_labels), float64."""

    def forward(part: list[TokenizedText]) -> np.ndarray:
        return readout(readout.network.batch(part)).double().cpu().numpy()

    with evaluation_mode(readout):
        return encode_batches(texts, forward, device=readout.device, most_texts=batch_size)


def count_reached(readout: LabelReadout, texts: Sequence[TokenizedText]) -> int:
    """Numbers open to training that the scores of `texts` depend on; those of unread layers and poolers do not count."""
    if not texts:
        return 0
    readout.zero_grad(set_to_none=True)
    readout(readout.network.batch(texts)).sum().backward()
    n_reached = sum(parameter.numel() for parameter in readout.parameters() if parameter.grad is not None)
    readout.zero_grad(set_to_none=True)
    return n_reached
