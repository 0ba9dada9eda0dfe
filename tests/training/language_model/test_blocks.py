"""The order of the blocks: every block once an epoch, whatever the number of processes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import InputError
from lexframe.training.language_model.blocks import batch_of_blocks
from lexframe.training.language_model.plan import BLOCK

TOKENS = np.arange(7 * BLOCK + 5)


@given(first=st.integers(0, 30), n_blocks=st.sampled_from([2, 4, 8]), seed=st.integers(0, 3))
def test_batches_do_not_depend_on_the_number_of_processes(first, n_blocks, seed):
    alone = batch_of_blocks(TOKENS, first, n_blocks, seed=seed)
    shared = [batch_of_blocks(TOKENS, first, n_blocks, seed=seed, rank=rank, world=2) for rank in range(2)]
    together = np.empty_like(alone)
    together[0::2], together[1::2] = shared
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_every_block_comes_once_an_epoch_and_every_token_is_a_target_once(epoch):
    batch = batch_of_blocks(TOKENS, 7 * epoch, 7, seed=3)
    assert sorted(batch[:, 0]) == list(range(0, 7 * BLOCK, BLOCK))
    assert sorted(batch[:, 1:].ravel()) == list(range(1, 7 * BLOCK + 1))


def test_epochs_have_their_own_order():
    orders = [tuple(batch_of_blocks(TOKENS, 7 * epoch, 7, seed=0)[:, 0]) for epoch in range(4)]
    assert len(set(orders)) == 4


def test_a_corpus_of_less_than_a_block():
    with pytest.raises(InputError, match="fewer than one block"):
        batch_of_blocks(np.arange(BLOCK), 0, 1, seed=0)
