"""Cosines of mean gradients, corrected for what a finite number of pairs leaves uncertain. All from inner products of blocks of pairs.

The cosine of two noisy means is too small, by the factor by which the halves of each disagree with themselves (Spearman, 1904).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lexframe.intervals import Estimate

Gram = Float[np.ndarray, "n_blocks n_blocks"]
Halves = Float[np.ndarray, "n_tasks n_blocks"]

N_SPLITS = 64
"""Ways to cut every task in two, over which cosines are averaged."""
LEAST_TO_DRAW = 6
"""Tasks that are drawn anew for an interval: of fewer there are too few pairs that differ."""


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Which block of pairs is of which task, and how many pairs it holds.

    Attributes
    ----------
    task : ndarray of int, shape (n_blocks,)
        Numbers of tasks from 0.
    size : ndarray of int, shape (n_blocks,)
    """

    task: Int[np.ndarray, " n_blocks"]
    size: Int[np.ndarray, " n_blocks"]

    @property
    def n_tasks(self) -> int:
        """Tasks."""
        return int(self.task.max()) + 1

    def of_tasks(self, kept: Sequence[int]) -> "tuple[Blocks, Int[np.ndarray, ' n_kept']]":
        """The blocks of some tasks, which are numbered anew, and where those blocks stood.

        Parameters
        ----------
        kept : sequence of int
            In rising order.
        """
        rows = np.flatnonzero(np.isin(self.task, kept))
        return Blocks(np.searchsorted(np.asarray(kept), self.task[rows]), self.size[rows]), rows

    def means(self, counts: Float[np.ndarray, " n_blocks"]) -> Halves:
        """Weights that make the mean over pairs of each task, where a block counts so often.

        Parameters
        ----------
        counts : ndarray of shape (n_blocks,)
        """
        weights = np.zeros((self.n_tasks, len(self.task)))
        weights[self.task, np.arange(len(self.task))] = counts * self.size
        return weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)

    def parts(self, rng: np.random.Generator, n_parts: int = 2, *, drawn: bool = False) -> list[Halves]:
        """Every task cut at random into parts that share no block, as weights of means.

        Parameters
        ----------
        rng : numpy.random.Generator
        n_parts : int
            Parts of like size.
        drawn : bool
            Draw the blocks of each part anew with replacement: a block never stands in two parts.
        """
        counts = np.zeros((n_parts, len(self.task)))
        for task in range(self.n_tasks):
            rows = rng.permutation(np.flatnonzero(self.task == task))
            first = int(rng.integers(n_parts))  # parts differ by a block where the number is odd; none is always the larger
            for number, part in enumerate(np.array_split(rows, n_parts)):
                chosen = rng.choice(part, size=len(part)) if drawn else part
                np.add.at(counts[(number + first) % n_parts], chosen, 1.0)
        return [self.means(each) for each in counts]


@dataclass(frozen=True, slots=True, eq=False)
class Similarities:
    """Similarities of tasks and the reliability of each.

    Attributes
    ----------
    similarity : ndarray of shape (n_tasks, n_tasks)
        Corrected for attenuation; 1 on the diagonal. NaN where a task has no reliability to be corrected by.
    reliability : ndarray of shape (n_tasks,)
        Expected cosine of two halves of a task.
    """

    similarity: Float[np.ndarray, "n_tasks n_tasks"]
    reliability: Float[np.ndarray, " n_tasks"]


def half_cosines(gram: Gram, one: Halves, other: Halves) -> Float[np.ndarray, "n_tasks n_tasks"]:
    """Cosines of the first half of every task with the second half of every task.

    Parameters
    ----------
    gram : ndarray of shape (n_blocks, n_blocks)
        Inner products of the blocks' mean gradients.
    one, other : ndarray of shape (n_tasks, n_blocks)
        Weights of the halves.
    """
    left = one @ gram
    squares = (left * one).sum(axis=1), ((other @ gram) * other).sum(axis=1)
    lengths = [np.sqrt(np.where(each > 0, each, np.nan)) for each in squares]  # a half without a block has no direction
    return (left @ other.T) / np.outer(*lengths)


def mean_cosines(cosines: Sequence[Float[np.ndarray, "n_tasks n_tasks"]]) -> Float[np.ndarray, "n_tasks n_tasks"]:
    """Mean over splits, of those in which both halves have a direction; NaN where there is none.

    Parameters
    ----------
    cosines : sequence of ndarray of shape (n_tasks, n_tasks)
    """
    stacked = np.stack(cosines)
    counts = (~np.isnan(stacked)).sum(axis=0)
    return np.where(counts > 0, np.nansum(stacked, axis=0) / np.maximum(counts, 1), np.nan)


def corrected(cosines: Float[np.ndarray, "n_tasks n_tasks"]) -> Similarities:
    r"""Similarities from cosines of halves, averaged over splits.

    .. math:: \mathrm{sim}(A, B) = \frac{c(A_1, B_2) + c(A_2, B_1)}{2 \sqrt{c(A_1, A_2)\, c(B_1, B_2)}}

    Parameters
    ----------
    cosines : ndarray of shape (n_tasks, n_tasks)
        First halves with second halves, as :func:`half_cosines` gives them.
    """
    reliability = np.diag(cosines).copy()
    root = np.sqrt(np.where(reliability > 0, reliability, np.nan))
    similarity = (cosines + cosines.T) / 2 / np.outer(root, root)
    np.fill_diagonal(similarity, np.where(np.isnan(root), np.nan, 1.0))
    return Similarities(similarity, reliability)


