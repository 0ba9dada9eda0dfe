"""A space that needs no model, and texts for it."""

import numpy as np
import pytest

from lexframe.spaces import ToySpace

WORDS = tuple(f"w{number}" for number in range(40))


@pytest.fixture
def space():
    rng = np.random.default_rng(3)
    return ToySpace({word: rng.normal(size=6).tolist() for word in WORDS})


@pytest.fixture
def texts():
    rng = np.random.default_rng(4)
    return [" ".join(rng.choice(WORDS, size=rng.integers(1, 9))) for _ in range(50)]
