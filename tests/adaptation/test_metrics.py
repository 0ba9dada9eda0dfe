"""Metrics against scikit-learn, intervals against the binomial."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score

from lexframe.adaptation.metrics import accuracy, bootstrap, confusion, macro_f1, paired_difference
from lexframe.intervals import Estimate, mean_estimate, mean_over_items


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_macro_f1_and_confusion_equal_scikit_learns(pairs):
    truth, predicted = np.array(pairs).T
    assert macro_f1(truth, predicted) == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert np.array_equal(confusion(truth, predicted, 5), confusion_matrix(truth, predicted, labels=range(5)))


def test_the_bootstrap_interval_covers_like_the_binomial():
    truth = np.zeros(400, dtype=int)
    predicted = (np.arange(400) < 100).astype(int)
    estimate = bootstrap(truth, predicted, "accuracy", n_resamples=4000)
    half_width = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert estimate.value == accuracy(truth, predicted) == 0.75
    assert estimate.high - estimate.low == pytest.approx(2 * half_width, rel=0.08)


def test_pairing_narrows_the_interval_of_a_difference(rng):
    right = rng.random(500) < 0.7
    other = right.copy()
    other[:10] = ~other[:10]
    unpaired = bootstrap(np.ones(500, dtype=int), right.astype(int), "accuracy")
    difference = paired_difference(right, other)
    assert difference.high - difference.low < (unpaired.high - unpaired.low) / 2
    assert paired_difference(right, right).to_dict() == {"value": 0.0, "interval": [0.0, 0.0]}


def test_the_mean_of_one_item_has_no_width(rng):
    assert mean_over_items(np.array([0.25])) == Estimate(0.25, 0.25, 0.25)
    values = rng.normal(size=50)
    assert mean_over_items(values, seed=3) == mean_estimate(values, seed=3)
