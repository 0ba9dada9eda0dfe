r"""Lenses: what the output head reads in the states of any layer.

A lens maps a state of layer l to what the unembedding multiplies, and so to a distribution over the vocabulary. On the
last layer every lens is the model itself. Statistics of these distributions are worked out a layer at a time, so layers ×
tokens × vocabulary never stand in memory.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lexframe.instruments.frame.vocabulary_frame import VocabularyFrame
from lexframe.spaces.base import LensSpace, Progress, resolve_layer

_MAX_LOGITS = 1 << 22
"""Numbers in one block of logits, 16 MiB in float32."""
_MAX_ROWS = 64
"""Tokens in one block: enough for a fast product, and memory does not grow with the prompt."""
_NEAR = 1 << 18
"""Numbers in the rows that are worked on together, 1 MiB in float32."""
_GROUP = 256
_TINY = 1e-38
_LN_2 = math.log(2)


class Lens(ABC):
    """A way to read states of any layer in the vocabulary."""

    name: str

    def inputs(self, space: LensSpace, states: Float[np.ndarray, "n n_dims"], *, layer: int) -> Float[np.ndarray, "n n_dims"]:
        """What the unembedding multiplies: by default what the head makes of a state of `layer`."""
        return space.lens.input(states, layer=layer)

    @abstractmethod
    def logits(
        self, space: LensSpace, inputs: Float[np.ndarray, "n n_dims"], *, layer: int, precision: str = "float32"
    ) -> Float[np.ndarray, "n n_vocab"]:
        """Logits of what :meth:`inputs` gives, up to a constant a row."""


class LogitLens(Lens):
    """The final norm and the head, put on any layer."""

    name = "logit"

    def logits(
        self, space: LensSpace, inputs: Float[np.ndarray, "n n_dims"], *, layer: int, precision: str = "float32"
    ) -> Float[np.ndarray, "n n_vocab"]:
        """The head's own logits."""
        return space.lens.logits(inputs, precision=precision)


class FrameLens(Lens):
    r"""The frame readout of inner layers as a distribution.

    With leverages :math:`l_i` and the mean logit taken off, the invariant readout is
    :math:`c_i = z_i / (\sqrt{l_i} \|z\|)`. The lens is the softmax of :math:`\sqrt{\bar l}\, \|z\|\, c_i = z_i \sqrt{\bar l / l_i}`:
    the words in the order of the frame, in the units of the model's logits. Rows that the head has made long no longer win by
    their length.

    Parameters
    ----------
    frame : VocabularyFrame
        Centered, of the output side, of the space that is read.
    """

    name = "frame"

    def __init__(self, frame: VocabularyFrame):
        self.frame = frame
        leverages = np.maximum(frame.leverages(), np.finfo(np.float64).tiny)
        self._factors = np.sqrt(leverages.mean() / leverages).astype(np.float32)

    @classmethod
    def of(cls, space: LensSpace) -> "FrameLens":
        """The lens of the space's own frame."""
        return cls(VocabularyFrame(space, center=True))

    def logits(
        self, space: LensSpace, inputs: Float[np.ndarray, "n n_dims"], *, layer: int, precision: str = "float32"
    ) -> Float[np.ndarray, "n n_vocab"]:
        """The head's logits without their mean, each by the root of the mean leverage over its own; the last layer is the model's."""
        logits = space.lens.logits(inputs, precision=precision)
        if resolve_layer(layer, space.n_layers) == space.n_layers:
            return logits
        return (logits - logits.mean(axis=1, keepdims=True)) * self._factors


