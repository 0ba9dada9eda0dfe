"""Items around category means, some under a wrong category, with the truth."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Planted:
    points: np.ndarray
    given: np.ndarray
    truth: np.ndarray
    means: np.ndarray

    @property
    def wrong(self):
        return self.given != self.truth


def gaussian_items(*, n, d, k, spread, wrong, seed, nuisance=0.0):
    """Means with `spread` a dimension, unit noise, optionally two directions of large noise that mean nothing."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(k, d)) * spread
    truth = np.arange(n) % k
    points = means[truth] + rng.normal(size=(n, d))
    if nuisance:
        points += rng.normal(size=(n, 2)) * nuisance @ np.linalg.qr(rng.normal(size=(d, 2)))[0].T
    given = truth.copy()
    moved = rng.permutation(n)[: round(wrong * n)]
    given[moved] = (given[moved] + rng.integers(1, k, len(moved))) % k
    return Planted(points.astype(np.float32), given, truth, means)
