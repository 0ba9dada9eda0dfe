"""A pool of opinions: against its loss written out, and what it does with those that know and those that do not."""

import numpy as np
import pytest
from scipy.optimize import minimize

from lexframe.instruments.classifiers.opinion_pool import pool_opinions
from lexframe.linalg import softmax
from tests.reference import posterior_calibration as reference


def opinion(rng, y, knowledge, k=3):
    return knowledge * np.eye(k)[y] + rng.normal(size=(len(y), k))


@pytest.mark.parametrize("shares", [None, (0.7, 0.2, 0.1)])
def test_the_weights_are_where_the_loss_written_out_is_least(shares, rng):
    y = rng.integers(3, size=30)
    opinions = np.stack([opinion(rng, y, 1.5), opinion(rng, y, 1.0)])
    found = pool_opinions(opinions, y, [0.4, 0.6], [0.3, 0.2], None if shares is None else np.array(shares))
    log_shares = np.zeros(3) if shares is None else np.log(shares) - np.mean(np.log(shares))

    def loss(at):
        return reference.pool_loss(at[:2], at[2:], opinions, y, [0.4, 0.6], [0.3, 0.2], log_shares)

    slow = minimize(loss, np.zeros(5), method="BFGS").x
    np.testing.assert_allclose(np.append(found.weights, found.intercept), slow, atol=1e-4)


def test_without_labels_the_weights_are_those_expected():
    found = pool_opinions(np.zeros((2, 0, 3)), np.zeros(0, dtype=int), [0.4, 1.0], [1.0, 1.0])
    assert found.weights.tolist() == [0.4, 1.0]
    assert not found.intercept.any()


def test_an_opinion_that_is_turned_gets_no_weight(rng):
    y = rng.integers(3, size=200)
    found = pool_opinions(np.stack([opinion(rng, y, 2.0), -opinion(rng, y, 2.0)]), y, [0.5, 0.5], [0.4, 0.4])
    assert found.weights[0] > 0.5
    assert found.weights[1] == 0


def test_two_that_err_apart_are_better_than_the_better_one(rng):
    y = rng.integers(4, size=4000)
    one, other = opinion(rng, y, 1.0, 4), opinion(rng, y, 0.8, 4)
    found = pool_opinions(np.stack([one, other])[:, :300], y[:300], [0.7, 0.7], [0.5, 0.5])
    pooled = np.tensordot(found.weights, np.stack([one, other])[:, 300:], 1) + found.intercept
    right = [np.mean(scores.argmax(axis=1) == y[300:]) for scores in (pooled, one[300:], other[300:])]
    assert right[0] > max(right[1:]) + 0.05
    assert softmax(pooled).max(axis=1).mean() == pytest.approx(right[0], abs=0.05)


def test_the_intercept_learns_how_frequent_classes_are(rng):
    y = (rng.random(500) < 0.1).astype(int)
    found = pool_opinions(rng.normal(size=(1, 500, 2)), y, [0.1], [0.1])
    assert found.intercept[0] - found.intercept[1] > 1.0