@dataclass(frozen=True, slots=True)
class LensStatistics:
    """What a lens shows at some layers and tokens.

    Attributes
    ----------
    entropy : ndarray of shape (n_layers, n_tokens)
        Of the distribution, in nats.
    kl_to_final : ndarray of shape (n_layers, n_tokens)
        Kullback-Leibler divergence of the model's own distribution from the lens's, in nats; 0 on the last layer.
    js_to_previous : ndarray of shape (n_layers, n_tokens)
        Jensen-Shannon divergence between a layer and the one before it in the table, in nats, at most ln 2; 0 on the first row.
    answer_rank : ndarray of int, shape (n_layers, n_tokens)
        Vocabulary items that are likelier than the answer; 0 where it is the likeliest.
    answer_probability : ndarray of shape (n_layers, n_tokens)
        Of the answer.
    top_ids : ndarray of int, shape (n_layers, n_tokens, n_top)
        Likeliest items, the likeliest first.
    top_probabilities : ndarray of shape (n_layers, n_tokens, n_top)
    """

    entropy: Float[np.ndarray, "n_layers n_tokens"]
    kl_to_final: Float[np.ndarray, "n_layers n_tokens"]
    js_to_previous: Float[np.ndarray, "n_layers n_tokens"]
    answer_rank: Int[np.ndarray, "n_layers n_tokens"]
    answer_probability: Float[np.ndarray, "n_layers n_tokens"]
    top_ids: Int[np.ndarray, "n_layers n_tokens n_top"]
    top_probabilities: Float[np.ndarray, "n_layers n_tokens n_top"]


