"""Which blocks of a corpus make a batch: an order that depends on the seed and on the number of blocks seen alone."""

import numpy as np

from lexframe.exceptions import InputError
from lexframe.training.language_model.plan import BLOCK


def batch_of_blocks(tokens: np.ndarray, first_block: int, n_blocks: int, *, seed: int, rank: int = 0, world: int = 1) -> np.ndarray:
    """Blocks ``first_block … first_block + n_blocks`` of the shuffled corpus, those of one process.

    Parameters
    ----------
    tokens : ndarray of shape (n_tokens,)
        The corpus.
    first_block : int
        Number of blocks seen before, over all epochs.
    n_blocks : int
        Blocks in the whole batch.
    seed : int
        Of the order; every epoch has its own.
    rank, world : int
        This process and their number.

    Returns
    -------
    ndarray of shape (n_blocks / world, BLOCK + 1), int64
        Each row overlaps the next of the corpus by one token, so that every token is a target once.
    """
    n_corpus = (len(tokens) - 1) // BLOCK
    if n_corpus < 1:
        raise InputError(f"The corpus has {len(tokens)} tokens, fewer than one block of {BLOCK + 1}. Give more text.")
    rows = []
    for position in range(first_block + rank, first_block + n_blocks, world):
        epoch, index = divmod(position, n_corpus)
        start = int(_block_order(n_corpus, seed, epoch)[index]) * BLOCK
        rows.append(np.asarray(tokens[start : start + BLOCK + 1], dtype=np.int64))
    return np.stack(rows)


def _block_order(n_blocks: int, seed: int, epoch: int, _cache: dict[tuple[int, int, int], np.ndarray] = {}) -> np.ndarray:  # noqa: B006
    key = (n_blocks, seed, epoch)
    if key not in _cache:
        _cache.clear()
        _cache[key] = np.random.default_rng([seed, epoch]).permutation(n_blocks)
    return _cache[key]
