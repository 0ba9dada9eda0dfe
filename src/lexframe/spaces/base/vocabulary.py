"""Spaces with an output vocabulary."""

from abc import abstractmethod
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float

from lexframe.spaces.base.space import Space
from lexframe.typing import Points


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
