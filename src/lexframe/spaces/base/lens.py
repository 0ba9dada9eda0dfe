"""Spaces whose output head can be put on the states of any layer."""

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Float

from lexframe.spaces.base.tokens import TokenSpace
from lexframe.spaces.base.vocabulary import VocabularySpace


class LensHead(ABC):
    """The output head of a model, put on the states of any of its layers."""

    @abstractmethod
    def input(self, states: Float[np.ndarray, "n n_dims"], *, layer: int) -> Float[np.ndarray, "n n_inputs"]:
        """What the unembedding multiplies when the head reads states of `layer`.

        Parameters
        ----------
        states : ndarray of shape (n, n_dims)
        layer : int
            0 is the embedding output, k the output of block k, -1 the last state, after the final norm. States of inner
            layers pass the final norm; a masked LM's transform follows.

        Returns
        -------
        ndarray of shape (n, n_inputs), float32
            As wide as a state, but for masked LMs that narrow it (ELECTRA, ALBERT).
        """

    @abstractmethod
    def logits(self, inputs: Float[np.ndarray, "n n_inputs"], *, precision: str = "float32") -> Float[np.ndarray, "n n_vocab"]:
        """Logits of what :meth:`input` gives, with bias, scale and soft cap.

        Parameters
        ----------
        inputs : ndarray of shape (n, n_inputs)
        precision : {"float32", "bfloat16"}
            Of the factors of the product, where the model is in float32; sums are float32.

        Returns
        -------
        ndarray of shape (n, n_vocab), float32
        """

    @abstractmethod
    def pullback(
        self, inputs: Float[np.ndarray, "n n_inputs"], gradient: Float[np.ndarray, "n n_vocab"], *, precision: str = "float32"
    ) -> Float[np.ndarray, "n n_inputs"]:
        """Gradient by `inputs` of whatever has `gradient` by the logits of :meth:`logits`.

        Parameters
        ----------
        inputs : ndarray of shape (n, n_inputs)
        gradient : ndarray of shape (n, n_vocab)
        precision : {"float32", "bfloat16"}
            See :meth:`logits`.

        Returns
        -------
        ndarray of shape (n, n_dims), float32
        """


class LensSpace(VocabularySpace, TokenSpace):
    """A space whose output head can be put on the states of any layer."""

    @property
    @abstractmethod
    def lens(self) -> LensHead:
        """The output head, for states of any layer."""
