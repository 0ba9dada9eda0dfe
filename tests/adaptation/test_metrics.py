"""Metrics against scikit-learn, intervals against the binomial."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score

from lexframe.adaptation.metrics import confusion, macro_f1, macro_f1_estimate
from lexframe.intervals import Estimate, mean_estimate, mean_over_draws, mean_over_items


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_macro_f1_and_confusion_equal_scikit_learns(pairs):
    truth, predicted = np.array(pairs).T
    assert macro_f1(truth, predicted) == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert np.array_equal(confusion(truth, predicted, 5), confusion_matrix(truth, predicted, labels=range(5)))


def test_the_bootstrap_interval_covers_like_the_binomial():
    right = (np.arange(400) >= 300).astype(float)
    estimate = mean_over_items(right, n_resamples=4000)
    half_width = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert estimate.value == 0.25
    assert estimate.high - estimate.low == pytest.approx(2 * half_width, rel=0.08)


def test_pairing_narrows_the_interval_of_a_difference(rng):
    right = (rng.random(500) < 0.7).astype(float)
    other = right.copy()
    other[:10] = 1 - other[:10]
    unpaired, difference = mean_over_items(right), mean_over_items(right - other)
    assert difference.high - difference.low < (unpaired.high - unpaired.low) / 2


def test_the_interval_of_macro_f1_is_that_of_the_resampled_items(rng):
    truth, predicted = rng.integers(4, size=60), rng.integers(4, size=60)
    found = macro_f1_estimate(truth, predicted, n_resamples=300, seed=5)
    draws = np.random.default_rng(5).integers(0, 60, size=(300, 60))
    low, high = np.percentile([f1_score(truth[rows], predicted[rows], average="macro") for rows in draws], [2.5, 97.5])
    assert (found.value, found.low, found.high) == pytest.approx((f1_score(truth, predicted, average="macro"), low, high))
    assert macro_f1_estimate(np.array([2]), np.array([2])) == Estimate(1.0, 1.0, 1.0)


def test_one_draw_has_the_interval_of_its_items(rng):
    values = (rng.random((1, 80)) < 0.6).astype(float)
    of_draws, of_items = mean_over_draws(values, seed=2), mean_over_items(values[0], seed=2)
    assert (of_draws.value, of_draws.low, of_draws.high) == pytest.approx((of_items.value, of_items.low, of_items.high))


def test_the_mean_of_one_item_has_no_width(rng):
    assert mean_over_items(np.array([0.25])) == Estimate(0.25, 0.25, 0.25)
    values = rng.normal(size=50)
    assert mean_over_items(values, seed=3) == mean_estimate(values, seed=3)