def task_similarities(gram: Gram, blocks: Blocks, *, n_splits: int = N_SPLITS, seed: int = 0) -> Similarities:
    """Similarities of tasks, from many ways to cut each in two.

    Parameters
    ----------
    gram : ndarray of shape (n_blocks, n_blocks)
        Inner products of the blocks' mean gradients.
    blocks : Blocks
        At least two of each task.
    n_splits : int
    seed : int
        Of the splits.
    """
    rng = np.random.default_rng(seed)
    return corrected(mean_cosines([half_cosines(gram, *blocks.parts(rng)) for _ in range(n_splits)]))


def resampled_similarities(
    gram: Gram, blocks: Blocks, *, n_resamples: int = 200, n_splits: int = 8, seed: int = 0
) -> tuple[Float[np.ndarray, "n_resamples n_tasks n_tasks"], Float[np.ndarray, "n_resamples n_tasks"]]:
    """Similarities and reliabilities when the blocks of each task are drawn anew.

    Tasks are cut in two first and blocks drawn within each half: a block that stood in both would make a task agree with itself.

    Parameters
    ----------
    gram, blocks
        See :func:`task_similarities`.
    n_resamples : int
    n_splits : int
        Cuts of each resample.
    seed : int

    Returns
    -------
    similarities : ndarray of shape (n_resamples, n_tasks, n_tasks)
    reliabilities : ndarray of shape (n_resamples, n_tasks)
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n_resamples):
        counts = np.zeros(len(blocks.task))
        for task in range(blocks.n_tasks):  # what a resample is made of; halves of it then have nothing in common
            rows = np.flatnonzero(blocks.task == task)
            np.add.at(counts, rng.choice(rows, size=len(rows)), 1.0)
        found.append(corrected(_cosines_of_counts(gram, blocks, counts, rng, n_splits)))
    return np.stack([each.similarity for each in found]), np.stack([each.reliability for each in found])


def _cosines_of_counts(
    gram: Gram, blocks: Blocks, counts: Float[np.ndarray, " n_blocks"], rng: np.random.Generator, n_cuts: int
) -> Float[np.ndarray, "n_tasks n_tasks"]:
    """Mean cosines of two halves of a resample in which each block stands so often; all copies of a block are in one half."""
    own = np.flatnonzero(counts)  # only what is there is cut, so that the halves hold as many blocks
    inside, often = Blocks(blocks.task[own], blocks.size[own]), counts[own]
    within = gram[np.ix_(own, own)]
    cuts = [[inside.means(often * (half.sum(axis=0) > 0)) for half in inside.parts(rng)] for _ in range(n_cuts)]
    return mean_cosines([half_cosines(within, *halves) for halves in cuts])


def retest(gram: Gram, blocks: Blocks, *, n_splits: int = 16, n_cuts: int = 8, seed: int = 0) -> Estimate:
    """Correlation of the matrices that two halves of all pairs give, each corrected by itself.

    Parameters
    ----------
    gram, blocks
        See :func:`task_similarities`; four blocks or more of each task.
    n_splits : int
        Ways to cut all pairs in two.
    n_cuts : int
        Ways to cut each half in two again, for its own correction.
    seed : int

    Returns
    -------
    Estimate
        Mean over splits. Its interval is over tasks that are drawn anew, in the splits that were made; of fewer than 6 there is none.
    """
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(n_splits):
        pair = []
        for half in blocks.parts(rng):
            counts = (half.sum(axis=0) > 0).astype(np.float64)
            pair.append(corrected(_cosines_of_counts(gram, blocks, counts, rng, n_cuts)).similarity)
        pairs.append(pair)
    n = blocks.n_tasks
    value = _mean_correlation(pairs, np.arange(n))
    if n < LEAST_TO_DRAW:
        return Estimate(value, float("nan"), float("nan"), "tasks", n)
    drawn = [_mean_correlation(pairs, rng.integers(n, size=n)) for _ in range(200)]
    defined = [each for each in drawn if not np.isnan(each)]
    low, high = np.percentile(defined, [2.5, 97.5]) if defined else (np.nan, np.nan)
    return Estimate(value, float(low), float(high), "tasks", n)


def _mean_correlation(pairs: Sequence[Sequence[np.ndarray]], rows: Int[np.ndarray, " n"]) -> float:
    """Mean correlation over pairs of matrices, of the entries of two tasks that are not one."""
    i, j = np.triu_indices(len(rows), k=1)
    apart = rows[i] != rows[j]
    i, j = rows[i][apart], rows[j][apart]
    found = []
    for one, other in pairs:
        x, y = one[i, j], other[i, j]
        defined = ~(np.isnan(x) | np.isnan(y))
        if defined.sum() > 2 and x[defined].std() > 0 and y[defined].std() > 0:
            found.append(float(np.corrcoef(x[defined], y[defined])[0, 1]))
    return float(np.mean(found)) if found else float("nan")
