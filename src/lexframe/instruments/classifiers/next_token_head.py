"""The frozen output head over many positions: losses of the tokens that came, their gradients, and mean predictions."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

_MAX_LOGITS = 1 << 23
"""Numbers in one block of logits, 32 MiB in float32: larger ones only wait for memory."""

States = Float[np.ndarray, "n n_dims"]
Ids = Int[np.ndarray, " n"]


@dataclass(frozen=True, slots=True)
class NextTokenHead:
    """The frozen output head: logits are ``soft_cap(h @ unembedding.T + bias) + offset``.

    Attributes
    ----------
    unembedding : ndarray of shape (n_vocab, n_dims)
        U; a scale on the logits, where a model has one, is taken into it and into the bias.
    bias : ndarray of shape (n_vocab,), optional
    soft_cap : float, optional
        c in ``c tanh(logit / c)``.
    offset : ndarray of shape (n_vocab,), optional
        Added last; not the model's own, but what calibration adds.
    """

    unembedding: Float[np.ndarray, "n_vocab n_dims"]
    bias: Float[np.ndarray, " n_vocab"] | None = None
    soft_cap: float | None = None
    offset: Float[np.ndarray, " n_vocab"] | None = None

    def logits(self, states: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits of shape (n, n_vocab), and how fast the soft cap lets them grow; in the precision of the states."""
        logits = states @ torch.from_numpy(self.unembedding).to(states.dtype).T
        slope = None
        if self.bias is not None:
            logits = logits + torch.from_numpy(self.bias).to(states.dtype)
        if self.soft_cap is not None:
            bounded = torch.tanh(logits / self.soft_cap)
            logits, slope = self.soft_cap * bounded, 1 - bounded**2
        if self.offset is not None:
            logits = logits + torch.from_numpy(self.offset).to(states.dtype)
        return logits, slope

    def blocks(self, states: States, block: int | None) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """Rows with their logits and slopes, so many positions at a time that the logits make 32 MiB, or `block`."""
        head = self.astype(states.dtype)
        size = block if block is not None else max(1, _MAX_LOGITS // len(self.unembedding))
        for start in range(0, len(states), size):
            rows = slice(start, min(start + size, len(states)))
            yield rows, *head.logits(torch.from_numpy(np.ascontiguousarray(states[rows])))

    def astype(self, dtype: Any) -> "NextTokenHead":
        """The same head in another precision."""
        cast = {
            name: None if array is None else array.astype(dtype, copy=False)
            for name, array in (("unembedding", self.unembedding), ("bias", self.bias), ("offset", self.offset))
        }
        return dataclasses.replace(self, **cast)  # type: ignore[arg-type]


def next_token_losses(states: States, next_ids: Ids, head: NextTokenHead, *, block: int | None = None) -> Float[np.ndarray, " n"]:
    """Minus log-probability of each next token, in nats.

    Parameters
    ----------
    states : ndarray of shape (n, n_dims)
        What the unembedding multiplies. Logits are worked out in its precision.
    next_ids : ndarray of int, shape (n,)
        The tokens that follow.
    head : NextTokenHead
        Frozen.
    block : int, optional
        Positions whose logits are held at once; by default as many as make 32 MiB. Changes nothing but memory.

    Returns
    -------
    ndarray of shape (n,), float64
    """
    losses = np.empty(len(states))
    ids = torch.from_numpy(next_ids.astype(np.int64))
    for rows, logits, _ in head.blocks(states, block):
        losses[rows] = (logits.logsumexp(dim=1) - logits.gather(1, ids[rows, None])[:, 0]).numpy()
    return losses


def mean_loss_and_gradient(states: States, next_ids: Ids, head: NextTokenHead, *, block: int | None = None) -> tuple[float, States]:
    r"""Mean loss in nats, and its gradient by each state.

    Without a soft cap the gradient of one loss is :math:`U^T (p - e_y)`: the mean row of the predicted tokens minus the
    row of the one that came.

    Parameters
    ----------
    states, next_ids, head, block
        See :func:`next_token_losses`.

    Returns
    -------
    loss : float
    gradient : ndarray of shape (n, n_dims)
        Already divided by n.
    """
    rows_of_head = torch.from_numpy(head.unembedding.astype(states.dtype, copy=False))
    ids = torch.from_numpy(next_ids.astype(np.int64))
    total, gradient = 0.0, np.empty_like(states)
    for rows, logits, slope in head.blocks(states, block):
        wanted = ids[rows, None]
        normalizer = logits.logsumexp(dim=1, keepdim=True)
        total += float((normalizer - logits.gather(1, wanted)).sum(dtype=torch.float64))
        residual = logits.sub_(normalizer).exp_()
        residual.scatter_add_(1, wanted, -torch.ones_like(wanted, dtype=residual.dtype))
        gradient[rows] = ((residual if slope is None else residual * slope) @ rows_of_head / len(states)).numpy()
    return total / len(states), gradient


@dataclass(frozen=True, slots=True)
class HeadStatistics:
    r"""What the frozen head predicts over many states.

    Attributes
    ----------
    prediction : ndarray of shape (n_vocab,)
        Mean predicted distribution.
    fisher : ndarray of shape (n_dims, n_dims)
        Mean of :math:`U^T (\mathrm{diag}(p) - p p^T) U`: to move every state by s changes its prediction by
        :math:`s^T F s / 2` nats of Kullback-Leibler divergence, to second order. A soft cap is left out of it.
    """

    prediction: Float[np.ndarray, " n_vocab"]
    fisher: Float[np.ndarray, "n_dims n_dims"]


def head_statistics(states: States, head: NextTokenHead, *, block: int | None = None) -> HeadStatistics:
    """Mean prediction and Fisher information of the head; parameters as in :func:`next_token_losses`."""
    rows_of_head = torch.from_numpy(head.unembedding.astype(states.dtype, copy=False))
    prediction = torch.zeros(len(rows_of_head), dtype=torch.float64)
    squares = np.zeros((rows_of_head.shape[1], rows_of_head.shape[1]))
    for _, logits, _ in head.blocks(states, block):
        probabilities = logits.softmax(dim=1)
        prediction += probabilities.sum(dim=0, dtype=torch.float64)
        mean_rows = (probabilities @ rows_of_head).numpy().astype(np.float64)
        squares += mean_rows.T @ mean_rows
    mean = (prediction / len(states)).numpy()
    weighted = head.unembedding * mean[:, np.newaxis]
    return HeadStatistics(mean, weighted.T @ head.unembedding - squares / len(states))


def mean_losses_with_offsets(states: States, next_ids: Ids, head: NextTokenHead, offsets: list[np.ndarray]) -> Float[np.ndarray, " k"]:
    """Mean loss with each offset; the products with the unembedding, which cost most, are made once."""
    totals = np.zeros(len(offsets))
    ids, shifts = torch.from_numpy(next_ids), [torch.from_numpy(offset.astype(states.dtype)) for offset in offsets]
    for rows, logits, _ in head.blocks(states, None):
        for number, shift in enumerate(shifts):
            shifted = logits + shift
            totals[number] += float((shifted.logsumexp(dim=1) - shifted.gather(1, ids[rows, None])[:, 0]).sum())
    return totals / len(states)
