"""The contracts of spaces. A space turns texts into points; its optional powers are contracts of their own.

An instrument names one of these contracts in its signature and never a concrete space.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
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


class DecodableSpace(Space):
    """A space whose points can be turned back into texts."""

    @abstractmethod
    def decode(
        self,
        points: Points,
        *,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        batch_size: int | None = None,
        progress: Progress = iter,
    ) -> list[str]:
        """A text for every point.

        Parameters
        ----------
        points : ndarray of shape (n_texts, n_dims), float32
            Any number, none included.
        temperature : float
            0 takes the likeliest token each time; above, tokens are drawn.
        top_p : float
            Draw from the likeliest tokens that together have this probability.
        seed : int
            Of the draws; the global generators are left alone.
        batch_size : int, optional
            Points in one pass.
        progress : callable
            Wraps the iteration over batches.

        Returns
        -------
        list of str

        Raises
        ------
        InputError
            If points have another width than the space, or are not finite.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Where each text may lie in a latent: Gaussians with diagonal covariance.

    Attributes
    ----------
    means : ndarray of shape (n_texts, n_dims), float32
    log_variances : ndarray of shape (n_texts, n_dims), float32
        Natural logarithm.
    """

    means: Points
    log_variances: Points

    def sample(self, n_samples: int, *, seed: int = 0) -> Float[np.ndarray, "n_texts n_samples n_dims"]:
        """Draws from every Gaussian, float32.

        Parameters
        ----------
        n_samples : int
            A text.
        seed : int
            Of the draws.
        """
        n_texts, n_dims = self.means.shape
        noise = np.random.default_rng(seed).standard_normal((n_texts, n_samples, n_dims), dtype=np.float32)
        return self.means[:, np.newaxis] + np.exp(0.5 * self.log_variances)[:, np.newaxis] * noise


class LatentVariableSpace(DecodableSpace):
    """A generative model of texts: z from N(0, I), the text from p(x | z), and q(z | x) that guesses z back.

    Its points are the means of q.
    """

    @abstractmethod
    def posterior(self, texts: Sequence[str], *, batch_size: int | None = None, progress: Progress = iter) -> Posterior:
        """The q(z | x) of every text; see :meth:`Space.encode` for the parameters."""

    @abstractmethod
    def token_log_likelihoods(
        self, texts: Sequence[str], points: Points, *, batch_size: int | None = None, progress: Progress = iter
    ) -> list[Float[np.ndarray, " n_tokens"]]:
        """Log p(token | tokens before it, z) of every token, in nats, float64.

        Parameters
        ----------
        texts : sequence of str
            A text longer than the space can take is cut, and :meth:`Space.truncated` says which.
        points : ndarray of shape (n_texts, n_dims), float32
            The z of each text.
        batch_size : int, optional
            Texts in one pass.
        progress : callable
            Wraps the iteration over batches.

        Returns
        -------
        list of ndarray of shape (n_tokens,)
            An array a text; its last entry is the end of the text, so it sums to log p(x | z).
        """

    @abstractmethod
    def log_likelihoods(
        self,
        texts: Sequence[str],
        points: Float[np.ndarray, "n_texts n_samples n_dims"],
        *,
        batch_size: int | None = None,
        progress: Progress = iter,
    ) -> Float[np.ndarray, "n_texts n_samples"]:
        """Log p(x | z) of every text at several z, in nats, float64.

        Parameters
        ----------
        texts : sequence of str
            As in :meth:`token_log_likelihoods`.
        points : ndarray of shape (n_texts, n_samples, n_dims), float32
            Some z for each text.
        batch_size : int, optional
            Pairs of text and z in one pass.
        progress : callable
            Wraps the iteration over batches.

        Returns
        -------
        ndarray of shape (n_texts, n_samples)
        """


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

    def token_states_of(self, texts: Sequence[str], *, layers: Sequence[int] | None = None) -> list[TokenStates]:
        """States of every token of some texts, read together where the space can; equal to those read alone."""
        return [self.token_states(text, layers=layers) for text in texts]

    @abstractmethod
    def encode_representations(
        self, texts: Sequence[str], representations: Sequence[Representation], *, batch_size: int | None = None, progress: Progress = iter
    ) -> Float[np.ndarray, "n_texts n_representations n_dims"]:
        """Points of several layers and poolings in one pass, float32; see :meth:`Space.encode` for the rest."""


class LensSpace(VocabularySpace, TokenSpace):
    """A space whose output head can be put on the states of any layer."""

    @abstractmethod
    def lens_input(self, states: Float[np.ndarray, "n n_dims"], *, layer: int) -> Float[np.ndarray, "n n_dims"]:
        """What the unembedding multiplies when the head reads states of `layer`.

        Parameters
        ----------
        states : ndarray of shape (n, n_dims)
        layer : int
            0 is the embedding output, k the output of block k, -1 the last state, after the final norm. States of inner
            layers pass the final norm; a masked LM's transform follows.

        Returns
        -------
        ndarray of shape (n, n_dims), float32
        """

    @abstractmethod
    def lens_logits(self, lens_inputs: Float[np.ndarray, "n n_dims"], *, precision: str = "float32") -> Float[np.ndarray, "n n_vocab"]:
        """Logits of what :meth:`lens_input` gives, with bias, scale and soft cap.

        Parameters
        ----------
        lens_inputs : ndarray of shape (n, n_dims)
        precision : {"float32", "bfloat16"}
            Of the factors of the product, where the model is in float32; sums are float32.

        Returns
        -------
        ndarray of shape (n, n_vocab), float32
        """

    @abstractmethod
    def lens_pullback(
        self, lens_inputs: Float[np.ndarray, "n n_dims"], gradient: Float[np.ndarray, "n n_vocab"], *, precision: str = "float32"
    ) -> Float[np.ndarray, "n n_dims"]:
        """Gradient by `lens_inputs` of whatever has `gradient` by the logits of :meth:`lens_logits`.

        Parameters
        ----------
        lens_inputs : ndarray of shape (n, n_dims)
        gradient : ndarray of shape (n, n_vocab)
        precision : {"float32", "bfloat16"}
            See :meth:`lens_logits`.

        Returns
        -------
        ndarray of shape (n, n_dims), float32
        """


MOVES = ("add", "replace", "remove")
PLACES = ("all", "last")


@dataclass(frozen=True, slots=True, eq=False)
class StateMove:
    """What is done to the states of one layer while a model reads or writes.

    Attributes
    ----------
    layer : int
        0 is the embedding output, k the output of block k, -1 the last state, after the final norm.
    vector : ndarray of shape (n_dims,)
        In the units of the states.
    strength : float
        Factor on the vector.
    how : {"add", "replace", "remove"}
        ``add`` gives h + strength v; ``replace`` gives (1 - strength) h + strength v; ``remove`` takes `strength` times the part
        of h along v away. A strength of 0 changes nothing.
    where : {"all", "last"}
        Every token, or the last of each text; of a text that is being written, the last is each new token in turn.
    keep_norm : bool
        Give every moved state back the length it had.

    Raises
    ------
    InputError
        If the vector holds no finite numbers, or a word is none of those above.
    """

    layer: int
    vector: Float[np.ndarray, " n_dims"]
    strength: float = 1.0
    how: str = "add"
    where: str = "all"
    keep_norm: bool = False

    def __post_init__(self) -> None:
        if self.how not in MOVES or self.where not in PLACES:
            raise InputError(
                f"A move is {self.how!r} at {self.where!r}; expected how to be one of {', '.join(MOVES)} and where of {', '.join(PLACES)}."
            )
        if not (np.isfinite(self.vector).all() and np.isfinite(self.strength)):
            raise InputError(
                f"The vector that moves states of layer {self.layer}, or its strength, is not finite. Fit the direction again."
            )


class SteerableSpace(TokenSpace):
    """A space whose states can be moved while it reads, and which writes on from a text."""

    @abstractmethod
    def moved(self, moves: Sequence[StateMove]) -> AbstractContextManager[None]:
        """Within this context every state, point and word of the space comes from moved states.

        Moves apply in their order, within those of a surrounding context. Nothing stays when it is left, by whatever way. The
        fingerprint is another within, so points of the moved space are not taken for those of the space.

        Parameters
        ----------
        moves : sequence of StateMove
            Any number, none included.

        Raises
        ------
        InputError
            If a layer does not exist or a vector has another width than its states.
        """

    @abstractmethod
    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int = 40,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        batch_size: int | None = None,
        progress: Progress = iter,
    ) -> list[str]:
        """What the model writes after each prompt.

        Parameters
        ----------
        prompts : sequence of str
            The template is not put around them.
        max_new_tokens : int
            A text ends there, or where the model ends it.
        temperature : float
            0 takes the likeliest token each time; above, tokens are drawn.
        top_p : float
            Draw from the likeliest tokens that together have this probability.
        seed : int
            Of the draws; the global generators are left alone.
        batch_size : int, optional
            Prompts in one pass.
        progress : callable
            Wraps the iteration over batches.

        Returns
        -------
        list of str
            Without the prompts.

        Raises
        ------
        InputError
            If the model does not write, or a prompt leaves it no room.
        """


class PatchableSpace(LensSpace, SteerableSpace):
    """A space whose states can be moved and whose last state says, through the output head, which token comes next."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadMove:
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


class HeadSpace(PatchableSpace):
    """A space whose attention heads can be read and replaced one by one, at the last token of each text."""

    @property
    @abstractmethod
    def n_heads(self) -> int:
        """Attention heads of a block.

        Raises
        ------
        ModelError
            If the attention of the model is not understood; as in the methods below.
        """

    @abstractmethod
    def head_outputs(
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
    def project_heads(self, outputs: Float[np.ndarray, "n_layers n_heads n_head_dims"]) -> Float[np.ndarray, "n_layers n_heads n_dims"]:
        """What head outputs become in the output projection, without its bias: they sum to the output of the attention."""

    @abstractmethod
    def heads_replaced(self, moves: Sequence[HeadMove]) -> AbstractContextManager[None]:
        """Within this context heads hand on what the moves say, at the last token of each text, and nothing stays afterwards.

        Parameters
        ----------
        moves : sequence of HeadMove
            Any number, none included.

        Raises
        ------
        InputError
            If there is no such layer or head, or an output has another width.
        """


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
