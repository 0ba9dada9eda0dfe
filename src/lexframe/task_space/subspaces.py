"""Which parameters a task selects, those with the largest gradients in every tensor, and how many of them two tasks share.

Weber et al. (2024, arXiv:2406.06441) tune only those. Counted on a sample of the parameters, the same for all tasks.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from lexframe.task_space.similarity import Blocks

N_SPLITS, N_RESAMPLES = 6, 50


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """How many of the selected parameters two tasks share.

    Attributes
    ----------
    overlap, low, high : ndarray of shape (n_tasks, n_tasks)
        Share of what a half of one selects that a half of the other selects too, with the 95% interval over blocks of pairs. The diagonal
        is of two halves of one task.
    chance : float
        What two random choices share.
    """

    overlap: Float[np.ndarray, "n_tasks n_tasks"]
    low: Float[np.ndarray, "n_tasks n_tasks"]
    high: Float[np.ndarray, "n_tasks n_tasks"]
    chance: float


def selected(
    sizes: Float[np.ndarray, "n_rows n_coordinates"], starts: Int[np.ndarray, " n_ends"], *, share: float
) -> Bool[np.ndarray, "n_rows n_coordinates"]:
    """The largest numbers of each row within each tensor.

    Parameters
    ----------
    sizes : ndarray of shape (n_rows, n_coordinates)
        Absolute gradients.
    starts : ndarray of int, shape (n_tensors + 1,)
        Where each tensor begins, and the end of the last.
    share : float
        Of a tensor, in (0, 1]; one number at least. What is zero is not selected.
    """
    chosen = np.zeros(sizes.shape, dtype=bool)
    for start, stop in pairwise(starts.tolist()):
        n = max(1, round(share * (stop - start)))
        places = np.argpartition(-sizes[:, start:stop], n - 1, axis=1)[:, :n]
        np.put_along_axis(chosen[:, start:stop], places, True, axis=1)
    return chosen & (sizes > 0)


def subspace_overlaps(
    coordinates: Float32[np.ndarray, "n_blocks n_coordinates"],
    starts: Int[np.ndarray, " n_ends"],
    blocks: Blocks,
    *,
    share: float = 0.01,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Overlaps:
    """Overlaps of the parameters that tasks select.

    Parameters
    ----------
    coordinates : ndarray of shape (n_blocks, n_coordinates)
        Gradients of blocks at the sampled parameters.
    starts : ndarray of int
        See :func:`selected`.
    blocks : Blocks
        Two or more of each task.
    share : float
        Of every tensor that is selected.
    n_resamples : int
        Draws of blocks for the interval, one cut in two each.
    seed : int
    """
    rng = np.random.default_rng(seed)
    value = np.mean([_overlap(coordinates, starts, blocks, share, rng, drawn=False) for _ in range(N_SPLITS)], axis=0)
    drawn = np.stack([_overlap(coordinates, starts, blocks, share, rng, drawn=True) for _ in range(n_resamples)])
    # Draws with replacement hold fewer pairs and so agree a little less: the interval keeps its width and stands around the value.
    low, high = np.percentile(drawn - drawn.mean(axis=0), [2.5, 97.5], axis=0)
    sizes = np.diff(starts)
    counts = np.maximum(1, np.round(share * sizes))
    return Overlaps(value, value + low, value + high, float((counts**2 / sizes).sum() / counts.sum()))


def _overlap(
    coordinates: np.ndarray, starts: np.ndarray, blocks: Blocks, share: float, rng: np.random.Generator, *, drawn: bool
) -> np.ndarray:
    one, other = (
        selected(np.abs(_means(half.astype(np.float32), coordinates, blocks)), starts, share=share).astype(np.float32)
        for half in blocks.parts(rng, drawn=drawn)
    )
    shared = one @ other.T / np.maximum(one.sum(axis=1, keepdims=True), 1)
    return np.asarray((shared + shared.T) / 2, dtype=np.float64)


def _means(weights: np.ndarray, coordinates: np.ndarray, blocks: Blocks) -> np.ndarray:
    """Weighted means of the blocks of every task; the weights of others are zero and not multiplied."""
    found = np.empty((len(weights), coordinates.shape[1]), dtype=np.float32)
    for task, row in enumerate(weights):
        own = blocks.task == task
        found[task] = row[own] @ coordinates[own]
    return found
