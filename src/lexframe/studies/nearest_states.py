"""The nearest-neighbor language model: the frozen model mixed with the tokens that followed the nearest states of a text."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from lexframe.studies.next_token_states import NextTokenStates

NEIGHBORS = (8, 32, 128, 512)
TEMPERATURES = (0.03, 0.1, 0.3, 1.0)
WEIGHTS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_BLOCK = 1 << 24
"""Numbers in one block of distances, 64 MiB."""


@dataclass(frozen=True, slots=True)
class NeighborPrediction:
    r"""The nearest-neighbor language model [1]_ over the last state.

    :math:`p(v) = w \, p_\mathrm{kNN}(v) + (1 - w) \, p_\mathrm{LM}(v)`, where :math:`p_\mathrm{kNN}` is the softmax of
    minus the squared distances of the k nearest stored states over the temperature, added up by the token that followed
    each. The paper's keys are inputs of the last feed-forward layer, ours are the states that the calibrations move.

    Attributes
    ----------
    states : ndarray of shape (n_stored, n_dims)
        The datastore.
    next_ids : ndarray of int, shape (n_stored,)
    n_neighbors : int
        k; fewer where less is stored.
    temperature : float
        In units of squared distance.
    weight : float
        w, in [0, 1]; 0 is the frozen model.

    References
    ----------
    .. [1] Khandelwal et al. (2020), Generalization through Memorization: Nearest Neighbor Language Models, ICLR.
    """

    states: np.ndarray
    next_ids: np.ndarray
    n_neighbors: int
    temperature: float
    weight: float

    def losses(self, asked: NextTokenStates, frozen: Float[np.ndarray, " n_positions"]) -> Float[np.ndarray, " n_positions"]:
        """Minus log-probability in nats of the tokens that follow, given those of the frozen model."""
        distances, rows = nearest_states(asked.states, self.states, self.n_neighbors)
        matches = self.next_ids[rows] == asked.next_ids[:, np.newaxis]
        return mixed_losses(neighbor_probability(distances, matches, self.temperature), frozen, self.weight)


def nearest_states(
    queries: Float[np.ndarray, "n_queries n_dims"], stored: Float[np.ndarray, "n_stored n_dims"], k: int, *, block: int = _BLOCK
) -> tuple[Float[np.ndarray, "n_queries k"], Int[np.ndarray, "n_queries k"]]:
    """Squared Euclidean distances and rows of the k nearest stored states, exactly, nearest first.

    Parameters
    ----------
    queries, stored : ndarray of shape (n_queries, n_dims), (n_stored, n_dims)
        States.
    k : int
        At most n_stored.
    block : int
        Distances held at once.

    Returns
    -------
    distances, rows : ndarray of shape (n_queries, k)
    """
    points = torch.from_numpy(np.ascontiguousarray(stored))
    squares = (points**2).sum(1)
    distances = np.empty((len(queries), k), dtype=queries.dtype)
    rows = np.empty((len(queries), k), dtype=np.int64)
    size = max(1, block // max(1, len(stored)))
    for start in range(0, len(queries), size):
        part = torch.from_numpy(np.ascontiguousarray(queries[start : start + size]))
        found = ((part**2).sum(1, keepdim=True) - 2 * part @ points.T + squares).topk(k, dim=1, largest=False)
        distances[start : start + size] = found.values.clamp(min=0).numpy()
        rows[start : start + size] = found.indices.numpy()
    return distances, rows


def neighbor_probability(
    distances: Float[np.ndarray, "n_queries k"], matches: np.ndarray, temperature: float
) -> Float[np.ndarray, " n_queries"]:
    """Weight of the neighbors that were followed by the token asked for; distances rise from left to right."""
    weights = np.exp((distances[:, :1] - distances).astype(np.float64) / temperature)
    return (weights * matches).sum(1) / weights.sum(1)


def mixed_losses(probability: Float[np.ndarray, " n"], frozen: Float[np.ndarray, " n"], weight: float) -> Float[np.ndarray, " n"]:
    """Minus log of the mixture of neighbors (`weight`) and frozen model, from the latter's losses in nats."""
    if weight == 0:
        return frozen
    with np.errstate(divide="ignore"):  # no neighbor was followed by this token
        return -np.logaddexp(np.log(weight * probability), np.log1p(-weight) - frozen)


def fit_neighbors(
    states: Float[np.ndarray, "n n_dims"],
    next_ids: Int[np.ndarray, " n"],
    frozen_tail: Float[np.ndarray, " n_tail"],
) -> tuple[NeighborPrediction, float]:
    """Choose neighbors, temperature and weight on the tail, then store all of the domain text.

    Parameters
    ----------
    states, next_ids : ndarray of shape (n, n_dims), (n,)
        Of the domain text; the last n_tail positions are the tail, and do not count as neighbors while choosing.
    frozen_tail : ndarray of shape (n_tail,)
        Losses of the frozen model on the tail, in nats.

    Returns
    -------
    model : NeighborPrediction
    tail_loss : float
        In nats a token.
    """
    start = len(states) - len(frozen_tail)
    ks = [k for k in NEIGHBORS if k < start] or [start]
    distances, rows = nearest_states(states[start:], states[:start], ks[-1])
    matches = next_ids[:start][rows] == next_ids[start:, np.newaxis]
    scale = float(np.median(distances[:, 0])) or 1.0
    best, choice = float(frozen_tail.mean()), (ks[0], scale, 0.0)
    for k in ks:
        for temperature in (scale * factor for factor in TEMPERATURES):
            probability = neighbor_probability(distances[:, :k], matches[:, :k], temperature)
            for weight in WEIGHTS:
                loss = float(mixed_losses(probability, frozen_tail, weight).mean())
                if loss < best:
                    best, choice = loss, (k, temperature, weight)
    return NeighborPrediction(states, next_ids, *choice), best
