"""Poolings: what each token weighs, and that a massive state has no part in the typical mean."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from lexframe import LanguageModelSpace, find_direction
from lexframe.exceptions import InputError
from lexframe.spaces.base import Representation
from lexframe.spaces.pooling import MASSIVE, POOLINGS, pooling_function
from tests.tiny_models import tiny_model, tiny_tokenizer


def pooled(name, states, mask):
    return pooling_function(name)(states, mask, mask).numpy()


@pytest.fixture
def batch():
    states = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 6, 4)).astype(np.float32))
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]])
    return states, mask


def test_the_typical_mean_is_the_mean_where_no_state_is_massive(batch):
    np.testing.assert_array_equal(pooled("typical", *batch), pooled("mean", *batch))


def test_a_massive_state_is_left_out_wherever_it_stands(batch):
    states, mask = batch
    for text, place in ((0, 0), (0, 3), (1, 0)):
        massive = states.clone()
        massive[text, place] *= 1_000
        kept = [token for token in range(int(mask[text].sum())) if token != place]
        np.testing.assert_allclose(pooled("typical", massive, mask)[text], states[text, kept].numpy().mean(axis=0), rtol=1e-6)


def test_what_only_fills_up_a_row_decides_nothing(batch):
    states, mask = batch
    filled = states.clone()
    filled[mask == 0] = 1e6
    np.testing.assert_array_equal(pooled("typical", filled, mask), pooled("typical", states, mask))
    assert np.isfinite(pooled("typical", torch.zeros(1, 2, 4), torch.tensor([[1, 0]]))).all()


def test_a_text_of_one_token_is_that_token_however_long(batch):
    states, mask = batch
    np.testing.assert_array_equal(pooled("typical", 1_000 * states, mask)[2], 1_000 * states[2, 0].numpy())


def test_the_bound_is_a_factor_on_the_median():
    states = torch.zeros(1, 5, 2)
    states[0, :, 0] = torch.tensor([1.0, 2.0, 2.0, 3.0, 2 * MASSIVE])
    mask = torch.ones(1, 5, dtype=torch.int64)
    assert pooled("typical", states, mask)[0, 0] == pytest.approx((8 + 2 * MASSIVE) / 5)
    states[0, 4, 0] *= 1.01
    assert pooled("typical", states, mask)[0, 0] == pytest.approx(2.0)


def test_an_unknown_pooling_is_refused_with_those_there_are():
    with pytest.raises(InputError, match=", ".join(POOLINGS)):
        pooling_function("max")


def test_a_direction_is_not_that_of_the_lengths_of_texts():
    model, tokenizer = deepcopy(tiny_model("gpt2")), tiny_tokenizer()
    with torch.no_grad():
        model.transformer.wpe.weight[0] = 0
        model.transformer.wpe.weight[0, 3] = 1_000  # the first token read has a massive state
    space = LanguageModelSpace(model, tokenizer=tokenizer)
    short = ["the cat", "a dog", "my house"]
    long = ["the cat sat on the mat and slept", "a dog ran to the house at night", "my house is on a hill here"]
    shares = {}
    for pooling in ("mean", "typical"):
        vector = find_direction(space, short, long, layers=[0], pooling=pooling).vectors[0]
        shares[pooling] = abs(vector[3]) / np.linalg.norm(vector)
    assert shares["mean"] > 0.99
    assert shares["typical"] < 0.9
    by_default = find_direction(space, short, long, layers=[0])
    assert abs(by_default.vectors[0][3]) / np.linalg.norm(by_default.vectors[0]) == shares["typical"]
    points = space.encode_representations(long, [Representation(0, "typical"), Representation(0, "mean")])
    assert np.abs(points[:, 1, 3]).min() > 40 > np.abs(points[:, 0, 3]).max()