def read_through(
    space: LensSpace,
    lens: Lens,
    states: Float[np.ndarray, "n_layers n_tokens n_dims"],
    layers: Sequence[int],
    *,
    answers: Int[np.ndarray, " n_tokens"] | None = None,
    n_top: int = 5,
    precision: str = "float32",
    progress: Progress = iter,
) -> LensStatistics:
    """Statistics of a lens at every layer and token.

    Parameters
    ----------
    space : LensSpace
        Whose states they are.
    lens : Lens
    states : ndarray of shape (n_layers, n_tokens, n_dims)
        The last state of the model last.
    layers : sequence of int
        Which layers the rows of `states` are, counted from the front, the last layer of the model last.
    answers : ndarray of int, shape (n_tokens,), optional
        Vocabulary item to follow at each token. Default: the one the model itself finds likeliest there.
    n_top : int
        Likeliest items to keep.
    precision : {"float32", "bfloat16"}
        Of the products at inner layers; the last layer is always in float32.
    progress : callable
        Wraps the iteration over blocks of tokens and layers.

    Returns
    -------
    LensStatistics
    """
    n_layers, n_tokens, _ = states.shape
    n_top = min(n_top, space.n_vocab)
    shape = (n_layers, n_tokens)
    found = LensStatistics(
        entropy=np.zeros(shape, dtype=np.float32),
        kl_to_final=np.zeros(shape, dtype=np.float32),
        js_to_previous=np.zeros(shape, dtype=np.float32),
        answer_rank=np.zeros(shape, dtype=np.int64),
        answer_probability=np.zeros(shape, dtype=np.float32),
        top_ids=np.zeros((*shape, n_top), dtype=np.int64),
        top_probabilities=np.zeros((*shape, n_top), dtype=np.float32),
    )
    inputs = [lens.inputs(space, state, layer=layer) for state, layer in zip(states, layers, strict=True)]
    size = max(1, min(_MAX_ROWS, _MAX_LOGITS // space.n_vocab))
    final: _Distribution | None = None
    previous: _Distribution | None = None
    for start, number in progress([(start, number) for start in range(0, n_tokens, size) for number in range(n_layers)]):
        rows = slice(start, min(start + size, n_tokens))
        if number == 0 or final is None:
            final, previous = _Distribution.of(lens, space, inputs[-1][rows], layers[-1], "float32"), None
            asked = final.logits.argmax(dim=1) if answers is None else torch.from_numpy(answers[rows])
        last = number == n_layers - 1
        current = final if last else _Distribution.of(lens, space, inputs[number][rows], layers[number], precision)
        for part in current.parts():
            _fill(found, number, start, part, current, previous, final, asked)
        previous = current
    return found


@dataclass(frozen=True, slots=True)
class _Distribution:
    """Logits, probabilities, log normalizer and entropy of some tokens at one layer."""

    logits: Tensor
    probabilities: Tensor
    log_normalizer: Tensor
    entropy: Tensor

    @classmethod
    def of(cls, lens: Lens, space: LensSpace, inputs: np.ndarray, layer: int, precision: str) -> "_Distribution":
        logits = torch.from_numpy(lens.logits(space, inputs, layer=layer, precision=precision))
        found = cls(logits, torch.empty_like(logits), *torch.empty(2, len(logits)))
        for part in found.parts():
            torch.softmax(logits[part], dim=1, out=found.probabilities[part])
            # The normalizer follows from the likeliest item alone, and the entropy from one product: no pass for a logarithm.
            found.log_normalizer[part] = logits[part].amax(dim=1) - found.probabilities[part].amax(dim=1).log()
            found.entropy[part] = found.log_normalizer[part] - _dot(found.probabilities[part], logits[part])
        return found

    def parts(self) -> Iterator[slice]:
        """Rows a few at a time, so that what is done to them one after another stays near the processor."""
        n_rows, n_items = self.logits.shape
        size = max(1, _NEAR // n_items)
        return (slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size))


def _dot(left: Tensor, right: Tensor) -> Tensor:
    """Products of rows with rows."""
    return torch.linalg.vecdot(left, right)


def _count(true: Tensor) -> Tensor:
    """True items of each row; bytes are summed several times as fast as booleans are counted."""
    return true.view(torch.uint8).sum(dim=1, dtype=torch.int32)


def _mixture_entropy(first: Tensor, second: Tensor) -> Tensor:
    """Entropy of the means of rows, in nats."""
    total = first + second
    return _LN_2 - _dot(total, (total + _TINY).log_()) / 2


def _likeliest(probabilities: Tensor, n_top: int) -> tuple[Tensor, Tensor]:
    """The `n_top` largest of each row and where they are.

    They lie in the groups whose largest are largest, so most items are looked at once, for the maximum of their group.
    """
    n_rows, n_items = probabilities.shape
    n_groups = n_items // _GROUP
    if n_groups <= n_top:
        values, where = probabilities.topk(n_top, dim=1)
        return values, where
    grouped = probabilities[:, : n_groups * _GROUP].unflatten(1, (n_groups, _GROUP))
    groups = grouped.amax(dim=2).topk(n_top, dim=1).indices
    members = (groups[:, :, None] * _GROUP + torch.arange(_GROUP)).flatten(1)
    rest = torch.arange(n_groups * _GROUP, n_items).expand(n_rows, -1)
    members = torch.cat([members, rest], dim=1)
    values, where = probabilities.gather(1, members).topk(n_top, dim=1)
    return values, members.gather(1, where)


def _fill(
    found: LensStatistics,
    number: int,
    start: int,
    part: slice,
    current: _Distribution,
    previous: _Distribution | None,
    final: _Distribution,
    answers: Tensor,
) -> None:
    """Write one layer of some tokens: those of `part`, counted from `start`."""
    rows = slice(start + part.start, start + part.stop)
    probabilities = current.probabilities[part]
    answer = probabilities.gather(1, answers[part, None])
    found.entropy[number, rows] = current.entropy[part].clamp(min=0).numpy()
    found.answer_probability[number, rows] = answer[:, 0].numpy()
    found.answer_rank[number, rows] = _count(probabilities > answer).numpy()
    if current is not final:
        # Sum of p (log p - log q) without a logarithm an item: log q is a logit minus its normalizer.
        kl = current.log_normalizer[part] - final.entropy[part] - _dot(final.probabilities[part], current.logits[part])
        found.kl_to_final[number, rows] = kl.clamp(min=0).numpy()
    if previous is not None:
        mixture = _mixture_entropy(probabilities, previous.probabilities[part])
        found.js_to_previous[number, rows] = (mixture - (current.entropy[part] + previous.entropy[part]) / 2).clamp(min=0).numpy()
    values, ids = _likeliest(probabilities, found.top_ids.shape[-1])
    found.top_ids[number, rows] = ids.numpy()
    found.top_probabilities[number, rows] = values.numpy()
