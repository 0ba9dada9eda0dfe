"""Counts of dimensions whose state is known."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import DataError, InputError
from lexframe.generative.score.active_units import active_units, count_active_units
from lexframe.spaces.base import Posterior


def four_dimensions(n_texts=400):
    """Used; weakly used; the prior; and moved from the prior by the same amount for every text."""
    z = np.resize([-1.0, 1.0], n_texts)
    means = np.stack([0.9 * z, 0.3 * z, np.zeros(n_texts), np.ones(n_texts)], axis=1)
    variances = np.broadcast_to([0.19, 0.91, 1.0, 1.0], means.shape)
    return Posterior(means.astype(np.float32), np.log(variances).astype(np.float32))


def test_counts_by_hand():
    posterior = four_dimensions()
    assert active_units(posterior).tolist() == [True, True, False, False]
    assert active_units(posterior, 0.2).tolist() == [True, False, False, False]
    found = count_active_units(posterior)
    np.testing.assert_allclose(found.variances, [0.81, 0.09, 0, 0], rtol=1e-5)
    assert (found.thresholds, found.n_active, found.n_unused, found.n_idle) == ((0.01, 0.2), (2, 1), 1, 1)
    assert found.settled_share == 0.75
    assert found.mean_kl[3] == pytest.approx(0.5)
    assert (found.n_texts, found.n_dims) == (400, 4)


def test_the_threshold_is_passed_and_not_reached():
    means = np.array([[-0.5], [0.5]], np.float32)
    posterior = Posterior(means, np.zeros_like(means))
    assert not active_units(posterior, 0.25)[0]
    assert active_units(posterior, 0.2499)[0]


@given(st.integers(2, 20), st.integers(1, 6), st.floats(0, 0.3), st.integers(0, 2**32 - 1))
def test_no_dimension_is_active_and_unused(n_texts, n_dims, spread, seed):
    rng = np.random.default_rng(seed)
    means = rng.normal(0, spread, size=(n_texts, n_dims)).astype(np.float32)
    found = count_active_units(Posterior(means, np.zeros_like(means)))
    assert not ((found.variances > 0.01) & (found.mean_kl < 0.005)).any()
    assert found.n_active[0] + found.n_unused + found.n_idle == n_dims
    assert found.n_idle >= 0


def test_identical_texts_have_no_active_dimension():
    means = np.full((5, 3), 0.7, np.float32)
    found = count_active_units(Posterior(means, np.zeros_like(means)))
    assert (found.n_active, found.n_unused, found.n_idle) == ((0, 0), 0, 3)


def test_to_dict_is_json():
    document = json.loads(json.dumps(count_active_units(four_dimensions()).to_dict()))
    assert document["n_active"] == [2, 1]
    assert len(document["variances"]) == len(document["mean_kl"]) == 4


def test_bad_input():
    posterior = four_dimensions()
    for threshold in (-0.1, float("nan")):
        with pytest.raises(InputError, match="expected numbers of 0 or more"):
            active_units(posterior, threshold)
    with pytest.raises(InputError, match="active and unused at once"):
        count_active_units(posterior, unused_below=0.1)
    with pytest.raises(DataError, match="of 1 texts; expected 2"):
        active_units(four_dimensions(1))
