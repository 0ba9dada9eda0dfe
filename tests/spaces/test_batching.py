"""Batches hold every row once, keep to their budget, and pad as little as they can."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import InputError
from lexframe.spaces.batching import encode_batches, length_batches
from lexframe.spaces.tokenization import TokenizedText

CPU = torch.device("cpu")


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=80),
    most_tokens=st.integers(1, 300),
    most_texts=st.none() | st.integers(1, 9),
)
def test_every_row_once_within_the_budget(lengths, most_tokens, most_texts):
    lengths = np.array(lengths)
    batches = length_batches(lengths, most_tokens=most_tokens, most_texts=most_texts)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for rows in batches:
        assert len(rows) == 1 or len(rows) * lengths[rows].max() <= most_tokens
        assert most_texts is None or len(rows) <= most_texts
    order = lengths[np.concatenate(batches)]
    assert (np.diff(order) <= 0).all()


def test_next_to_nothing_is_padded_where_many_texts_are_equally_long(rng):
    lengths = np.clip(rng.lognormal(3, 0.6, size=4000).astype(int), 1, 200)
    batches = length_batches(lengths, most_tokens=2048)
    read = sum(len(rows) * lengths[rows].max() for rows in batches)
    assert read < 1.03 * lengths.sum()
    assert len(batches) <= 2 * read // 2048 + 1


def tokenized(*lengths):
    return [TokenizedText(ids=np.full(length, length), span=np.ones(length, dtype=bool), truncated=False) for length in lengths]


def test_equal_texts_go_through_once_and_order_is_kept():
    seen = []

    def forward(texts):
        seen.extend(len(text.ids) for text in texts)
        return np.array([[len(text.ids)] for text in texts], dtype=np.float32)

    found = encode_batches(tokenized(3, 5, 3, 1, 5), forward, device=CPU)
    assert found[:, 0].tolist() == [3, 5, 3, 1, 5]
    assert sorted(seen) == [1, 3, 5]


def test_a_batch_that_does_not_fit_is_halved():
    sizes = []

    def forward(texts):
        sizes.append(len(texts))
        if len(texts) > 2:
            raise torch.OutOfMemoryError
        return np.array([[len(text.ids)] for text in texts], dtype=np.float32)

    found = encode_batches(tokenized(*range(1, 10)), forward, device=CPU)
    assert found[:, 0].tolist() == list(range(1, 10))
    assert max(sizes) == 9

    def never(texts):
        raise torch.OutOfMemoryError

    with pytest.raises(InputError, match="3 tokens does not fit"):
        encode_batches(tokenized(3), never, device=CPU)
