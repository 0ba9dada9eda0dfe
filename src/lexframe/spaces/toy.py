"""A space small enough to work out by hand, for documentation and tests."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from lexframe.exceptions import InputError, VocabularyError
from lexframe.provenance import SpaceFingerprint, array_hash
from lexframe.spaces.base import LensHead, LensSpace, Progress, Representation, TokenStates, resolve_layer
from lexframe.typing import Points

_WORD = re.compile(r"\w+")


class ToySpace(LensSpace):
    """A text is the mean of the vectors of its known words; a text without known words is zero.

    It has one block: layer 0 holds the word vectors, layer 1 (or -1) the running mean up to each word, so the
    state of the last word is the point of the text.

    Parameters
    ----------
    vectors : mapping of str to sequence of float
        Vector of every known word, lower case. They are the rows of the embedding and, unless `unembedding` is
        given, of the output head.
    unembedding : array-like of shape (n_vocab, n_dims), optional
        Rows of the output head, in the order of `vectors`.

    Examples
    --------
    >>> space = ToySpace({"cat": [1.0, 0.0], "dog": [0.0, 1.0]})
    >>> space.encode(["cat cat dog dog"])
    array([[0.5, 0.5]], dtype=float32)
    """

    def __init__(self, vectors: Mapping[str, Sequence[float]], *, unembedding: Any = None):
        self.words = tuple(vectors)
        self._ids = {word: number for number, word in enumerate(self.words)}
        self._embedding = np.array([vectors[word] for word in self.words], dtype=np.float32).reshape(len(self.words), -1)
        self._unembedding = self._embedding if unembedding is None else np.asarray(unembedding, dtype=np.float32)
        if self._unembedding.shape != self._embedding.shape:
            raise ValueError(f"unembedding has shape {self._unembedding.shape}, but the vectors make {self._embedding.shape}.")

    @property
    def n_dims(self) -> int:
        """Dimensions of a point."""
        return self._embedding.shape[1]

    @property
    def n_vocab(self) -> int:
        """Number of known words."""
        return len(self.words)

    @property
    def n_layers(self) -> int:
        """One block."""
        return 1

    @property
    def fingerprint(self) -> SpaceFingerprint:
        """Of the words and both matrices."""
        weights = array_hash([(" ".join(self.words), self._embedding), ("unembedding", self._unembedding)])
        return SpaceFingerprint(kind="ToySpace", model="toy", weights=weights, pooling="mean")

    def encode(self, texts: Sequence[str], *, batch_size: int | None = None, progress: Progress = iter) -> Points:
        """Mean vector of the known words of each text."""
        points = np.zeros((len(texts), self.n_dims), dtype=np.float32)
        for row, text in enumerate(progress(texts)):
            ids = self._known(text)
            if ids:
                points[row] = self._embedding[ids].mean(0)
        return points

    def token_states(self, text: str, *, layers: Sequence[int] | None = None) -> TokenStates:
        """Word vectors (layer 0) and running means (layer 1) of the known words."""
        ids = self._known(text)
        vectors = self._embedding[ids].reshape(len(ids), self.n_dims)
        running = np.cumsum(vectors, axis=0) / np.arange(1, len(ids) + 1, dtype=np.float32)[:, np.newaxis]
        chosen = [resolve_layer(layer, 1) for layer in (range(2) if layers is None else layers)]
        states = np.stack([(vectors, running)[layer] for layer in chosen]).astype(np.float32)
        return TokenStates(tokens=tuple(self.words[i] for i in ids), ids=tuple(ids), layers=tuple(chosen), states=states)

    def encode_representations(
        self, texts: Sequence[str], representations: Sequence[Representation], *, batch_size: int | None = None, progress: Progress = iter
    ) -> Float[np.ndarray, "n_texts n_representations n_dims"]:
        """States of known words, pooled; a text without known words is zero."""
        pools: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "last": lambda states: states[-1],
            "first": lambda states: states[0],
            "mean": lambda states: states.mean(0),
            "span": lambda states: states.mean(0),
            "typical": lambda states: states.mean(0),  # no state here is massive
        }
        unknown = [asked.pooling for asked in representations if asked.pooling not in pools]
        if unknown:
            raise InputError(f"pooling is {unknown[0]!r}; expected one of {', '.join(pools)}.")
        points = np.zeros((len(texts), len(representations), self.n_dims), dtype=np.float32)
        for row, text in enumerate(progress(texts)):
            states = self.token_states(text).states
            for column, asked in enumerate(representations):
                if states.shape[1]:
                    points[row, column] = pools[asked.pooling](states[resolve_layer(asked.layer, 1)])
        return points

    def unembedding(self) -> Float[np.ndarray, "n_vocab n_dims"]:
        """Rows of the output head."""
        return self._unembedding.copy()

    def embedding(self) -> Float[np.ndarray, "n_vocab n_dims"]:
        """The word vectors."""
        return self._embedding.copy()

    def head_input(self, points: Points) -> Points:
        """The points themselves: there is no final norm."""
        return points

    def logits(self, points: Points) -> Float[np.ndarray, "n_texts n_vocab"]:
        """Products with the rows of the head."""
        return points @ self._unembedding.T

    @property
    def lens(self) -> "ToyLens":
        """The output head, for states of either layer."""
        return ToyLens(self._unembedding)

    def word_ids(self, word: str) -> tuple[int, ...]:
        """The id of a known word; several words give several ids."""
        ids = self._known(word)
        if not ids or len(ids) != len(_WORD.findall(word)):
            raise VocabularyError(f"{word!r} is not in the vocabulary of this toy space, which knows {', '.join(self.words[:8])}.")
        return tuple(ids)

    def token_texts(self, ids: Iterable[int]) -> list[str]:
        """The words."""
        return [self.words[i] for i in ids]

    def _known(self, text: str) -> list[int]:
        return [self._ids[word] for word in _WORD.findall(text.lower()) if word in self._ids]


class ToyLens(LensHead):
    """Products with the rows of the head of a :class:`ToySpace`, in float32 always.

    Parameters
    ----------
    unembedding : ndarray of shape (n_vocab, n_dims)
    """

    def __init__(self, unembedding: Float[np.ndarray, "n_vocab n_dims"]):
        self._unembedding = unembedding

    def input(self, states: Float[np.ndarray, "n n_dims"], *, layer: int) -> Float[np.ndarray, "n n_dims"]:
        """The states themselves, of either layer."""
        resolve_layer(layer, 1)
        return states.astype(np.float32)

    def logits(self, inputs: Float[np.ndarray, "n n_dims"], *, precision: str = "float32") -> Float[np.ndarray, "n n_vocab"]:
        """Products with the rows of the head."""
        return inputs.astype(np.float32) @ self._unembedding.T

    def pullback(
        self, inputs: Float[np.ndarray, "n n_dims"], gradient: Float[np.ndarray, "n n_vocab"], *, precision: str = "float32"
    ) -> Float[np.ndarray, "n n_dims"]:
        """Products with the columns of the head."""
        return gradient.astype(np.float32) @ self._unembedding
