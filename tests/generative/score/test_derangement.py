"""Swaps in which no text meets its like."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import DataError
from lexframe.generative.score.derangement import derangements


@given(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=30), st.integers(0, 1000))
def test_every_text_gets_one_that_reads_otherwise(texts, seed):
    if 2 * max(texts.count(text) for text in texts) > len(texts):
        with pytest.raises(DataError, match="Drop repeated texts"):
            derangements(texts, 1, seed=seed)
        return
    for partner in derangements(texts, 3, seed=seed):
        assert sorted(partner) == list(range(len(texts)))
        assert all(texts[row] != texts[other] for row, other in enumerate(partner))


def test_every_pair_is_as_likely():
    texts = ["one", "two", "three", "four", "five"]
    counts = np.zeros((5, 5))
    for partner in derangements(texts, 4000):
        counts[np.arange(5), partner] += 1
    off = counts[~np.eye(5, dtype=bool)]
    assert counts.trace() == 0
    assert np.abs(off - 1000).max() < 5 * np.sqrt(1000)


def test_the_seed_decides():
    texts = [str(number) for number in range(50)]
    first, again, other = (derangements(texts, 1, seed=seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_too_few():
    with pytest.raises(DataError, match="1 text; expected 2"):
        derangements(["a"], 1)
    with pytest.raises(DataError, match=r"2 of 3 texts are the same \('a'\)"):
        derangements(["a", "b", "a"], 1)
